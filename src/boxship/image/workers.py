"""Blocking work beside the event loop: threads, one at a time for a key, all or nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

_T = TypeVar("_T")
# Three downloads of one pull, as many of another, and what unpacks them.
_THREADS = 8


class Stoppable(Protocol):
    """What ends blocking work from outside."""

    def set(self) -> None: ...


class Workers:
    """The threads of the image service."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="image")
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def run(self, stop: Stoppable | None, work: Callable[[], _T]) -> _T:
        """Run blocking work; when cancelled, set `stop` and wait until the work has noticed.

        Waiting matters: only then are the files and locks that it holds free again.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if stop is not None:
                stop.set()
            await asyncio.wait([future])
            if not future.cancelled():
                # Its failure is of no interest any more; read it so that nobody complains.
                future.exception()
            raise

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Only one task at a time in the block for a key."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)

    def close(self) -> None:
        self._pool.shutdown(wait=True)


async def together(works: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await all; the first failure cancels the others, is raised alone, and waits for them."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
