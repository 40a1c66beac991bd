"""A version 2 group that belongs to the container's user: who gets it, and what can be done there.

OCI runtime specification, config-linux, "Cgroup ownership".
"""

from pathlib import Path

import pytest

from boxship.runtime.cgroups import detect

pytestmark = [
    pytest.mark.root,
    pytest.mark.cgroup2,
    pytest.mark.skipif(
        detect().version != 2 or "pids" not in detect().controllers,
        reason="needs a v2 hierarchy that owns the controllers: see docs/cgroups.md",
    ),
]
_OWNER = 300_000


def _writable(box):
    """Give a box a user namespace, a cgroup namespace and its group to write to."""
    box.user_namespace(_OWNER)
    box.namespace("cgroup")
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
    mounts = [m for m in box.spec["mounts"] if m["destination"] != "/sys/fs/cgroup"]
    box.spec["mounts"] = [*mounts, {**mount, "options": ["nosuid", "noexec", "nodev"]}]
    return box


def _directory(box) -> Path:
    return Path(detect().unified + box.spec["linux"]["cgroupsPath"])


def _owners(box) -> dict[str, int]:
    directory = _directory(box)
    names = ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "pids.max"]
    return {name: (directory / name).stat().st_uid for name in names}


def test_the_group_belongs_to_the_containers_user(box):
    _writable(box).shell("exec sleep 100").start()
    owners = _owners(box)
    assert owners.pop("pids.max") == 0
    assert set(owners.values()) == {_OWNER}


def test_controllers_go_to_groups_below_and_exec_still_works(box):
    _writable(box)
    box.spec["linux"]["resources"]["pids"] = {"limit": 100}
    script = (
        "cd /sys/fs/cgroup && mkdir main && echo 1 > main/cgroup.procs && "
        "echo +pids > cgroup.subtree_control && echo 7 > main/pids.max && "
        "{ echo 1 > pids.max; } 2>/dev/null || echo kept > /home/seen; exec sleep 100"
    )
    box.spec["mounts"].append({"destination": "/home", "type": "tmpfs", "source": "tmpfs"})
    box.shell(script).start()
    wait = "until test -e /home/seen; do sleep 0.05; done; cat /home/seen /proc/self/cgroup"
    result = box.command("exec", box.id, "sh", "-c", wait)
    assert result.out.split("\n")[:2] == ["kept", "0::/main"], result
    assert (_directory(box) / "main/pids.max").read_text().strip() == "7"
    assert box.command("delete", "--force", box.id).code == 0
    assert not _directory(box).exists()


def test_an_unknown_option_of_the_mount_is_the_kernels_to_refuse(box):
    _writable(box).spec["mounts"][-1]["options"].append("boxship_option")
    result = box.run()
    assert (result.code, "boxship_option" in result.err) == (1, True), result.err
