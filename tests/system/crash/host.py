"""A host of its own for one daemon: directories, a network namespace, a control group parent.

The daemon, its keeper and its launcher are real processes; tests talk HTTP to it and kill them.
"""

import http.client
import importlib.util
import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from boxship.kernel import abi, netlink
from boxship.kernel.namespaces import setns, unshare
from boxship.model.digest import digest_of
from boxship.model.platform import host_platform

PATIENCE = 60.0
_PAUSE = 0.005
_CGROUPS = Path("/sys/fs/cgroup")


def load(path: Path) -> ModuleType:
    """A module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


census = load(Path(__file__).with_name("census.py"))


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition's first true value, which is returned."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(_PAUSE)
    return value


class Refused(Exception):  # noqa: N818 - not a failure of the test
    """The daemon answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class DaemonFailed(Exception):  # noqa: N818 - not a failure of the test
    """The daemon ended before it was ready; its exit code and its words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.words = words


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Task:
    """A request under way in a thread; `outcome` waits for what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._value: Any = None
        self._failure: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except Exception as failure:  # noqa: BLE001 - told by outcome()
            self._failure = failure

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def outcome(self) -> Any:
        """The result; an exception is returned, not raised."""
        self._thread.join(PATIENCE)
        assert self.done, "a request was never answered"
        return self._failure if self._failure is not None else self._value


