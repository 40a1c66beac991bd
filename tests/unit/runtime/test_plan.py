import copy

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel.probe import Features
from boxship.runtime.cgroups import CgroupMount
from boxship.runtime.plan import make_plan
from boxship.runtime.spawn import RootMount, SpawnRequest, Stdio
from tests.fakes.kernel import FEATURES

SPEC = {
    "ociVersion": "1.2.0",
    "process": {
        "args": ["sh", "-c", "true"],
        "env": ["PATH=/bin", "A=b=c"],
        "cwd": "/srv",
        "user": {"uid": 0, "gid": 0},
        "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 18446744073709551615}],
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "mode=755"],
        },
        {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro"]},
    ],
    "linux": {
        "namespaces": [
            {"type": kind} for kind in ("mount", "pid", "uts", "ipc", "network", "cgroup")
        ],
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    },
}
CGROUPS = (CgroupMount("cgroup", "memory", "memory", "/sys/fs/cgroup/memory/x"),)


BECOME = (
    "become the user with capabilities bounding=0x20 effective=0x20 permitted=0x0"
    " inheritable=0x0 ambient=0x0"
)


def plan(spec, *, terminal=False, rootfs=(), features=FEATURES, cgroups=CGROUPS):
    request = SpawnRequest(
        id="x", bundle="/bundle", spec=spec, stdio=Stdio(0, 1, 2, terminal=terminal), rootfs=rootfs
    )
    return make_plan(request, features, cgroups)


def changed(**linux):
    spec = copy.deepcopy(SPEC)
    spec["linux"].update(linux)
    return spec


def test_the_whole_plan_in_order():
    lines = plan(SPEC).describe()
    devices = [line for line in lines if line.startswith("make device")]
    assert [line for line in lines if line not in devices] == [
        "clone with new namespaces mount pid uts ipc network cgroup",
        "0: clone tree /bundle/rootfs (recursive)",
        "1: clone tree /srv/data (recursive, 0x1)",
        "unshare the cgroup namespace",
        "set propagation of / to 0x84000",
        "mount a tmpfs as stage",
        "attach tree 0 as root",
        "set lo up",
        "set hostname box",
        "mount proc at /proc (0x0 )",
        "mount tmpfs at /dev (0x2 mode=755)",
        "attach tree 1 (/srv/data) at /data",
        "mount cgroups memory at /sys/fs/cgroup (0x1)",
        "link /dev/fd, stdin, stdout, stderr, ptmx",
        "make /proc/sys read-only",
        "mask /proc/kcore",
        "make directory /srv",
        "pivot into the root",
        "find user 0:0 with groups []",
        "give stdio to the user",
        "change to /srv",
        BECOME,
        "limit RLIMIT_NOFILE=10:-1",
        "set umask 0022",
        "find program sh",
        "execute ['sh', '-c', 'true']",
    ]
    assert devices[0] == "make device /dev/null 20666 1:3 0:0"
    assert len(devices) == 6


def user_namespace(**more):
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    namespaces = [*SPEC["linux"]["namespaces"], {"type": "user"}]
    return changed(namespaces=namespaces, uidMappings=ids, gidMappings=ids, **more)


def test_a_user_namespace_binds_devices_and_needs_no_isolation():
    lines = plan(user_namespace()).describe()
    assert "map users ((0, 100000, 65536),) groups ((0, 100000, 65536),)" in lines
    assert "bind device /dev/null" in lines
    assert not any(line.startswith(("make device", "set propagation")) for line in lines)


def layers(tmp_path):
    for name in ("1/fs", "2/fs", "3/fs", "3/work"):
        (tmp_path / name).mkdir(parents=True)
    options = (
        f"lowerdir={tmp_path}/2/fs:{tmp_path}/1/fs",
        f"upperdir={tmp_path}/3/fs",
        f"workdir={tmp_path}/3/work",
        "userxattr",
    )
    return (RootMount("overlay", "overlay", options),)


def test_an_overlay_is_made_of_one_mapped_copy(tmp_path):
    lines = plan(user_namespace(), rootfs=layers(tmp_path)).describe()
    assert f"0: clone tree {tmp_path} (id-mapped)" in lines
    options = "lowerdir=l/2/fs:l/1/fs,upperdir=l/3/fs,workdir=l/3/work,userxattr"
    assert f"mount overlay of trees l as root: {options}" in lines


def test_layers_on_several_file_systems_are_copied_one_by_one(tmp_path):
    (tmp_path / "up").mkdir()
    (tmp_path / "work").mkdir()
    options = (
        "lowerdir=/proc/sys:/etc",
        f"upperdir={tmp_path}/up",
        f"workdir={tmp_path}/work",
    )
    lines = plan(SPEC, rootfs=(RootMount("overlay", "overlay", options),)).describe()
    assert (
        "mount overlay of trees l0 l1 u as root: lowerdir=l0:l1,upperdir=u/up,workdir=u/work"
        in (lines)
    )


