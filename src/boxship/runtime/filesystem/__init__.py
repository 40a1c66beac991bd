"""What a container sees of files: its root, mounts and devices."""
