"""The host goes down with layers that were not on the disk: they are unpacked again."""

from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]


def test_layers_are_unpacked_again(host: Any) -> None:
    one = host.run("sleep", "1000", name="one", host={"RestartPolicy": {"Name": "always"}})
    host.execute(one, "sh", "-c", "echo kept > /written")
    host.create("true", name="idle")
    layers = host.census.take()["layer"]
    host.cut_power()
    for layer in host.data.glob("snapshots/l/*"):
        (layer / "unsettled").write_text("another boot")
        # What the cut cost.
        (layer / "fs" / "bin" / "busybox").write_bytes(b"")
    host.start()
    host.until_status(one, "running")
    assert host.execute(one, "cat", "/written") == "kept\n"
    host.post("/containers/idle/start")
    assert host.until_status("idle", "exited")["ExitCode"] == 0
    host.remove(host.run("true"))
    assert host.leaks(layer=layers) == []


def test_layers_that_cannot_be_had_again(host: Any, refused: Any) -> None:
    """Without its image's blobs a container says what it lacks."""
    host.create("true", name="idle")
    host.cut_power()
    for layer in host.data.glob("snapshots/l/*"):
        (layer / "unsettled").write_text("another boot")
    for blob in host.data.glob("content/blobs/sha256/*"):
        blob.unlink()
    host.start()
    with pytest.raises(refused, match=r"layer sha256:.* does not exist"):
        host.post("/containers/idle/start")
    assert host.state("idle")["Status"] == "created"
    host.remove("idle")
    assert host.leaks() == []
