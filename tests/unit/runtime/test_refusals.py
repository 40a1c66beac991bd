"""What cannot be honoured is refused by name, and an empty field asks for nothing."""

import pytest

from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.runtime.plan import make_plan
from boxship.runtime.spawn import SpawnRequest, Stdio
from boxship.runtime.spec.refusals import check_linux, check_process
from tests.fakes.kernel import FEATURES


def test_what_nobody_can_do_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"cannot honour linux\.intelRdt"):
        check_linux({"intelRdt": {"closID": "guaranteed"}})


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
        {"process": {"args": ["true"]}, "linux": {"intelRdt": {"closID": "x"}}},
    ],
)
def test_a_plan_is_refused_as_a_whole(spec):
    spec = {**spec, "root": {"path": "rootfs"}}
    request = SpawnRequest(id="x", bundle="/bundle", spec=spec, stdio=Stdio(0, 1, 2))
    with pytest.raises(UnsupportedError, match="cannot honour"):
        make_plan(request, FEATURES)
