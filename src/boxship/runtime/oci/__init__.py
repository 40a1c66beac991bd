"""The OCI command line: `boxship-runtime`."""
