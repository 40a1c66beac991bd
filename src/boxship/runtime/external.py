"""The helper of external runtimes: makes one container, or one exec, with runc, crun and the like.

Started by the keeper as `python -I -S` with one socket, it answers as the launcher does (`Cloned`
or `Failed`) and speaks on the sync socket for the new process, which cannot. The root file system
is mounted in a mount namespace of the helper's own, from which the runtime clones the container's:
the host sees no mount, and nothing is left of it however anybody ends.
"""

import _socket
import json
import os
import select
import sys

from boxship.errors import BoxshipError, ConflictError, InternalError, InvalidArgumentError
from boxship.kernel import abi
from boxship.kernel.linux import LinuxKernel
from boxship.kernel.mounts import unescape
from boxship.runtime import channel, sync
from boxship.runtime.credentials import read_whole, resolve, user_of
from boxship.runtime.errors import StartFailedError
from boxship.runtime.filesystem.rootfs import Layers
from boxship.runtime.inherited import give_back
from boxship.runtime.spec.external_document import (
    PLAIN,
    explain,
    plain_document,
    plain_process,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from boxship.kernel.api import Kernel
    from boxship.runtime.credentials import Identity

SOCKET = 3
LOCK = 4
_CONSOLE_SECONDS = 10.0
_LOG_LIMIT = 1 << 20
_IGNORED_BY_PYTHON = (13, 25)
"""SIGPIPE and SIGXFSZ, which a container would ignore too."""
_SIGKILL = 9


class Making:
    """What one helper works on.

    Attributes:
        runtime: command line up to its global options.
        directory: where its log, pid file and socket are, below the bundle.
        stdio: descriptors of the new process until it is made; empty with a terminal.
        target: pidfd of the container's process, for one that joins it; or -1.
    """

    __slots__ = ("directory", "id", "kernel", "runtime", "stdio", "target")

    def __init__(self, kernel: "Kernel", container_id: str, runtime: "list[str]") -> None:
        self.kernel = kernel
        self.id = container_id
        self.runtime = runtime
        self.stdio: list[int] = []
        self.target = -1
        self.directory = ""

    def command(self, *words: str) -> int:
        """Run a command of the runtime to its end; its exit code.

        The first command gets the new process's descriptors, and nobody keeps them.
        """
        log = ["--log", f"{self.directory}/log.json", "--log-format", "json"]
        argv = [*self.runtime, *log, *words]
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        theirs = self.stdio or [null] * 3
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(theirs)]
        try:
            pid = os.posix_spawn(
                argv[0], argv, os.environ, file_actions=actions, setsigdef=_IGNORED_BY_PYTHON
            )
        finally:
            channel.close_all([null, *self.stdio])
            self.stdio = []
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def made(self, words: "list[str]", program: str, *, terminal: bool) -> "tuple[int, int]":
        """Run a command that makes a process; its pid, and its terminal's master or -1.

        Raises:
            StartFailedError: what the runtime logged.
            InternalError: it sent no terminal; the process is ended.
            OSError: it left no file with the pid.
            ValueError: there is no number in it.
        """
        console = None
        more = ["--pid-file", f"{self.directory}/pid"]
        if terminal:
            console = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            # By descriptor: the address of a socket has 108 bytes.
            place = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            path = f"/proc/{os.getpid()}/fd/{place}/tty"
            console.bind(path)
            console.listen(1)
            more += ["--console-socket", path]
        code = self.command(words[0], *more, *words[1:])
        if code != 0:
            raise self.failure(program, code)
        with open(f"{self.directory}/pid", encoding="ascii") as file:  # noqa: PTH123 - no pathlib
            pid = int(file.read())
        if console is None:
            return pid, -1
        try:
            return pid, _master(console)
        except (BoxshipError, OSError):
            _end(self.kernel, pid)
            raise
        finally:
            console.close()

    def failure(self, program: str, code: int) -> StartFailedError:
        """What the runtime's log says, in Docker's words."""
        text = _last_error(f"{self.directory}/log.json")
        text = text or f"{self.runtime[0]} failed with exit code {code} and said nothing"
        return StartFailedError(*explain(text, program))


def _end(kernel: "Kernel", pid: int) -> None:
    """Kill a process that nobody is going to look after."""
    try:
        pidfd = kernel.pidfd_open(pid)
        kernel.pidfd_send_signal(pidfd, _SIGKILL)
        kernel.close(pidfd)
    except OSError:
        return


