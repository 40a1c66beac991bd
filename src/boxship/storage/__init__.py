"""Local stores: content by digest, snapshots by key, records by name."""
