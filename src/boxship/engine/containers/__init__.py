"""What can be done to a container, one verb a file."""
