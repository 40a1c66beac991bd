"""Paths in a root that cannot be trusted; needs no privilege, but a real kernel."""

import errno
import os
import stat

import pytest

from boxship.kernel import KernelError
from boxship.kernel.safepath import make_directory, make_file, open_in_root


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield root, descriptor
    os.close(descriptor)


def where(descriptor):
    """The path of a descriptor, which is closed."""
    path = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - text wanted
    os.close(descriptor)
    return path


def test_links_stay_inside(tree):
    root, descriptor = tree
    (root / "etc").mkdir()
    (root / "absolute").symlink_to("/etc")
    (root / "up").symlink_to("../../../etc")
    for path in ("/absolute", "up", "/../../etc"):
        assert where(open_in_root(descriptor, path, os.O_PATH)) == f"{root}/etc"


def test_what_is_missing_is_made(tree):
    root, descriptor = tree
    assert where(make_directory(descriptor, "/a/./b//c", 0o700)) == f"{root}/a/b/c"
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o700
    assert where(make_file(descriptor, "/a/x/file")) == f"{root}/a/x/file"
    assert where(make_directory(descriptor, "/")) == str(root)
    assert where(make_directory(descriptor, "/a/b/../new")) == f"{root}/a/new"


@pytest.mark.parametrize("target", ["{outside}/deep", "/run/deep", "../../run/deep"])
def test_the_target_of_a_dangling_link_is_made_inside(tree, target):
    root, descriptor = tree
    outside = root.parent / "outside"
    (root / "var").mkdir()
    (root / "var/link").symlink_to(target.format(outside=outside))
    made = where(make_directory(descriptor, "/var/link/more"))
    assert made.startswith(f"{root}/")
    assert made.endswith("/deep/more")
    (root / "var/file").symlink_to(target.format(outside=outside) + "/f")
    assert where(make_file(descriptor, "var/file")).startswith(f"{root}/")
    assert list(outside.iterdir()) == []


def test_links_without_end(tree):
    root, descriptor = tree
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    for make in (make_directory, make_file):
        with pytest.raises(KernelError) as failure:
            make(descriptor, "/a/x" if make is make_directory else "/a")
        assert failure.value.errno == errno.ELOOP


def test_something_else_is_there(tree):
    root, descriptor = tree
    (root / "file").touch()
    with pytest.raises(KernelError) as failure:
        make_directory(descriptor, "/file/x")
    assert failure.value.errno == errno.ENOTDIR
    assert str(failure.value) == "openat2 /file/x: Not a directory"


def test_magic_links_are_refused():
    descriptor = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(KernelError) as failure:
            open_in_root(descriptor, f"{os.getpid()}/root", os.O_PATH)
    finally:
        os.close(descriptor)
    assert failure.value.errno == errno.ELOOP


def test_nothing_stays_open(tree):
    root, descriptor = tree
    (root / "dangling").symlink_to("x/y")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    os.close(make_directory(descriptor, "dangling/z"))
    os.close(make_file(descriptor, "dangling/f"))
    with pytest.raises(KernelError):
        make_directory(descriptor, "dangling/f/g")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
