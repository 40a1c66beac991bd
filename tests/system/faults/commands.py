"""Starts containers and fails one call after the other of a command on them.

Reads a request as JSON and prints one JSON line for each fault: what failed, how it was told, what
the container was afterwards, and what was left once it was deleted.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boxship.errors import BoxshipError
from boxship.kernel import KernelError
from boxship.kernel.linux import LinuxKernel
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.oci import commands, creation, lifecycle, updates
from boxship.runtime.oci.arguments import Arguments
from boxship.runtime.oci.state import Store

ERRNOS = (errno.EPERM, errno.ENOSPC, errno.ENOMEM, errno.EIO, errno.EMFILE)
# Calls that Python announces before it makes them (sys.audit): those on files and groups.
FILES = frozenset(
    ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir",
     "socket.connect", "os.kill")
)  # fmt: skip


class Fault:
    """Fails the n-th call once it is armed.

    Attributes:
        failed: the call that was failed, empty before.
        number: errno it failed with.
    """

    def __init__(self) -> None:
        self.failed = ""
        self.number = 0
        self._left = 0

    def arm(self, nth: int) -> None:
        self.failed, self._left = "", nth
        self.number = ERRNOS[nth % len(ERRNOS)]

    def disarm(self) -> None:
        self._left = 0

    def due(self, name: str) -> bool:
        """Count a call; whether it is the one."""
        if not self._left:
            return False
        self._left -= 1
        if not self._left:
            self.failed = name
        return not self._left


class FailingKernel(LinuxKernel):
    """The real kernel, but for the call that is due."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        # The kernel has closed the descriptor, whatever it answers (close(2)).
        if name.startswith("_") or name == "close" or not callable(found):
            return found
        fault = self._fault
        if not fault.due(name):
            return found

        def fail(*_: Any, **__: Any) -> Any:
            raise KernelError(fault.number, name, "injected")

        return fail


def watch(fault: Fault) -> None:
    """Fail calls on files too; what is imported is not counted."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FILES:
            return
        path = str(arguments[0]) if arguments else ""
        if path.endswith((".py", ".pyc", ".so")) or path in sys.path or "site-packages" in path:
            return
        if fault.due(f"{event} {path}"):
            raise OSError(fault.number, os.strerror(fault.number), path)

    sys.addaudithook(audit)


def census(request: dict[str, Any]) -> dict[str, Any]:
    state = Path(request["state"])
    me = f"/proc/self/task/{os.getpid()}/children"
    return {
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "records": sorted(path.name for path in state.glob("[!.]*")),
        "group": open_cgroup(detect(), request["cgroup"]).exists(),
        "children": len(Path(me).read_text().split()),
        "files": sorted(path.name for path in Path(request["bundle"]).iterdir()),
        "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
    }


def words(*rest: str, **options: str) -> Arguments:
    made = Arguments()
    made.rest = list(rest)
    for name, value in options.items():
        made.add(name, value)
    return made


def action(mode: str, kernel: LinuxKernel, store: Store, name: str) -> Callable[[], Any]:
    """What the command line does for a command."""
    none = words()
    actions: dict[str, Callable[[], Any]] = {
        "start": lambda: lifecycle.start(kernel, store, name),
        "kill": lambda: lifecycle.kill(kernel, store, name, 0, everyone=True),
        "delete": lambda: lifecycle.delete(kernel, store, name, force=True),
        "pause": lambda: commands.pause(store, words(name), none),
        "resume": lambda: commands.resume(store, words(name), none),
        "update": lambda: updates.update(store, words(name, memory="67108864"), none),
    }
    return actions[mode]


def attempt(request: dict[str, Any], fault: Fault, nth: int, *, kernel_only: bool) -> str:
    """Make a container and do it once; what was told, empty for a success."""
    real = LinuxKernel()
    mode, name = request["mode"], request["id"]
    kernel = FailingKernel(fault) if kernel_only else real
    store = Store(request["state"], kernel)
    made = creation.create(
        real, Store(request["state"], real), name, creation.CreateOptions(request["bundle"]),
        detached=True,
    )  # fmt: skip
    made.channel.close()
    os.close(made.spawned.pidfd)
    if mode != "start":
        lifecycle.start(real, Store(request["state"], real), name)
    if mode == "resume":
        commands.pause(Store(request["state"], real), words(name), words())
    fault.arm(nth)
    try:
        action(mode, kernel, store, name)()
    except (BoxshipError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        fault.disarm()
        request["pid"] = made.spawned.pid
    return ""


def settle(request: dict[str, Any]) -> str:
    """What became of the container; then delete it."""
    store = Store(request["state"], LinuxKernel())
    try:
        status = store.status(store.load(request["id"]))
    except BoxshipError as error:
        status = error.kind
    lifecycle.delete(LinuxKernel(), store, request["id"], force=True)
    os.waitpid(request["pid"], 0)
    return status


def main() -> None:
    request = json.load(sys.stdin)
    Path(request["state"]).mkdir(exist_ok=True)
    fault = Fault()
    watch(fault)
    # Once without a fault, so that all is imported.
    attempt(request, fault, 0, kernel_only=False)
    settle(request)
    before = census(request)
    for kernel_only in (True, False):
        for nth in range(1, 200):
            told = attempt(request, fault, nth, kernel_only=kernel_only)
            status = settle(request)
            after = census(request)
            left = {kind: value for kind, value in after.items() if value != before[kind]}
            answer = {"call": fault.failed, "told": told, "left": left, "status": status}
            answer["reason"] = os.strerror(fault.number)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            if left or not fault.failed:
                break


main()
