"""Run the programs that a spec wants called around a container's life (OCI runtime spec, "hooks").

Not imported unless a spec has hooks.
"""

import os
import select

from boxship.errors import InternalError, InvalidArgumentError
from boxship.runtime.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel

BY_PARENT = ("prestart", "createRuntime")
"""Hooks that run in the host's namespaces before the root is entered."""

_SIGCHLD = 17
_TERM_OUTPUT = 4096


class HookRunner:
    """The hooks of one container.

    Attributes:
        needs_parent: there are hooks for the host's namespaces at create time.
    """

    __slots__ = ("_hooks", "_kernel", "_state", "needs_parent")

    def __init__(
        self, kernel: "Kernel", hooks: "dict[str, list[dict[str, Any]]]", state: "dict[str, Any]"
    ) -> None:
        """Check the hooks.

        Args:
            kernel: the door to the kernel.
            hooks: `hooks` of the spec.
            state: OCI state document without pid and status.

        Raises:
            InvalidArgumentError: a hook has no absolute path.
        """
        self._kernel = kernel
        self._hooks = hooks
        self._state = state
        self.needs_parent = any(hooks.get(name) for name in BY_PARENT)
        for name, listed in hooks.items():
            for hook in listed:
                if not str(hook.get("path") or "").startswith("/"):
                    msg = f"{name} hook {hook.get('path')!r} is not an absolute path"
                    raise InvalidArgumentError(msg)

    def run(self, name: str, pid: int = 0, status: str = "creating") -> None:
        """Run all hooks of one name, in order.

        Args:
            name: `prestart`, `createRuntime`, ...
            pid: the container's first process; 0 for the caller.
            status: OCI status that the hooks are told.

        Raises:
            InternalError: one of them fails or takes too long; the rest is not run.
        """
        listed = self._hooks.get(name) or ()
        if not listed:
            return
        state = {**self._state, "pid": pid or os.getpid(), "status": status}
        if status == "stopped":
            del state["pid"]
        document = dumps(state).encode()
        for hook in listed:
            self._run_one(name, hook, document)

    def _run_one(self, name: str, hook: "dict[str, Any]", document: bytes) -> None:
        stdin = os.memfd_create("state")
        output = os.memfd_create("output")
        try:
            os.write(stdin, document)
            os.lseek(stdin, 0, os.SEEK_SET)
            pid, pidfd = self._kernel.clone(0, exit_signal=_SIGCHLD)
            if pid == 0:
                _execute(hook, stdin, output)
            try:
                status = self._wait(name, hook, pid, pidfd)
            finally:
                os.close(pidfd)
            if status != 0:
                words = os.pread(output, _TERM_OUTPUT, 0).decode(errors="replace").strip()
                msg = f"{name} hook {hook['path']} failed with status {status}: {words}"
                raise InternalError(msg)
        finally:
            os.close(stdin)
            os.close(output)

    def _wait(self, name: str, hook: "dict[str, Any]", pid: int, pidfd: int) -> int:
        seconds = hook.get("timeout")
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(None if seconds is None else seconds * 1000):
            self._kernel.pidfd_send_signal(pidfd, 9)
            os.waitpid(pid, 0)
            msg = f"{name} hook {hook['path']} took longer than {seconds} s"
            raise InternalError(msg)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _execute(hook: "dict[str, Any]", stdin: int, output: int) -> None:
    try:
        os.dup2(stdin, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        environment = dict(entry.partition("=")[::2] for entry in hook.get("env") or ())
        os.execve(hook["path"], hook.get("args") or [hook["path"]], environment)  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot execute {hook['path']}: {error.strerror}".encode())
    finally:
        os._exit(127)
