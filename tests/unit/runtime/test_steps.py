import errno
import stat
import subprocess
import sys

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.kernel import KernelError, abi
from boxship.runtime.cgroups import CgroupMount
from boxship.runtime.credentials import BecomeUser, Identity, LimitResources
from boxship.runtime.filesystem.cgroupfs import MountCgroups
from boxship.runtime.filesystem.devices import LinkDevices
from boxship.runtime.filesystem.mounting import (
    AttachTree,
    EnterRoot,
    MakeReadOnly,
    Mask,
    MountFilesystem,
)
from boxship.runtime.filesystem.options import MountOptions, parse
from boxship.runtime.filesystem.trees import Tree, clone_tree
from boxship.runtime.steps import Context
from tests.fakes.kernel import RecordingKernel


@pytest.fixture
def context():
    made = Context(RecordingKernel(), {})
    made.root, made.stage = 5, 4
    made.trees = (7,)
    return made


def test_what_is_not_there_is_neither_masked_nor_made_read_only(context):
    context.kernel.missing = {"/a"}
    Mask("/a").execute(context)
    MakeReadOnly("/a").execute(context)
    assert set(context.kernel.names()) == {"open_in_root"}


def test_a_file_is_masked_with_the_hosts_null_device(context):
    context.kernel.modes[100] = stat.S_IFREG
    Mask("/proc/kcore").execute(context)
    assert context.kernel.calls[1] == f"open_tree({abi.AT_FDCWD}, '/dev/null', 1)"
    # Read-only: a root without user namespace could change the mode of the host's node.
    assert context.kernel.calls[2] == f"mount_setattr(101, set_={abi.MOUNT_ATTR_RDONLY})"
    assert context.kernel.calls[3] == "move_mount(101, 100)"


def test_a_directory_is_masked_with_an_empty_one(context):
    Mask("/sys/firmware").execute(context)
    assert context.kernel.calls[1] == "open_tree(4, 'empty', 1)"
    assert context.kernel.calls[2] == f"mount_setattr(101, set_={abi.MOUNT_ATTR_RDONLY})"


def test_a_file_is_attached_to_a_file(context):
    context.kernel.modes[7] = stat.S_IFREG
    AttachTree(0, "/etc/hosts", "/etc/hosts").execute(context)
    assert context.kernel.calls[:2] == ["make_file(5, '/etc/hosts')", "move_mount(7, 100)"]


def test_a_tmpfs_over_a_directory_keeps_its_mode(context):
    context.kernel.modes[100] = stat.S_IFDIR | 0o700
    MountFilesystem("tmpfs", "tmpfs", "/run", MountOptions()).execute(context)
    assert "fsconfig(101, 'mode', '700')" in context.kernel.calls


def test_a_mount_that_a_foreign_namespace_forbids_is_copied_from_the_host(context):
    context.kernel.failures["fscreate"] = errno.EPERM
    MountFilesystem("sysfs", "sysfs", "/sys", parse(["ro"])).execute(context)
    flags = abi.OPEN_TREE_CLONE | abi.AT_RECURSIVE
    assert f"open_tree({abi.AT_FDCWD}, '/sys', {flags})" in context.kernel.calls


def test_other_file_systems_are_not(context):
    context.kernel.failures["fscreate"] = errno.EPERM
    with pytest.raises(InvalidArgumentError, match="cannot mount ext4 at /data: fscreate"):
        MountFilesystem("ext4", "/dev/x", "/data", MountOptions()).execute(context)


def test_long_data_goes_through_the_old_call(context):
    lower = "/" + "x" * 300
    options = parse([f"lowerdir={lower}", "noatime", "ro"])
    MountFilesystem("overlay", "overlay", "/o", options).execute(context)
    flags = abi.MS_RDONLY | abi.MS_NOATIME
    mount = f"mount('overlay', 'aside', 'overlay', {flags}, 'lowerdir={lower}')"
    assert mount in context.kernel.calls
    assert context.kernel.calls[-3] == "move_mount(101, 100)"


def test_descriptors_are_closed_when_a_mount_fails(context):
    context.kernel.failures["move_mount"] = errno.EBUSY
    with pytest.raises(KernelError):
        MountFilesystem("proc", "proc", "/proc", MountOptions()).execute(context)
    # The look at the mount point, the mount point, the file system's context, and the tree.
    assert context.kernel.names().count("close") == 4


def test_proc_is_not_mounted_where_a_link_leads(context):
    context.kernel.modes[100] = stat.S_IFLNK
    with pytest.raises(InvalidArgumentError, match="ordinary directory"):
        MountFilesystem("proc", "proc", "/proc", MountOptions()).execute(context)
    assert "move_mount" not in context.kernel.names()


def test_nothing_is_mounted_over_the_root_itself(context):
    context.kernel.identities = {5: (1, 2), 100: (1, 2)}
    with pytest.raises(InvalidArgumentError, match="it is the container's root"):
        AttachTree(0, "/source", "/link").execute(context)
    assert "move_mount" not in context.kernel.names()


