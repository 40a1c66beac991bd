"""The Docker Engine API's documents, by their own names."""
