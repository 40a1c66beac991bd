"""`boxship-runtime` with documents nobody would write: one line and an exit code, nothing is left.

Each document costs some processes, so these are few; the planning has had many.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from boxship.runtime.cgroups import detect, open_cgroup
from tests.fuzz import documents
from tests.system.runtime.conftest import Box, Result, box, busybox_root, make_box

__all__ = ["box", "busybox_root", "make_box"]
pytestmark = [pytest.mark.root, pytest.mark.slow]
# What Python says of a mistake in a program, and the last resort for one.
_BLUNDERS = ("Traceback", "Error:", "Exception", "internal error", "object has no", "NoneType")


class Traces(NamedTuple):
    """What a container could leave behind."""

    mounts: list[str]
    groups: list[str]
    records: list[str]
    processes: list[str]
    files: list[str]


def traces(box: Box) -> Traces:
    """Look for them. The bundle's root may get files: it is the container's."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    group = open_cgroup(detect(), box.spec["linux"]["cgroupsPath"])
    marks = (box.id.encode(), str(box.bundle).encode())
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if any(mark in command for mark in marks) and int(path.name) != os.getpid():
            processes.append(f"{path.name} {command!r}")
    return Traces(
        [line for line in mounts if str(box.bundle.parent) in line],
        [box.id] if group.exists() else [],
        sorted(path.name for path in box.state.glob("[!.]*")) if box.state.exists() else [],
        processes,
        sorted(path.name for path in box.bundle.iterdir()),
    )


def judge(result: Result, document: Any) -> None:
    """One line for a failure, which no program error made; nothing but warnings for a success."""
    other = (": warning: ", "boxship-runtime: cannot write to ")
    said = [line for line in result.err.splitlines() if not any(word in line for word in other)]
    shown = json.dumps(document)[:3000] if not isinstance(document, bytes) else document[:300]
    assert not any(word in result.err for word in _BLUNDERS), (result, shown)
    assert result.code >= 0, (result, shown)
    if said and said[0].startswith("boxship-runtime: "):
        assert (len(said), result.code != 0) == (1, True), (result, shown)
    if result.code == 1:
        assert said, (result, shown)


def settle(box: Box) -> None:
    """Delete what a command did make, as any client would."""
    for path in box.state.glob("[!.]*") if box.state.exists() else ():
        deleted = box.command("delete", "--force", path.name)
        assert deleted.code == 0, deleted


def plain(box: Box, busybox_root: Path) -> tuple[dict[str, Any], ...]:
    group = box.spec["linux"]["cgroupsPath"]
    made = documents.originals(str(busybox_root), group)
    for spec in made:
        spec["process"]["env"] = ["PATH=/bin"]
    return made


def put(box: Box, document: Any) -> None:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    (box.bundle / "config.json").write_bytes(text)


def keep_apart(box: Box, spec: Any) -> None:
    """Leave a document its groups and its root, which a mutation may point at the host's."""
    if not isinstance(spec, dict):
        return
    linux = spec.get("linux")
    if isinstance(linux, dict) and isinstance(linux.get("cgroupsPath"), str):
        linux["cgroupsPath"] = box.spec["linux"]["cgroupsPath"]
    root = spec.get("root")
    if isinstance(root, dict) and isinstance(root.get("path"), str):
        root["path"] = box.spec["root"]["path"]
    spec.pop("hooks", None)


def test_create_run_and_state(box: Box, busybox_root: Path, try_all) -> None:
    seeds = plain(box, busybox_root)
    put(box, seeds[0])
    before = traces(box)
    strategy = st.tuples(
        documents.mutated(seeds, documents.DOCUMENT) | documents.texts(seeds),
        st.sampled_from(("run", "create")),
    )

    def trial(drawn: tuple[Any, str]) -> None:
        document, word = drawn
        keep_apart(box, document)
        put(box, document)
        made = box.command(word, "--bundle", str(box.bundle), box.id)
        judge(made, document)
        judge(box.command("state", box.id), document)
        if word == "create" and made.code == 0:
            judge(box.command("start", box.id), document)
        settle(box)
        assert traces(box) == before, document

    try_all(strategy, 18, trial)


def test_exec_and_update(box: Box, try_all) -> None:
    box.shell("exec sleep 1000").start()
    file = box.bundle / "given.json"
    file.touch()
    before = traces(box)
    strategy = st.one_of(
        st.tuples(
            st.just("exec"),
            documents.mutated(documents.PROCESSES, documents.PROCESS)
            | documents.texts(documents.PROCESSES),
        ),
        st.tuples(
            st.just("update"),
            documents.mutated(documents.RESOURCES, documents.LIMITS)
            | documents.texts(documents.RESOURCES),
        ),
    )

    def trial(drawn: tuple[str, Any]) -> None:
        word, document = drawn
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        file.write_bytes(text)
        option = ("--process", str(file)) if word == "exec" else ("--resources", str(file))
        judge(box.command(word, *option, box.id), document)
        if word == "update":
            judge(
                box.command(word, "--resources", "-", box.id, input=text.decode("latin-1")),
                document,
            )
        assert box.status() == "running", document
        assert traces(box) == before, document

    try_all(strategy, 18, trial)


def test_records_that_were_damaged(box: Box, try_all) -> None:
    box.shell("exec sleep 1000").start()
    path = box.state / box.id / "state.json"
    whole = path.read_bytes()
    record = json.loads(whole)
    strategy = st.one_of(
        st.tuples(st.sampled_from(sorted(record)), documents.anything).map(
            lambda change: {**record, change[0]: change[1]}
        ),
        st.sampled_from(sorted(record)).map(
            lambda name: {key: value for key, value in record.items() if key != name}
        ),
        documents.texts((record,)),
    )

    def trial(damaged: Any) -> None:
        text = damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode()
        path.write_bytes(text)
        for words in (
            ("state", box.id),
            ("list",),
            ("kill", box.id, "0"),
            ("exec", box.id, "true"),
        ):
            judge(box.command(*words), damaged)
        # Another version of this program may know more.
        path.write_text(json.dumps({**record, "later": 1}))
        assert box.status() == "running"

    try:
        try_all(strategy, 6, trial)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("words", [
    ("spec", "--bundle", "/nonexistent"),
    ("state", "a\nb"),
    ("state", "x" * 5000),
    ("state", ""),
    ("kill", "none", "99999999999999999999"),
    ("kill", "none", "RTMIN+999"),
    ("exec", "--additional-gids", "many", "none", "true"),
    ("delete", "--regex", "["),
    ("update", "--memory", "9" * 5000, "none"),
    ("create", "--preserve-fds", "-1", "none"),
    ("create", "--preserve-fds", "99999999999", "none"),
    ("events", "--interval", "soon", "none"),
    ("ps", "--format", "odd", "none"),
    ("list", "--format", "odd"),
    ("--log", "/nonexistent/log", "state", "none"),
    ("--root", "/dev/null", "create", "none"),
    ("--root", "/proc/1/root/nonexistent", "list"),
])  # fmt: skip
def test_words(box: Box, words: tuple[str, ...]) -> None:
    box.save()
    shutil.rmtree(box.state, ignore_errors=True)
    root = words[0] != "--root"
    judge(box.command(*words, root=root, cwd=box.bundle), words)
    assert not any(box.state.glob("[!.]*"))


def test_a_record_without_a_process(box: Box) -> None:
    box.shell("exec sleep 1000").start()
    path = box.state / box.id / "state.json"
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), "spec": {}}))
    assert "is damaged" in box.command("exec", box.id, "true").err
    path.write_text(whole)
