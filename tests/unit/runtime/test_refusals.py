"""What cannot be honoured is refused by name, and an empty field asks for nothing."""

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.plan import make_plan
from boxship.runtime.refusals import check_linux, check_process
from boxship.runtime.spawn import SpawnRequest, Stdio
from tests.fakes.kernel import FEATURES

PROCESS = {
    "apparmorProfile": "acme",
    "selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0",
}
LINUX = {
    "mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0",
    "intelRdt": {"closID": "guaranteed"},
    "netDevices": {"eth0": {}},
}


@pytest.mark.parametrize("name", PROCESS)
def test_process_fields_are_refused_by_name(name):
    with pytest.raises(UnsupportedError, match=f"process.{name}"):
        check_process({name: PROCESS[name]})


@pytest.mark.parametrize("name", LINUX)
def test_linux_fields_are_refused_by_name(name):
    with pytest.raises(UnsupportedError, match=f"linux.{name}"):
        check_linux({name: LINUX[name]})


def test_empty_fields_ask_for_nothing():
    check_process({"apparmorProfile": "", "rlimits": []})
    check_linux({"mountLabel": "", "timeOffsets": {}, "personality": {"domain": "LINUX"}})


def test_a_resource_limited_twice_is_refused():
    limit = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
    with pytest.raises(InvalidArgumentError, match="RLIMIT_CORE more than once"):
        check_process({"rlimits": [limit, limit]})


@pytest.mark.parametrize(
    "spec",
    [
        {"process": {"args": ["true"], "apparmorProfile": "acme"}},
        {"process": {"args": ["true"]}, "linux": {"netDevices": {"eth0": {}}}},
    ],
)
def test_a_plan_is_refused_as_a_whole(spec):
    spec = {**spec, "root": {"path": "rootfs"}}
    request = SpawnRequest(id="x", bundle="/bundle", spec=spec, stdio=Stdio(0, 1, 2))
    with pytest.raises(UnsupportedError, match="cannot honour"):
        make_plan(request, FEATURES)
