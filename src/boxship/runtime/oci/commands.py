"""Commands of `boxship-runtime` that change something; each returns the exit code."""

import os
import sys

from boxship.errors import ConflictError, InvalidArgumentError
from boxship.kernel import abi, shield
from boxship.kernel.linux import LinuxKernel
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.oci import lifecycle
from boxship.runtime.oci.state import Store, group
from boxship.runtime.spec import document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.kernel.api import Kernel
    from boxship.runtime.oci import creation
    from boxship.runtime.oci.arguments import Arguments

_SIGTERM = 15
_LAST_SIGNAL = 64


def run_read_only(kernel: "Kernel") -> None:
    """Start this program again from a read-only mount of its interpreter, if it is not there yet.

    What is mounted nowhere else cannot be made writable by a container (CVE-2019-5736).
    """
    from boxship.runtime.rootless import is_unprivileged  # noqa: PLC0415 - a rare machine's

    if not shield.is_needed() or is_unprivileged(kernel):
        # An ordinary user may not mount, and seldom owns the interpreter.
        return
    tree = kernel.open_tree(abi.AT_FDCWD, "/proc/self/exe", abi.OPEN_TREE_CLONE)
    kernel.mount_setattr(tree, set_=abi.MOUNT_ATTR_RDONLY)
    os.execv(f"/proc/self/fd/{tree}", sys.orig_argv)  # noqa: S606 - no shell wanted


def _kernel() -> LinuxKernel:
    """The kernel, in a process that may clone containers."""
    kernel = LinuxKernel()
    if not shield.is_supported():
        run_read_only(kernel)
    return kernel


def create(store: Store, arguments: "Arguments", options: "Arguments") -> int:
    """Create a container and leave it waiting."""
    from boxship.runtime.oci import creation  # noqa: PLC0415 - half of the start time of the others

    wanted = _create_options(arguments, options)
    creation.create(_kernel(), store, arguments.rest[0], wanted, detached=True)
    return 0


