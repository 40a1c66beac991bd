"""Images from their making to their removal, and over restarts."""

import json
import subprocess
from typing import Any

import pytest

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.image import ImageUser, PruneRequest, Removed
from boxship.model.image import ImageConfig
from boxship.storage.gc import Roots

pytestmark = pytest.mark.root
FILES = {"etc/motd": b"hello\n"}
RUNNING = (ImageUser("c" * 64, True),)
STOPPED = (ImageUser("d" * 64, False),)


def test_names_survive_a_restart(one: Any) -> None:
    made = one.image("app:1", FILES)
    one.images.tag("app:1", "example.com/team/app:2")
    one.restart()
    found = one.images.resolve("example.com/team/app:2")
    assert found.id == made.id
    assert found.tags == ("app:1", "example.com/team/app:2")
    assert found.size == made.size > 0
    assert found.last_tagged > 0


def test_resolve(one: Any) -> None:
    made = one.image("app:1", FILES)
    hexadecimal = made.id.removeprefix("sha256:")
    for name in ("app:1", "docker.io/library/app:1", made.id, hexadecimal, hexadecimal[:5]):
        assert one.images.resolve(name).id == made.id
    assert one.images.resolve(f"sha256:{hexadecimal[:9]}").id == made.id
    for name, shown in (("app", "app:latest"), ("f00", "f00:latest"), ("x/y:z", "x/y:z")):
        with pytest.raises(NotFoundError) as caught:
            one.images.resolve(name)
        assert str(caught.value) == f"No such image: {shown}"
    with pytest.raises(InvalidArgumentError, match="invalid reference format"):
        one.images.resolve("Bad Name")


def test_ambiguous_prefix(one: Any) -> None:
    firsts: dict[str, int] = {}
    for number in range(17):
        digit = one.image(f"app:{number}", {"n": b"%d" % number}).id[7]
        firsts[digit] = firsts.get(digit, 0) + 1
    digit = max(firsts, key=lambda one: firsts[one])
    with pytest.raises(InvalidArgumentError, match="multiple IDs found with provided prefix"):
        one.images.resolve(digit)


def test_tag_moves(one: Any) -> None:
    first = one.image("app:1", FILES)
    second = one.image("app:2", {"x": b""})
    one.images.tag("app:2", "app:1")
    assert one.images.resolve("app:1").id == second.id
    assert one.images.resolve(first.id).tags == ()
    with pytest.raises(InvalidArgumentError, match="refusing to create a tag with a digest"):
        one.images.tag("app:2", f"app@{first.id}")


def test_remove_by_name_untags_until_the_last(one: Any) -> None:
    made = one.image("app:1", FILES)
    one.images.tag("app:1", "app:2")
    assert one.remove("app:1") == (Removed(untagged="app:1"),)
    chain = one.run(one.images.ensure_unpacked(made))
    assert one.remove("app:2") == (
        Removed(untagged="app:2"),
        Removed(deleted=made.id),
        Removed(deleted=chain),
    )
    assert one.leftovers() == ([], [])
    assert [action for action, _ in one.events[-3:]] == ["untag", "untag", "delete"]


def test_remove_by_id(one: Any) -> None:
    made = one.image("app:1", FILES)
    one.images.tag("app:1", "other:1")
    short = made.id[7:19]
    with pytest.raises(ConflictError) as caught:
        one.remove(short)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple"
        " repositories"
    )
    removed = one.remove(short, force=True)
    assert [one.untagged for one in removed if one.untagged] == ["app:1", "other:1"]
    assert one.images.list() == ()


def test_images_in_use(one: Any) -> None:
    made = one.image("app:1", FILES)
    short = made.id[7:19]
    with pytest.raises(ConflictError) as caught:
        one.remove(made.id, in_use=lambda _: RUNNING, force=True)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running"
        " container cccccccccccc"
    )
    with pytest.raises(ConflictError) as caught:
        one.remove(made.id, in_use=lambda _: STOPPED)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is being used by stopped"
        " container dddddddddddd"
    )
    with pytest.raises(ConflictError) as caught:
        one.remove("app:1", in_use=lambda _: STOPPED)
    assert str(caught.value) == (
        'conflict: unable to remove repository reference "app:1" (must force) - container'
        f" dddddddddddd is using its referenced image {short}"
    )
    assert one.remove("app:1", in_use=lambda _: STOPPED, force=True) == (Removed(untagged="app:1"),)
    assert one.images.resolve(made.id).tags == ()


