"""What must be known of a container when neither keeper nor daemon can be asked any more.

One small file a container, replaced atomically: who it is while it runs, how it ended afterwards.
An exit is on record before anybody is told of it. A container that was not started has no record:
it ends by itself, or is discarded by its bundle, when nobody is left to start it.
"""
# pathlib alone would cost the keeper half a megabyte.
# ruff: noqa: PTH103, PTH105, PTH108, PTH123, PTH208

import json
import os
from typing import NamedTuple

from boxship import log
from boxship.runtime.keeper.messages import Description, Exit, description_of, exit_of


class Record(NamedTuple):
    """A container's process, and its exit once it has one."""

    description: Description
    exit: Exit | None


class Records:
    """The records' directory; unfinished lines of output are kept beside them."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.directory = directory

    def write(self, record: Record) -> None:
        """Put a record on disk; a full disk is reported and not fatal."""
        path = self._path(record.description.key.container_id)
        fresh = f"{path}.new"
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, json.dumps(record).encode("utf-8", "surrogateescape"))
            finally:
                os.close(fd)
            os.replace(fresh, path)
        except OSError as e:
            log.error(f"{path}: not recorded: {e.strerror}")

    def remove(self, container_id: str) -> None:
        try:
            os.unlink(self._path(container_id))
        except FileNotFoundError:
            return

    def load(self) -> list[Record]:
        """All records; one that was cut by a full disk is removed."""
        found: list[Record] = []
        for name in os.listdir(self.directory):
            if not name.endswith(".json"):
                continue
            path = f"{self.directory}/{name}"
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                with open(fd, "rb") as file:
                    description, ended = json.loads(file.read())
                found.append(Record(description_of(description), exit_of(ended)))
            except (OSError, ValueError, TypeError) as e:
                log.warn(f"{path}: not readable, removed: {e}")
                os.unlink(path)
        return found

    def _path(self, container_id: str) -> str:
        return f"{self.directory}/{container_id}.json"
