"""Layers as tar streams: applied to and made from directories."""
