"""Renderers: what was found, as text for a terminal, JSON for a program, Markdown for a ticket. One file per format.

Each is a pure function of a `Report` (contents.py), the only input of a renderer.
"""
