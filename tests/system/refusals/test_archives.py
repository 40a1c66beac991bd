"""Archives that are damaged, foreign or made to do harm: refused in one line, nothing is left."""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from boxship.model.platform import host_platform

pytestmark = [
    pytest.mark.root,
    pytest.mark.overlayfs,
    pytest.mark.netns,
    pytest.mark.usefixtures("unchanged"),
]

Entry = tuple[str, bytes, str]  # name, type, link target
FILE, LINK, SYMLINK = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
CHARACTER, DIRECTORY = tarfile.CHRTYPE, tarfile.DIRTYPE


def pack(*entries: Entry) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.devmajor, info.devminor = 1, 3
            content = b"evil\n" if kind == FILE else b""
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def image(layer: bytes, *, diff_id: str = "", **platform: str) -> bytes:
    """An archive as of `docker save`."""
    diff_id = diff_id or f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "os": "linux",
        "architecture": host_platform().architecture,
        **platform,
        "config": {"Cmd": ["/evil"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    manifest = [{"Config": "c.json", "RepoTags": ["evil:1"], "Layers": ["l.tar"]}]
    return files(
        {
            "manifest.json": json.dumps(manifest).encode(),
            "c.json": json.dumps(config).encode(),
            "l.tar": layer,
        }
    )


GOOD = pack(("etc/x", FILE, ""), ("big", FILE, ""))

# Each would write to /tmp/escape-NAME or touch /etc, could it leave its root.
_OUT = "/tmp"  # noqa: S108 - never used by who keeps to the root
ESCAPES = {
    "parent": [("../../../../../../../tmp/bx-escape", FILE, "")],
    "through a link": [("way", SYMLINK, _OUT), ("way/bx-escape", FILE, "")],
    "through a parent link": [("way", SYMLINK, "../../../../../tmp"), ("way/bx-escape", FILE, "")],
    "hard link outside": [("bx", LINK, "../../../../../../../etc/passwd"), ("bx", FILE, "")],
    "hard link through a link": [("way", SYMLINK, "/etc"), ("bx", LINK, "way/passwd")],
    "whiteout outside": [("../../../../../../../tmp/.wh.bx-escape", FILE, "")],
    "whiteout through a link": [("way", SYMLINK, _OUT), ("way/.wh.bx-escape", FILE, "")],
    "whiteout of everything": [("..", DIRECTORY, ""), (".wh...", FILE, "")],
}


@pytest.fixture
def witness() -> Any:
    """A file that must survive, where an escape would go."""
    path = Path("/tmp/bx-escape")  # noqa: S108 - on purpose a fixed place
    path.write_text("witness\n")
    passwd = Path("/etc/passwd").read_bytes()
    yield
    assert path.read_text() == "witness\n"
    assert Path("/etc/passwd").read_bytes() == passwd
    path.unlink()


def forget(host: Any) -> None:
    """Remove images that were made, should the archive be harmless within its root."""
    for one in host.get("/images/json"):
        if one["RepoTags"] != ["busybox:latest"]:
            host.call("DELETE", f"/images/{one['Id']}", force=1)


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.usefixtures("witness")
def test_escapes(host: Any, refused: Any, name: str) -> None:
    """Refused, or kept within the root: in both cases nothing outside is touched."""
    evil = pack(*ESCAPES[name])
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        docker = tarfile.TarInfo("Dockerfile")
        docker.size = len(b"FROM busybox\n")
        archive.addfile(docker, io.BytesIO(b"FROM busybox\n"))
        with tarfile.open(fileobj=io.BytesIO(evil)) as more:
            for member in more:
                archive.addfile(member, more.extractfile(member) if member.isreg() else None)
    for path, body, query in (
        ("/images/load", image(evil), {}),
        ("/images/create", evil, {"fromSrc": "-", "repo": "evil"}),
        ("/build", context.getvalue(), {}),
    ):
        told: list[str] = []
        try:
            host.post(path, body, **query)
        except refused as error:
            told.append(error.message)
        assert all(map(one_line, told)), told
        forget(host)


def one_line(message: str) -> bool:
    return "\n" not in message and "Traceback" not in message and "internal error" not in message


TRUNCATED = {
    "tar": image(GOOD)[:2600],
    "gzip": gzip.compress(image(GOOD))[:-40],
    "layer": image(gzip.compress(GOOD)[:-30], diff_id="sha256:" + "0" * 64),
}


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_load(host: Any, refused: Any, name: str) -> None:
    with pytest.raises(refused, match=r"truncated|damaged|incomplete|ends") as error:
        host.post("/images/load", TRUNCATED[name])
    assert error.value.status in (200, 400)
    assert one_line(error.value.message)


@pytest.mark.parametrize(
    ("path", "query"), [("/images/create", {"fromSrc": "-", "repo": "x"}), ("/build", {})]
)
@pytest.mark.parametrize("cut", ["tar", "gzip"])
def test_truncated(host: Any, refused: Any, path: str, query: dict[str, str], cut: str) -> None:
    whole = files({"Dockerfile": b"FROM busybox\n", "big": os.urandom(20_000)})
    body = whole[:9000] if cut == "tar" else gzip.compress(whole)[:9000]
    with pytest.raises(refused, match=r"truncated|damaged|ends") as error:
        host.post(path, body, **query)
    assert error.value.status in (200, 400)
    assert one_line(error.value.message)


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"", "holds no image|truncated|empty|not an? "),
        (b"this is no archive" * 100, "not|damaged"),
        (files({"some": b"file"}), "holds no image: neither manifest.json nor index.json"),
        (files({"manifest.json": b"{"}), "manifest.json cannot be read"),
        (files({"index.json": b"[1"}), "index.json"),
        (
            files({"manifest.json": b'[{"Config": "c.json", "Layers": ["l"]}]'}),
            "does not hold c.json",
        ),
        (image(GOOD, diff_id="sha256:" + "1" * 64), "does not match its diff id"),
        (image(GOOD, diff_id="bogus"), "bogus"),
        (image(GOOD, os="windows"), 'operating system "windows" is not supported'),
        (image(b"no archive at all, but long enough" * 40), "cannot unpack archive"),
    ],
    ids=[
        *("empty", "garbage", "no image", "bad manifest", "bad index", "missing config"),
        *("lying diff id", "bad diff id", "windows", "garbage layer"),
    ],
)
def test_load(host: Any, refused: Any, archive: bytes, text: str) -> None:
    with pytest.raises(refused, match=text) as error:
        host.post("/images/load", archive)
    assert error.value.status in (200, 400, 501)
    assert one_line(error.value.message)
    assert len(host.get("/images/json")) == 1


