"""Real containers by keeper and launcher: a busybox root, a control group of their own."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from boxship.model.mount import Mount
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.spec.generate import SpecOptions, generate_spec
from boxship.runtime.supervisor import (
    AttachStreams,
    CreateRequest,
    ExecRequest,
    Exit,
    LogTarget,
    Supervisor,
)

CGROUP = f"/boxship-keeper-test-{os.getpid()}"
PATIENCE = 30.0
USER_BASE = 1_000_000_000


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with busybox in it."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox")
    root = tmp_path_factory.mktemp("image")
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        (root / name).mkdir()
    shutil.copy(busybox, root / "bin" / "busybox")
    listing = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in set(listing.stdout.split()) - {"busybox"}:
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    return root


class Yard:
    """One keeper with real containers, each an overlay over the same image."""

    def __init__(self, root: Path, image: Path) -> None:
        self.root = root
        self.exec_root = root / "exec"
        self.exits: list[Exit] = []
        self.supervisor: Supervisor
        self._image = image
        self._changed = asyncio.Event()
        self._clients = contextlib.ExitStack()

    async def connect(self) -> None:
        self.supervisor = await Supervisor.connect(self.exec_root, on_exit=self._exited)

    def _exited(self, ended: Exit) -> None:
        self.exits.append(ended)
        self._changed.set()

    async def exit_of(self, name: str, exec_id: str | None = None) -> Exit:
        while True:
            for ended in self.exits:
                if (ended.container_id, ended.exec_id) == (name, exec_id):
                    return ended
            self._changed.clear()
            await self._changed.wait()

    def request(self, name: str, *argv: str, **options: object) -> CreateRequest:
        bundle = self.root / name
        for directory in ("upper", "work", "rootfs"):
            (bundle / "layer" / directory).mkdir(parents=True, exist_ok=True)
        (bundle / "rootfs").mkdir(exist_ok=True)
        resources = options.pop("resources", {})
        spec = generate_spec(
            SpecOptions(
                argv=argv,
                env=("PATH=/bin",),
                tty=bool(options.get("terminal")),
                cgroup=self.group(name),
                resources=resources,
                user_base=options.pop("user_base", USER_BASE),
                namespaces=options.pop("namespaces", {}),
            )
        )
        (bundle / "config.json").write_text(json.dumps(spec))
        layer = bundle / "layer"
        directories = (
            f"lowerdir={self._image}",
            f"upperdir={layer / 'upper'}",
            f"workdir={layer / 'work'}",
        )
        values = {
            "terminal": False,
            "open_stdin": False,
            "stdin_once": False,
            "log": LogTarget(str(self.root / f"{name}.log")),
            **options,
        }
        root = (Mount("overlay", "overlay", options=directories),)
        return CreateRequest(id=name, bundle=str(bundle), rootfs=root, **values)

    @staticmethod
    def group(name: str) -> str:
        return f"{CGROUP}/{name}"

    async def create(self, name: str, *argv: str, **options: object) -> int:
        return await self.supervisor.create(self.request(name, *argv, **options))

    async def run(self, name: str, *argv: str, **options: object) -> int:
        pid = await self.create(name, *argv, **options)
        await self.supervisor.start(name)
        return pid

    async def shell(self, name: str, script: str, **options: object) -> int:
        return await self.run(name, "sh", "-c", script, **options)

    async def attach(self, name: str):
        client = await self.supervisor.attach(name, stdin=True, stdout=True, stderr=True)
        self._clients.callback(client.close)
        return client

    async def exec(self, name: str, exec_id: str, *argv: str, **options: object):
        process = {
            "args": list(argv),
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
            "terminal": bool(options.get("terminal")),
        }
        request = ExecRequest(
            name, exec_id, process, terminal=bool(options.get("terminal")), open_stdin=True
        )
        _, client = await self.supervisor.exec(request, AttachStreams(True, True, True))
        self._clients.callback(client.close)
        return client

    def logged(self, name: str) -> str:
        lines = (self.root / f"{name}.log").read_text().splitlines()
        return "".join(json.loads(line)["log"] for line in lines)

    async def clean(self) -> None:
        self._clients.close()
        for status in await self.supervisor.statuses():
            await self.supervisor.delete(status.container_id)
        await self.supervisor.shutdown()


@pytest.fixture
def yard(
    tmp_path: Path, image: Path
) -> Iterator[Callable[[Callable[[Yard], Awaitable[None]]], None]]:
    """Run a scenario with real containers; whatever it leaves behind is removed."""
    tmp_path.chmod(0o755)

    def run(scenario: Callable[[Yard], Awaitable[None]]) -> None:
        async def play() -> None:
            made = Yard(tmp_path, image)
            await made.connect()
            try:
                async with asyncio.timeout(PATIENCE):
                    await scenario(made)
            finally:
                async with asyncio.timeout(PATIENCE):
                    await made.clean()

        asyncio.run(play())

    yield run
    open_cgroup(detect(), CGROUP).remove()


@pytest.fixture
def read_all() -> Callable[..., Awaitable[bytes]]:
    async def read(sock) -> bytes:
        loop = asyncio.get_running_loop()
        parts = []
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
    def run(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    return run
