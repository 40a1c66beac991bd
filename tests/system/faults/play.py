"""Run a driver that lets the calls of one command fail in turn."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.system.runtime.conftest import Box, run


def play(driver: Path, box: Box, mode: str) -> list[dict[str, Any]]:
    """What a driver tells of each call that it lets fail, one after the other."""
    document = {
        "mode": mode,
        "id": box.id,
        "bundle": str(box.bundle),
        "state": str(box.state),
        "cgroup": box.spec["linux"]["cgroupsPath"],
    }
    done = run(sys.executable, str(driver), input=json.dumps(document))
    assert done.code == 0, done.err[-2000:]
    return [json.loads(line) for line in done.out.splitlines()]
