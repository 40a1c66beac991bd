"""A daemon and a keeper that may be of different versions meet.

After an upgrade the keeper still is the old one. It hands over what it has when it is greeted in
its own protocol; then it is ended, and one of our version takes its place. Containers run on.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from boxship.errors import UnsupportedError
from boxship.runtime.channel import PROTOCOL
from boxship.runtime.keeper import messages
from boxship.runtime.keeper_link import KeeperLink


async def say_hello(link: KeeperLink, exec_root: Path) -> dict[str, Any]:
    """Greet a keeper of our protocol or an earlier one; its answer.

    Raises:
        UnsupportedError: it is of a later one, whose deposits we may not understand.
        KeeperLostError: it ended first.
    """
    refusal: UnsupportedError | None = None
    for protocol in range(PROTOCOL, 0, -1):
        try:
            answer: dict[str, Any] = await link.request(messages.Hello(protocol))
        except UnsupportedError as error:
            refusal = refusal or error
        else:
            return answer
    raise UnsupportedError(
        f"the keeper of {exec_root} is of a newer boxship: {refusal}",
        hint="start that version again, have it stop containers and keeper by"
        " 'boxship system stop --containers', and then start this one",
    )


async def end_keeper(link: KeeperLink, pid: int) -> None:
    """SIGKILL a keeper that handed over, as it would not end while it has containers."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    pidfd = os.pidfd_open(pid)
    # Asked before it is closed, so that the number still is the keeper's.
    alive = not link.closed
    link.close()
    try:
        if alive:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        loop.add_reader(pidfd, ended.set)
        await ended.wait()
        loop.remove_reader(pidfd)
    finally:
        os.close(pidfd)
