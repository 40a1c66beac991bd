"""Reading hostile trees: links stay inside, ignore rules hide, walks are in order."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.digests import TreeDigest
from boxship.builder.worker.files.tree import Tree
from boxship.errors import InvalidArgumentError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("no")
    root = tmp_path / "root"
    for name in ("a/1", "a/b/2", "a/b/3.o", "c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "in").symlink_to("/a/b")
    (root / "out").symlink_to("../outside")
    (root / "abs").symlink_to(tmp_path / "outside")
    return root


@pytest.fixture
def descriptor(root: Path) -> Iterator[int]:
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


def walked(tree: Tree, path: str, excludes: tuple[str, ...] = ()) -> list[str]:
    found = tree.find(path)
    try:
        return [entry.path for entry in tree.walk(found, IgnoreRules(excludes))]
    finally:
        os.close(found.descriptor)


def test_walks_are_sorted_parents_first(descriptor: int):
    assert walked(Tree(descriptor), "a") == ["1", "b", "b/2", "b/3.o"]
    assert walked(Tree(descriptor), "in") == ["2", "3.o"]
    assert walked(Tree(descriptor), "a", ("b/*.o",)) == ["1", "b", "b/2"]


@pytest.mark.parametrize("path", ["out", "abs", "../outside", "a/../../outside", "nope", "c/x"])
def test_nothing_outside_is_found(descriptor: int, path: str):
    with pytest.raises(InvalidArgumentError, match="file does not exist"):
        Tree(descriptor).find(path)


def test_ignored_paths_do_not_exist(descriptor: int):
    tree = Tree(descriptor, IgnoreRules(["a/b", "!a/b/2", "c"]), "failed: ")
    assert walked(tree, ".") == ["a", "a/1", "a/b", "a/b/2", "abs", "in", "out"]
    for path in ("c", "a/b/3.o", "in/3.o"):
        with pytest.raises(InvalidArgumentError, match="failed: stat"):
            tree.find(path)
    assert tree.match("*") == ["a", "in"]


def test_a_digest_counts_names_modes_and_contents_and_no_times(root: Path, descriptor: int):
    def digest(path: str = "a") -> str:
        made = TreeDigest(Tree(descriptor), owners=False)
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
