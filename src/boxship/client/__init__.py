"""A client for the Docker Engine API."""
