"""Rules: what is wrong, on which host, and how sure. One rule a file, found by its name."""
