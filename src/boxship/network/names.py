"""Who is called what on which network."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class _Entry(NamedTuple):
    network_name: str
    address: str
    names: tuple[str, ...]


class Directory:
    """The names of running containers on user networks. Names are compared without case."""

    def __init__(self) -> None:
        self._networks: dict[str, dict[str, _Entry]] = {}
        self._aliases: dict[str, dict[str, str]] = {}

    def add(
        self, network: tuple[str, str], container_id: str, address: str, names: Sequence[str]
    ) -> None:
        """Enter a container's address on a network (its id and name) under several names."""
        network_id, network_name = network
        lowered = tuple(name.lower() for name in names)
        members = self._networks.setdefault(network_id, {})
        members[container_id] = _Entry(network_name, address, lowered)

    def remove(self, network_id: str, container_id: str) -> None:
        members = self._networks.get(network_id, {})
        members.pop(container_id, None)
        if not members:
            self._networks.pop(network_id, None)

    def add_links(self, container_id: str, links: Iterable[str]) -> None:
        """Private names of one container for others: `container:alias`."""
        private = self._aliases.setdefault(container_id, {})
        for link in links:
            target, _, alias = link.partition(":")
            private[(alias or target).lower()] = target.lower()

    def forget_links(self, container_id: str) -> None:
        self._aliases.pop(container_id, None)

    def addresses(self, container_id: str, name: str) -> list[str]:
        """What a name means to a container: addresses on the networks it shares."""
        wanted = name.lower().rstrip(".")
        wanted = self._aliases.get(container_id, {}).get(wanted, wanted)
        found: list[str] = []
        for members in self._networks_of(container_id):
            found += [
                entry.address
                for entry in members.values()
                if wanted in entry.names or _qualified(wanted, entry)
            ]
        return found

    def name_of(self, container_id: str, address: str) -> str:
        """The name behind an address on a shared network, with the network's; or empty."""
        for members in self._networks_of(container_id):
            for entry in members.values():
                if entry.address == address and entry.names:
                    return f"{entry.names[0]}.{entry.network_name}"
        return ""

    def _networks_of(self, container_id: str) -> list[dict[str, _Entry]]:
        return [members for members in self._networks.values() if container_id in members]


def _qualified(wanted: str, entry: _Entry) -> bool:
    name, _, rest = wanted.partition(".")
    return bool(rest) and rest == entry.network_name.lower() and name in entry.names


def dns_names(
    name: str, container_id: str, hostname: str, aliases: Iterable[str]
) -> tuple[str, ...]:
    """The names a container answers to on a user network, the first being its own."""
    every = (name, *aliases, container_id[:12], hostname)
    return tuple(dict.fromkeys(each for each in every if each))
