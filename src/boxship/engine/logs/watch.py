"""Waits for a directory's files to change, by inotify."""

import asyncio
import os
from contextlib import suppress

from boxship.kernel.inotify import (
    IN_CREATE,
    IN_MODIFY,
    IN_MOVED_TO,
    inotify_add_watch,
    inotify_init,
)

_BUFFER = 65536


class DirectoryWatch:
    """Is set whenever something in the directory changed since the last `clear`."""

    def __init__(self, directory: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._fd = inotify_init()
        try:
            inotify_add_watch(self._fd, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO)
        except OSError:
            os.close(self._fd)
            raise
        self._loop.add_reader(self._fd, self._drain)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._fd, _BUFFER)
        self._changed.set()

    def poke(self) -> None:
        """Wake the waiter for another reason, such as the end of the container."""
        self._changed.set()

    async def wait(self) -> None:
        """Until something changes; a change since the last call counts."""
        await self._changed.wait()
        self._changed.clear()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
