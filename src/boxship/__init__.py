"""boxship: builds, ships and runs containers."""
