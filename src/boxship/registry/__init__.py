"""The distribution API: registries we talk to."""
