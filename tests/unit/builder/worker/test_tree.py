"""Reading hostile trees: one suite for both kinds of tree.

Links stay inside, ignore rules hide, walks are in order, digests count what matters.
"""

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.archive import Archive, ArchiveTree
from boxship.builder.worker.files.digests import TreeDigest
from boxship.builder.worker.files.directory import DirectoryTree
from boxship.builder.worker.files.tree import Tree
from boxship.errors import InvalidArgumentError, NotFoundError

Open = Callable[..., Tree[Any]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("no")
    root = tmp_path / "root"
    for name in ("a/1", "a/b/2", "a/b/3.o", "c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "in").symlink_to("/a/b")
    (root / "near").symlink_to("a/../a/./1")
    (root / "out").symlink_to("../outside")
    (root / "abs").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    (root / "climb").symlink_to("../../../../c")
    return root


@pytest.fixture(params=["directory", "archive"])
def opened(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Open]:
    """Opens the root as it is now, as one kind of tree or the other."""
    descriptors: list[int] = []

    def directory(*arguments: Any) -> Tree[Any]:
        descriptors.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY))
        return DirectoryTree(descriptors[-1], *arguments)

    def archive(*arguments: Any) -> Tree[Any]:
        place = tmp_path / "context.tar"
        with tarfile.open(place, "w") as stream:
            stream.add(root, ".")
        return ArchiveTree(Archive(str(place)), *arguments)

    yield directory if request.param == "directory" else archive
    for descriptor in descriptors:
        os.close(descriptor)


def walked(tree: Tree[Any], path: str, excludes: tuple[str, ...] = ()) -> list[str]:
    found = tree.find(path)
    try:
        return [entry.path for entry in tree.walk(found, IgnoreRules(excludes))]
    finally:
        tree.release(found)


def text(tree: Tree[Any], path: str) -> str:
    found = tree.find(path)
    content = tree.open(found)
    try:
        with content.stream() as stream:
            assert content.head(1) == stream.read(1)
            return content.head(1).decode() + stream.read().decode()
    finally:
        content.close()
        tree.release(found)


def test_walks_are_sorted_parents_first(opened: Open):
    assert walked(opened(), "a") == ["1", "b", "b/2", "b/3.o"]
    assert walked(opened(), "in") == ["2", "3.o"]
    assert walked(opened(), "a", ("b/*.o",)) == ["1", "b", "b/2"]


def test_links_lead_where_they_would_in_a_root_of_their_own(opened: Open):
    tree = opened()
    assert text(tree, "in/2") == "a/b/2"
    assert text(tree, "near") == "a/1"
    assert text(tree, "climb") == "c"
    assert text(tree, "../../a/1") == "a/1"
    found = tree.find("in")
    assert (found.path, found.real, found.facts.is_directory) == ("in", "a/b", True)
    tree.release(found)


@pytest.mark.parametrize("path", ["out", "abs", "../outside", "nope", "c/x", "a/nope/.."])
def test_nothing_outside_is_found(opened: Open, path: str):
    with pytest.raises(NotFoundError, match="file does not exist"):
        opened().find(path)


def test_links_in_a_circle(opened: Open):
    with pytest.raises(InvalidArgumentError, match="oo many levels of symbolic links"):
        opened().find("loop")


def test_ignored_paths_do_not_exist(opened: Open):
    tree = opened(IgnoreRules(["a/b", "!a/b/2", "c"]), "failed: ")
    assert walked(tree, ".")[:4] == ["a", "a/1", "a/b", "a/b/2"]
    assert "c" not in walked(tree, ".")
    for path in ("c", "a/b/3.o", "in/3.o", "climb"):
        with pytest.raises(NotFoundError, match="failed: stat"):
            tree.find(path)
    assert tree.match("*") == ["a", "in", "near"]
    assert tree.match("*/?") == ["a/1", "a/b", "in/2"]


