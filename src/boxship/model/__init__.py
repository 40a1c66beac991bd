"""OCI and engine values, frozen."""
