"""A keeper of its own for each test, with a launcher that makes plain processes."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from boxship.runtime.supervisor import CreateRequest, Exit, LogTarget, Supervisor

LAUNCHER = Path(__file__).parents[3] / "fakes" / "launcher.py"
PATIENCE = 20.0


class Bed:
    """A run-time directory, its supervisor, and short words for what tests do with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.exec_root = root / "exec"
        self.exits: list[Exit] = []
        self.supervisor: Supervisor
        self._changed = asyncio.Condition()
        self._clients = contextlib.ExitStack()

    async def connect(self) -> Supervisor:
        self.supervisor = await self.other()
        return self.supervisor

    async def other(self) -> Supervisor:
        return await Supervisor.connect(
            self.exec_root, on_exit=self._exited, launcher=str(LAUNCHER)
        )

    def _exited(self, ended: Exit) -> None:
        self.exits.append(ended)
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def exit_of(self, container_id: str, exec_id: str | None = None) -> Exit:
        def found() -> list[Exit]:
            return [e for e in self.exits if (e.container_id, e.exec_id) == (container_id, exec_id)]

        async with self._changed:
            await self._changed.wait_for(lambda: bool(found()))
        return found()[0]

    def bundle(self, name: str, *args: str, **notes: str) -> str:
        directory = self.root / f"bundle-{name}"
        directory.mkdir(exist_ok=True)
        annotations = {f"fake.{key}": value for key, value in notes.items()}
        spec = {"process": {"args": args}, "annotations": annotations}
        (directory / "config.json").write_text(json.dumps(spec))
        return str(directory)

    def request(self, name: str, *args: str, **options: object) -> CreateRequest:
        values = {
            "terminal": False,
            "open_stdin": False,
            "stdin_once": False,
            "log": LogTarget(str(self.root / f"{name}.log")),
            **options,
        }
        return CreateRequest(id=name, bundle=self.bundle(name, *args), rootfs=(), **values)

    async def create(self, name: str, *args: str, **options: object) -> int:
        return await self.supervisor.create(self.request(name, *args, **options))

    async def run(self, name: str, *args: str, **options: object) -> int:
        pid = await self.create(name, *args, **options)
        await self.supervisor.start(name)
        return pid

    async def shell(self, name: str, script: str, **options: object) -> int:
        return await self.run(name, "sh", "-c", script, **options)

    async def attach(self, name: str, exec_id: str | None = None):
        client = await self.supervisor.attach(name, exec_id, stdin=True, stdout=True, stderr=True)
        self._clients.callback(client.close)
        return client

    def log(self, name: str) -> list[dict[str, str]]:
        lines = (self.root / f"{name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def logged(self, name: str) -> str:
        return "".join(entry["log"] for entry in self.log(name))

    async def clean(self) -> None:
        self._clients.close()
        for status in await self.supervisor.statuses():
            await self.supervisor.delete(status.container_id)
        await self.supervisor.shutdown()


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Callable[[Bed], Awaitable[None]]], None]:
    """Run a scenario against a keeper; whatever it leaves behind is removed."""

    def run(scenario: Callable[[Bed], Awaitable[None]]) -> None:
        async def play() -> None:
            bed = Bed(tmp_path)
            await bed.connect()
            try:
                async with asyncio.timeout(PATIENCE):
                    await scenario(bed)
            finally:
                async with asyncio.timeout(PATIENCE):
                    await bed.clean()

        asyncio.run(play())

    return run


@pytest.fixture
def read_all() -> Callable[..., Awaitable[bytes]]:
    async def read(sock) -> bytes:
        loop = asyncio.get_running_loop()
        parts = []
        with sock:
            while data := await loop.sock_recv(sock, 1 << 16):
                parts.append(data)
        return b"".join(parts)

    return read


@pytest.fixture
def read_until() -> Callable[..., Awaitable[bytes]]:
    async def read(sock, text: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        seen = b""
        while text not in seen:
            data = await loop.sock_recv(sock, 1 << 16)
            assert data, f"ended after {seen!r}"
            seen += data
        return seen

    return read


@pytest.fixture
def kill() -> Callable[[int], None]:
    """SIGKILL a process and wait until it is gone, whoever its parent is."""

    def run(pid: int) -> None:
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)

    return run
