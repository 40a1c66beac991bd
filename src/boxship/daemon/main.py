"""The daemon's main loop: take the lock, wire the parts, serve until told to stop."""

import asyncio
import errno
import fcntl
import gc
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from boxship import log
from boxship.api.server import Server, TlsFiles
from boxship.daemon.config import DaemonConfig, load
from boxship.daemon.wiring import open_engine
from boxship.errors import BoxshipError, ConflictError, ForbiddenError, InvalidArgumentError
from boxship.paths import Paths

EXIT_FAILURE = 1
_LOG_SIZE = 4 << 20
_HINTS = {
    errno.EACCES: "run as root",
    errno.EPERM: "run as root",
    errno.EROFS: "mount its file system for writing, or give another --data-root and --exec-root",
    errno.ENOSPC: "free some space",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a daemon until SIGTERM or SIGINT; the exit code."""
    try:
        config = load(sys.argv[1:] if arguments is None else arguments)
        log.set_level(config.log_level)
        _require_root()
        asyncio.run(_serve(config))
    except BoxshipError as error:
        log.error(str(error))
        return EXIT_FAILURE
    except OSError as error:
        # Of a place that was configured, or of the host's kernel: the system's words name it.
        log.error(f"the daemon cannot start: {error}")
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return 0
    return 0


def _require_root() -> None:
    """Refuse to begin what an ordinary user cannot finish: before anything is made.

    Raises:
        ForbiddenError: the user is not root.
    """
    if os.geteuid() != 0:
        raise ForbiddenError(
            "the daemon needs root: for images, networks and published ports",
            hint="start it as root; a single container runs without, by boxship-runtime"
            " (docs/rootless.md)",
        )


def _bound_own_log(paths: Paths) -> None:
    """Keep the file small that the command line gives to a daemon which it starts.

    What an operator gives is his to rotate.
    """
    with suppress(OSError):
        if Path("/proc/self/fd/2").samefile(paths.data_root / "daemon.log"):
            log.bound(_LOG_SIZE)


async def _serve(config: DaemonConfig) -> None:
    paths = Paths(config.data_root, config.exec_root)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        _make_directories(paths)
        _bound_own_log(paths)
        stack.enter_context(_Lock(paths.daemon_lock, "run-time directory"))
        stack.enter_context(_Lock(paths.data_root / "daemon.lock", "data root"))
        stack.enter_context(_PidFile(config.pidfile))
        router = await open_engine(config, paths, stopping.set, stack)
        server = Server(router, _tls(config))
        stack.push_async_callback(server.close)
        for host in config.hosts:
            await server.listen(host)
            log.info(f"listening on {host}")
        # What was made so far stays for ever: the collector need not look at it again and again.
        gc.freeze()
        _say_ready(config.ready_fd)
        await stopping.wait()
        log.info("stopping; containers go on")


def _make_directories(paths: Paths) -> None:
    """Both trees, for nobody but us to look into.

    Nobody at all gets into the data root: what a container's root makes set-user-id is so for the
    host too (CVE-2021-41091), and the database holds environments. Containers get their files by
    descriptor. The run-time directory holds the socket, which a group may use.
    """
    for path, mode in ((paths.data_root, 0o700), (paths.exec_root, 0o711)):
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot use directory {path}: {error.strerror}",
                hint=_HINTS.get(error.errno or 0, ""),
            ) from error


def _tls(config: DaemonConfig) -> TlsFiles | None:
    if not (config.tls or config.tls_verify):
        return None
    if not (config.tls_certificate and config.tls_key):
        raise InvalidArgumentError("TLS needs --tlscert and --tlskey")
    return TlsFiles(config.tls_certificate, config.tls_key, config.tls_ca, config.tls_verify)


def _say_ready(descriptor: int) -> None:
    if descriptor < 0:
        return
    # Whoever started us may have lost patience.
    with suppress(OSError):
        os.write(descriptor, b"ready\n")
    os.close(descriptor)


class _Lock:
    """One daemon for each directory; the kernel lets go when the process ends, however it ends."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise ConflictError(
                f"another daemon uses the {self._what} {self._path.parent}",
                hint="give this one its own --data-root, --exec-root, --pidfile and --host",
            ) from error

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)


class _PidFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{os.getpid()}\n", encoding="ascii")

    def __exit__(self, *_error: object) -> None:
        self._path.unlink(missing_ok=True)
