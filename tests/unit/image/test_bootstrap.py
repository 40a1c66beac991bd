from pathlib import Path

from boxship.image.bootstrap.busybox import _needs_libraries
from boxship.image.bootstrap.mirror import find_mirror


def test_mirrors_of_the_host(tmp_path: Path) -> None:
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://no/debian x\ndeb https://other/apt x main\n"
    )
    (lists / "debian.sources").write_text(
        "Types: deb\nURIs: http://mirror.example/debian/\nSuites: trixie\n\n"
        "Types: deb\nURIs: http://mirror.example/debian-security\n"
    )
    found = find_mirror("bookworm", tmp_path)
    assert found.url == "http://mirror.example/debian"
    assert found.sources == (
        "deb http://mirror.example/debian bookworm main",
        "deb http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/debian-security bookworm-security main",
    )


def test_debians_own_mirror_without_one(tmp_path: Path) -> None:
    assert find_mirror("trixie", tmp_path).url == "http://deb.debian.org/debian"


def test_static_programs_are_told_from_others() -> None:
    assert _needs_libraries(Path("/bin/sh").read_bytes())
    assert not _needs_libraries(b"#!/bin/sh\n")
    busybox = Path("/bin/busybox")
    if busybox.exists():
        assert not _needs_libraries(busybox.read_bytes())
