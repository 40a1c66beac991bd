"""A daemon that cannot start says why in one line and leaves nothing; one that runs is not hurt."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

FLAGS = [
    (["--nosuch"], "unrecognized arguments: --nosuch"),
    (["extra"], "unrecognized arguments: extra"),
    (["--host", "bogus://x"], "cannot listen on 'bogus://x'"),
    (["--host", "tcp://1.2.3.4:99"], "cannot listen on tcp://1.2.3.4:99"),
    (["--host", "unix:///proc/x/y"], "/proc/x"),
    (["--pidfile", "/proc/x/pid"], "/proc/x"),
    (["--data-root", "/proc/x"], "cannot use directory /proc/x"),
    (["--exec-root", "/dev/null/x"], "cannot use directory /dev/null/x"),
    (["--bip", "bogus"], "invalid bip 'bogus'"),
    (["--bip", "10.0.0.0/24"], "invalid bip '10.0.0.0/24': the bridge cannot have this address"),
    (["--bip", "127.0.0.1/8"], "invalid bip '127.0.0.1/8'"),
    (["--dns", "bogus"], "invalid dns 'bogus'"),
    (["--log-driver", "nosuch"], "no log driver named 'nosuch'"),
    (["--log-driver", "syslog"], "log driver 'syslog' is not supported"),
    (["--log-opt", "max-size=x"], "invalid size: 'x'"),
    (["--log-opt", "bogus=1"], "unknown log opt 'bogus'"),
    (["--log-opt", "bogus"], "invalid log-opt 'bogus': want NAME=VALUE"),
    (["--log-level", "bogus"], "invalid choice: 'bogus'"),
    (["--config-file", "/nosuch"], "configuration file /nosuch does not exist"),
    (["--add-runtime", "x"], "invalid add-runtime 'x'"),
    (["--add-runtime", "x=y/z"], "runtime x: path 'y/z' is relative"),
    (["--add-runtime", "x=/nosuch"], 'runtime x: exec: "/nosuch": executable file not found'),
    (["--add-runtime", "boxship=/bin/sh"], "runtime name 'boxship' is taken by the built-in one"),
    (["--add-runtime", "../x=/bin/sh"], "invalid runtime name '../x'"),
    (["--add-runtime", "x=/bin/sh", "--add-runtime", "x=/bin/ls"], "x is configured twice"),
    (["--default-runtime", "nosuch"], "specified default runtime 'nosuch' does not exist"),
    (["--default-address-pool", "x"], "invalid default-address-pool 'x'"),
    (["--default-address-pool", "base=bogus,size=24"], "invalid default-address-pool base=bogus"),
    (["--default-address-pool", "base=10.0.0.0/8,size=4"], "give a length of prefix from 8 to 30"),
    (["--label", "x"], "invalid label 'x': want NAME=VALUE"),
    (["--insecure-registry", "a b"], "invalid insecure-registry 'a b'"),
    (["--registry-mirror", ""], "invalid registry-mirror ''"),
    (["--cgroup-parent", "a/../b"], "invalid cgroup-parent 'a/../b'"),
    (["--tls"], "TLS needs --tlscert and --tlskey"),
    (
        ["--tls", "--tlscert", "/no", "--tlskey", "/no", "-H", "tcp://127.0.0.1:1"],
        "cannot use TLS files /no",
    ),
]

FILES = [
    ("{", "daemon.json: Input data was truncated"),
    ("[1]", "daemon.json: Expected `object`, got `array`"),
    ('{"bogus": 1}', "daemon.json: 'bogus' matches no configuration option"),
    ('{"bip": 5}', "daemon.json: Expected `str | null`, got `int` - at `$.bip`"),
    ('{"storage-driver": "btrfs"}', "daemon.json: storage-driver = 'btrfs' is not supported"),
    ('{"iptables": false}', "daemon.json: iptables = False is not supported"),
    ('{"runtimes": {"x": {"path": 5}}}', "Expected `str`, got `int` - at `$.runtimes[...].path`"),
    ('{"runtimes": {"x": {"runtimeType": "y"}}}', "of containerd's shims, are not supported"),
    ('{"runtimes": {"x": {}}}', "runtime x: no path is given"),
    ('{"default-runtime": "x"}', "specified default runtime 'x' does not exist"),
    ('{"data-root": "/x"}', "data-root is given both as a flag and in"),
]


@pytest.fixture
def bare(empty_host: Callable[..., Any]) -> Any:
    """A host whose daemon was never started."""
    return empty_host()


def fails(host: Any, failed: Any, *flags: str) -> str:
    """The one line that a daemon leaves."""
    with pytest.raises(failed) as error:
        host.start(*flags)
    lines = error.value.words.strip().splitlines()
    assert len(lines) == 1, error.value.words
    assert error.value.code == 1
    host.until(lambda: not host.census.processes(), "keeper and launcher are gone")
    return str(lines[0])


@pytest.mark.parametrize(("flags", "text"), FLAGS, ids=lambda value: str(value)[:40])
def test_flags(bare: Any, daemon_failed: Any, flags: list[str], text: str) -> None:
    assert text in fails(bare, daemon_failed, *flags)


@pytest.mark.parametrize(("document", "text"), FILES)
def test_configuration(bare: Any, daemon_failed: Any, document: str, text: str) -> None:
    path = bare.root / "daemon.json"
    path.write_text(document)
    assert text in fails(bare, daemon_failed, "--config-file", str(path))


def second(host: Any, *flags: str) -> str:
    done = host.inside(
        lambda: subprocess.run(
            host.command(*flags), capture_output=True, text=True, timeout=20, check=False
        )
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    return str(line)


def test_two_daemons(host: Any) -> None:
    """The second one is told apart by what it shares with the first, which goes on."""
    before = host.census.take()
    other = {"--data-root": str(host.root / "data2"), "--exec-root": str(host.root / "exec2")}
    data, run = ([flag, path] for flag, path in other.items())
    assert "another daemon uses the run-time directory" in second(host)
    assert "another daemon uses the run-time directory" in second(host, *data)
    assert "another daemon uses the data root" in second(host, *run)
    sock = f"unix://{host.exec}/boxship.sock"
    assert f"another daemon already serves {sock}" in second(host, *data, *run, "--host", sock)
    host.until(lambda: host.census.take()["process"] == before["process"], "nothing is left")
    assert host.state("taken")["Running"]
    assert host.execute("taken", "echo", "x") == "x\n"


def test_something_else_at_the_socket(bare: Any, daemon_failed: Any) -> None:
    path = bare.root / "a.sock"
    path.write_text("precious")
    assert str(path) in fails(bare, daemon_failed, "--host", f"unix://{path}")
    assert path.read_text() == "precious"
    with bare.inside(lambda: socket.create_server(("127.0.0.1", 18095))):
        line = fails(bare, daemon_failed, "--host", "tcp://127.0.0.1:18095")
        assert "cannot listen on tcp://127.0.0.1:18095" in line
        assert "in use" in line


@pytest.mark.parametrize("content", [b"no database at all" * 400, b""], ids=["garbage", "empty"])
def test_a_corrupt_database(bare: Any, daemon_failed: Any, content: bytes) -> None:
    bare.data.mkdir(mode=0o700)
    path = bare.data / "boxship.db"
    path.write_bytes(content)
    if not content:
        # For SQLite that is a new one.
        bare.start()
        return
    line = fails(bare, daemon_failed)
    assert f"cannot open database {path}: file is not a database" in line
    assert path.read_bytes() == content


def test_a_newer_database(bare: Any, daemon_failed: Any) -> None:
    import sqlite3  # noqa: PLC0415

    bare.data.mkdir(mode=0o700)
    database = sqlite3.connect(bare.data / "boxship.db")
    database.execute("PRAGMA user_version=999")
    database.close()
    assert "schema 999, newer than" in fails(bare, daemon_failed)


def test_a_damaged_record(template: Path, empty_host: Callable[..., Any]) -> None:
    """One record that cannot be read costs that object only, not the daemon."""
    import sqlite3  # noqa: PLC0415

    one = empty_host(template)
    one.start()
    one.create("true", name="good")
    bad = one.create("true", name="bad")
    one.stop()
    database = sqlite3.connect(one.data / "boxship.db", isolation_level=None)
    database.execute("UPDATE containers SET body = ? WHERE id = ?", (b"{", bad))
    database.close()
    one.start()
    assert [each["Names"] for each in one.get("/containers/json", all=1)] == [["/good"]]
    words = one.log.read_text()
    assert f"container {bad}" in words
    assert "Traceback" not in words


def test_damaged_blobs(template: Path, empty_host: Callable[..., Any], refused: Any) -> None:
    """A blob that is not what its name says, or is gone: said at the use, and mended by a load."""
    one = empty_host(template)
    one.start()
    archive = one.get("/images/busybox/get")
    one.stop()
    shutil.rmtree(one.data / "snapshots")
    blobs = sorted((one.data / "content/blobs/sha256").iterdir(), key=lambda b: b.stat().st_size)
    layer = blobs[-1]
    layer.write_bytes(layer.read_bytes()[:-9] + b"corrupted")
    one.start()
    with pytest.raises(
        refused, match=f"layer sha256:{layer.name} was damaged on the disk and is removed"
    ):
        one.create("true")
    assert not layer.exists()
    with pytest.raises(
        refused, match=f"layer sha256:{layer.name} is not in the store .pull or load"
    ):
        one.create("true")
    one.post("/images/load", archive)
    one.remove(one.run("true"))
    one.stop()
    for blob in blobs[:-1]:
        blob.unlink()
    one.start()
    assert one.get("/images/json") == []
    one.post("/images/load", archive)
    one.remove(one.run("true"))
    assert "Traceback" not in one.log.read_text()


@contextmanager
def mounted(path: Path, options: str, kind: str = "tmpfs") -> Iterator[None]:
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, "-o", options, "none", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_read_only_data_root(bare: Any, daemon_failed: Any) -> None:
    with mounted(bare.data, "ro"):
        line = fails(bare, daemon_failed)
    assert f"cannot use directory {bare.data}: Read-only file system (mount" in line


def test_a_full_data_root(bare: Any, daemon_failed: Any) -> None:
    with mounted(bare.data, "size=64k"):
        filler = bare.data / "filler"
        with filler.open("wb") as out:
            os.posix_fallocate(out.fileno(), 0, 64 << 10)
        line = fails(bare, daemon_failed)
        assert "space" in line
        assert str(bare.data) in line
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", str(bare.data)], check=True)
        bare.start()
        bare.close_daemon()
