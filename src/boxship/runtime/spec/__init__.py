"""The runtime document: read, checked, written, made for a container."""