def start(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Start a created container."""
    lifecycle.start(LinuxKernel(), store, arguments.rest[0])
    return 0


def run(store: Store, arguments: "Arguments", options: "Arguments") -> int:
    """Create and start a container; wait for its end unless detached."""
    wanted = _create_options(arguments, options)
    if arguments.has("detach"):
        from boxship.runtime.oci import creation  # noqa: PLC0415 - as in create

        creation.create(_kernel(), store, arguments.rest[0], wanted, detached=True)
        lifecycle.start(LinuxKernel(), store, arguments.rest[0])
        return 0
    from boxship.runtime.oci import foreground  # noqa: PLC0415 - as in create

    return foreground.run(_kernel(), store, arguments.rest[0], wanted)


def kill(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Signal a container."""
    word = arguments.rest[1] if len(arguments.rest) > 1 else ""
    number = signal_number(word) if word else _SIGTERM
    everyone = arguments.has("all")
    for container_id in _selected(store, arguments):
        lifecycle.kill(LinuxKernel(), store, container_id, number, everyone=everyone)
    return 0


def delete(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Delete a container."""
    force = arguments.has("force")
    for container_id in _selected(store, arguments):
        lifecycle.delete(LinuxKernel(), store, container_id, force=force)
    return 0


def _selected(store: Store, arguments: "Arguments") -> "list[str]":
    """The containers that `delete` and `kill` mean.

    Raises:
        InvalidArgumentError: the regular expression is none.
    """
    word = arguments.rest[0]
    if not arguments.has("regex"):
        return [word]
    import re  # noqa: PLC0415 - 7 ms, and rarely asked for

    try:
        pattern = re.compile(word)
    except re.error as error:
        raise InvalidArgumentError(f"{word!r} is not a regular expression: {error}") from error
    return [container_id for container_id in store.ids() if pattern.search(container_id)]


def pause(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Freeze a container."""
    record = store.load(arguments.rest[0])
    status = store.status(record)
    if status not in ("running", "created"):
        raise ConflictError(f"cannot pause container {record.id}: it is {status}")
    group(record).freeze()
    return 0


def resume(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Thaw a container."""
    record = store.load(arguments.rest[0])
    status = store.status(record)
    if status != "paused":
        raise ConflictError(f"cannot resume container {record.id}: it is {status}")
    group(record).thaw()
    return 0


def execute(store: Store, arguments: "Arguments", _: "Arguments") -> int:
    """Run a process in a container."""
    from boxship.runtime.oci import foreground  # noqa: PLC0415 - as in create

    container_id, *words = arguments.rest
    record = store.load(container_id)
    status = store.status(record)
    if status == "paused" and not arguments.has("ignore-paused"):
        msg = f"cannot exec in container {container_id}: it is paused"
        raise ConflictError(msg, hint="resume it, or give --ignore-paused: it waits for that")
    if status not in ("running", "created", "paused"):
        raise ConflictError(f"cannot exec in container {container_id}: it is {status}")
    process = _process(record.spec, arguments, words)
    wanted = foreground.ExecOptions(process)
    wanted.detach = arguments.has("detach")
    wanted.cgroup = record.cgroup
    wanted.subgroup = _subgroup(record.cgroup, arguments.text("cgroup"))
    wanted.console_socket = arguments.text("console-socket")
    wanted.pid_file = arguments.text("pid-file")
    wanted.preserve_fds = preserved(arguments)
    _hold(wanted.preserve_fds)
    wanted.cache = store.cache
    return foreground.execute(_kernel(), record, wanted)


def _subgroup(container: str, word: str) -> str:
    """The group that `exec --cgroup` names: it lies below the container's and is there.

    Empty for the container's own.

    Raises:
        ConflictError: the container has no group.
        InvalidArgumentError: it would be somewhere else, or does not exist.
    """
    parts = [part for part in word.split("/") if part not in ("", ".")]
    if not parts:
        return ""
    if not container:
        raise ConflictError(f"--cgroup {word}: this container has no control group")
    if ".." in parts:
        # The quoted part is what clients of other runtimes look for.
        raise InvalidArgumentError(f"invalid --cgroup {word}: `..` components are not allowed")
    path = "/".join((container, *parts))
    if not open_cgroup(detect(), path).exists():
        raise InvalidArgumentError(
            f"cgroup {path} does not exist", hint="make it first, or leave --cgroup out"
        )
    return path


def _process(
    spec: "dict[str, Any]", arguments: "Arguments", words: "list[str]"
) -> "dict[str, Any]":
    path = arguments.text("process")
    if path:
        from boxship.runtime.spec import shape  # noqa: PLC0415 - only here

        process: dict[str, Any] = document.read(path)
        shape.check(process, shape.PROCESS, "process")
        return process
    if not words:
        raise InvalidArgumentError("nothing to execute", hint="give a command or --process")
    process = {**spec["process"], "args": words, "terminal": arguments.has("tty")}
    process.pop("init", None)
    if arguments.text("cwd"):
        process["cwd"] = arguments.text("cwd")
    process["env"] = [*(process.get("env") or ()), *arguments.every("env")]
    if arguments.text("no-new-privs", "unset") != "unset":
        process["noNewPrivileges"] = arguments.has("no-new-privs")
    for option, field in (("apparmor", "apparmorProfile"), ("process-label", "selinuxLabel")):
        if arguments.text(option):
            process[field] = arguments.text(option)
    _set_user(process, arguments)
    extra = [name.upper() for name in arguments.every("cap")]
    if extra:
        process["capabilities"] = _with_capabilities(process.get("capabilities") or {}, extra)
    return process


def _with_capabilities(sets: "dict[str, list[str]]", extra: "list[str]") -> "dict[str, list[str]]":
    """Sets with more in them: for this process, not for what it executes as another user.

    One that is inheritable already becomes ambient as well; another the kernel would not take there
    (capabilities(7)).

    Raises:
        InvalidArgumentError: there is no such capability; in a document that is a warning.
    """
    from boxship.kernel.capabilities import NAMES  # noqa: PLC0415 - only here

    for name in extra:
        if name not in NAMES:
            raise InvalidArgumentError(f"--cap {name}: there is no such capability")
    more = dict.fromkeys(("bounding", "effective", "permitted"), extra)
    more["ambient"] = [name for name in extra if name in (sets.get("inheritable") or ())]
    return {name: [*(sets.get(name) or ()), *more.get(name, ())] for name in (*more, "inheritable")}


def _hold(count: int) -> None:
    if count:
        from boxship.runtime.listeners import hold_numbers  # noqa: PLC0415 - rare

        hold_numbers(count)


def preserved(arguments: "Arguments") -> int:
    """How many descriptors `--preserve-fds` asks to keep.

    Raises:
        InvalidArgumentError: fewer than none.
    """
    count = arguments.number("preserve-fds")
    if count < 0:
        raise InvalidArgumentError(f"--preserve-fds needs a number from 0 on, not {count}")
    return count


def _set_user(process: "dict[str, Any]", arguments: "Arguments") -> None:
    user = dict(process.get("user") or {})
    word = arguments.text("user")
    if word:
        uid, _, gid = word.partition(":")
        if not uid.isdecimal() or not (gid or "0").isdecimal():
            raise InvalidArgumentError(f"--user needs numbers, not {word!r}")
        user["uid"] = int(uid)
        user["gid"] = int(gid) if gid else user.get("gid", 0)
        user.pop("username", None)
    groups = arguments.every("additional-gids")
    if groups:
        for group_id in groups:
            if not group_id.isdecimal():
                raise InvalidArgumentError(f"--additional-gids needs numbers, not {group_id!r}")
        user["additionalGids"] = [*(user.get("additionalGids") or ()), *map(int, groups)]
    if word or groups:
        from boxship.runtime.spec import shape  # noqa: PLC0415 - only here

        # The highest would be taken for "leave it": the process would stay root.
        shape.check(user, shape.PROCESS["user"], "process.user")
    process["user"] = user


def _create_options(arguments: "Arguments", options: "Arguments") -> "creation.CreateOptions":
    from boxship.runtime.oci.creation import CreateOptions  # noqa: PLC0415 - as in create

    wanted = CreateOptions(arguments.text("bundle") or os.getcwd())  # noqa: PTH109 - slow import
    wanted.console_socket = arguments.text("console-socket")
    wanted.pid_file = arguments.text("pid-file")
    wanted.preserve_fds = preserved(arguments)
    if "LISTEN_FDS" in os.environ:
        from boxship.runtime.listeners import inherited  # noqa: PLC0415 - rare

        wanted.listeners = inherited(os.environ)
        wanted.preserve_fds += wanted.listeners
    _hold(wanted.preserve_fds)
    wanted.keep_keyring = arguments.has("no-new-keyring")
    wanted.config = arguments.text("config")
    wanted.keep = arguments.has("keep")
    wanted.no_pivot = arguments.has("no-pivot")
    wanted.debug = options.has("debug")
    wanted.ungrouped = options.text("cgroup-manager") == "disabled"
    return wanted


def signal_number(word: str) -> int:
    """The number of a signal given as `9`, `KILL`, `sigkill`, `RTMIN+3` or `RTMAX-1`.

    Raises:
        InvalidArgumentError: there is no such signal.
    """
    number = int(word) if word.isascii() and word.isdecimal() else _signal_by_name(word)
    if number > _LAST_SIGNAL:
        raise InvalidArgumentError(f"unknown signal {word!r}")
    return number


def _signal_by_name(word: str) -> int:
    from signal import Signals  # noqa: PLC0415 - engines give numbers

    mark = "-" if "-" in word else "+"
    name, _, offset = word.upper().removeprefix("SIG").partition(mark)
    try:
        return int(Signals[f"SIG{name}"]) + int(f"{mark}{offset or 0}")
    except (KeyError, ValueError) as error:
        raise InvalidArgumentError(f"unknown signal {word!r}") from error
