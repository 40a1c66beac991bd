"""What containers may share: namespaces, id ranges, cgroup parents."""
