"""The tar reader, on what Python's tarfile and GNU tar write, and on damaged archives."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from boxship.storage.diff.extract import clean_name
from boxship.storage.diff.headers import (
    Entry,
    RefusedError,
    nanoseconds,
    number,
    pax_records,
)
from boxship.storage.diff.reader import TarReader

Read = Callable[[bytes], list[tuple[Entry, bytes]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a whole archive: entries, and the content of each file."""

    def read_archive(archive: bytes) -> list[tuple[Entry, bytes]]:
        (tmp_path / "archive").write_bytes(archive)
        found = []
        source = os.open(tmp_path / "archive", os.O_RDONLY)
        try:
            reader = TarReader(source)
            while (entry := reader.next()) is not None:
                with (tmp_path / "data").open("wb") as data:
                    if entry.real_size:
                        reader.copy_data(data.fileno(), entry)
                found.append((entry, (tmp_path / "data").read_bytes()))
        finally:
            os.close(source)
        return found

    return read_archive


def archive_of(
    *members: tuple[tarfile.TarInfo, bytes],
    format: int = tarfile.PAX_FORMAT,  # noqa: A002
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    return info


LONG = "directory/" * 30 + "file"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_formats(read: Read, format: int) -> None:  # noqa: A002
    prefixed = "d" * 90 + "/" + "f" * 90
    archive = archive_of(
        (member("file", mode=0o4755, uid=7, gid=8, mtime=1234), b"data" * 1000),
        (member(prefixed), b""),
        (member("link", type=tarfile.SYMTYPE, linkname="file"), b""),
        (member("device", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (member("dir", type=tarfile.DIRTYPE), b""),
        (member("last"), b"x"),
        format=format,
    )
    file, long, link, device, directory, last = read(archive)
    assert (file[0].name, file[1]) == (b"file", b"data" * 1000)
    assert (file[0].mode, file[0].uid, file[0].gid) == (0o4755, 7, 8)
    assert file[0].mtime == 1234 * 10**9
    assert long[0].name == prefixed.encode()
    assert link[0].link == b"file"
    assert device[0].device == (1, 3)
    assert directory[0].kind == b"5"
    assert last[1] == b"x"


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(read: Read, format: int) -> None:  # noqa: A002
    archive = archive_of(
        (member(LONG, uid=3_000_000, gid=2**31, mtime=-5), b"x"),
        (member("l", type=tarfile.SYMTYPE, linkname=LONG), b""),
        format=format,
    )
    file, link = read(archive)
    assert file[0].name == LONG.encode()
    assert (file[0].uid, file[0].gid) == (3_000_000, 2**31)
    assert file[0].mtime == -5 * 10**9
    assert link[0].link == LONG.encode()


def test_pax_attributes_and_times(read: Read) -> None:
    headers = {"SCHILY.xattr.user.note": "hi", "mtime": "1.000000001", "comment": "x"}
    ((entry, _),) = read(archive_of((member("f", pax_headers=headers), b"")))
    assert entry.xattrs == [(b"user.note", b"hi")]
    assert entry.mtime == 1_000_000_001


def test_global_headers_are_defaults(read: Read) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"gid": "5"}) as archive:
        archive.addfile(member("a"))
        archive.addfile(member("b", pax_headers={"gid": "6"}))
    assert [entry.gid for entry, _ in read(out.getvalue())] == [5, 6]


@pytest.mark.parametrize(
    "options",
    [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))],
)
@pytest.mark.parametrize("extents", [0, 1, 3, 60])
def test_sparse_files(read: Read, tmp_path: Path, options: list[str], extents: int) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as out:
        for number in range(extents):
            out.seek(number * 64 * 1024)
            out.write(b"data%d" % number)
        out.truncate(extents * 64 * 1024 + 1_000_000)
    (tmp_path / "after").write_text("after")
    made = subprocess.run(
        ["tar", "-C", tmp_path, "-cS", *options, "sparse", "after"], capture_output=True, check=True
    ).stdout
    assert len(made) < 700_000
    found, after = read(made)
    assert found[0].name == b"sparse"
    assert found[1] == sparse.read_bytes()
    assert after[1] == b"after"


def test_endings(read: Read) -> None:
    whole = archive_of((member("a"), b"x"))
    content = whole.rstrip(b"\0")
    end = len(content) + -len(content) % 512
    assert len(read(whole[:end])) == 1
    assert len(read(whole[: end + 512])) == 1
    assert read(b"") == []
    assert read(bytes(1024)) == []


@pytest.mark.parametrize("cut", [1, 100, 511, 513, 700])
def test_truncated(read: Read, cut: int) -> None:
    with pytest.raises(RefusedError, match="truncated"):
        read(archive_of((member("a"), b"x" * 600))[:cut])


def test_damaged_header(read: Read) -> None:
    archive = bytearray(archive_of((member("a"), b"x")))
    archive[5] ^= 1
    with pytest.raises(RefusedError, match="checksum"):
        read(bytes(archive))
    with pytest.raises(RefusedError):
        read(b"this is no tar archive at all" * 100)


def test_oversized_extended_header(read: Read) -> None:
    info = member("x", type=b"x")
    info.size = 1 << 30
    with pytest.raises(RefusedError, match="extended header of 1073741824 bytes"):
        read(info.tobuf(tarfile.USTAR_FORMAT))


def test_numbers() -> None:
    assert number(b"0000644\0") == 0o644
    assert number(b" 644 \0\0\0") == 0o644
    assert number(b"\0" * 8) == 0
    assert number(b"\x80" + b"\0" * 6 + b"\x05") == 5
    assert number(b"\xff" * 12) == -1
    with pytest.raises(RefusedError):
        number(b"99999999")


def test_pax_records() -> None:
    assert pax_records(b"12 path=foo\n13 linkpath=\n") == {b"path": b"foo", b"linkpath": b""}
    for damaged in (b"x", b"5 a=b\n", b"99 a=b\n", b"0 a=b\n", b"6 a=bc\n", b"-6 a=b\n"):
        with pytest.raises(RefusedError):
            pax_records(damaged)


def test_nanoseconds() -> None:
    assert nanoseconds(b"1.5") == 1_500_000_000
    assert nanoseconds(b"-1.5") == -1_500_000_000
    assert nanoseconds(b"1234567890.123456789123") == 1234567890123456789
    with pytest.raises(RefusedError):
        nanoseconds(b"now")


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        (b"a/b", b"a/b"),
        (b"./a/b/", b"a/b"),
        (b"/a//b", b"a/b"),
        (b"a/./b/../c", b"a/c"),
        (b"a/.hidden", b"a/.hidden"),
        (b".hidden", b".hidden"),
        (b"a/..b", b"a/..b"),
        (b".", b""),
        (b"./", b""),
        (b"/", b""),
        (b"", b""),
    ],
)
def test_clean_name(name: bytes, cleaned: bytes) -> None:
    assert clean_name(name) == cleaned


@pytest.mark.parametrize("name", [b"..", b"../a", b"a/../../b", b"/../a", b"./.."])
def test_names_that_lead_out(name: bytes) -> None:
    with pytest.raises(RefusedError, match="leads out of the root"):
        clean_name(name)
