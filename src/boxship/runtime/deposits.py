"""The descriptors of the keeper's processes, kept by the daemon for the keeper's successor.

As systemd's fd store: what a keeper that crashes holds open is held here too, so that pipes,
terminals and pidfds survive it.
"""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from boxship.runtime.keeper.messages import Description, Key, Streams


class Deposit(NamedTuple):
    """One process: who it is and its descriptors by name."""

    description: Description
    fds: dict[str, int]


class Client(NamedTuple):
    """One attach client: the keeper's end of its socket."""

    key: Key
    streams: Streams
    fd: int


class Deposits:
    """Owns every descriptor that is put into it."""

    def __init__(self) -> None:
        self._processes: dict[Key, Deposit] = {}
        self._clients: dict[int, Client] = {}

    def put(self, description: Description, fds: dict[str, int]) -> None:
        """Add descriptors of a process to those that are there."""
        deposit = self._processes.get(description.key)
        if deposit is None:
            deposit = Deposit(description, {})
            self._processes[description.key] = deposit
        for name, fd in fds.items():
            _close(deposit.fds, name)
            deposit.fds[name] = fd

    def put_client(self, number: int, client: Client) -> None:
        self._clients[number] = client

    def withdraw(self, key: Key, names: Iterable[str]) -> None:
        """Close descriptors of a process; all, and forget it, when none are named."""
        deposit = self._processes.get(key)
        if deposit is None:
            return
        for name in tuple(names) or tuple(deposit.fds):
            _close(deposit.fds, name)
        if not names:
            del self._processes[key]

    def withdraw_client(self, number: int) -> None:
        client = self._clients.pop(number, None)
        if client is not None:
            os.close(client.fd)

    def processes(self) -> Iterator[Deposit]:
        """All processes, containers before their exec sessions."""
        yield from sorted(self._processes.values(), key=lambda d: d.description.key.exec_id or "")

    def clients(self) -> dict[int, Client]:
        return dict(self._clients)

    def take_clients(self, other: "Deposits") -> None:
        """Move another's attach clients here."""
        for number, client in other.clients().items():
            self._clients[number] = client._replace(fd=os.dup(client.fd))
            other.withdraw_client(number)

    def clear(self) -> None:
        for key in tuple(self._processes):
            self.withdraw(key, ())
        for number in tuple(self._clients):
            self.withdraw_client(number)


def _close(fds: dict[str, int], name: str) -> None:
    fd = fds.pop(name, -1)
    if fd >= 0:
        os.close(fd)
