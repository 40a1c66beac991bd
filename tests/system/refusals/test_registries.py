"""Registries that are down, slow to refuse, or lie."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_CONFIG, MEDIA_OCI_INDEX, MEDIA_OCI_LAYER
from boxship.model.image import MEDIA_OCI_MANIFEST as MANIFEST
from boxship.model.platform import host_platform

_spec = importlib.util.spec_from_file_location(
    "registries", Path(__file__).parents[2] / "fakes" / "registries.py"
)
assert _spec is not None
assert _spec.loader is not None
registries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(registries)

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.usefixtures("unchanged"),
]

LAYER = bytes(10240)
ARCHITECTURE = host_platform().architecture
OTHER = "arm64" if ARCHITECTURE == "amd64" else "amd64"


def described(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


class Registry:
    """One image, `app:1`; `tamper` changes what is sent for a path that matches."""

    def __init__(self, **platform: str) -> None:
        platform = {"os": "linux", "architecture": ARCHITECTURE, **platform}
        layers = {"type": "layers", "diff_ids": [digest_of(LAYER)]}
        self.config = json.dumps({**platform, "rootfs": layers}).encode()
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": described(self.config, MEDIA_OCI_CONFIG),
                "layers": [described(LAYER, MEDIA_OCI_LAYER)],
            }
        ).encode()
        self.index = b""
        self.tampered: list[tuple[str, Callable[[bytes], Any]]] = []

    def only_in_an_index(self, **platform: str) -> None:
        entry = described(self.manifest, MANIFEST, platform=platform)
        self.index = json.dumps(
            {"schemaVersion": 2, "mediaType": MEDIA_OCI_INDEX, "manifests": [entry]}
        ).encode()

    def tamper(self, path: str, change: Callable[[bytes], Any]) -> None:
        self.tampered.append((path, change))

    def __call__(self, request: Any) -> Any:
        kind, data = self._document(request.path)
        for path, change in self.tampered:
            if re.search(path, request.path):
                data = change(data)
        if isinstance(data, tuple):
            return data
        return 200, {"Content-Type": kind} if kind else {}, data

    def _document(self, path: str) -> tuple[str, bytes]:
        if path.endswith("/manifests/1"):
            return (MEDIA_OCI_INDEX, self.index) if self.index else (MANIFEST, self.manifest)
        if "/manifests/" in path:
            return MANIFEST, self.manifest
        return "", self.config if path.endswith(digest_of(self.config)) else LAYER


def pull(host: Any, server: Any) -> Any:
    return host.post("/images/create", fromImage=f"{server.host}/app", tag="1")


@pytest.fixture
def serve(host: Any) -> Iterator[Callable[[Any], Any]]:
    with registries.serving(host.inside) as start:
        yield start


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def cut(data: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {"X-Cut": "1", "Content-Length": str(len(data))}, data[: len(data) // 2]


def short(data: bytes) -> bytes:
    return data[: len(data) // 2]


LIES: list[tuple[str, Callable[[bytes], Any], str]] = [
    (f"/blobs/{digest_of(LAYER)}", flipped, "does not match its digest"),
    (f"/blobs/{digest_of(LAYER)}", short, "bytes|size|digest"),
    (f"/blobs/{digest_of(LAYER)}", lambda d: d + d, "larger|bytes|size|digest"),
    (f"/blobs/(?!{digest_of(LAYER)})", flipped, "does not match its digest|digest"),
    ("/manifests/", lambda _: b"{", "manifest"),
    ("/manifests/", lambda _: b'{"schemaVersion": 1}', "(?i)schema|manifest|unsupported"),
    ("/manifests/", lambda _: (404, {}, b"{}"), "not found|manifest"),
    ("/manifests/", lambda _: (401, {}, b"{}"), "(?i)denied|unauthorized|authentication|login"),
    ("/blobs/", lambda _: (404, {}, b"{}"), "(?i)not found|does not have|unknown|no blob"),
]


@pytest.mark.parametrize(("path", "change", "text"), LIES, ids=range(len(LIES)))
def test_lies(
    host: Any,
    refused: Any,
    serve: Callable[[Any], Any],
    path: str,
    change: Callable[[bytes], Any],
    text: str,
) -> None:
    registry = Registry()
    registry.tamper(path, change)
    server = serve(registry)
    with pytest.raises(refused, match=text) as error:
        pull(host, server)
    assert error.value.status in (200, 401, 403, 404, 500, 501, 503)
    assert "\n" not in error.value.message
    if error.value.status not in (401, 403):
        assert "127.0.0.1" in error.value.message or "app" in error.value.message


@pytest.mark.slow
def test_a_failing_registry(host: Any, refused: Any, serve: Callable[[Any], Any]) -> None:
    """It is asked several times, with growing pauses."""
    registry = Registry()
    registry.tamper("/manifests/", lambda _: (500, {}, b"oops"))
    server = serve(registry)
    with pytest.raises(refused, match=r"127.0.0.1:\d+.*500"):
        pull(host, server)


@pytest.mark.parametrize("platform", [{"os": "windows"}, {"architecture": OTHER}], ids=str)
def test_another_platform(
    host: Any, refused: Any, serve: Callable[[Any], Any], platform: dict[str, str]
) -> None:
    """Alone, and as the only one of an index."""
    registry = Registry(**platform)
    server = serve(registry)
    with pytest.raises(refused, match=r"not supported|does not match the specified platform"):
        pull(host, server)
    registry.only_in_an_index(**{"os": "linux", "architecture": ARCHITECTURE, **platform})
    with pytest.raises(refused, match=r"no matching manifest for linux/.* \(it holds ") as error:
        pull(host, server)
    assert error.value.status in (200, 404)
    done = host.inside(lambda: host.cli("run", f"{server.host}/app:1"))
    assert done.returncode == 125
    assert "no matching manifest" in done.stderr


def test_a_connection_that_always_breaks(
    host: Any, refused: Any, serve: Callable[[Any], Any]
) -> None:
    registry = Registry()
    registry.tamper(f"/blobs/{digest_of(LAYER)}", cut)
    server = serve(registry)
    with pytest.raises(refused, match=r"registry 127.0.0.1:\d+: blob .* want 10240") as error:
        pull(host, server)
    assert "\n" not in error.value.message
    registry.tampered.clear()
    pull(host, server)
    host.call("DELETE", f"/images/{server.host}/app:1")
