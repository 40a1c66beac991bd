"""The file helper: a process that copies, digests and packs files for one build."""
