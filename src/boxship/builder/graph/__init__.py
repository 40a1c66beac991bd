"""The build as a graph of operations with digests."""
