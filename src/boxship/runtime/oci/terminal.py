"""Stand between this process's terminal and a container's, until the container ends."""

import os
import select
import signal
import termios
import tty
from contextlib import suppress

from boxship.kernel import tty as pty

_CHUNK = 65536


def carry(master: int, pidfd: int) -> None:
    """Copy both ways; the local terminal is raw meanwhile and restored at the end.

    Args:
        master: the container's terminal.
        pidfd: the process whose end ends this.
    """
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    if saved is not None:
        tty.setraw(0)
        _follow_size(master)
    try:
        _copy(master, pidfd)
    finally:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)
        os.close(master)


def _follow_size(master: int) -> None:
    def resize(*_: object) -> None:
        with suppress(OSError):
            pty.set_size(master, *pty.size(0))

    resize()
    signal.signal(signal.SIGWINCH, resize)


def _copy(master: int, pidfd: int) -> None:
    poller = select.poll()
    poller.register(master, select.POLLIN)
    poller.register(pidfd, select.POLLIN)
    poller.register(0, select.POLLIN)
    ended = False
    while True:
        ready = dict(poller.poll(0 if ended else None))
        if master in ready and not _output(master):
            return
        if 0 in ready and not _input(master):
            poller.unregister(0)
        if pidfd in ready:
            ended = True
            poller.unregister(pidfd)
        elif ended and master not in ready:
            return


def _output(master: int) -> bool:
    try:
        chunk = os.read(master, _CHUNK)
    except OSError:
        # EIO: every process has closed the terminal.
        return False
    os.write(1, chunk)
    return bool(chunk)


def _input(master: int) -> bool:
    chunk = os.read(0, _CHUNK)
    if chunk:
        os.write(master, chunk)
        return True
    # End of input is a character to a terminal.
    os.write(master, b"\x04")
    return False
