"""Handlers, one resource a file: parse, one engine call, write."""
