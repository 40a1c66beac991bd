"""Instructions to graph."""
