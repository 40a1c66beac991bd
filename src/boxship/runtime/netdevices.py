"""`linux.netDevices`: links of the host that become the container's (config-linux, 1.3).

Not imported unless a document has some: netlink's modules are slow to import.
"""

import os

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError
from boxship.kernel import KernelError
from boxship.kernel.netlink.connection import RouteSocket
from boxship.kernel.netlink.link import Link, change_link, links
from boxship.kernel.netlink.move import KeptAddress, give_address, kept_addresses, move_link
from boxship.kernel.netns import entered, open_netns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from boxship.runtime.plan import Namespaces

# linux/if.h, IFNAMSIZ without the zero byte
_NAME_BYTES = 15
_TEMPLATE = "%d"


class _Move:
    """One link on its way.

    Attributes:
        link: as it was on the host.
        name: what it shall be called; with `%d` the kernel chooses a number.
        addresses: what it keeps.
    """

    def __init__(self, link: Link, name: str, addresses: list[KeptAddress]) -> None:
        self.link = link
        self.name = name
        self.addresses = addresses


def check_devices(
    wanted: "dict[str, dict[str, Any] | None]", spaces: "Namespaces", *, unprivileged: bool
) -> dict[str, str]:
    """Names on the host to names in the container.

    Raises:
        InvalidArgumentError: there is no network namespace, a name is none, or two are equal.
        UnsupportedError: this user may not move the host's links.
    """
    if not spaces.has("network"):
        msg = "linux.netDevices needs a network namespace"
        raise InvalidArgumentError(msg, hint='add {"type": "network"} to linux.namespaces')
    if "user" in spaces.joined and "network" in spaces.new:
        # It is made by the child, at a time of its own.
        msg = "linux.netDevices cannot be moved to a new namespace of a joined user namespace"
        raise UnsupportedError(msg, hint="join a network namespace as well")
    if unprivileged:
        raise UnsupportedError("linux.netDevices needs root: the links are the host's")
    names = {name: (device or {}).get("name") or name for name, device in wanted.items()}
    for name in (*names, *names.values()):
        if not _is_name(name):
            raise InvalidArgumentError(f"linux.netDevices: {name!r} is no name of a network device")
    fixed = [name for name in names.values() if _TEMPLATE not in name]
    if len(fixed) != len(set(fixed)):
        raise InvalidArgumentError("linux.netDevices gives two devices the same name")
    return names


def _is_name(name: str) -> bool:
    """As dev_valid_name() of the kernel's net/core/dev.c, and the one template it knows."""
    plain = name.replace(_TEMPLATE, "", 1)
    return (
        0 < len(name.encode()) <= _NAME_BYTES
        and name not in (".", "..")
        and not any(c in "/:%" or c.isspace() for c in plain)
    )


def move_devices(pid: int, names: dict[str, str]) -> None:
    """Move links into the network namespace of a process, and set them up there.

    They stay there: with the namespace, physical ones come back to the host and virtual ones end.

    Raises:
        NotFoundError: the host has no such link.
        ConflictError: the container has one of that name.
        UnsupportedError: the kernel does not move it.

    What was moved already is moved back then.
    """
    netns, host = open_netns(pid), open_netns(os.getpid())
    try:
        with RouteSocket() as here:
            with entered(netns):
                there = RouteSocket()
            with there:
                moves = _prepare(here, there, names)
                _carry(here, there, moves, (netns, host))
    finally:
        os.close(netns)
        os.close(host)


def _prepare(here: RouteSocket, there: RouteSocket, names: dict[str, str]) -> list[_Move]:
    known = {link.name: link for link in links(here)}
    taken = {link.name for link in links(there)}
    moves = []
    for name, wanted in names.items():
        if name not in known:
            raise NotFoundError(f"linux.netDevices: the host has no network device {name}")
        if wanted in taken:
            raise ConflictError(f"linux.netDevices: the container has a device {wanted} already")
        link = known[name]
        moves.append(_Move(link, wanted, kept_addresses(here, link.ifindex)))
    return moves


def _carry(
    here: RouteSocket, there: RouteSocket, moves: list[_Move], places: tuple[int, int]
) -> None:
    netns, host = places
    moved: list[tuple[_Move, int]] = []
    name = ""
    try:
        for move in moves:
            name = move.link.name
            index = _move(here, there, move, netns)
            moved.append((move, index))
            _equip(there, index, move, up=True)
    except KernelError as error:
        left = _move_back(here, there, moved, host)
        raise UnsupportedError(f"cannot move network device {name}: {error}{left}") from error
    except NotFoundError as error:
        error.message += _move_back(here, there, moved, host)
        raise


def _move(here: RouteSocket, there: RouteSocket, move: _Move, netns: int) -> int:
    before = {link.ifindex for link in links(there)}
    here.transact([move_link(move.link.ifindex, netns, move.name)])
    for link in links(there):
        if link.ifindex not in before:
            return link.ifindex
    raise NotFoundError(f"linux.netDevices: {move.link.name} was removed while it was moved")


def _move_back(
    here: RouteSocket, there: RouteSocket, moved: list[tuple[_Move, int]], host: int
) -> str:
    """Bring links back; what to say of those that cannot be."""
    left = ""
    for move, index in reversed(moved):
        name = move.link.name
        try:
            there.transact([move_link(index, host, name)])
            for link in links(here):
                if link.name == name:
                    _equip(here, link.ifindex, move, up=move.link.up)
        except KernelError as error:
            left += f"; {name} cannot be moved back: {error}"
    return left


def _equip(route: RouteSocket, index: int, move: _Move, *, up: bool) -> None:
    requests = [give_address(index, kept) for kept in move.addresses]
    if up:
        requests.append(change_link(index))
    route.transact(requests)
