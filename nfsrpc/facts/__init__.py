"""Facts: intermediate results that several rules read from the tables, computed once. Nothing here names a rule."""
