"""The form of layers on disk, as the kernel's overlay sees it on the host and in user namespaces.

This is the proof of docs/decisions/overlay-layer-format.md.
"""

import io
import os
from pathlib import Path

import pytest

from boxship.errors import ConflictError
from boxship.model.digest import digest_of
from boxship.model.mount import Mount
from boxship.storage.diff.pack import write_layer
from boxship.storage.diff.unpack import apply_layer
from boxship.storage.snapshots.store import SnapshotStore
from boxship.storage.trees import delete_tree

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]

BASE, TOP = digest_of(b"base"), digest_of(b"top")
BOTH = pytest.mark.parametrize("user_namespace", [False, True], ids=["host", "userns"])


def command(mounts: tuple[Mount, ...], target: str) -> str:
    (mount,) = mounts
    if mount.type == "bind":
        return f"mount --rbind {mount.source} {target}\n"
    return f"mount -t {mount.type} {mount.source} -o {','.join(mount.options)} {target}\n"


@pytest.fixture
def layered(snapshots: SnapshotStore, archive, member, tmp_path: Path) -> SnapshotStore:
    layers = {
        BASE: [
            member("a/old", b""),
            member("b/old", b""),
            member("gone", b""),
            member("kept", b""),
        ],
        TOP: [member("a/new", b""), member("a/.wh..wh..opq"), member("b/new"), member(".wh.gone")],
    }
    parent = None
    for name, members in layers.items():
        with snapshots.stage(name, parent) as stage:
            apply_layer(archive(*members), stage.path)
            stage.commit()
        parent = name
    (tmp_path / "m").mkdir()
    return snapshots


@BOTH
@pytest.mark.parametrize("volatile", [False, True])
def test_whiteouts_and_opaque_directories(layered, inside, user_namespace, volatile) -> None:
    mounts = layered.prepare("box", TOP, volatile=volatile)
    shown = inside(
        command(mounts, "m") + "cd m; find . -mindepth 1 | sort", user_namespace=user_namespace
    )
    assert shown.split() == ["./a", "./a/new", "./b", "./b/new", "./b/old", "./kept"]


@BOTH
def test_a_volatile_snapshot_can_be_mounted_again(layered, inside, user_namespace) -> None:
    for mounts in (layered.prepare("box", TOP, volatile=True), None):
        again = mounts or layered.mounts("box", volatile=True)
        inside(command(again, "m") + "ls m; umount m", user_namespace=user_namespace)


@BOTH
def test_views(layered, inside, user_namespace) -> None:
    layered.prepare("box", TOP)
    for mounts in (layered.view(TOP), layered.mounts("box", read_only=True)):
        shown = inside(command(mounts, "m") + "ls m m/a; umount m", user_namespace=user_namespace)
        assert "new" in shown
        assert "gone" not in shown


@BOTH
def test_what_a_container_changes_becomes_a_layer(
    layered, inside, user_namespace, tmp_path: Path
) -> None:
    """Removing and making a directory again needs an opaque mark that overlay can write."""
    mounts = layered.prepare("box", TOP)
    script = "cd m; rm kept; rm -r b; mkdir b; echo x > b/fresh; chmod 700 a; ln b/fresh linked"
    inside(command(mounts, "m") + script, user_namespace=user_namespace)
    out = io.BytesIO()
    packed = write_layer(layered.upper("box"), out, compression="none")
    name = digest_of(f"{TOP} {packed.diff_id}".encode())
    out.seek(0)
    with layered.stage(name, TOP) as stage:
        apply_layer(out, stage.path, parents=layered.layers(TOP), expected=packed.diff_id)
        stage.commit()
    # Committed in place or through the tar: the same tree.
    assert write_layer(layered.layers(name)[0], io.BytesIO()).diff_id == packed.diff_id
    shown = inside(
        command(layered.view(name), "m") + "cd m; find . -mindepth 1 | sort", user_namespace=True
    )
    assert shown.split() == ["./a", "./a/new", "./b", "./b/fresh", "./linked"]
    on_host = inside(
        command(layered.view(name), "m") + "cd m; find . -mindepth 1 | sort", user_namespace=False
    )
    assert on_host == shown


def test_trees_with_mounts_are_left_alone(tmp_path: Path, inside) -> None:
    """A bind mount of the same file system has the same device number, and must not be entered."""
    tree, precious = tmp_path / "tree", tmp_path / "precious"
    (tree / "in" / "side").mkdir(parents=True)
    precious.mkdir()
    (precious / "file").write_text("x")
    os.system(f"mount --bind {precious} {tree / 'in' / 'side'}")  # noqa: S605
    try:
        with pytest.raises(ConflictError, match="mounted on 'side'"):
            delete_tree(tree)
    finally:
        os.system(f"umount {tree / 'in' / 'side'}")  # noqa: S605
    assert (precious / "file").exists()
    delete_tree(tree)
