"""Who gets a version 2 group: OCI runtime specification, config-linux, "Cgroup ownership"."""

from typing import Any

import pytest

from boxship.runtime.filesystem.cgroupfs import cgroup_owner


def _spec(uid: int = 0, base: int = 300_000) -> dict[str, Any]:
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
    ids = [
        {"containerID": 0, "hostID": base, "size": 10},
        {"containerID": 10, "hostID": 7, "size": 1},
    ]
    return {
        "process": {"user": {"uid": uid, "gid": 0}},
        "mounts": [{**mount, "options": ["nosuid", "relatime"]}],
        "linux": {"namespaces": [{"type": "cgroup"}], "uidMappings": ids},
    }


@pytest.mark.parametrize(
    ("uid", "owner"), [(0, 300_000), (9, 300_009), (10, 7), (11, None), (65534, None)]
)
def test_the_owner_is_the_hosts_id_of_the_containers_user(uid: int, owner: int | None) -> None:
    assert cgroup_owner(_spec(uid)) == owner


def test_without_a_user_namespace_it_is_the_user_itself() -> None:
    spec = _spec(1000)
    del spec["linux"]["uidMappings"]
    assert cgroup_owner(spec) == 1000
    spec["process"]["user"]["uid"] = 0
    assert cgroup_owner(spec) is None


def test_a_read_only_mount_gives_nothing_away() -> None:
    for word in ("ro", "rro"):
        spec = _spec()
        spec["mounts"][0]["options"].append(word)
        assert cgroup_owner(spec) is None


@pytest.mark.parametrize(
    "change", [{"destination": "/sys/fs"}, {"source": "/sys/fs/cgroup"}], ids=str
)
def test_other_mounts_give_nothing_away(change: dict[str, str]) -> None:
    spec = _spec()
    spec["mounts"][0].update(change)
    assert cgroup_owner(spec) is None
    spec["mounts"] = []
    assert cgroup_owner(spec) is None


@pytest.mark.parametrize("spaces", [[], [{"type": "cgroup", "path": "/proc/1/ns/cgroup"}]])
def test_somebody_elses_namespace_gives_nothing_away(spaces: list[dict[str, str]]) -> None:
    spec = _spec()
    spec["linux"]["namespaces"] = spaces
    assert cgroup_owner(spec) is None