class Host:
    """One host."""

    def __init__(self, root: Path, template: Path | None = None) -> None:
        self.root = root
        root.mkdir(mode=0o755, exist_ok=True)
        root.chmod(0o755)
        self.data = root / "data"
        self.exec = root / "exec"
        self.group = f"/bxcrash-{os.getpid()}-{os.urandom(3).hex()}"
        self.network = _new_network()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.log = root / "daemon.log"
        self.sources: Path | None = None
        """Where the package is that the daemon is started from; None for the one under test."""
        self.census = census.Census(root, self.group, self.network, self.inside)
        if template is not None and not self.data.exists():
            # Hard links would share the files' link counts: a real copy.
            subprocess.run(["cp", "-a", str(template), str(self.data)], check=True)

    # -- processes

    def command(self, *flags: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "boxship.daemon",
            *("--data-root", str(self.data), "--exec-root", str(self.exec)),
            *("--cgroup-parent", self.group, *flags),
        ]

    def start(self, *flags: str) -> None:
        """Start the daemon and wait until it serves.

        Raises:
            DaemonFailed: it ended instead.
        """
        reader, writer = os.pipe()
        with self.log.open("ab") as log:
            start = log.tell()
            self.daemon = self.inside(
                lambda: subprocess.Popen(
                    self.command("--ready-fd", str(writer), *flags),
                    stdout=log,
                    stderr=log,
                    pass_fds=(writer,),
                    env=self._environment(),
                )
            )
        os.close(writer)
        ready, _, _ = select.select([reader], [], [], PATIENCE)
        said = os.read(reader, 16) if ready else b""
        os.close(reader)
        if not said:
            self.daemon.kill()
            code = self.daemon.wait()
            self.daemon = None
            raise DaemonFailed(code, self.log.read_bytes()[start:].decode())

    def _environment(self) -> dict[str, str]:
        if self.sources is None:
            return dict(os.environ)
        return {**os.environ, "PYTHONPATH": str(self.sources)}

    def find(self, role: str) -> list[int]:
        """Ids of the processes of a role: daemon, keeper, launcher, ..."""
        if role == "daemon" and self.daemon is not None:
            # It visits other namespaces, where the census does not look.
            return [self.daemon.pid]
        return [process.pid for process in self.census.processes() if process.role == role]

    def one(self, role: str) -> int:
        return until(lambda: self.find(role), role)[0]

    def kill(self, *roles: str) -> None:
        """SIGKILL the processes of these roles all at once, and wait until they are gone."""
        doomed = [os.pidfd_open(pid) for role in roles for pid in self.find(role)]
        assert doomed, roles
        for pidfd in doomed:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        for pidfd in doomed:
            select.select([pidfd], [], [], PATIENCE)
            os.close(pidfd)
        if "daemon" in roles and self.daemon is not None:
            self.daemon.wait(PATIENCE)
            self.daemon = None

    def cut_power(self) -> None:
        """End everything at once, and take along what lives in memory only."""
        self.close_daemon()
        for hierarchy in [_CGROUPS, *_CGROUPS.glob("*/")]:
            _remove_groups(hierarchy / self.group.lstrip("/"))
        shutil.rmtree(self.exec)
        os.close(self.network)
        self.network = _new_network()
        self.census = census.Census(self.root, self.group, self.network, self.inside)

    def stop(self) -> None:
        """End the daemon as an operator does."""
        if self.daemon is not None:
            self.daemon.terminate()
            assert self.daemon.wait(PATIENCE) == 0
            self.daemon = None

    @contextmanager
    def halted(self, role: str) -> Iterator[int]:
        """Stop a process within the block, so that what needs it is surely under way."""
        pid = self.one(role)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze every container as soon as it is in its control group: starts stay half done."""
        state = _CGROUPS / "freezer" / self.group.lstrip("/") / "freezer.state"
        state.parent.mkdir(exist_ok=True)
        state.write_text("FROZEN")
        try:
            yield
        finally:
            state.write_text("THAWED")

    def inside(self, work: Callable[[], Any]) -> Any:
        """Do something in this host's network namespace."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        setns(self.network, abi.CLONE_NEWNET)
        try:
            return work()
        finally:
            setns(before, abi.CLONE_NEWNET)
            os.close(before)

    def cli(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run our command line against the daemon."""
        return subprocess.run(
            [str(Path(sys.executable).with_name("boxship")), *arguments],
            env={**os.environ, "BOXSHIP_HOST": f"unix://{self.exec}/boxship.sock"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )

    @staticmethod
    def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        return until(condition, what, patience)

    # -- requests

    def open(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A response whose body is not read yet.

        Raises:
            Refused: the status says so.
        """
        connection = _UnixConnection(self.exec / "boxship.sock")
        # The socket is closed with the response.
        headers = {"Connection": "close"}
        if not isinstance(body, (bytes, type(None))) and not hasattr(body, "read"):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif body is not None:
            headers["Content-Type"] = "application/x-tar"
        try:
            connection.request(method, _target(path, query), body, headers)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if response.status >= 400:
            text = response.read().decode()
            connection.close()
            raise Refused(response.status, json.loads(text)["message"])
        return response

    @staticmethod
    def answer(sock: socket.socket) -> bytes:
        """The answer to a request that was sent by hand.

        Raises:
            Refused: the status says so.
        """
        with http.client.HTTPResponse(sock) as response:
            response.begin()
            data = response.read()
        if response.status >= 400:
            raise Refused(response.status, json.loads(data)["message"])
        return data

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """A request; its answer as one or several documents, or bytes.

        Raises:
            Refused: the daemon says so, in the status or within the stream.
        """
        with self.open(method, path, body, **query) as response:
            data = response.read()
            kind = response.headers.get("Content-Type", "")
        if "json" not in kind or not data:
            return data
        try:
            found = json.loads(data)
        except ValueError:
            return _documents(data)
        if isinstance(found, dict) and "errorDetail" in found:
            raise Refused(200, found["error"])
        return found

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self.call("POST", path, body, **query)

    def background(self, method: str, path: str, body: Any = None, **query: Any) -> Task:
        return Task(lambda: self.call(method, path, body, **query))

    @staticmethod
    def tar(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
        return tar(files)

    @staticmethod
    def image_of(size: int) -> bytes:
        """An archive as of `docker save`, with a layer of so many bytes."""
        layer = tar({"big": os.urandom(size)})
        config = {
            "os": "linux",
            "architecture": host_platform().architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
        manifest = [{"Config": "c.json", "RepoTags": ["big:1"], "Layers": ["l.tar"]}]
        documents = {"manifest.json": manifest, "c.json": config}
        return tar({**{n: json.dumps(d).encode() for n, d in documents.items()}, "l.tar": layer})

    # -- containers

    def create(self, *command: str, name: str | None = None, **config: Any) -> str:
        """A container of busybox; `host` is its HostConfig."""
        host = config.pop("host", {})
        body = {
            "Image": "busybox",
            "Cmd": list(command),
            "HostConfig": {"NetworkMode": "none", **host},
            **config,
        }
        made = self.post("/containers/create", body, **({"name": name} if name else {}))
        return str(made["Id"])

    def run(self, *command: str, **options: Any) -> str:
        made = self.create(*command, **options)
        self.post(f"/containers/{made}/start")
        return made

    def inspect(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/containers/{ref}/json")
        return found

    def state(self, ref: str) -> dict[str, Any]:
        found: dict[str, Any] = self.inspect(ref)["State"]
        return found

    def pid(self, ref: str) -> int:
        """The container's first process, as the host numbers it."""
        return int(self.state(ref)["Pid"])

    def until_status(self, ref: str, status: str) -> dict[str, Any]:
        until(lambda: self.state(ref)["Status"] == status, f"{ref} {status}")
        return self.state(ref)

    def output(self, ref: str) -> str:
        """The whole log."""
        return unframed(self.get(f"/containers/{ref}/logs", stdout=1, stderr=1))

    def until_output(self, ref: str, text: str) -> str:
        until(lambda: text in self.output(ref), f"{text!r} from {ref}")
        return self.output(ref)

    def execute(self, ref: str, *command: str) -> str:
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        made = self.post(f"/containers/{ref}/exec", body)
        return unframed(self.post(f"/exec/{made['Id']}/start", {}))

    def terminal_size(self, ref: str) -> str:
        """Rows and columns of a container's terminal, as its process sees them."""
        return self.execute(ref, "sh", "-c", "stty size < /proc/1/fd/0").strip()

    def remove(self, ref: str, **query: Any) -> None:
        self.call("DELETE", f"/containers/{ref}", force=1, **query)

    def containers(self) -> list[dict[str, Any]]:
        return [self.inspect(one["Id"]) for one in self.get("/containers/json", all=1)]

    def leaks(self, **allowed: set[str]) -> list[str]:
        """What nobody owns, and what is missing."""
        found: list[str] = self.census.leaks(self.containers(), **allowed)
        return found

    def fetch(self, port: int, host: str = "127.0.0.1") -> bytes:
        """What a server within a container says on a published port."""

        def work() -> bytes:
            with socket.create_connection((host, port), PATIENCE) as connection:
                connection.settimeout(PATIENCE)
                parts = []
                while data := connection.recv(4096):
                    parts.append(data)
                return b"".join(parts)

        answer: bytes = self.inside(work)
        return answer

    def until_served(self, port: int) -> bytes:
        """`fetch`, once the server within the container listens."""

        def attempt() -> bytes:
            try:
                return self.fetch(port)
            except OSError:
                return b""

        answer: bytes = until(attempt, f"an answer on port {port}")
        return answer

    # -- the end

    def close_daemon(self) -> None:
        """Kill everything, so that what it stands on can go."""
        until(lambda: not self._kill_all(), "the host's processes end")
        if self.daemon is not None:
            self.daemon.wait()
            self.daemon = None

    def close(self) -> None:
        """Kill whatever is left, and remove every trace."""
        self.close_daemon()
        for hierarchy in [_CGROUPS, *_CGROUPS.glob("*/")]:
            _remove_groups(hierarchy / self.group.lstrip("/"))
        os.close(self.network)
        shutil.rmtree(self.root, ignore_errors=True)

    def _kill_all(self) -> int:
        """Again and again, as one may have started another meanwhile."""
        doomed = {process.pid for process in self.census.processes()}
        if self.daemon is not None and self.daemon.poll() is None:
            doomed.add(self.daemon.pid)
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(doomed)


def _remove_groups(top: Path) -> None:
    if top.is_dir():
        for path in sorted(top.rglob("*/"), reverse=True):
            if path.is_dir():
                until(lambda path=path: _removed(path), f"removal of {path}")
        top.rmdir()


def _removed(group: Path) -> bool:
    """A killed process stays in its group until its parent has looked at it."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _new_network() -> int:
    """A fresh network namespace with loopback up."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    unshare(abi.CLONE_NEWNET)
    try:
        with netlink.RouteSocket() as route:
            route.transact([netlink.change_link(1)])
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        setns(before, abi.CLONE_NEWNET)
        os.close(before)


def _target(path: str, query: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode  # noqa: PLC0415

    return f"/v1.41{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")


def _documents(data: bytes) -> list[Any]:
    found = [json.loads(line) for line in data.splitlines() if line.strip()]
    for one in found:
        if "error" in one:
            raise Refused(200, one["error"])
    return found


def unframed(data: bytes) -> str:
    """Docker's stdcopy frames as one text."""
    text = b""
    while data:
        length = int.from_bytes(data[4:8], "big")
        text += data[8 : 8 + length]
        data = data[8 + length :]
    return text.decode()


def tar(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """An archive of these files; a TarInfo is taken as it is."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()
