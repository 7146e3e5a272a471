"""Facts: what several rules ask of the tables, worked out once. Nothing here names a rule."""
