"""Containers' life cycle and what surrounds it."""
