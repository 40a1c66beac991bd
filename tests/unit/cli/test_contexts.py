import io
import socket
import tarfile

import pytest

from boxship.cli.contexts import pack
from boxship.cli.flags import UsageError


def packed(directory, dockerfile="Dockerfile", extra=None):
    """The entries by name, as another tar reader sees them."""
    data = b"".join(pack(directory, dockerfile, extra or {}))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        contents = {name: file.read() for name, file in files.items() if file is not None}
        return {member.name: member for member in archive}, contents


def test_files_links_and_directories_come_along(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_bytes(b"content")
    (tmp_path / "sub/file").chmod(0o751)
    (tmp_path / "link").symlink_to("sub/file")
    members, contents = packed(tmp_path)
    assert set(members) == {"sub", "sub/file", "link"}
    assert members["sub"].isdir()
    assert members["link"].linkname == "sub/file"
    assert members["sub/file"].mode == 0o751
    assert contents["sub/file"] == b"content"


def test_names_that_ustar_cannot_hold(tmp_path):
    names = {"n" * 180, "ü" * 60}
    for name in names:
        (tmp_path / name).write_text(name)
    members, contents = packed(tmp_path)
    assert set(members) == names
    assert contents["n" * 180] == b"n" * 180


def test_ownership_is_dropped(tmp_path):
    (tmp_path / "file").touch()
    members, _ = packed(tmp_path)
    member = members["file"]
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")


def test_what_is_ignored_stays_but_the_dockerfile_goes(tmp_path):
    for name in ("Dockerfile", "a.log", "keep.log", "b.txt"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/x").touch()
    (tmp_path / ".dockerignore").write_text("*.log\n!keep.log\ndeep\nDockerfile\n")
    members, _ = packed(tmp_path)
    assert set(members) == {".dockerignore", "Dockerfile", "keep.log", "b.txt"}


def test_a_dockerfile_from_elsewhere(tmp_path):
    members, contents = packed(tmp_path, ".outside", {".outside": b"FROM x\n"})
    assert set(members) == {".outside"}
    assert contents[".outside"] == b"FROM x\n"


def test_sockets_have_no_place(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        members, _ = packed(tmp_path)
    assert members == {}


def test_a_file_that_vanishes_is_told(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").write_bytes(bytes(1 << 19))
    pieces = pack(tmp_path, "Dockerfile", {})
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("a")
    assert b"".join(pieces)
    with pytest.raises(UsageError, match="cannot read the build context"):
        b"".join(pack(tmp_path / "none", "Dockerfile", {}))
