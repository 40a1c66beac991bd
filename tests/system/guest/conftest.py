"""Shows the tests that ran in the guest one by one, as if they had run here.

`suites.txt` says which. It is collected as one test, which boots the machine; each report of the
guest is passed to this session's pytest under its own name, with `guest:` before it.
"""

import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.guest.disk import make_disk, make_initrd
from tests.system.guest.kernel import UnavailableError, find_kernel
from tests.system.guest.machine import MachineError, Parts, reports

_SUITES = "suites.txt"
_PYTEST = "-m pytest -v --run-slow --fail-on-leaks --tb=short -p no:cacheprovider"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Suites | None":
    if file_path.name != _SUITES:
        return None
    return Suites.from_parent(parent, path=file_path)


class Suites(pytest.File):
    """The list of what runs in the guest: arguments of pytest, a line each."""

    def collect(self) -> Iterator["Guest"]:
        guest = Guest.from_parent(self, name="guest")
        for marker in (pytest.mark.qemu, pytest.mark.root, pytest.mark.slow):
            guest.add_marker(marker)
        yield guest


class Guest(pytest.Item):
    """One boot, and all that is run in it."""

    def runtest(self) -> None:
        # That clock is for one test; this one is as long as all that it passes on.
        faulthandler.cancel_dump_traceback_later()
        lines = self.path.read_text(encoding="utf-8").splitlines()
        arguments = " ".join(line for line in lines if line and not line.startswith("#"))
        factory = pytest.TempPathFactory.from_config(self.config, _ispytest=True)
        parts = _make(factory.mktemp("guest"), arguments)
        seen: set[tuple[str, str]] = set()
        try:
            # An emulated machine stands still now and then; a second one goes on in its place.
            ended = self._follow(parts, seen)
            if ended is None:
                ended = self._follow(parts, seen)
        finally:
            parts.disk.unlink()
        console = parts.console.read_text(encoding="utf-8", errors="replace")[-6000:]
        # 1 is a failed test, or something left behind, which the console names.
        assert ended == 0, f"pytest in the guest ended with {ended}:\n{console}"

    def _follow(self, parts: Parts, seen: set[tuple[str, str]]) -> int | None:
        """Pass on what no guest before has reported; the exit code, None when it fell silent."""
        begun, ended, tests = -1, None, set()
        for document in reports(parts):
            assert "trouble" not in document, document["trouble"]
            begun = document.get("begin", begun)
            ended = document.get("end", ended)
            report = document.get("report")
            if report is None:
                continue
            tests.add(report["nodeid"])
            if (report["nodeid"], report["when"]) not in seen:
                seen.add((report["nodeid"], report["when"]))
                self._pass_on(report)
        assert ended is None or len(tests) == begun, f"{len(tests)} of {begun} tests reported"
        return ended

    def _pass_on(self, data: dict[str, object]) -> None:
        hook = self.config.hook
        report = hook.pytest_report_from_serializable(config=self.config, data=data)
        if report.skipped and isinstance(report.longrepr, list):
            report.longrepr = tuple(report.longrepr)  # JSON has no tuples; pytest insists on one
        report.nodeid = f"guest:{report.nodeid}"
        hook.pytest_runtest_logreport(report=report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        if isinstance(excinfo.value, AssertionError | MachineError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, "the guest"


def _make(directory: Path, arguments: str) -> Parts:
    try:
        kernel = find_kernel()
    except UnavailableError as failure:
        pytest.skip(f"no kernel for the guest: {failure}")
    plugin = "-p tests.system.guest.reporting"
    command = f"{sys.executable} {_PYTEST} {plugin} {arguments}"
    return Parts(
        kernel.image,
        make_initrd(directory, kernel.modules),
        make_disk(directory, command),
        directory / "console.log",
    )
