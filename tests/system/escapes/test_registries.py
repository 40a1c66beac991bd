"""Registries that want to be led into the host's files, or to fill its memory."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_CONFIG
from boxship.model.image import MEDIA_OCI_MANIFEST as MANIFEST
from boxship.model.platform import host_platform
from tests.fakes import registries
from tests.system.escapes.conftest import Target

pytestmark = pytest.mark.root

GZIPPED = "application/vnd.oci.image.layer.v1.tar+gzip"
Serve = Callable[[Any], Any]


@pytest.fixture
def serve(target: Target) -> Iterator[Serve]:
    with registries.serving(target.host.inside) as start:
        yield start


def described(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def image(layer: bytes, packed: bytes | None = None, **more: Any) -> dict[str, Any]:
    """Answers by the end of the path: one image with one layer."""
    packed = gzip.compress(layer) if packed is None else packed
    platform = host_platform()
    config = json.dumps(
        {
            "os": "linux",
            "architecture": platform.architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            **more,
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described(config, MEDIA_OCI_CONFIG),
        "layers": [described(packed, GZIPPED)],
    }
    return {
        "/manifests/1": json.dumps(manifest).encode(),
        digest_of(config): config,
        digest_of(packed): packed,
    }


def answering(documents: dict[str, Any]) -> Any:
    def answer(request: Any) -> Any:
        for end, data in documents.items():
            if request.path.endswith(end):
                kind = {"Content-Type": MANIFEST} if end == "/manifests/1" else {}
                return data if isinstance(data, tuple) else (200, kind, data)
        return 200, {}, b"{}"

    return answer


def pull(target: Target, server: Any) -> str:
    """The error of a pull, empty when it succeeds."""
    made = target.boxship("pull", "-q", f"{server.host}/app:1")
    return made.err if made.code else ""


PLACES = ("file:///etc/passwd", "file://localhost/etc/passwd", "/etc/passwd", "unix:///run/x.sock")


@pytest.mark.parametrize("place", [*PLACES, "ftp://127.0.0.1/x", "http:///x", "//"])
def test_redirects_lead_to_registries_only(target: Target, serve: Serve, place: str):
    documents = image(target.host.tar({"secret": Path("/etc/passwd").read_bytes()}))
    blob = next(end for end in documents if end.startswith("sha256"))
    documents[blob] = (307, {"Location": place}, b"")
    # Whatever is there would have the digest that is asked for, were it read: config first.
    assert pull(target, serve(answering(documents)))
    documents = {"/manifests/1": (307, {"Location": place}, b"")}
    assert pull(target, serve(answering(documents)))


@pytest.mark.parametrize("place", PLACES)
def test_tokens_are_not_asked_for_in_files(target: Target, serve: Serve, place: str):
    challenge = {"WWW-Authenticate": f'Bearer realm="{place}",service="x"'}
    server = serve(lambda _: (401, challenge, b"{}"))
    failed = pull(target, server)
    assert failed
    assert "root:" not in failed


def test_redirects_end(target: Target, serve: Serve):
    server = serve(lambda request: (307, {"Location": request.path}, b""))
    assert "more than 10 redirects" in pull(target, server)
    assert len(server.log) < 50


def _endless(request: Any) -> None:
    """A body without end; the client has to hang up."""
    request.send_response(200)
    request.send_header("Content-Type", MANIFEST)
    request.end_headers()
    request.close_connection = True
    chunk = b" " * 65536
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            request.wfile.write(chunk)
        except OSError:
            request.server.log.append("hung up")
            return


@pytest.mark.parametrize("what", ["manifest", "config", "layer", "token"])
def test_bodies_without_end_are_cut_off(target: Target, serve: Serve, what: str):
    documents = image(target.host.tar({"x": b"x"}))
    config, layer = (end for end in documents if end.startswith("sha256"))
    end = {"manifest": "/manifests/1", "config": config, "layer": layer, "token": "/token"}[what]
    plain = answering(documents)

    def answer(request: Any) -> Any:
        if what == "token" and "/token" not in request.path:
            realm = f'Bearer realm="http://{request.headers["Host"]}/token",service="x"'
            return 401, {"WWW-Authenticate": realm}, b"{}"
        return _endless(request) if request.path.partition("?")[0].endswith(end) else plain(request)

    before = _memory(target)
    server = serve(answer)
    assert pull(target, server)
    target.host.until(lambda: "hung up" in server.log, "the client hangs up")
    assert _memory(target) - before < 64 << 20


def _memory(target: Target) -> int:
    return int(Path(f"/proc/{target.host.daemon.pid}/statm").read_text().split()[1]) * 4096


def test_a_bomb_costs_no_memory_and_leaves_nothing(target: Target, serve: Serve):
    # 200 MB in 200 kB, and not what the image's config says it is.
    bomb = gzip.compress(bytes(200 << 20), 1)
    documents = image(b"something else", bomb)
    before = _memory(target)
    assert pull(target, serve(answering(documents)))
    assert _memory(target) - before < 64 << 20
    assert not list((target.host.data / "content/ingest").glob("*"))


CONFIGS: dict[str, dict[str, Any]] = {
    "climbing user": {"User": "../../../etc/passwd"},
    "user of many digits": {"User": "9" * 5000},
    "negative user": {"User": "-1:-1"},
    "long entrypoint": {"Entrypoint": ["x" * 200_000]},
    "long environment": {"Env": [f"A{n}={'x' * 10000}" for n in range(300)]},
    "environment without names": {"Env": ["=x", "", "LD_PRELOAD", "A\nB=c", "PATH=\x1b[2J"]},
    "working directory outside": {"WorkingDir": "../../../../proc/self/fd/7"},
    "volumes everywhere": {"Volumes": {"/": {}, "/proc": {}, "/sys/fs/cgroup": {}, "../x": {}}},
    "ports": {"ExposedPorts": {"99999999/tcp": {}, "80/\x1b[2J": {}, "1-65535/tcp": {}}},
    "stop signal": {"StopSignal": "SIG" + "9" * 5000},
    "health check": {
        "Healthcheck": {"Test": ["CMD", "x" * 100_000], "Interval": -1, "Retries": -1}
    },
    "labels": {"Labels": {"a\x1b[2J" * 1000: "b" * 1_000_000}},
    "wrong types": {"Env": {"A": "b"}, "Cmd": "sh", "User": 0},
    "nested": {"Labels": {}, "Deep": json.loads("[" * 500 + "]" * 500)},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_hostile_configs_are_refused_or_harmless(target: Target, serve: Serve, name: str):
    config = {"Cmd": ["/x"], **CONFIGS[name]}
    before = len(target.host.log.read_text())
    server = serve(answering(image(target.host.tar({"x": b"x"}), config=config)))
    if not pull(target, server):
        for options in ((), ("--userns", "host", "--entrypoint", "/x")):
            ran = target.boxship("run", "--rm", *options, f"{server.host}/app:1")
            # There is no program in it; what matters is how that is said, and that it is.
            assert ran.code in (125, 126, 127), (ran.code, ran.err[-300:])
            assert "Traceback" not in ran.err
            assert "\x1b" not in ran.err.replace("\\x1b", "")
            assert len(ran.err) < 10_000
        shown = target.boxship("inspect", f"{server.host}/app:1")
        assert "\x1b" not in shown.out
        assert target.boxship("rmi", "-f", f"{server.host}/app:1").code == 0
    assert target.host.get("/_ping") == b"OK"
    assert "Traceback" not in target.host.log.read_text()[before:]
