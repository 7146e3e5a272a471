"""Endless captures: the tables and rules of files, again and again for the last quarter of an hour."""
