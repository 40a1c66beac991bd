"""A container by keeper and launcher, without the daemon: the runtime when it is warm."""

import asyncio
from itertools import count
from pathlib import Path

from boxship.runtime.supervisor import CreateRequest, Exit, LogTarget, Supervisor


class Warm:
    """A keeper of its own, which runs one container after the other."""

    def __init__(self, exec_root: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._exec_root = exec_root
        self._numbers = count()
        self._ended = asyncio.Event()
        exec_root.mkdir()
        self._supervisor = self._loop.run_until_complete(
            Supervisor.connect(exec_root, on_exit=self._exited)
        )

    def _exited(self, _: Exit) -> None:
        self._ended.set()

    def life_cycle(self, bundle: Path) -> None:
        """Create, start, wait and delete a container of a bundle."""
        self._loop.run_until_complete(self._live(bundle, f"warm-{next(self._numbers)}"))

    async def _live(self, bundle: Path, name: str) -> None:
        self._ended.clear()
        log = LogTarget(str(self._exec_root / "container.log"))
        request = CreateRequest(
            id=name,
            bundle=str(bundle),
            rootfs=(),
            terminal=False,
            open_stdin=False,
            stdin_once=False,
            log=log,
        )
        await self._supervisor.create(request)
        await self._supervisor.start(name)
        await self._ended.wait()
        await self._supervisor.delete(name)

    def close(self) -> None:
        """End the keeper."""
        self._loop.run_until_complete(self._supervisor.shutdown())
        self._loop.close()