def test_an_old_kernel_cannot_map_an_overlay(tmp_path):
    old = Features((5, 10), frozenset(("user", "cgroup")))
    with pytest.raises(UnsupportedError, match="--userns=host"):
        plan(user_namespace(), rootfs=layers(tmp_path), features=old)


def test_a_dev_from_the_host_is_left_alone():
    spec = copy.deepcopy(SPEC)
    spec["mounts"].append({"destination": "/dev/", "source": "/dev", "options": ["bind"]})
    lines = plan(spec, terminal=True).describe()
    assert not any("device" in line or "link /dev" in line for line in lines)
    assert "make a terminal of 0x0" in lines


def test_a_terminal_has_the_size_of_the_spec():
    spec = copy.deepcopy(SPEC)
    spec["process"].update(terminal=True, consoleSize={"height": 24, "width": 80})
    lines = plan(spec, terminal=True).describe()
    assert "make a terminal of 24x80 as /dev/console" in lines
    assert "use the terminal for stdio" in lines


def test_the_filter_is_loaded_last_when_privileges_are_frozen():
    spec = changed(seccomp={"defaultAction": "SCMP_ACT_ALLOW"})
    assert plan(spec).process.steps[3].describe() == "load the seccomp filter"
    spec["process"]["noNewPrivileges"] = True
    words = [step.describe() for step in plan(spec).process.steps]
    assert words[-3:] == ["set no_new_privs", "find program sh", "load the seccomp filter"]


def test_joined_namespaces_are_entered_by_the_parent():
    namespaces = [{"type": "mount"}, {"type": "network", "path": "/run/n"}, {"type": "pid"}]
    made = plan(changed(namespaces=[*namespaces, {"type": "uts"}]))
    assert made.namespaces.joined_by_parent() == [("network", "/run/n")]
    assert "join network namespace /run/n" in made.describe()
    assert "set lo up" not in made.describe()


def test_a_new_pid_namespace_below_a_joined_user_namespace_needs_two_clones():
    namespaces = [{"type": "mount"}, {"type": "pid"}, {"type": "user", "path": "/proc/1/ns/user"}]
    spec = changed(namespaces=namespaces)
    del spec["hostname"]
    assert plan(spec).needs_two_clones


def test_a_joined_mount_namespace_is_entered_where_others_are_cut_off():
    namespaces = [{"type": "mount", "path": "/run/mounts"}, {"type": "uts"}]
    lines = plan(changed(namespaces=namespaces)).describe()
    assert lines[:2] == ["join mount namespace /run/mounts", "clone with new namespaces uts"]
    place = lines.index("enter mount namespace /run/mounts at /bundle/rootfs")
    assert lines[place + 1] == "mount a tmpfs as stage"
    assert "pivot into the root, for all of the namespace" in lines
    assert not any(line.startswith("set propagation") for line in lines)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s["process"].pop("args"), "nothing to run"),
        (lambda s: s["process"].update(cwd="srv"), "not an absolute path"),
        (lambda s: s.pop("root"), "no root.path"),
        (lambda s: s["linux"].update(namespaces=[]), "needs a new mount namespace"),
        (lambda s: s["linux"]["namespaces"].append({"type": "mount"}), "repeated namespace"),
        (lambda s: s["linux"]["namespaces"].append({"type": "blue"}), "namespace type 'blue'"),
        (lambda s: s.update(linux=user_namespace()["linux"] | {"gidMappings": []}), "not both"),
        (lambda s: s["mounts"].append({"type": "tmpfs"}), "no destination"),
        (lambda s: s["linux"].update(devices=[{"path": "/dev/x", "type": "z"}]), "/dev/x"),
        (lambda s: s["linux"].update(rootfsPropagation="odd"), "rootfsPropagation"),
        (
            lambda s: s["linux"].update(
                namespaces=[{"type": "mount"}, {"type": "pid"}, {"type": "network"}]
            ),
            "no uts namespace",
        ),
    ],
)
def test_specs_that_make_no_sense(change, text):
    spec = copy.deepcopy(SPEC)
    change(spec)
    with pytest.raises(InvalidArgumentError, match=text):
        plan(spec)


def test_an_equals_sign_in_a_value_stays():
    assert plan(SPEC).process.environment == {"PATH": "/bin", "A": "b=c"}


def test_options_of_control_groups_are_for_a_new_mount_of_version_2():
    spec = copy.deepcopy(SPEC)
    spec["mounts"][-1]["options"].append("nsdelegate")
    unified = (CgroupMount("cgroup2", "", "", "/sys/fs/cgroup/x"),)
    step = next(step for step in plan(spec, cgroups=unified).build if hasattr(step, "data"))
    assert step.data == [("nsdelegate", None)]
    with pytest.raises(UnsupportedError, match="with option 'nsdelegate'"):
        plan(spec)
    spec["linux"]["namespaces"].pop()
    with pytest.raises(UnsupportedError, match="with option 'nsdelegate'"):
        plan(spec, cgroups=unified)
