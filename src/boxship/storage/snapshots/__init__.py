"""Root file systems by key and parent, handed out as mounts."""
