"""Runs containers on the real kernel, one call of which fails, and looks for what is left.

Reads a request as JSON and prints one JSON line for each fault: what failed, how it was told, and
what was left behind.
"""

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxship.errors import BoxshipError
from boxship.kernel import KernelError
from boxship.kernel.linux import LinuxKernel
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.oci import creation, foreground, lifecycle
from boxship.runtime.oci.state import Store

if TYPE_CHECKING:
    from collections.abc import Callable

ERRNOS = (errno.EPERM, errno.ENOSPC, errno.ENOMEM, errno.EINVAL, errno.ENOSYS, errno.EMFILE)
# The kernel has closed the descriptor, whatever it answers (close(2)).
NEVER = frozenset(("close",))
# A parent that cannot come back from where it cloned ends: boxship.runtime.position.
FATAL = frozenset(("enter_directory", "setns"))


class FailingKernel(LinuxKernel):
    """The real kernel, but for the n-th call of one side: the parent or what it clones."""

    def __init__(self, nth: int, number: int, *, child: bool) -> None:
        self._owner = os.getpid()
        self._nth = nth
        self._number = number
        self._child = child
        self._count = 0
        self.failed = ""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name in NEVER or not callable(found):
            return found
        if (os.getpid() != self._owner) != self._child or (name in FATAL and not self._child):
            return found
        self._count += 1
        if self._count != self._nth:
            return found
        self.failed = name
        number = self._number

        def fail(*_: Any, **__: Any) -> Any:
            raise KernelError(number, name, "injected")

        return fail


def census(request: dict[str, Any]) -> dict[str, Any]:
    state = Path(request["state"])
    groups = open_cgroup(detect(), request["cgroup"])
    return {
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "records": sorted(path.name for path in state.glob("[!.]*")),
        "group": groups.exists() and request["mode"] != "exec",
        "inside": len(groups.processes()) if groups.exists() else 0,
        "children": children(),
        "namespaces": [
            str(Path(f"/proc/self/ns/{k}").readlink()) for k in ("net", "mnt", "user", "uts")
        ],
        "place": str(Path.cwd()),
        "files": sorted(path.name for path in Path(request["bundle"]).iterdir()),
        "descriptors": descriptors(),
    }


def descriptors() -> dict[str, str]:
    """What this process has open; the directory that is read for it is gone by then."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        if path.is_symlink():
            found[path.name] = str(path.readlink())
    return found


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def attempt(request: dict[str, Any], kernel: FailingKernel) -> str:
    """Do it once; what was told, empty for a success."""
    store = Store(request["state"], kernel)
    options = creation.CreateOptions(request["bundle"])
    name = request["id"]
    work: dict[str, Callable[[], int]] = {
        "run": lambda: foreground.run(kernel, store, name, options),
        "create": lambda: create(kernel, store, name, options),
        "exec": lambda: execute(kernel, store, name),
    }
    try:
        code = work[request["mode"]]()
    except (BoxshipError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return f"code {code}" if code else ""


def create(kernel: FailingKernel, store: Store, name: str, options: creation.CreateOptions) -> int:
    made = creation.create(kernel, store, name, options, detached=True)
    real = LinuxKernel()
    lifecycle.delete(real, Store(store.root, real), name, force=True)
    os.waitpid(made.spawned.pid, 0)
    made.channel.close()
    os.close(made.spawned.pidfd)
    return 0


def execute(kernel: FailingKernel, store: Store, name: str) -> int:
    record = store.load(name)
    process = {**record.spec["process"], "args": ["true"]}
    return foreground.execute(kernel, record, foreground.ExecOptions(process))


def main() -> None:
    request = json.load(sys.stdin)
    Path(request["state"]).mkdir(exist_ok=True)
    before = census(request)
    for child in (False, True):
        quiet = 0
        for nth in range(1, 400):
            number = ERRNOS[nth % len(ERRNOS)]
            kernel = FailingKernel(nth, number, child=child)
            told = attempt(request, kernel)
            after = census(request)
            left = {kind: value for kind, value in after.items() if value != before[kind]}
            answer = {"nth": nth, "child": child, "call": kernel.failed, "told": told, "left": left}
            answer["reason"] = os.strerror(number)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            if left:
                return
            # Calls of the child are not seen here: some in a row without a failure are the end.
            quiet = 0 if told or kernel.failed else quiet + 1
            if quiet > (8 if child else 0):
                break


main()
