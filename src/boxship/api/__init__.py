"""The Docker Engine HTTP API."""
