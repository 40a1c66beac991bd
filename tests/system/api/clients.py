"""Command-line clients as tests drive them: with pipes, or at a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PATIENCE = 20.0
DETACH = b"\x10\x11"
OURS = str(Path(sys.executable).with_name("boxship"))
DEBIAN_DOCKER = "/usr/bin/docker"


class Terminal:
    """A client at a terminal of its own."""

    def __init__(self, command: list[str], env: Mapping[str, str], size: tuple[int, int]) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            # The size must be there before the client asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            os.execve(command[0], command, dict(env))  # noqa: S606 - no shell is wanted
        self.output = b""
        self._seen = 0

    def expect(self, text: str, again: Callable[[], None] | None = None) -> None:
        """Wait until this is printed, after what was expected before.

        `again` is called every now and then meanwhile, for what a client may not have heard yet.
        """
        wanted = text.encode()
        while (found := self.output.find(wanted, self._seen)) < 0:
            if again is not None:
                again()
                if not select.select([self._fd], [], [], 0.05)[0]:
                    continue
            assert self._read(), f"{text!r} never came: {self.output!r}"
        self._seen = found + len(wanted)

    def type(self, text: str | bytes) -> None:
        os.write(self._fd, text if isinstance(text, bytes) else text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self._pid, signal.SIGWINCH)

    def end(self) -> int:
        """Read to the end; the client's exit code."""
        while self._read():
            continue
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._fd], [], [], PATIENCE)
        if not ready:
            os.kill(self._pid, signal.SIGKILL)
            raise AssertionError(f"silent for {PATIENCE} s: {self.output!r}")
        try:
            data = os.read(self._fd, 65536)
        except OSError:
            # Linux: the other side of a pty is gone.
            return b""
        self.output += data
        return data


class Client:
    """One program, and the engine that it speaks to."""

    def __init__(self, program: str, address: str, home: Path) -> None:
        self.program = program
        self.ours = program == OURS
        self._env = {
            **os.environ,
            "DOCKER_HOST": address,
            "BOXSHIP_HOST": address,
            "DOCKER_CONFIG": str(home),
            "DOCKER_BUILDKIT": "0",
        }
        self._env.pop("DOCKER_API_VERSION", None)

    def __call__(self, *words: str, code: int = 0, **options: Any) -> str:
        """Run a command that ends with this exit code; what it printed."""
        done = self.run(*words, **options)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout.rstrip("\n")

    def fails(self, *words: str, code: int = 1, **options: Any) -> str:
        """Run a command that fails with this exit code; what it complained."""
        done = self.run(*words, **options)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stderr

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *words],
            env=self._env,
            check=False,
            timeout=PATIENCE,
            text=True,
            **{"capture_output": True, **options},
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(
            [self.program, *words],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminal(self, *words: str, size: tuple[int, int] = (24, 80)) -> Terminal:
        return Terminal([self.program, *words], self._env, size)


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)