def _last_error(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            lines = file.read(_LOG_LIMIT).splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            return str(entry.get("msg", ""))
    return ""


def _master(console: "_socket.socket") -> int:
    """The terminal's master, which the runtime has sent by now."""
    if not select.select([console], [], [], _CONSOLE_SECONDS)[0]:
        raise InternalError("the runtime sent no terminal")
    descriptor, _ = console._accept()  # type: ignore[attr-defined]  # noqa: SLF001
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=descriptor)
    space = _socket.CMSG_SPACE(4)
    try:
        _, ancillary, _, _ = connection.recvmsg(4096, space, _socket.MSG_CMSG_CLOEXEC)
    finally:
        connection.close()
    if not ancillary:
        raise InternalError("the runtime sent no terminal")
    return int.from_bytes(ancillary[0][2][:4], sys.byteorder)


def create(making: Making, fields: "list[Any]") -> "tuple[int, int, str]":
    """Make a container; its pid, its terminal's master or -1, and its control group.

    Raises:
        BoxshipError: the runtime failed, or the root cannot be mounted.
        OSError: a system call failed.
    """
    # The fields of keeper.messages.Spawn.
    _, bundle, rootfs, terminal = fields
    spec = _read(f"{bundle}/config.json")
    making.directory = f"{bundle}/{PLAIN}"
    root = f"{making.directory}/rootfs"
    os.makedirs(root, mode=0o700, exist_ok=True)  # noqa: PTH103 - no pathlib here
    _keep_to_ourselves(making.kernel, bundle)
    _mount_root(making.kernel, rootfs, root)
    identity = _find_user(making.kernel, root, spec["process"])
    document = plain_document(spec, identity)
    document["root"] = {**(spec.get("root") or {}), "path": "rootfs"}
    _write(f"{making.directory}/config.json", document)
    program = (spec["process"].get("args") or [""])[0]
    words = ["create", "--bundle", making.directory, making.id]
    try:
        pid, master = making.made(words, program, terminal=terminal)
    except (BoxshipError, OSError, ValueError):
        forget(making)
        raise
    return pid, master, (spec.get("linux") or {}).get("cgroupsPath") or ""


