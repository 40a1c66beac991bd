"""What the worker asks of whatever runs commands, and no more: tests hand in a simple one."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from boxship.model.container import Resources, Ulimit
from boxship.model.mount import Mount


class Limits(msgspec.Struct, frozen=True):
    """What a request asks for all its commands."""

    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    resources: Resources = Resources()


class ExecutionRequest(msgspec.Struct, frozen=True):
    """One command on one writable snapshot.

    Attributes:
        id: 64 hexadecimal digits, the container's id.
        root: mounts that make its root file system, writable.
        mounts: what is mounted in it besides the usual, targets absolute.
        user: `user[:group]`, resolved in the root; empty for root.
        network: `default`, `none`, `host` or a network's name.
    """

    id: str
    root: tuple[Mount, ...]
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str = ""
    network: str = "default"
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()


class Executor(Protocol):
    """Runs a command and leaves nothing of it but its changes in the root."""

    async def run(self, request: ExecutionRequest, output: Callable[[str, bytes], None]) -> int:
        """Run to the end; cancelling kills it.

        Args:
            request: what to run.
            output: called with `stdout` or `stderr` and what was written there, as it comes.

        Returns:
            The exit code, 128 + n when signal n ended it.

        Raises:
            BoxshipError: it could not be started.
        """
        ...
