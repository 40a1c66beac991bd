"""Images in the local store: pull, push, load, save, import, unpack, remove."""
