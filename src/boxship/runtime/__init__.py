"""The OCI runtime: from a bundle to a process, and what keeps it."""
