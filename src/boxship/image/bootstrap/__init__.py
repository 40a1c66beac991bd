"""Base images for hosts that reach no hub: made of Debian's archive or its static busybox."""
