"""A real registry (Debian's docker-registry) on loopback, and a scripted one that misbehaves."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Answer = tuple[int, dict[str, str], bytes]
Script = Callable[["Scripted"], Answer | None]


class Scripted(BaseHTTPRequestHandler):
    """One request to the scripted registry; `body` is read before the script sees it."""

    protocol_version = "HTTP/1.1"
    body: bytes

    def _any(self) -> None:
        server = self.server
        assert isinstance(server, ScriptedRegistry)
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._chunks()
        else:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.log.append(f"{self.command} {self.path}")
        answer = server.script(self)
        if answer is None:
            # The script has answered by itself.
            return
        status, headers, body = answer
        self.send_response(status)
        cut = headers.pop("X-Cut", None)
        headers.setdefault("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if cut:
            self.close_connection = True

    def _chunks(self) -> bytes:
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = _any  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


class ScriptedRegistry(ThreadingHTTPServer):
    """Answers as its script says; `log` lists what was asked."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Scripted)
        self.script = script
        self.log: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def serving(
    inside: Callable[[Callable[[], ScriptedRegistry]], ScriptedRegistry] = lambda make: make(),
) -> Iterator[Callable[[Script], ScriptedRegistry]]:
    """Start scripted registries; they end with the block.

    `inside` makes one where it is to listen, in another network namespace for example.
    """
    started: list[tuple[ScriptedRegistry, threading.Thread]] = []

    def start(script: Script) -> ScriptedRegistry:
        server = inside(lambda: ScriptedRegistry(script))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server

    try:
        yield start
    finally:
        for server, thread in started:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def scripted() -> Iterator[Callable[[Script], ScriptedRegistry]]:
    """Start scripted registries."""
    with serving() as start:
        yield start


@pytest.fixture
def debian_registry(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start Debian's docker-registry; the result is its `host:port`."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    processes: list[subprocess.Popen[bytes]] = []

    def start(auth: str = "", tls: str = "") -> str:
        folder = tmp_path / f"registry{len(processes)}"
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
            f"http: {{addr: 127.0.0.1:{port}, secret: s{tls}}}\n{auth}"
        )
        with (folder / "log").open("wb") as log:
            processes.append(
                subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
            )
        _await_listener(port)
        return f"127.0.0.1:{port}"

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def _await_listener(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "docker-registry does not listen"
        time.sleep(0.02)
