"""Captures that go on: the tables and rules of files, asked again and again of the last quarter of an hour."""
