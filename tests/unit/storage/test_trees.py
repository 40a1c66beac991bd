"""Trees go completely, whatever is in them, and nothing outside goes with them."""

import os
from pathlib import Path

from boxship.storage.trees import Trash, delete_tree, make_directory, remove_tree


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    (tree / "file").write_text("x")
    (tree / "locked").mkdir(mode=0o000)
    delete_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").exists()
    delete_tree(tree)


def test_a_link_or_file_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    delete_tree(tmp_path / "link")
    assert names_in(tmp_path) == []


def test_very_deep_trees(tmp_path: Path) -> None:
    """A container can nest deeper than a path, the stack or the descriptors reach."""
    tree = tmp_path / "tree"
    tree.mkdir()
    directory = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    delete_tree(tree)
    assert names_in(tmp_path) == []


def test_trash(tmp_path: Path) -> None:
    trash = Trash(tmp_path / "trash")
    for number in range(20):
        (tmp_path / f"tree{number}").mkdir()
        assert trash.put(tmp_path / f"tree{number}")
    assert not trash.put(tmp_path / "absent")
    trash.close()
    assert names_in(tmp_path / "trash") == []
    (tmp_path / "tree").mkdir()
    assert remove_tree(tmp_path / "tree", tmp_path / "trash")
    trash.empty()
    trash.close()


def test_make_directory(tmp_path: Path) -> None:
    like = make_directory(tmp_path / "like", mode=0o1777)
    os.utime(like, ns=(5, 7))
    made = make_directory(tmp_path / "made", like=like)
    assert made.stat().st_mode == like.stat().st_mode
    assert made.stat().st_mtime_ns == 7
