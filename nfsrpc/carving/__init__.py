"""A few frames out of many: which of them matter, why, and the file that holds them."""
