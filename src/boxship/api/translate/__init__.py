"""Between wire shapes and engine values."""
