"""Blobs by digest; on disk a plain OCI image layout."""
