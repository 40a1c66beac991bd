"""Unpacking: faithful to the archive, in overlay form, and never outside the target."""

import gzip
import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from boxship.errors import ExhaustedError, InvalidArgumentError, UnsupportedError
from boxship.model.digest import Digest, digest_of
from boxship.storage.diff.pack import write_layer
from boxship.storage.diff.unpack import Unpacking, apply_layer, unpack_layer

pytestmark = pytest.mark.root

DIR, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    return target


def tree_of(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def is_whiteout(path: Path) -> bool:
    facts = path.lstat()
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "user.overlay.opaque" in os.listxattr(path)


def test_everything_a_tree_holds(target, archive, member) -> None:
    capability = b"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    pax = {"SCHILY.xattr.security.capability": capability.decode("latin-1")}
    stream = archive(
        member("./", type=DIR, mode=0o711, mtime=5),
        member("etc", type=DIR, mode=0o2775, uid=1, gid=50, mtime=9),
        member("etc/file", b"data", mode=0o640, uid=3, gid=4, pax_headers={"mtime": "7.000000009"}),
        member("suid", b"x", mode=0o6755, uid=3, gid=4),
        member("caps", b"x", mode=0o755, uid=3, pax_headers=pax),
        member("hard", type=HARD, linkname="./etc/file"),
        member("soft", type=LINK, linkname="/etc/file", uid=9, mtime=3),
        member("fifo", type=tarfile.FIFOTYPE, mode=0o600),
        member("null", type=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        member("loop", type=tarfile.BLKTYPE, mode=0o660, devmajor=7, devminor=0, gid=6),
    )
    applied = apply_layer(stream, target)
    assert applied == (digest_of(stream.getvalue()), len(stream.getvalue()))
    assert stat.S_IMODE(target.stat().st_mode) == 0o711
    assert target.stat().st_mtime == 5
    etc = (target / "etc").stat()
    assert (stat.S_IMODE(etc.st_mode), etc.st_uid, etc.st_gid, etc.st_mtime) == (0o2775, 1, 50, 9)
    file = (target / "etc/file").stat()
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_gid) == (0o640, 3, 4)
    assert file.st_mtime_ns == 7_000_000_009
    assert file.st_nlink == 2
    assert (target / "hard").samefile(target / "etc/file")
    assert stat.S_IMODE((target / "suid").stat().st_mode) == 0o6755
    assert os.getxattr(target / "caps", "security.capability") == capability
    soft = (target / "soft").lstat()
    assert (str((target / "soft").readlink()), soft.st_uid, soft.st_mtime) == ("/etc/file", 9, 3)
    assert stat.S_ISFIFO((target / "fifo").stat().st_mode)
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)
    loop = (target / "loop").stat()
    assert (stat.S_IMODE(loop.st_mode), loop.st_rdev, loop.st_gid) == (0o660, os.makedev(7, 0), 6)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("../outside", {}),
        ("a/../../outside", {}),
        ("../outside", {"type": DIR}),
        ("link", {"type": HARD, "linkname": "../../outside"}),
        ("../.wh.precious", {}),
    ],
)
def test_leading_out_is_refused_by_name(target, archive, member, name, facts) -> None:
    (target.parent / "precious").write_text("x")
    with pytest.raises(InvalidArgumentError, match=r"outside' leads out|precious' leads out"):
        apply_layer(archive(member("fine"), member(name, b"", **facts)), target)
    assert names_in(target.parent) == ["precious", "target"]


@pytest.mark.parametrize(
    "link", ["{outside}", "../../../../../../../../../..{outside}", "../outside"]
)
def test_links_resolve_inside(target, archive, member, link) -> None:
    """A link to anywhere, then a file through it: what exists outside is never reached."""
    outside = target.parent / "outside"
    outside.mkdir()
    stream = archive(
        member("escape", type=LINK, linkname=link.format(outside=outside)),
        member("escape/file", b"evil"),
        member("escape/.wh.gone"),
        member("escape/hard", type=HARD, linkname="escape/file"),
    )
    apply_layer(stream, target)
    assert names_in(outside) == []
    assert (target / "escape").is_symlink()
    assert len([name for name in tree_of(target) if name.endswith("/file")]) == 1