def test_hard_links_are_known_as_such(opened: Open, root: Path):
    (root / "a/hard").hardlink_to(root / "a/1")
    tree = opened()
    found = tree.find("a")
    facts = {entry.path: entry.facts for entry in tree.walk(found)}
    assert facts["1"].identity == facts["hard"].identity is not None
    assert facts["b/2"].identity is None
    tree.release(found)
    assert text(tree, "a/hard") == "a/1"


def test_content_goes_to_a_file_whole(opened: Open, root: Path, tmp_path: Path):
    data = os.urandom(300 << 10)
    (root / "big").write_bytes(data)
    tree = opened()
    found = tree.find("big")
    content = tree.open(found)
    copy = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT)
    content.copy(copy)
    os.close(copy)
    content.close()
    tree.release(found)
    assert (tmp_path / "copy").read_bytes() == data


def test_a_digest_counts_names_modes_and_contents_and_no_times(opened: Open, root: Path):
    def digest(path: str = "a") -> str:
        made = TreeDigest(opened(), owners=False)
        made.add(path)
        return made.hexdigest()

    before = digest()
    os.utime(root / "a/1", (1, 1))
    assert digest() == before
    (root / "a/1").chmod(0o755)
    assert (after := digest()) != before
    (root / "a/1").write_text("A/1")
    assert digest() not in (before, after)
    (root / "a/1").rename(root / "a/9")
    assert digest() not in (before, after)
    assert digest("a/b/2") != digest("a/b/3.o")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def archive_of(tmp_path: Path, *members: tarfile.TarInfo) -> Archive:
    place = tmp_path / "made.tar"
    with tarfile.open(place, "w") as stream:
        for each in members:
            stream.addfile(each)
    return Archive(str(place))


def test_an_archive_may_leave_directories_out_and_repeat_itself(tmp_path: Path):
    again = member("a/b/c")
    again.mode = 0o600
    tree = ArchiveTree(archive_of(tmp_path, member("a/b/c"), member("/abs"), again))
    assert walked(tree, ".") == ["a", "a/b", "a/b/c", "abs"]
    assert stat.S_IMODE(tree.find("a/b/c").facts.mode) == 0o600


@pytest.mark.parametrize(
    "members",
    [
        [member("../x")],
        [member("a/../../x")],
        [member("l", tarfile.SYMTYPE, "/etc"), member("l/x")],
        [member("h", tarfile.LNKTYPE, "nowhere")],
        [member("d", tarfile.DIRTYPE), member("h", tarfile.LNKTYPE, "d")],
        [member("dev", tarfile.CHRTYPE)],
    ],
)
def test_hostile_archives_are_refused(tmp_path: Path, members: list[tarfile.TarInfo]):
    with pytest.raises(InvalidArgumentError, match="cannot read the build context"):
        archive_of(tmp_path, *members)


@pytest.mark.parametrize("content", [b"no archive" * 100, b"x" * 100])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes):
    place = tmp_path / "x.tar"
    place.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match="cannot read the build context"):
        Archive(str(place))


def test_a_sparse_file_is_read_with_its_holes(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as out:
        for place in (1 << 16, 1 << 20):
            out.seek(place)
            out.write(b"data" * 2000)
        out.truncate(3 << 20)
    archive = tmp_path / "context.tar"
    subprocess.run(["tar", "-C", tmp_path, "-cSf", archive, "sparse"], check=True)
    tree = ArchiveTree(Archive(str(archive)))
    content = tree.open(tree.find("sparse"))
    assert content.head(6) == bytes(6)
    with content.stream() as stream:
        assert stream.read() == sparse.read_bytes()


def test_the_size_of_a_sparse_file_costs_nothing(tmp_path: Path) -> None:
    info = tarfile.TarInfo("sparse")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "sparse",
        "GNU.sparse.realsize": str(1 << 60),
    }
    info.size = 512
    archive = tmp_path / "context.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(b"1\n0\n0\n".ljust(512, b"\0")))
    tree = ArchiveTree(Archive(str(archive)))
    content = tree.open(tree.find("sparse"))
    assert content.head(6) == bytes(6)
    assert content.stream().read(1 << 16) == bytes(1 << 16)
