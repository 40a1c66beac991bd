"""What an ordinary user asks for in vain: one line that says why and what to do."""

from pathlib import Path

import pytest

from tests.system.rootless.conftest import GID, PYTHON, UID, share_library

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.slow]


def _refused(box, *words: str) -> None:
    done = box.run()
    assert done.code == 1
    for word in words:
        assert word in done.err
    assert len(done.err.splitlines()) == 1, done.err
    # Nothing is left of it.
    assert box.user.runtime("state", box.id).code == 1
    left = {path.name for path in (box.user.state / "boxship-runtime").iterdir()}
    assert left <= {".seccomp"}


def test_no_user_namespace(box):
    box.linux["namespaces"] = [e for e in box.linux["namespaces"] if e["type"] != "user"]
    _refused(box, "needs a user namespace", "spec --rootless")


def test_limits_without_a_group(box):
    box.linux["resources"] = {"memory": {"limit": 64 << 20}}
    _refused(box, "linux.resources.memory", "control group")


def test_empty_limits_and_device_rules_are_none(box):
    box.linux["resources"] = {"memory": {}, "devices": [{"allow": False, "access": "rwm"}]}
    assert box.run().code == 0


def test_ids_of_others(box):
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
    _refused(box, "cannot map user ids 0+1", "/etc/subuid")


def test_groups_that_are_not_mapped(box):
    box.process["user"]["additionalGids"] = [5]
    _refused(box, "additionalGids", "/etc/subgid")


def test_an_owner_that_is_not_mapped(box):
    for mount in box.spec["mounts"]:
        if mount["destination"] == "/dev/pts":
            mount["options"].append("gid=5")
    _refused(box, "/dev/pts", "gid=5", "not mapped")


def test_a_namespace_to_join(box):
    box.linux["namespaces"].append({"type": "network", "path": "/proc/1/ns/net"})
    _refused(box, "network namespace needs root")


def test_a_state_directory_of_somebody_else(box):
    place = box.user.state / "boxship-runtime"
    place.mkdir(mode=0o777)
    done = box.run()
    assert done.code == 1
    assert "only user" in done.err
    assert "--root" in done.err


def test_without_a_session_the_state_is_in_tmp(user):
    if user.run("test", "-w", "/tmp").code:  # noqa: S108 - the place of others' files is meant
        pytest.skip("needs a /tmp that everybody can write to")
    listed = user.runtime("list", environment={"XDG_RUNTIME_DIR": "/nonexistent"})
    place = Path(f"/tmp/boxship-runtime-{UID}")  # noqa: S108 - as above
    try:
        assert listed.code == 0, listed.err
        found = place.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (UID, GID, 0o700)
    finally:
        place.rmdir()


def test_the_daemon_is_roots(place, user):
    if not share_library(place):
        pytest.skip("the plain interpreter is of another version")
    program = f"import sys; sys.path.insert(0, {str(place / 'src')!r})\n"
    program += "from boxship.cli.autostart import start_daemon\n"
    program += "start_daemon('unix:///nonexistent')\n"
    done = user.run(PYTHON, "-I", "-c", program, environment={"HOME": str(user.home)})
    assert done.code == 1
    assert "only root can start one" in done.err
    assert list(user.home.iterdir()) == []