def test_layers_of_containers_and_builds_stay(one: Any) -> None:
    made = one.image("app:1", FILES)
    chain = one.run(one.images.ensure_unpacked(made))
    one.snapshots.prepare("container", chain)
    one.remove("app:1", force=True)
    assert one.snapshots.exists(chain)
    assert one.leftovers()[0] == []
    one.snapshots.remove("container")
    one.images.hold(lambda: Roots(frozenset(), frozenset({chain})))
    one.run(one.images.collect())
    assert one.snapshots.exists(chain)


def test_shared_layers_stay(one: Any) -> None:
    base = one.image("app:1", FILES)
    config = ImageConfig(
        base.config.architecture, "linux", base.config.rootfs, author="somebody else"
    )
    other = one.images.add(config, base.manifest.layers, sizes=(base.size,))
    assert other.size == base.size
    usage = one.images.usage()
    assert usage.layers_size == base.size
    assert [row.unique for row in usage.images] == [0, 0]
    removed = one.remove("app:1")
    assert removed == (Removed(untagged="app:1"), Removed(deleted=base.id))
    one.run(one.images.ensure_unpacked(other))
    with pytest.raises(InvalidArgumentError, match="an image of 0 layers needs as many diff ids"):
        one.images.add(config, ())


def test_prune(one: Any) -> None:
    one.image("keep:1", FILES)
    one.image("gone:1", {"a": b"1"}, labels={"old": "yes"})
    one.image("gone:1", {"b": b"2"}, labels={"old": "no"})
    used = one.images.list()

    def prune(request: PruneRequest, users: Any = ()) -> list[str]:
        removed, _ = one.run(one.images.prune(request, lambda _: users))
        return [str(entry.deleted) for entry in removed if entry.deleted]

    assert prune(PruneRequest(labels={"old": "no"})) == []
    assert prune(PruneRequest(until=1)) == []
    assert len(prune(PruneRequest())) == 2
    assert prune(PruneRequest(all=True), RUNNING) == []
    assert len(prune(PruneRequest(all=True))) == 4
    assert len(used) == 3
    assert one.leftovers() == ([], [])


def test_lost_snapshots_are_made_again(one: Any) -> None:
    made = one.image("app:1", FILES)
    chain = one.run(one.images.ensure_unpacked(made))
    assert one.snapshots.discard(chain)
    assert one.run(one.images.ensure_unpacked(made)) == chain
    assert one.snapshots.exists(chain)


def test_image_whose_blobs_are_gone_is_left_out(one: Any, capsys: Any) -> None:
    made = one.image("app:1", FILES)
    one.content.delete(made.id)
    one.restart()
    assert one.images.list() == ()
    assert f"image {made.id} is left out" in capsys.readouterr().err


def test_bootstrap_busybox(one: Any, two: Any) -> None:
    images = [host.run(host.images.bootstrap("busybox")) for host in (one, two)]
    assert images[0].id == images[1].id
    assert images[0].tags == ("busybox:latest",)
    assert images[0].config.config.cmd == ("sh",)
    tree = one.snapshots.layers(one.run(one.images.ensure_unpacked(images[0])))[0]
    assert (tree / "bin/sh").stat().st_ino == (tree / "bin/busybox").stat().st_ino
    assert (tree / "tmp").stat().st_mode & 0o7777 == 0o1777
    told = subprocess.run(
        ["chroot", str(tree), "/bin/sh", "-c", "id -un; env | grep -c PATH; test -x /usr/bin/env"],
        capture_output=True,
        check=True,
    )
    assert told.stdout.split()[0] == b"root"


def test_bootstrap_of_something_unknown(one: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no base image 'fedora' can be made here"):
        one.run(one.images.bootstrap("fedora"))


@pytest.mark.slow
def test_bootstrap_debian(one: Any) -> None:
    image = one.run(one.images.bootstrap("debian:bookworm", one.progress.append))
    assert image.tags == ("debian:bookworm",)
    tree = one.snapshots.layers(one.run(one.images.ensure_unpacked(image)))[0]
    assert "VERSION_CODENAME=bookworm" in (tree / "etc/os-release").read_text()
    assert list((tree / "var/lib/apt/lists").glob("*_Packages*")) == []
    assert "bookworm" in (tree / "etc/apt/sources.list").read_text()
    assert json.loads(one.content.read(image.id))["config"]["Cmd"] == ["bash"]
