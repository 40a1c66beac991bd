import pytest

from boxship.errors import InvalidArgumentError
from boxship.runtime.plan import Namespaces
from boxship.runtime.settings import plan_sysctls

ALL = Namespaces([{"type": kind} for kind in ("network", "ipc", "uts", "mount")])
NONE = Namespaces([{"type": "mount"}])


def test_sysctls_of_the_containers_own_namespaces():
    steps = plan_sysctls({"net.ipv4.ip_forward": "1", "kernel.shmmax": "5"}, ALL)
    assert [step.describe() for step in steps] == [
        "set sysctl net.ipv4.ip_forward=1",
        "set sysctl kernel.shmmax=5",
    ]


@pytest.mark.parametrize(
    "name",
    ["kernel.panic", "vm.swappiness", "net/../kernel/panic", "../net.x", "net.ipv4/../../kernel"],
)
def test_the_hosts_sysctls_are_refused(name):
    with pytest.raises(InvalidArgumentError) as failure:
        plan_sysctls({name: "1"}, ALL)
    assert str(failure.value) == f'sysctl "{name}" is not in a separate kernel namespace'


@pytest.mark.parametrize("name", ["net.ipv4.ip_forward", "kernel.sem", "fs.mqueue.msg_max"])
def test_shared_namespaces_keep_the_hosts_values(name):
    with pytest.raises(InvalidArgumentError, match="separate kernel namespace"):
        plan_sysctls({name: "1"}, NONE)
