"""Captures of hundreds of nodes, one diagnosis: decoded where they lie, judged together.

A node's ring becomes the rows of its decoder, thinned, as Arrow tables (rows.py, arrow.py), by a task that any worker
of Dask can run and whose result a cache keeps (cache.py). The rows of nodes that share hosts are joined as those of
vantages are, and go through the same sessions and rules as in `analyze` (judging.py, groups.py); only their order of
work is new (run.py).
"""
