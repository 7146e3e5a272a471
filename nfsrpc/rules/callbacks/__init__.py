"""Rules on callbacks by which servers grant locks that were waited for."""