def execute(making: Making, fields: "list[Any]") -> "tuple[int, int, str]":
    """Make a process in a container; as `create`."""
    # The fields of keeper.messages.SpawnExec.
    target, bundle, cgroup, process, terminal = fields
    making.directory = f"{bundle}/{PLAIN}/exec-{os.getpid()}"
    os.makedirs(making.directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - no pathlib here
    try:
        identity = _find_user(making.kernel, f"/proc/{target}/root", process)
        if select.select([making.target], [], [], 0)[0]:
            # So the number may have been another process's by now.
            raise ConflictError(f"container {making.id} is not running")
        path = f"{making.directory}/process.json"
        _write(path, plain_process(process, identity))
        words = ["exec", "--detach", "--process", path, making.id]
        pid, master = making.made(words, (process.get("args") or [""])[0], terminal=terminal)
    finally:
        _remove(making.directory)
    return pid, master, cgroup


def forget(making: Making) -> None:
    """Have the runtime remove what it made, if anything."""
    making.command("delete", "--force", making.id)


def _keep_to_ourselves(kernel: "Kernel", bundle: str) -> None:
    """A mount namespace of our own, in which what is mounted in the bundle spreads nowhere.

    Only the mount the bundle is on leaves its peers: volumes with shared propagation stay shared.
    """
    kernel.unshare(abi.CLONE_NEWNS)
    place = ""
    real = os.path.realpath(bundle)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        for line in file:
            point = unescape(line.split(" ", 5)[4])
            if len(point) >= len(place) and f"{real}/".startswith(f"{point.rstrip('/')}/"):
                place = point
    kernel.mount("", place or "/", "", abi.MS_PRIVATE)


def _mount_root(kernel: "Kernel", mounts: "list[Any]", target: str) -> None:
    if not mounts:
        raise InvalidArgumentError("external runtimes need a root file system from the store")
    kind, source, options = mounts[0]
    if kind != "overlay":
        kernel.mount(source, target, "", abi.MS_BIND | abi.MS_REC)
        return
    layers = Layers(tuple(options))
    flags = 0 if layers.upper and "ro" not in options else abi.MS_RDONLY
    # The kernel takes one page of options: relative paths keep 127 layers within it.
    base = layers.base.rstrip("/")
    paths = [*layers.lower, *filter(None, (layers.upper, layers.work))]
    names = {path: path[len(base) + 1 :] if base else path for path in paths}
    os.chdir(base or "/")
    kernel.mount("overlay", target, "overlay", flags, layers.data(names))
    os.chdir("/")


def _find_user(kernel: "Kernel", root: str, process: "dict[str, Any]") -> "Identity":
    """Look the user up in a container's root, which its paths cannot lead out of."""
    directory = kernel.open_file(root, os.O_PATH | os.O_DIRECTORY)
    texts = []
    for path in ("/etc/passwd", "/etc/group"):
        try:
            # Non-blocking: the image may have a fifo there.
            found = kernel.open_in_root(directory, path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            texts.append("")
        else:
            texts.append(read_whole(kernel, found, path))
    kernel.close(directory)
    return resolve(user_of(process.get("user") or {}), *texts)


def _read(path: str) -> "dict[str, Any]":
    with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
        document: dict[str, Any] = json.load(file)
    return document


def _write(path: str, document: "dict[str, Any]") -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        json.dump(document, file)


def _remove(directory: str) -> None:
    for name in os.listdir(directory):  # noqa: PTH208 - no pathlib here
        os.unlink(f"{directory}/{name}")  # noqa: PTH108 - no pathlib here
    os.rmdir(directory)  # noqa: PTH106 - no pathlib here


def _reply(name: str, fields: "list[Any]") -> bytes:
    return json.dumps([0, name, *fields], ensure_ascii=False).encode(errors="surrogateescape")


def _words(error: Exception) -> "list[Any]":
    # The fields of keeper.messages.Failed.
    if isinstance(error, BoxshipError):
        return [error.kind, error.message, error.hint, getattr(error, "reason", "")]
    return ["internal", f"the process cannot be made: {error}", "", ""]


def _open(making: Making, pid: int, *, own: bool) -> int:
    try:
        return making.kernel.pidfd_open(pid)
    except OSError:
        # A container that ended at once is still in the runtime's records.
        if own:
            forget(making)
        raise


def serve(making: Making, sock: "_socket.socket", request: "list[Any]") -> None:
    """Carry the keeper's one request out, and stay until the program runs."""
    own = request[1] == "Spawn"
    fields = request[2:]
    try:
        pid, master, cgroup = (create if own else execute)(making, fields)
        pidfd = _open(making, pid, own=own)
    except (BoxshipError, OSError, ValueError, KeyError) as error:
        channel.send(sock, _reply("Failed", _words(error)))
        return
    ours, theirs = sync.pair()
    try:
        # Before the process is told of: an exec session's may have ended already.
        if master >= 0:
            ours.send(sync.CONSOLE, (master,))
            os.close(master)
        ours.send(sync.READY)
        channel.send(sock, _reply("Cloned", [pid, cgroup, []]), [pidfd, theirs.fileno()])
        theirs.close()
        go = ours.receive() is not None
    except OSError:
        go = False
    if not own:
        if not go:
            # It runs already, and nobody is left to look after it.
            making.kernel.pidfd_send_signal(pidfd, _SIGKILL)
        return
    if not go:
        forget(making)
        return
    code = making.command("start", making.id)
    if code != 0:
        failure = making.failure("", code)
        ours.send_error(failure.reason, 0, failure.message)


def main() -> "NoReturn":
    """Serve the keeper on the descriptor it left open, then end."""
    nofile, oom_score, container_id, *runtime = sys.argv[1:]
    kernel = LinuxKernel()
    kernel.set_name("boxship-extern")
    give_back(kernel, nofile, oom_score)
    for fd in (SOCKET, LOCK):
        os.set_inheritable(fd, False)
    sock = _socket.socket(fileno=SOCKET)
    received = channel.receive(sock)
    if received is not None:
        body, fds = received
        request = json.loads(body)
        making = Making(kernel, container_id, runtime)
        if request[1] == "SpawnExec":
            making.target = fds.pop()
        making.stdio = fds
        serve(making, sock, request)
    os._exit(0)
