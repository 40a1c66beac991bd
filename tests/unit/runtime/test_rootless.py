"""Decisions about containers of ordinary users."""

import errno
import os

import pytest

from boxship.errors import (
    ExhaustedError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    UnsupportedError,
)
from boxship.kernel import KernelError
from boxship.runtime import rootless
from boxship.runtime.cgroups.absent import AbsentCgroup
from boxship.runtime.cgroups.own import can_make, common_group, own_paths
from boxship.runtime.cgroups.values import Hierarchies
from boxship.runtime.oci.rootless_spec import make_rootless
from boxship.runtime.plan import Namespaces

USER = {"type": "user"}


def test_a_container_of_an_ordinary_user_needs_a_user_namespace():
    with pytest.raises(InvalidArgumentError, match="needs a user namespace"):
        rootless.check(Namespaces([{"type": "mount"}]), {})


def test_namespaces_of_others_are_not_joined():
    spaces = Namespaces([USER, {"type": "ipc", "path": "/proc/1/ns/ipc"}])
    with pytest.raises(UnsupportedError, match="ipc namespace needs root"):
        rootless.check(spaces, {})


@pytest.mark.parametrize(("size", "refused"), [(1, True), (65536, False)])
def test_groups_need_a_range(size, refused):
    linux = {"gidMappings": [{"containerID": 0, "hostID": 1, "size": size}]}
    spec = {"process": {"user": {"gid": 0, "additionalGids": [0, 7]}}, "linux": linux}
    if refused:
        with pytest.raises(UnsupportedError, match="additionalGids"):
            rootless.check(Namespaces([USER]), spec)
    else:
        rootless.check(Namespaces([USER]), spec)


def test_owners_of_mounts_must_be_mapped():
    mounts = [{"destination": "/dev/pts", "options": ["mode=620", "gid=5"]}]
    rootless.check_owners(mounts, ((0, 1000, 1),), ((0, 1000, 6),))
    with pytest.raises(InvalidArgumentError, match="gid=5 is not mapped"):
        rootless.check_owners(mounts, ((0, 1000, 6),), ((0, 1000, 1),))


@pytest.mark.parametrize(
    ("number", "group", "kind"),
    [
        (errno.EPERM, "", ForbiddenError),
        (errno.ENOSPC, "", ExhaustedError),
        (errno.EACCES, "/user/x", ForbiddenError),
        (errno.ENOMEM, "", InternalError),
    ],
)
def test_a_refused_clone_is_explained(number, group, kind):
    error = rootless.explain_clone(KernelError(number, "clone", "0x1"), group)
    assert type(error) is kind
    assert group in str(error)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "9000", ""),
    ],
)
def test_the_setting_that_closes_user_namespaces_is_named(tmp_path, name, value, said):
    file = tmp_path / name
    file.parent.mkdir()
    file.write_text(f"{value}\n")
    assert said in rootless.closed_by(str(tmp_path))
    assert bool(said) == bool(rootless.closed_by(str(tmp_path)))


def test_the_document_maps_the_user_only():
    spec = {
        "process": {"args": ["sh"], "user": {"username": "0"}},
        "mounts": [
            {"type": "sysfs", "destination": "/sys"},
            {"type": "devpts", "destination": "/dev/pts", "options": ["mode=0620", "gid=5"]},
            {"type": "cgroup", "destination": "/sys/fs/cgroup"},
        ],
        "linux": {
            "namespaces": [{"type": "network"}, {"type": "mount"}],
            "resources": {"devices": []},
            "cgroupsPath": "/x",
            "sysctl": {"net.ipv4.ip_forward": "1", "kernel.msgmax": "9"},
        },
    }
    made = make_rootless(spec, 1000, 1001)
    linux = made["linux"]
    assert linux["namespaces"] == [{"type": "mount"}, USER]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert linux["gidMappings"] == [{"containerID": 0, "hostID": 1001, "size": 1}]
    assert linux["sysctl"] == {"kernel.msgmax": "9"}
    assert not {"resources", "cgroupsPath"} & set(linux)
    assert [mount["type"] for mount in made["mounts"]] == ["bind", "devpts"]
    assert made["mounts"][1]["options"] == ["mode=0620"]
    assert spec["linux"]["resources"] == {"devices": []}


@pytest.mark.parametrize(
    ("resources", "refused"),
    [
        ({"memory": {"limit": 1 << 20}}, "memory"),
        ({"unified": {"memory.high": "1"}}, "unified"),
        ({"pids": {"limit": 0}, "memory": {}, "devices": [{"allow": False}]}, ""),
    ],
)
def test_without_a_group_limits_are_refused(resources, refused):
    group = AbsentCgroup(Hierarchies({}, "", ()))
    if refused:
        with pytest.raises(UnsupportedError, match=f"linux.resources.{refused}"):
            group.apply(resources)
    else:
        assert group.apply(resources) == ()


def test_without_a_group_a_reused_pid_is_nobody():
    hierarchies = Hierarchies({}, "", ())
    assert AbsentCgroup(hierarchies, os.getpid(), 1).processes() == []


def test_own_groups_are_read(tmp_path):
    file = tmp_path / "cgroup"
    file.write_text("5:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/user.slice/c:d\n")
    expected = {"cpu": "/a", "cpuacct": "/a", "name=systemd": "/b", "": "/user.slice/c:d"}
    assert own_paths(str(file)) == expected


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [("/a/b/c", "/a/b/d", "/a/b"), ("/a", "/b", "/"), ("/", "/b", "/"), ("/a", "/a/b", "/a")],
)
def test_common_group(one, other, common):
    assert common_group(one, other) == common


def test_a_group_can_be_made_below_what_is_writable(tmp_path):
    assert can_make(f"{tmp_path}/a/b")
    # A directory that is there must be enterable, and this one is no group.
    assert not can_make(str(tmp_path))
