"""Tables, templates and human-readable values."""
