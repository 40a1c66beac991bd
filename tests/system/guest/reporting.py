"""The pytest plugin inside the guest: sends every report to the host as a line of JSON."""

import glob
import json
from typing import Any

import pytest

_PORTS = "/dev/vport*"


class Reporter:
    """Writes to the port; one document a line.

    `{"begin": n}` when n tests were collected, `{"report": ...}` for each phase of each, and
    `{"end": exit code}`.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._port = open(glob.glob(_PORTS)[0], "wb", buffering=0)  # noqa: PTH123, PTH207, SIM115

    def _send(self, **document: Any) -> None:
        self._port.write(json.dumps(document).encode() + b"\n")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._send(trouble=str(report.longrepr))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._send(begin=len(session.items))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send(report=data)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._send(end=int(exitstatus))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Reporter(config))
