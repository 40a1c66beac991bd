"""Calls spawn() in a process with one thread, as the launcher does, and tells what happened.

Reads a request as JSON; the container's output is this process's; the last line of standard error
is the answer.
"""

import json
import os
import sys
from pathlib import Path

from boxship.kernel.linux import LinuxKernel
from boxship.runtime import sync
from boxship.runtime.spawn import RootMount, SpawnRequest, Stdio, spawn


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def main() -> None:
    document = json.load(sys.stdin)
    mounts = tuple(RootMount(m[0], m[1], tuple(m[2])) for m in document.get("rootfs", ()))
    request = SpawnRequest(
        id=document["id"],
        bundle=document["bundle"],
        spec=document["spec"],
        rootfs=mounts,
        stdio=Stdio(0, 1, 2),
        sibling=False,
    )
    before = descriptors()
    spawned = spawn(LinuxKernel(), request)
    channel = sync.Channel(spawned.sync)
    kinds, text = [], ""
    while (message := channel.receive()) is not None:
        kinds.append(message.kind)
        text = message.text or text
        if message.kind == sync.READY:
            channel.send(sync.GO)
    channel.close()
    status = os.waitstatus_to_exitcode(os.waitpid(spawned.pid, 0)[1])
    os.close(spawned.pidfd)
    left = sorted(descriptors() - before)
    answer = {
        "kinds": kinds,
        "text": text,
        "status": status,
        "warnings": spawned.warnings,
        "left": left,
    }
    sys.stderr.write("\n" + json.dumps(answer) + "\n")


main()
