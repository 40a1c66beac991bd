"""Containers' output: where it is kept and how it is read."""
