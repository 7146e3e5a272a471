"""Rules on lock requests and who holds what."""
