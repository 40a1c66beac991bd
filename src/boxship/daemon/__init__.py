"""The daemon: configuration, wiring and main loop."""
