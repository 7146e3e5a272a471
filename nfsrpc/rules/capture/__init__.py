"""Rules on what a capture lacks."""
