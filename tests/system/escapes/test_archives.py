"""Layers, archives and contexts that aim at files outside of what they are unpacked to."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.system.escapes import vulnerable
from tests.system.escapes.conftest import Link, Target, archive

pytestmark = pytest.mark.root


def entry(name: str, kind: bytes, link: str = "", **more: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o777
    for key, value in more.items():
        setattr(info, key, value)
    return info


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text("the host's")
    return tmp_path


def intact(outside: Path) -> bool:
    victim = outside / "victim"
    facts = victim.stat()
    same = victim.read_text() == "the host's" and facts.st_nlink == 1 and not facts.st_mode & 0o111
    same = same and outside.stat().st_mode & 0o777 == 0o700
    return same and [one.name for one in outside.iterdir()] == ["victim"]


def attacks(outside: Path) -> dict[str, bytes]:
    """Archives that would write to, link or read what is outside, if paths were followed."""
    victim, climb = f"{outside}/victim", "../" * 20 + str(outside).lstrip("/")
    regular, symbolic, hard = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    evil = b"evil"
    return {
        "absolute": packed((entry(victim, regular), evil)),
        "dotted": packed((entry(f"{climb}/victim", regular), evil)),
        "link to directory": packed(
            (entry("d", symbolic, str(outside)), b""), (entry("d/victim", regular), evil)
        ),
        "climbing link": packed(
            (entry("d", symbolic, climb), b""), (entry("d/new", regular), evil)
        ),
        "link to file": packed((entry("f", symbolic, victim), b""), (entry("f", regular), evil)),
        "hard link out": packed((entry("h", hard, victim), b"")),
        "hard link up": packed((entry("h", hard, f"{climb}/victim"), b"")),
        "hard link through link": packed(
            (entry("d", symbolic, str(outside)), b""), (entry("h", hard, "d/victim"), b"")
        ),
        "whiteout through link": packed(
            (entry("d", symbolic, str(outside)), b""), (entry("d/.wh.victim", regular), b"")
        ),
        "opaque through link": packed(
            (entry("d", symbolic, str(outside)), b""), (entry("d/.wh..wh..opq", regular), b"")
        ),
        "whiteout of parent": packed((entry(".wh...", regular), b"")),
        "directory over link": packed(
            (entry("d", symbolic, str(outside)), b""),
            (entry("d", tarfile.DIRTYPE, mode=0o777, uid=1), b""),
        ),
        "link in two steps": packed(
            (entry("a", symbolic, "b"), b""),
            (entry("b", symbolic, str(outside)), b""),
            (entry("a/new", regular), evil),
        ),
    }


# Only who takes whiteouts for what they are can be led by this one.
HARMLESS = {"whiteout of parent"}


def test_most_get_out_of_an_unpacker_that_trusts_them(outside: Path, tmp_path_factory):
    for name, layer in attacks(outside).items():
        place = tmp_path_factory.mktemp("naive")
        vulnerable.unpack(layer, place)
        assert intact(outside) == (name in HARMLESS), name
        for made in outside.iterdir():
            made.unlink()
        outside.chmod(0o700)
        (outside / "victim").write_text("the host's")


def test_layers_stay_inside(target: Target, outside: Path):
    for name, layer in attacks(outside).items():
        path = target.host.root / "layer.tar"
        # In the tree of a good image, so that it can be run, where it is not refused.
        path.write_bytes(layer)
        made = target.boxship("import", str(path), "attack")
        assert intact(outside), name
        if made.code == 0:
            read = target.run("-v", f"{path}:/x:ro", "attack", "/bin/cat", "/h", "/d/victim")
            assert "the host's" not in read.out, name


def test_added_archives_stay_inside(target: Target, outside: Path):
    base = target.image({"link": Link(str(outside)), "up": Link("../" * 12 + str(outside)[1:])})
    for number, (name, layer) in enumerate(attacks(outside).items()):
        # At the root, and behind a link of the image.
        for place in ("/", "/link/" if number % 2 else "/up/"):
            target.build(f"FROM {base}\nADD attack.tar {place}\n", {"attack.tar": layer})
            assert intact(outside), (name, place)


def test_copies_stay_inside(target: Target, outside: Path):
    context = {
        "victim": b"evil",
        "secret": entry("secret", tarfile.SYMTYPE, str(outside / "victim")),
        "tree": entry("tree", tarfile.DIRTYPE),
        "tree/secret": entry("tree/secret", tarfile.SYMTYPE, str(outside)),
    }
    base = target.image(
        {"link": Link(str(outside)), "file": Link(f"{outside}/victim"), "p": Link("/proc/self")}
    )
    for line in (
        "COPY victim /link/victim",
        "COPY victim /link/",
        "COPY victim /link/new/",
        "COPY victim /file",
        "COPY victim /p/root/victim",
        "WORKDIR /link/made\nCOPY victim .",
        "COPY --chown=0:0 --chmod=777 tree /link/",
        f"COPY --from={base} /bin/busybox /link/victim",
    ):
        target.build(f"FROM {base}\n{line}\n", context)
        assert intact(outside), line
    for line in (
        "COPY secret /stolen",
        "COPY tree/secret/victim /stolen",
        "COPY ../../../../../../../../../etc/hostname /stolen",
        f"COPY --from={base} /file /stolen",
        f"COPY --from={base} /link/victim /stolen",
        "ADD secret /stolen",
        "RUN --mount=type=bind,source=secret,target=/m cat /m > /stolen",
    ):
        made = target.build(f"FROM {base}\n{line}\n", context, tag="stolen")
        if made.code == 0:
            assert "the host's" not in target.run("stolen", "cat", "/stolen").out, line


def test_volumes_are_filled_from_the_image_alone(target: Target, outside: Path):
    image = target.image(
        {
            "data": entry("data", tarfile.DIRTYPE, mode=0o755),
            "data/link": Link(str(outside)),
            "out": Link(str(outside)),
            "up": Link("../" * 12 + str(outside)[1:]),
        }
    )
    for place in ("/data", "/out", "/up", "/data/link"):
        result = target.run("-v", place, image, "find", place, "-follow", "-name", "victim")
        assert "victim" not in result.out, place
        assert intact(outside), place


def test_marks_of_the_overlay_do_not_come_from_archives(target: Target):
    # An image that could set these would show files of its neighbours' layers.
    info = entry("d", tarfile.DIRTYPE)
    marks = ("trusted.overlay.redirect", "user.overlay.redirect", "user.overlay.opaque")
    info.pax_headers = {f"SCHILY.xattr.{name}": "/l" for name in marks}
    target.image({"d": info})
    for path in target.host.data.glob("snapshots/l/*/fs/d"):
        assert not set(os.listxattr(path)) & set(marks)


def test_huge_sizes_cost_nothing(target: Target):
    sparse = entry("sparse", tarfile.REGTYPE)
    sparse.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.realsize": str(1 << 60),
    }
    path = target.host.root / "huge.tar"
    path.write_bytes(packed((sparse, b"1\n0\n0\n".ljust(512, b"\0"))))
    started = target.boxship("import", str(path), "huge")
    # A file of holes, or refused: the file system has a limit of its own.
    assert started.code == 0 or "damaged" in started.err or "File too large" in started.err
    claimed = bytearray(packed((entry("x", tarfile.REGTYPE), b"")))
    claimed[124:136] = b"77777777777\0"
    claimed[148:156] = b"%06o\0 " % (sum(claimed[:148]) + sum(claimed[156:512]) + 8 * 32)
    path.write_bytes(claimed)
    result = target.boxship("import", str(path), "claimed")
    assert result.code == 1
    assert "truncated" in result.err


def test_documents_of_archives_are_not_believed(target: Target, outside: Path):
    layer = archive({})
    for config, layers in (
        ("../" * 12 + str(outside)[1:] + "/victim", ["layer.tar"]),
        ("/etc/passwd", ["layer.tar"]),
        ("config.json", ["../../../../etc/passwd"]),
        ("config.json", [f"{outside}/victim"]),
    ):
        manifest = f'[{{"Config":"{config}","RepoTags":["x:y"],"Layers":{layers!r}}}]'
        files = {
            "manifest.json": manifest.replace("'", '"').encode(),
            "config.json": b'{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
            "layer.tar": layer,
            "victim": b"",
        }
        path = target.host.root / "load.tar"
        path.write_bytes(packed(*((entry(n, tarfile.REGTYPE), d) for n, d in files.items())))
        result = target.boxship("load", "-i", str(path))
        assert result.code == 1
        assert intact(outside)
    links = packed(
        (entry("manifest.json", tarfile.SYMTYPE, f"{outside}/victim"), b""),
        (entry("oci-layout", tarfile.SYMTYPE, "/etc/passwd"), b""),
    )
    path.write_bytes(links)
    assert target.boxship("load", "-i", str(path)).code == 1
    assert target.boxship("ps").code == 0
