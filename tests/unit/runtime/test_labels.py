"""AppArmor and SELinux, against a kernel that pretends to have them: few test machines do."""

import errno
import subprocess
import sys

import pytest

from boxship.errors import UnsupportedError
from boxship.kernel.probe import Features
from boxship.runtime.filesystem.mounting import MakeStage, MountFilesystem
from boxship.runtime.filesystem.options import parse
from boxship.runtime.labels import label_mounts, plan_labels
from boxship.runtime.plan import make_plan
from boxship.runtime.spawn import SpawnRequest, Stdio
from boxship.runtime.steps import Context
from tests.fakes.kernel import FEATURES, RecordingKernel

SECURED = Features(
    (6, 12), frozenset(("user", "cgroup", "time")), frozenset(("apparmor", "selinux"))
)
LABELS = {"apparmorProfile": "acme", "selinuxLabel": "u:r:t:s0"}


def carry_out(steps, kernel):
    context = Context(kernel, {})
    for step in steps:
        step.execute(context)


def test_the_program_is_confined_when_it_is_executed():
    kernel = RecordingKernel()
    carry_out(plan_labels(LABELS, SECURED), kernel)
    assert kernel.calls == [
        "write_text('/proc/self/attr/apparmor/exec', 'exec acme')",
        "write_text('/proc/self/attr/exec', 'u:r:t:s0')",
    ]


def test_a_kernel_without_a_directory_for_each_module():
    kernel = RecordingKernel()
    kernel.failures["write_text"] = errno.ENOENT
    with pytest.raises(
        UnsupportedError, match=r"cannot honour process.apparmorProfile: write_text"
    ):
        carry_out(plan_labels({"apparmorProfile": "acme"}, SECURED), kernel)
    assert kernel.calls[-1] == "write_text('/proc/self/attr/exec', 'exec acme')"


def test_an_unknown_profile_is_an_error_at_once():
    kernel = RecordingKernel()
    kernel.failures["write_text"] = errno.EACCES
    with pytest.raises(UnsupportedError, match=r"process.apparmorProfile"):
        carry_out(plan_labels({"apparmorProfile": "acme"}, SECURED), kernel)
    assert len(kernel.calls) == 1


@pytest.mark.parametrize("field", LABELS)
def test_a_host_without_is_named(field):
    with pytest.raises(UnsupportedError, match=f"process.{field}: .* is not active on this host"):
        plan_labels({field: LABELS[field]}, FEATURES)


def test_new_file_systems_show_the_label():
    steps = [
        MakeStage(),
        MountFilesystem("tmpfs", "tmpfs", "/dev", parse(["nosuid"])),
        MountFilesystem("proc", "proc", "/proc", parse([])),
    ]
    label_mounts("u:object_r:t:s0", steps, SECURED)
    assert steps[1].options.data == [("context", "u:object_r:t:s0")]
    assert steps[2].options.data == []
    with pytest.raises(UnsupportedError, match=r"linux.mountLabel: SELinux is not active"):
        label_mounts("x", steps, FEATURES)


def test_a_label_with_categories_is_quoted_for_mount():
    # mount(2) is taken: no other call has a word for iversion.
    step = MountFilesystem("tmpfs", "tmpfs", "/dev", parse(["iversion"]))
    label_mounts("u:object_r:t:s0:c1,c2", [step], SECURED)
    kernel = RecordingKernel()
    carry_out([MakeStage(), step], kernel)
    mounted = next(call for call in kernel.calls if call.startswith("mount("))
    assert 'context="u:object_r:t:s0:c1,c2"' in mounted


def test_the_way_of_a_long_label_is_there_before_the_child_is():
    script = (
        "import sys; from boxship.kernel.probe import Features as F;"
        "from boxship.runtime.labels import label_mounts;"
        "from boxship.runtime.filesystem.mounting import MountFilesystem;"
        "from boxship.runtime.filesystem.options import parse;"
        "step = MountFilesystem('tmpfs', 'tmpfs', '/dev', parse([]));"
        "label_mounts('x' * 256, [step], F((6, 12), frozenset(), frozenset(['selinux'])));"
        "print('boxship.runtime.filesystem.classic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"True\n"


def test_it_is_said_after_the_hooks_and_while_the_hosts_proc_is_seen():
    spec = {
        "process": {"args": ["true"], **LABELS},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/run", "type": "tmpfs"}],
        "linux": {"namespaces": [{"type": "mount"}], "mountLabel": "x"},
    }
    request = SpawnRequest(id="x", bundle="/bundle", spec=spec, stdio=Stdio(0, 1, 2))
    plan = make_plan(request, SECURED)
    said = [step.describe() for step in plan.enter]
    assert said.index("confine the program: exec acme to apparmor/exec or exec") < said.index(
        "pivot into the root"
    )
    assert not any("confine" in step.describe() for step in plan.build)
