"""Renderers: what was found, as text for a terminal, JSON for a program, Markdown for a ticket. One format a file.

Each is a pure function of a `Report` (contents.py), which is all that a renderer may know of a trace.
"""