def test_an_image_for_another_machine(host: Any, refused: Any) -> None:
    """It may be loaded and kept; running it is refused, with what to do."""
    other = "arm64" if host_platform().architecture == "amd64" else "amd64"
    host.post("/images/load", image(GOOD, architecture=other))
    with pytest.raises(refused, match=f"image evil:1 is for linux/{other} and this host") as error:
        host.create("true", Image="evil:1")
    assert error.value.status == 400
    done = host.cli("run", "evil:1")
    assert done.returncode == 125
    assert "emulator" in done.stderr
    forget(host)


@pytest.mark.parametrize(
    ("dockerfile", "text"),
    [
        ("", "Dockerfile.*empty|no build stage|file with no instructions"),
        ("FROM busybox\nBOGUS x", r"(?i)line 2: unknown instruction: BOGUS"),
        ("FROM busybox\nRUN", "(?i)line 2.*RUN requires"),
        ("RUN true", "(?i)no build stage in current context"),
        ("FROM busybox\nCOPY nosuch /x", "not found in build context.*: stat nosuch"),
        ("FROM busybox\nCOPY --from=nosuch /a /b", "registry-1.docker.io does not answer"),
        ("FROM busybox\nCOPY ../x /x", "not found in build context.*: stat x"),
        ("FROM busybox\nRUN exit 3", "returned a non-zero code: 3"),
        ("FROM busybox\nRUN nosuchcommand", "returned a non-zero code: 127"),
        ('FROM busybox\nRUN ["/no/such"]', 'exec: "/no/such".*no such file'),
        ("FROM busybox\nUSER nobodyhere\nRUN true", "unable to find user nobodyhere"),
        ("FROM 127.0.0.1:1/x", "registry 127.0.0.1:1 does not answer"),
        ("FROM Busy", "must be lowercase"),
        ("FROM busybox\nEXPOSE bogus", "(?i)bogus"),
        ("FROM busybox\nSTOPSIGNAL BOGUS", "BOGUS"),
        ("FROM busybox\nHEALTHCHECK BOGUS", "(?i)bogus"),
        ('FROM busybox\nENV "', "(?i)line 2"),
        ("FROM busybox AS one\nFROM one AS one", "(?i)one"),
        ("FROM busybox\nADD http://127.0.0.1:1/x /x", "127.0.0.1:1"),
        ("FROM busybox\nWORKDIR /etc/passwd", "(?i)/etc/passwd"),
        ("# syntax=docker/dockerfile:1\nFROM --bogus busybox", "bogus"),
    ],
    ids=str,
)
def test_build(host: Any, refused: Any, dockerfile: str, text: str) -> None:
    with pytest.raises(refused, match=text) as error:
        build(host, dockerfile)
    assert error.value.status in (200, 400, 404, 500), error.value.status
    assert one_line(error.value.message), error.value.message
    host.post("/build/prune")


def build(host: Any, text: str, **query: str) -> Any:
    return host.inside(lambda: host.post("/build", files({"Dockerfile": text.encode()}), **query))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"dockerfile": "nosuch"}, "nosuch"),
        ({"dockerfile": "../../etc/passwd"}, "passwd"),
        ({"target": "nosuch"}, "nosuch"),
        ({"t": "Bad"}, "must be lowercase"),
        ({"buildargs": "{"}, "buildargs"),
        ({"networkmode": "nosuch"}, "nosuch"),
        ({"squash": "1"}, "squash"),
        ({"remote": "http://x/y"}, "remote"),
        ({"version": "2"}, "BuildKit"),
    ],
    ids=str,
)
def test_build_options(host: Any, refused: Any, query: dict[str, str], text: str) -> None:
    with pytest.raises(refused, match=text) as error:
        build(host, "FROM busybox\nRUN true\n", **query)
    assert error.value.status in (200, 400, 404, 501)
    assert one_line(error.value.message)
    host.post("/build/prune")


def test_devices_in_a_context(host: Any, refused: Any) -> None:
    context = pack(("Dockerfile", FILE, ""), ("null", CHARACTER, ""))
    with pytest.raises(refused, match=r"null.*device|device.*null") as error:
        host.post("/build", context)
    assert error.value.status in (200, 400)


def test_devices_in_a_layer(host: Any) -> None:
    """A layer may hold them, as the container's device rules keep them harmless."""
    host.post("/images/load", image(pack(("dev-null", CHARACTER, ""))))
    (found,) = [
        path for path in host.data.glob("snapshots/l/*/fs/dev-null") if path.is_char_device()
    ]
    assert stat.S_ISCHR(found.lstat().st_mode)
    forget(host)
