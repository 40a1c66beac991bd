"""kill -9 while images come in and are built."""

import contextlib
import importlib.util
import io
import json
import os
import re
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_CONFIG, MEDIA_OCI_LAYER, MEDIA_OCI_MANIFEST
from boxship.model.platform import host_platform

_spec = importlib.util.spec_from_file_location(
    "registries", Path(__file__).parents[2] / "fakes" / "registries.py"
)
assert _spec is not None
assert _spec.loader is not None
registries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(registries)

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

ALL = ("daemon", "keeper", "launcher")
TOGETHER = [("daemon",), ("daemon", "keeper"), ALL]
TRAPPED = "trap 'exit 0' TERM; echo in the step; while :; do sleep 0.02; done"


def pack(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Slow:
    """A registry with an image of two layers; the second one stops half-way until let go."""

    def __init__(self) -> None:
        self.layers = [pack({"first": b"1"}), pack({"data": os.urandom(2 << 20), "second": b"2"})]
        self.half = threading.Event()
        self.go = threading.Event()
        self.ranges: list[str | None] = []
        platform = host_platform()
        self.config = json.dumps(
            {
                "os": "linux",
                "architecture": platform.architecture,
                "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in self.layers]},
            }
        ).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MEDIA_OCI_MANIFEST,
                "config": _described(self.config, MEDIA_OCI_CONFIG),
                "layers": [_described(one, MEDIA_OCI_LAYER) for one in self.layers],
            }
        ).encode()

    def __call__(self, request: Any) -> Any:
        if "/manifests/" in request.path:
            return 200, {"Content-Type": MEDIA_OCI_MANIFEST}, self.manifest
        for blob in (self.config, self.layers[0]):
            if request.path.endswith(digest_of(blob)):
                return 200, {}, blob
        return self._second(request)

    def _second(self, request: Any) -> Any:
        layer = self.layers[1]
        wanted = request.headers["Range"]
        self.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        if self.go.is_set():
            return 206 if wanted else 200, {}, layer[start:]
        request.send_response(200)
        request.send_header("Content-Length", str(len(layer)))
        request.end_headers()
        request.wfile.write(layer[: len(layer) // 2])
        request.wfile.flush()
        self.half.set()
        self.go.wait(60)
        with contextlib.suppress(OSError):
            request.wfile.write(layer[len(layer) // 2 :])
        return None


def _described(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


@pytest.fixture
def registry(host: Any) -> Iterator[Callable[[Any], str]]:
    """Start a scripted registry on a host's loopback; its `host:port`."""
    scripts: list[Any] = []
    with registries.serving(host.inside) as serve:

        def start(script: Any) -> str:
            scripts.append(script)
            return str(serve(script).host)

        yield start
        for script in scripts:
            if isinstance(script, Slow):
                script.go.set()


def layers(host: Any) -> set[str]:
    found: set[str] = host.census.take()["layer"]
    return found


def build(host: Any, dockerfile: str, files: dict[str, bytes] | None = None, **query: Any) -> Any:
    context = pack({"Dockerfile": dockerfile.encode(), **(files or {})})
    return host.background("POST", "/build", context, **query)


@pytest.mark.parametrize("roles", TOGETHER, ids="+".join)
def test_in_a_pull(host: Any, registry: Callable[[Any], str], roles: tuple[str, ...]) -> None:
    slow = Slow()
    name = f"{registry(slow)}/app"
    before = layers(host)
    pull = host.background("POST", "/images/create", fromImage=name, tag="1")
    assert slow.half.wait(60)
    host.until(lambda: host.census.take()["partial download"], "a partial download")
    host.kill(*roles)
    assert isinstance(pull.outcome(), Exception)
    host.start()
    # The layer's, and the config's where it was on its way too: a pull may go on from both.
    partial = set(host.census.take()["partial download"])
    assert partial
    # Layers that no image has are not kept unpacked.
    assert host.leaks(partial_download=partial, layer=before) == []
    assert len(host.get("/images/json")) == 1
    slow.go.set()
    host.post("/images/create", fromImage=name, tag="1")
    assert slow.ranges[0] is None
    assert str(slow.ranges[1]).startswith("bytes=")
    assert len(host.get("/images/json")) == 2
    host.call("DELETE", f"/images/{name}:1")
    assert host.leaks(layer=before) == []


def test_while_a_layer_is_unpacked(host: Any) -> None:
    before = layers(host)
    archive = host.get("/images/busybox/get")
    host.call("DELETE", "/images/busybox")
    host.until(lambda: not layers(host), "the layers go")
    load = host.background("POST", "/images/load", archive)
    with host.halted("extractor"):
        host.kill("daemon")
        load.outcome()
        host.start()
    assert host.get("/images/json") == []
    assert host.leaks(layer=set()) == []
    host.post("/images/load", archive)
    assert layers(host) == before
    host.remove(host.run("true"))


@pytest.mark.parametrize("path", ["/images/load", "/images/create", "/build"])
def test_in_an_upload(host: Any, path: str) -> None:
    """Half of an archive has arrived."""
    before = layers(host)
    archive = pack({"first": b"x", "big": os.urandom(4 << 20)})
    sent = threading.Event()
    over = threading.Event()

    def body() -> Iterator[bytes]:
        yield archive[: len(archive) // 2]
        sent.set()
        over.wait(60)

    query = {"fromSrc": "-", "repo": "x"} if path == "/images/create" else {}
    upload = host.background("POST", path, Chunks(body()), **query)
    assert sent.wait(60)
    host.until(lambda: under_way(host), "the daemon reads")
    host.kill("daemon")
    over.set()
    upload.outcome()
    host.start()
    left = host.census.take()["partial download"]
    assert host.leaks(layer=before, partial_download=left) == []
    assert len(host.get("/images/json")) == 1


class Chunks:
    """A request body from a generator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, _size: int = -1) -> bytes:
        return next(self._pieces, b"")


def under_way(host: Any) -> bool:
    there = host.census.take()
    return bool(there["partial download"] or there["temporary"] or there["half-made snapshot"])


ROLES = [("daemon",), ("keeper",), ("launcher",), ("daemon", "keeper"), ALL]


@pytest.mark.parametrize("roles", ROLES, ids="+".join)
def test_in_a_run(host: Any, roles: tuple[str, ...]) -> None:
    before = layers(host)
    dockerfile = f"FROM busybox\nRUN {TRAPPED}\nRUN echo done > /done\n"
    task = build(host, dockerfile, t="made")
    host.until(lambda: host.find("container"), "the step")
    step = executing(host)
    host.kill(*roles)
    if "daemon" in roles:
        assert isinstance(task.outcome(), Exception)
        host.start()
        assert host.leaks(layer=before) == []
        assert len(host.get("/images/json")) == 1
        task = build(host, dockerfile, t="made")
        step = executing(host)
    os.kill(step, signal.SIGTERM)
    told = task.outcome()
    assert not isinstance(told, Exception), told
    assert "in the step" in "".join(one.get("stream", "") for one in told)
    host.remove(host.run("test", "-f", "/done", Image="made"))
    assert host.leaks() == []


def executing(host: Any) -> int:
    """The process of a step, once its shell has set its trap: before that, being process 1 of
    its pid namespace, it would not see the signal (pid_namespaces(7))."""

    def shell() -> int:
        for process in host.census.processes():
            # Others end while they are looked at.
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                if process.role == "container" and command.startswith(b"/bin/sh"):
                    return int(process.pid) if catches(process.pid, signal.SIGTERM) else 0
        return 0

    return int(host.until(shell, "the step's shell"))


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal (proc_pid_status(5), SigCgt)."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    return bool(mask >> (number - 1) & 1)


@pytest.mark.parametrize("instruction", ["COPY big /big", "RUN true", "WORKDIR /new"])
def test_before_a_step(host: Any, instruction: str) -> None:
    """The file helper, which copies and packs, is held up."""
    before = layers(host)
    files = {"big": os.urandom(1 << 20)}
    dockerfile = f"FROM busybox\n{instruction}\n"
    task = build(host, dockerfile, files, t="made")
    with host.halted("file helper"):
        host.kill("daemon")
        task.outcome()
        host.start()
    assert host.leaks(layer=before) == []
    assert build(host, dockerfile, files, t="made").outcome()[-1]["stream"].startswith("Success")
    assert host.leaks() == []


def test_a_build_that_pulls(host: Any, registry: Callable[[Any], str]) -> None:
    slow = Slow()
    name = f"{registry(slow)}/app:1"
    before = layers(host)
    task = build(host, f"FROM {name}\nCOPY Dockerfile /\n", t="made")
    assert slow.half.wait(60)
    host.kill(*ALL)
    task.outcome()
    host.start()
    left = host.census.take()["partial download"]
    assert host.leaks(layer=before, partial_download=left) == []
    slow.go.set()
    told = build(host, f"FROM {name}\nCOPY Dockerfile /\n", t="made").outcome()
    assert not isinstance(told, Exception), told
    assert host.leaks() == []
