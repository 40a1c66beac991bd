"""Run the programs that a spec wants called around a container's life (OCI runtime spec, "hooks").

Not imported unless a spec has hooks. When each is called, and what its failure does:

prestart, createRuntime    by the parent, in the host's namespaces, once the mounts are there
createContainer            by the container's process, in its namespaces, before it enters its root
startContainer             by the container's process, in its root, when it is started
poststart                  by whoever starts it, in the host's namespaces, when the program runs
poststop                   by whoever deletes it, in the host's namespaces, when nothing is left

The failure of one ends the container, and calls poststop; that of poststop is a warning.
"""

import os
import select

from boxship.errors import InvalidArgumentError
from boxship.kernel import abi
from boxship.runtime.errors import HookFailedError
from boxship.runtime.program import default_signals
from boxship.runtime.spec.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from boxship.kernel.api import Kernel

BY_PARENT = ("prestart", "createRuntime")
"""Hooks that run in the host's namespaces before the root is entered."""

_NAMES = (*BY_PARENT, "createContainer", "startContainer", "poststart", "poststop")

STDOUT = "run.oci.hooks.stdout"
STDERR = "run.oci.hooks.stderr"
"""Annotations: files that the output of hooks outside of the container's root is appended to."""

_SIGCHLD = 17
_TERM_OUTPUT = 4096
# Milliseconds that poll(2) takes: 24 days.
_LONGEST_POLL = (1 << 31) - 1
_UMASK = 0o022


class HookRunner:
    """The hooks of one container.

    Attributes:
        needs_parent: there are hooks for the host's namespaces at create time.
        needs_root: there are hooks that look for the container's mounts in the bundle.
    """

    __slots__ = ("_hooks", "_kernel", "_state", "needs_parent", "needs_root")

    def __init__(
        self, kernel: "Kernel", hooks: "dict[str, list[dict[str, Any]]]", state: "dict[str, Any]"
    ) -> None:
        """Check the hooks.

        Args:
            kernel: the door to the kernel.
            hooks: `hooks` of the spec.
            state: OCI state document without pid and status.

        Raises:
            InvalidArgumentError: a hook has no absolute path, or a timeout of no time.
        """
        self._kernel = kernel
        self._hooks = hooks
        self._state = state
        self.needs_parent = any(hooks.get(name) for name in BY_PARENT)
        self.needs_root = self.needs_parent or bool(hooks.get("createContainer"))
        for name in _NAMES:
            for hook in hooks.get(name) or ():
                _check(name, hook)

    def run(
        self,
        name: str,
        pid: int = 0,
        status: str = "creating",
        environment: "Mapping[str, str] | None" = None,
    ) -> None:
        """Run all hooks of one name, in order.

        Args:
            name: `prestart`, `createRuntime`, ...
            pid: the container's first process; 0 for the caller, as it sees itself.
            status: OCI status that the hooks are told.
            environment: of hooks in the container's root that say nothing of theirs; None for hooks
                of the host, which then get the caller's.

        Raises:
            HookFailedError: one of them fails or takes too long; the rest is not run.
        """
        listed = self._hooks.get(name) or ()
        if not listed:
            return
        document = self._document(pid, status)
        for hook in listed:
            self._run_one(name, hook, document, environment)

    def run_poststop(self) -> "list[str]":
        """Run all `poststop` hooks.

        Returns:
            Warnings: what failed, which keeps nothing from going on.
        """
        warnings = []
        for hook in self._hooks.get("poststop") or ():
            try:
                self._run_one("poststop", hook, self._document(0, "stopped"), None)
            except HookFailedError as error:
                warnings.append(str(error))
        return warnings

    def _document(self, pid: int, status: str) -> bytes:
        state = {**self._state, "pid": pid or os.getpid(), "status": status}
        if status == "stopped":
            del state["pid"]
        return dumps(state).encode(errors="surrogateescape")

    def _run_one(
        self,
        name: str,
        hook: "dict[str, Any]",
        document: bytes,
        environment: "Mapping[str, str] | None",
    ) -> None:
        stdin = os.memfd_create("state")
        output = os.memfd_create("output")
        opened: list[int] = [stdin, output]
        try:
            os.write(stdin, document)
            os.lseek(stdin, 0, os.SEEK_SET)
            outputs = [output, output]
            if environment is None:
                outputs = [self._output(name, word, output, opened) for word in (STDOUT, STDERR)]
            pid, pidfd = self._kernel.clone(0, exit_signal=_SIGCHLD)
            if pid == 0:
                self._execute(hook, (stdin, outputs[0], outputs[1]), environment)
            try:
                status = self._wait(name, hook, pid, pidfd)
            finally:
                os.close(pidfd)
            if status != 0:
                words = os.pread(output, _TERM_OUTPUT, 0).decode(errors="replace").strip()
                what = f"exit code {status}" if status > 0 else f"signal {-status}"
                msg = f"{name} hook failed with {what}: {hook['path']}"
                raise HookFailedError(f"{msg}: {words}" if words else msg)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _output(self, name: str, annotation: str, default: int, opened: "list[int]") -> int:
        path = self._state.get("annotations", {}).get(annotation)
        if not path:
            return default
        if "\0" in path:
            raise HookFailedError(f"{name} hook: {annotation} {path!r} has a zero byte")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            opened.append(os.open(path, flags, 0o600))
        except OSError as error:
            msg = f"{name} hook: cannot open {path} of {annotation}: {error.strerror}"
            raise HookFailedError(msg) from error
        return opened[-1]

    def _wait(self, name: str, hook: "dict[str, Any]", pid: int, pidfd: int) -> int:
        seconds = hook.get("timeout")
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        if not poller.poll(None if seconds is None else min(seconds * 1000, _LONGEST_POLL)):
            self._kernel.pidfd_send_signal(pidfd, 9)
            os.waitpid(pid, 0)
            msg = f"{name} hook failed: {hook['path']} took longer than {seconds} s"
            raise HookFailedError(msg)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _execute(
        self,
        hook: "dict[str, Any]",
        stdio: tuple[int, int, int],
        environment: "Mapping[str, str] | None",
    ) -> None:
        """Become a hook; between fork and exec, and never returns."""
        try:
            for number, descriptor in enumerate(stdio):
                os.dup2(descriptor, number)
            # What the runtime holds open or hands to the container is none of a hook's business.
            self._kernel.close_range(3, 0xFFFFFFFF, abi.CLOSE_RANGE_CLOEXEC)
            default_signals()
            self._kernel.set_umask(_UMASK)
            if environment is None:
                self._go_to_bundle()
            given = hook.get("env")
            if given is not None:
                environment = dict(entry.partition("=")[::2] for entry in given)
            elif environment is None:
                environment = os.environ
            os.execve(hook["path"], hook.get("args") or [hook["path"]], environment)  # noqa: S606
        except OSError as error:
            os.write(2, f"cannot execute {hook['path']}: {error.strerror}".encode())
        finally:
            os._exit(127)

    def _go_to_bundle(self) -> None:
        try:
            self._kernel.change_directory(self._state["bundle"])
        except OSError:
            # A mapped root may not be allowed to; the specification promises no place.
            self._kernel.change_directory("/")


def _check(name: str, hook: "dict[str, Any]") -> None:
    if not str(hook.get("path") or "").startswith("/"):
        raise InvalidArgumentError(f"{name} hook {hook.get('path')!r} is not an absolute path")
    timeout = hook.get("timeout")
    if timeout is not None and timeout <= 0:
        raise InvalidArgumentError(f"{name} hook {hook['path']}: timeout {timeout} is not positive")
