"""Whatever a document says, it is understood or refused: nothing else is raised on the way."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from boxship.errors import BoxshipError
from boxship.kernel import seccomp
from boxship.runtime.cgroups import CgroupMount, limits_v1, limits_v2
from boxship.runtime.hooks import HookRunner
from boxship.runtime.oci import creation
from boxship.runtime.oci.state import Record, oci_state
from boxship.runtime.oci.updates import merge
from boxship.runtime.plan import make_plan
from boxship.runtime.process import plan_process
from boxship.runtime.spawn import SpawnRequest, Stdio
from boxship.runtime.spec import document, shape
from tests.fakes.kernel import FEATURES, RecordingKernel
from tests.fuzz import documents

V1 = {
    "memory": "limit_in_bytes soft_limit_in_bytes memsw.limit_in_bytes swappiness oom_control"
    " kmem.limit_in_bytes kmem.tcp.limit_in_bytes use_hierarchy usage_in_bytes",
    "cpu": "shares cfs_quota_us cfs_period_us cfs_burst_us idle rt_period_us rt_runtime_us",
    "cpuset": "cpus mems",
    "pids": "max",
    "devices": "allow deny",
    "blkio": "weight bfq.weight bfq.weight_device throttle.read_bps_device"
    " throttle.write_bps_device throttle.read_iops_device throttle.write_iops_device",
    "hugetlb": "2MB.limit_in_bytes 1GB.limit_in_bytes",
    "net_cls": "classid",
    "net_prio": "ifpriomap",
    "rdma": "max",
}
V2 = (
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.min",
    "memory.swap.max",
    "cpu.max",
    "cpu.weight",
    "cpu.idle",
    "cpu.max.burst",
    "cpuset.cpus",
    "cpuset.mems",
    "pids.max",
    "io.max",
    "io.weight",
    "io.bfq.weight",
    "hugetlb.2MB.max",
    "hugetlb.1GB.max",
    "rdma.max",
)
GROUPS = (CgroupMount("cgroup2", "unified", "", "/sys/fs/cgroup/x"),)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> tuple[dict[str, Any], ...]:
    root = tmp_path_factory.mktemp("root")
    return documents.originals(str(root), "/boxship/fuzz")


class Groups:
    """Control groups of both versions, on plain directories."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._v1 = {}
        for controller, names in V1.items():
            directory = place / "v1" / controller
            directory.mkdir(parents=True)
            self._v1[controller] = str(directory)
            for name in names.split():
                (directory / f"{controller}.{name}").touch()
        (place / "v2").mkdir()
        for name in V2:
            (place / "v2" / name).touch()
        self._before = self._files()

    def limit(self, resources: dict[str, Any]) -> None:
        for apply in (
            lambda: limits_v1.apply_limits(self._v1, "/x", resources),
            lambda: limits_v2.apply_limits(
                str(self._place / "v2"), "/x", resources, lambda _rules: None
            ),
        ):
            refused(apply)
        assert self._files() == self._before

    def _files(self) -> list[str]:
        return sorted(str(path) for path in self._place.rglob("*"))


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    place = tmp_path / "host" / "groups"
    place.mkdir(parents=True)
    return Groups(place)


def refused(call: Any) -> Any:
    """What a call returns, None when it is refused in one line."""
    try:
        return call()
    except BoxshipError as error:
        text, number = str(error), 1
    except OSError as error:
        # A system call refused what was given: the command line tells that too.
        text, number = str(error), error.errno
    assert text.isprintable(), repr(text)
    assert len(text) < 10_000, text[:100]
    assert number, text
    return None


def consider(spec: dict[str, Any]) -> None:
    terminal = bool((spec.get("process") or {}).get("terminal"))
    stdio = Stdio(0, 1, 2, terminal=terminal)
    request = SpawnRequest(id="x", bundle="/bundle", spec=spec, stdio=stdio)
    plan = make_plan(request, FEATURES, GROUPS)
    assert all(isinstance(line, str) for line in plan.describe())
    if plan.process.profile:
        seccomp.compile_filter(plan.process.profile)


def test_whole_documents(tmp_path: Path, seeds, groups: Groups, try_all) -> None:
    path = tmp_path / "config.json"

    def trial(spec: Any) -> None:
        path.write_text(json.dumps(spec))
        read = refused(lambda: creation.read_spec(str(path)))
        if read is None:
            return
        refused(lambda: consider(read))
        record = Record(id="x", bundle="/bundle", spec=read, cgroup="/x")
        state = oci_state(record, "created")
        refused(lambda: HookRunner(RecordingKernel(), read.get("hooks") or {}, state))
        groups.limit((read.get("linux") or {}).get("resources") or {})

    try_all(documents.mutated(seeds, documents.DOCUMENT), 700, trial)


def test_files_that_are_no_documents(tmp_path: Path, seeds, try_all) -> None:
    path = tmp_path / "config.json"

    def trial(text: bytes) -> None:
        path.write_bytes(text)
        refused(lambda: creation.read_spec(str(path)))
        refused(lambda: document.read(str(path)))

    try_all(documents.texts(seeds), 150, trial)


def test_processes(seeds, try_all) -> None:
    def trial(process: Any) -> None:
        def plan() -> None:
            shape.check(process, shape.PROCESS, "process")
            plan_process(process, seeds[0], FEATURES, joining=True)

        refused(plan)

    try_all(documents.mutated(documents.PROCESSES, documents.PROCESS), 400, trial)


def test_limits(seeds, groups: Groups, try_all) -> None:
    def trial(resources: Any) -> None:
        known = copy.deepcopy(seeds[0])
        refused(lambda: shape.check(resources, shape.RESOURCES, "resources"))
        try:
            shape.check(resources, shape.RESOURCES, "resources")
        except BoxshipError:
            return
        groups.limit(resources)
        merge(known, resources)
        shape.check(known, shape.DOCUMENT)

    try_all(documents.mutated(documents.RESOURCES, documents.LIMITS), 400, trial)


def test_what_was_found(seeds) -> None:
    """Documents that once raised something else."""
    HookRunner(RecordingKernel(), {"futureHook": True}, {})  # type: ignore[dict-item]
    rate = {"blockIO": {"throttleReadBpsDevice": [{"major": 0, "minor": 0}]}}
    with pytest.raises(BoxshipError, match="rate is missing"):
        shape.check(rate, shape.RESOURCES, "resources")
    spec = copy.deepcopy(seeds[0])
    spec["linux"]["resources"] = {"memory": None}
    merge(spec, {"memory": {"limit": 1}, "unified": {"a": "b"}})
    assert spec["linux"]["resources"] == {"memory": {"limit": 1}, "unified": {"a": "b"}}