def test_nothing_is_mounted_inside_proc_but_what_is_known(context):
    context.kernel.modes[7] = stat.S_IFREG
    context.kernel.identities = {100: (9, 1), 101: (9, 2)}
    context.procs = {9}
    AttachTree(0, "/lxcfs/meminfo", "/proc/meminfo").execute(context)
    with pytest.raises(InvalidArgumentError, match="inside /proc"):
        AttachTree(0, "/source", "/proc/self/attr").execute(context)


def test_the_hosts_processes_do_not_stand_in_for_a_containers(context):
    context.kernel.failures["fscreate"] = errno.EPERM
    with pytest.raises(UnsupportedError, match="own /proc are covered"):
        MountFilesystem("proc", "proc", "/proc", MountOptions(), copyable=False).execute(context)


def test_pivot_detaches_the_old_root(context):
    EnterRoot().execute(context)
    assert context.kernel.calls == [
        "enter_directory(5)",
        "pivot_root('.', '.')",
        f"umount('.', {abi.MNT_DETACH})",
        "change_directory('/')",
    ]


def test_links_that_exist_stay(context):
    context.kernel.failures["make_link"] = errno.EEXIST
    context.kernel.modes[101] = stat.S_IFLNK
    LinkDevices().execute(context)
    assert context.kernel.names().count("make_link") == 5


def test_legacy_cgroups_go_below_a_tmpfs_with_links(context):
    mounts = (CgroupMount("cgroup", "cpu,cpuacct", "cpu,cpuacct", "/h", ("cpu", "cpuacct")),)
    MountCgroups("/sys/fs/cgroup", mounts, 1, namespaced=True).execute(context)
    calls = context.kernel.calls
    assert "fsconfig(103, 'cpu', None)" in calls
    assert "make_link(102, 'cpuacct', 'cpu,cpuacct')" in calls
    assert calls[-3] == "mount_setattr(102, set_=1)"


def test_without_a_cgroup_namespace_the_group_is_bound(context):
    mounts = (CgroupMount("cgroup2", "", "", "/sys/fs/cgroup/x"),)
    MountCgroups("/sys/fs/cgroup", mounts, 0, namespaced=False).execute(context)
    assert f"open_tree({abi.AT_FDCWD}, '/sys/fs/cgroup/x', 1)" in context.kernel.calls


def test_a_user_gets_no_more_than_there_is(context):
    context.identity = Identity(7, 8, [9], "/")
    BecomeUser({"bounding": 1, "effective": 3, "permitted": 3, "ambient": 1}, 2).execute(context)
    assert context.kernel.calls == [
        "drop_bounding(1)",
        "drop_bounding(2)",
        f"prctl({abi.PR_SET_KEEPCAPS}, 1)",
        "set_groups([9])",
        "set_group(8)",
        "set_user(7)",
        f"prctl({abi.PR_SET_KEEPCAPS}, 0)",
        "capset(3, 3, 0)",
        "clear_ambient()",
    ]


def test_limits_stay_within_what_is_allowed(context):
    LimitResources((("RLIMIT_NOFILE", 9000, -1), ("RLIMIT_CORE", 0, 0))).execute(context)
    assert context.kernel.calls == [
        "set_limits(0, 'RLIMIT_NOFILE', 4096, 4096)",
        "set_limits(0, 'RLIMIT_CORE', 0, 0)",
    ]


def test_a_file_system_without_id_mapping_keeps_the_hosts_ids():
    class NoMapping(RecordingKernel):
        def mount_setattr(self, tree, **options):
            if options.get("set_") == abi.MOUNT_ATTR_IDMAP:
                raise KernelError(errno.EINVAL, "mount_setattr")

    tree = Tree("/vol", parse(["idmap", "ro"]))
    assert clone_tree(NoMapping(), tree, 9) == 100


def test_a_copy_is_private_unless_asked_otherwise():
    kernel = RecordingKernel()
    clone_tree(kernel, Tree("/vol", parse(["rbind"])), -1)
    clone_tree(kernel, Tree("/vol", parse(["rbind", "rslave"])), -1)
    changes = [call for call in kernel.calls if call.startswith("mount_setattr")]
    assert changes == [
        f"mount_setattr(100, propagation={abi.MS_PRIVATE}, recursive=True)",
        f"mount_setattr(101, propagation={abi.MS_SLAVE}, recursive=True)",
    ]


@pytest.mark.parametrize(
    ("words", "module"),
    [("tmpcopyup", "copyup"), ("iversion", "classic"), ("a=" + "x" * 256, "classic")],
)
def test_nothing_is_left_to_import_after_the_clone(words, module):
    code = (
        "import sys; from boxship.runtime.filesystem.mounting import MountFilesystem;"
        "from boxship.runtime.filesystem.options import parse;"
        "MountFilesystem('tmpfs', '', '/x', parse(sys.argv[1:]));"
        f"sys.exit('boxship.runtime.filesystem.{module}' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, words], check=False).returncode == 0
