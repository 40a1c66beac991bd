"""Walks the graph: cache keys, scheduling, results."""
