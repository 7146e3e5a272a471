"""A few frames out of many: the choice of those that matter, the reasons, and the file that holds them."""
