"""Metrics of an endless capture for Prometheus: counted at each look, served over HTTP or written to a file."""