def test_a_link_replaced_meanwhile(target, archive, member) -> None:
    stream = archive(
        member("dir", type=DIR, mode=0o700),
        member("dir/a", b"a"),
        member("dir", type=LINK, linkname="/etc"),
        member("dir/b", b"b"),
        member("etc", b"file now"),
        member("etc", type=DIR),
        member("etc/c", b"c"),
    )
    apply_layer(stream, target)
    assert tree_of(target) == ["dir", "etc", "etc/c"]
    assert stat.S_IMODE((target / "etc").stat().st_mode) == 0o644


def test_later_entries_win(target, archive, member) -> None:
    stream = archive(
        member("f", b"old", mode=0o600),
        member("f", b"new", mode=0o644),
        member("link", type=LINK, linkname="f"),
        member("link", b"file"),
        member("d/x", b"x"),
        member("d", b"no directory"),
        member("h", b""),
        member("h", type=HARD, linkname="f"),
        member("h", type=HARD, linkname="h"),
    )
    apply_layer(stream, target)
    assert (target / "f").read_bytes() == b"new"
    assert (target / "link").read_bytes() == b"file"
    assert (target / "d").read_bytes() == b"no directory"
    assert (target / "h").samefile(target / "f")


def test_whiteouts_take_overlays_form(target, archive, member) -> None:
    stream = archive(
        member(".wh.gone"),
        member("dir", type=DIR),
        member("dir/kept", b"x"),
        member("dir/.wh..wh..opq"),
        member("dir/later", b"x"),
        member(".wh..wh.plnk"),
        member("missing/.wh.deep"),
    )
    apply_layer(stream, target)
    assert tree_of(target) == ["dir", "dir/kept", "dir/later", "gone", "missing", "missing/deep"]
    assert is_whiteout(target / "gone")
    assert is_whiteout(target / "missing/deep")
    assert is_opaque(target / "dir")


@pytest.mark.parametrize("whiteout_first", [True, False])
def test_a_whiteout_spares_its_own_layer(target, archive, member, whiteout_first) -> None:
    """OCI layer.md: whiteouts apply to layers below only, in whatever order the entries come."""
    hiding = [member(".wh.file"), member(".wh.dir"), member(".wh.bare")]
    adding = [member("file", b"x"), member("dir", type=DIR), member("dir/f"), member("bare/f")]
    both = [*hiding, *adding] if whiteout_first else [*adding, *hiding]
    apply_layer(archive(*both), target)
    assert (target / "file").read_bytes() == b"x"
    assert is_opaque(target / "dir")
    assert is_opaque(target / "bare")


@pytest.mark.parametrize("name", [".wh.", ".wh..", "dir/.wh..."])
def test_a_whiteout_of_nothing(target, archive, member, name) -> None:
    with pytest.raises(InvalidArgumentError, match="whiteout of nothing"):
        apply_layer(archive(member(name)), target)


def test_an_archive_does_not_speak_overlay(target, archive, member) -> None:
    pax = {
        "SCHILY.xattr.user.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.kept": "1",
    }
    apply_layer(archive(member("d", type=DIR, pax_headers=pax)), target)
    assert os.listxattr(target / "d") == ["user.kept"]


def test_directories_left_out_are_as_below(target, archive, member, tmp_path) -> None:
    below, bottom = tmp_path / "below", tmp_path / "bottom"
    apply_to = {
        bottom: [member("usr/lib", type=DIR, mode=0o750, uid=5, mtime=77), member("lib", b"")],
        below: [member("./", type=DIR, mode=0o751), member("lib", type=LINK, linkname="usr/lib")],
    }
    for directory, members in apply_to.items():
        directory.mkdir()
        apply_layer(archive(*members), directory)
    apply_layer(
        archive(member("lib/x", b"x"), member("new/y", b"y")), target, parents=(below, bottom)
    )
    assert tree_of(target) == ["new", "new/y", "usr", "usr/lib", "usr/lib/x"]
    made = (target / "usr/lib").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_mtime) == (0o750, 5, 77)
    assert stat.S_IMODE(target.stat().st_mode) == 0o751


def test_layers_below_are_not_followed_out(target, archive, member, tmp_path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (below / "up").symlink_to("../../../../../../../..")
    (tmp_path / "secret").mkdir(mode=0o751)
    apply_layer(archive(member(f"up{tmp_path}/secret/x", b"x")), target, parents=(below,))
    assert names_in(tmp_path / "secret") == []
    made = Path(f"{target}{tmp_path}/secret")
    assert stat.S_IMODE(made.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: gzip.compress(data)[:-20], "truncated gzip"),
        (lambda data: data[:2000] + b"x" * 600 + data[2600:], "checksum|diff id"),
        (lambda data: b"no archive" * 100, "checksum"),
    ],
)
def test_damage_is_told(target, archive, member, damage, reason) -> None:
    data = archive(*(member(f"file{n}", b"x" * 700) for n in range(8))).getvalue()
    with pytest.raises(InvalidArgumentError, match=reason):
        apply_layer(io.BytesIO(damage(data)), target, expected=digest_of(data))


