"""The user's terminal: raw mode, size, and getting it back as it was."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self


def is_terminal(fd: int) -> bool:
    return os.isatty(fd)


def size(fd: int = 1) -> "tuple[int, int]":
    """Rows and columns; zeros when it is no terminal."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns


class RawMode:
    """Keys go through one by one and unechoed within this context; a file is left alone."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None

    def __enter__(self) -> "Self":
        if is_terminal(self._fd):
            import termios  # noqa: PLC0415 - only with a terminal
            import tty  # noqa: PLC0415

            sys.stdout.flush()
            self._saved = termios.tcgetattr(self._fd)
            tty.setraw(self._fd, termios.TCSANOW)
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        if self._saved is not None:
            import termios  # noqa: PLC0415 - only with a terminal

            termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
