"""A daemon that lives through one container's life and kills itself at the n-th look at its clock.

The engine looks at the clock at every step that it tells or records, so the n-th look is a place
between two steps.
"""

import asyncio
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from boxship.model.container import MountRequest, PortBinding
from boxship.paths import Paths

_SPEC = importlib.util.spec_from_file_location("rig", Path(__file__).with_name("conftest.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
rig_module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(rig_module)


class FatalClock:
    def __init__(self, looks: int) -> None:
        self.left = looks
        self.armed = False

    def __call__(self) -> int:
        if self.armed:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return time.time_ns()


async def live(rig: Any) -> None:
    containers = rig.engine.containers
    container = await rig.create(
        "sh",
        "-c",
        "echo ready; sleep 1000",
        network_mode="bridge",
        mounts=(MountRequest("volume", "/data"),),
        port_bindings=(PortBinding(80, host_port=18091),),
    )
    await containers.start(container.id)
    await rig.until_output(container.id, "ready")
    await containers.stop(container.id, grace=0)
    await containers.start(container.id)
    await containers.remove(container.id, force=True, volumes=True)


async def main(data_root: str, exec_root: str, looks: str) -> None:
    clock = FatalClock(int(looks))
    rig = rig_module.Rig(Paths(Path(data_root), Path(exec_root)), clock)
    await rig.open()
    clock.armed = True
    await live(rig)
    clock.armed = False
    await rig.finish()


asyncio.run(main(*sys.argv[1:]))