def test_lying_diff_id(target, archive, member, tmp_path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(gzip.compress(archive(member("f", b"x")).getvalue()))
    expected = Digest("sha256:" + "0" * 64)
    with pytest.raises(InvalidArgumentError, match=f"{expected} does not match its diff id"):
        unpack_layer(blob, "application/vnd.oci.image.layer.v1.tar+gzip", target, expected=expected)


def test_only_layers_are_layers(target, tmp_path) -> None:
    with pytest.raises(UnsupportedError, match="in-toto"):
        unpack_layer(tmp_path / "blob", "application/vnd.in-toto+json", target)


def test_unpacking_can_be_left(target, archive, member) -> None:
    data = archive(member("f", b"x" * 3_000_000)).getvalue()
    with Unpacking(target) as unpacking:
        unpacking.write(data[:2_000_000])
    with Unpacking(target) as unpacking:
        unpacking.write(b"no archive at all" * 100)
        with pytest.raises(InvalidArgumentError, match="checksum"):
            # Far more than fits in the pipe: the child must be heard before.
            unpacking.write(bytes(16 << 20))


def test_a_full_disk(tmp_path, archive, member) -> None:
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target], check=True)
    try:
        with pytest.raises(ExhaustedError, match="no space left"):
            apply_layer(archive(member("f", b"x" * 3_000_000)), target)
    finally:
        subprocess.run(["umount", target], check=True)


def test_unknown_kinds_and_nul(target, archive, member) -> None:
    with pytest.raises(InvalidArgumentError, match="unknown type b'M'"):
        apply_layer(archive(member("f", type=b"M")), target)
    with pytest.raises(InvalidArgumentError, match="null char"):
        apply_layer(archive(member("f", pax_headers={"path": "a\0b"})), target)
    with pytest.raises(InvalidArgumentError, match="hard link to 'nothing', which it lacks"):
        apply_layer(archive(member("f", type=HARD, linkname="nothing")), target)
    with pytest.raises(InvalidArgumentError, match="is used as a directory"):
        apply_layer(archive(member("g", b""), member("g/h", b"")), target)
    with pytest.raises(InvalidArgumentError, match="loop of symbolic links"):
        apply_layer(archive(member("l", type=LINK, linkname="l"), member("l/h", b"")), target)


def test_a_real_root_survives_the_round_trip(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    script = """
        mkdir -p "$1/etc/ssl" "$1/usr/bin" "$1/tmp" "$1/dev" && chmod 1777 "$1/tmp"
        cp /bin/ls "$1/usr/bin/ls" && ln "$1/usr/bin/ls" "$1/usr/bin/dir"
        chmod 4755 "$1/usr/bin/ls"
        ln -s usr/bin "$1/bin" && mknod "$1/dev/null" c 1 3 && mkfifo "$1/pipe"
        truncate -s 10M "$1/sparse" && printf x >> "$1/sparse"
        chown -R 1:2 "$1/etc" && mknod "$1/gone" c 0 0
    """
    subprocess.run(["sh", "-euc", script, "sh", first], check=True)
    os.setxattr(first / "etc", "user.a", b"b")
    os.setxattr(first / "etc/ssl", "user.overlay.opaque", b"y")
    out = io.BytesIO()
    packed = write_layer(first, out)
    second.mkdir()
    out.seek(0)
    applied = apply_layer(out, second, expected=packed.diff_id)
    assert applied.diff_id == packed.diff_id
    listing = ["find", ".", "-not", "-name", "gone", "-printf", r"%p %y %m %U:%G %s %n %Ts %l\n"]
    shown = [
        sorted(
            subprocess.run(listing, cwd=root, capture_output=True, check=True).stdout.split(b"\n")
        )
        for root in (first, second)
    ]
    assert shown[0] == shown[1]
    assert is_whiteout(second / "gone")
    assert is_opaque(second / "etc/ssl")
    assert (second / "sparse").stat().st_blocks < 100
    again = io.BytesIO()
    assert write_layer(second, again).digest == packed.digest
