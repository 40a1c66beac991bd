"""Named records in SQLite."""
