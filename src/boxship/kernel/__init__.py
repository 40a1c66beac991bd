"""The only door to the kernel: one function, one call, typed; no policy."""
