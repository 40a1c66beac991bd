"""Network namespaces: work in another one for a moment, without a process of its own.

setns(2) concerns the calling thread only; the code inside `entered` must not wait, start threads
or run an event loop.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from boxship.kernel import abi
from boxship.kernel.namespaces import setns


def open_netns(pid: int) -> int:
    """A descriptor (close-on-exec) of a process's network namespace, which it keeps alive."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(netns: int) -> Iterator[None]:
    """Run the block in the network namespace behind a descriptor.

    Raises:
        KernelError: the namespace cannot be entered.
    """
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(netns, abi.CLONE_NEWNET)
        try:
            yield
        finally:
            setns(own, abi.CLONE_NEWNET)
    finally:
        os.close(own)


def socket_in(netns: int, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that belongs to another network namespace for good (close-on-exec).

    Raises:
        KernelError: the namespace cannot be entered.
        OSError: the socket cannot be made.
    """
    with entered(netns):
        return socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
