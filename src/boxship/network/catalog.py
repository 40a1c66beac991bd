"""The networks there are: their records, and what may be created and removed."""

import os
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network

import msgspec

from boxship.errors import (
    ConflictError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
)
from boxship.log import error
from boxship.model.network import IpamPool, Network, NetworkRequest
from boxship.network.ipam import choose_subnet, complete_pool
from boxship.network.settings import NetworkSettings
from boxship.storage.records.records import Records

PREDEFINED = ("bridge", "host", "none")
_RESERVED = (*PREDEFINED, "default", "container")
_FOREIGN_DRIVERS = ("macvlan", "ipvlan", "overlay")

BRIDGE_NAME = "com.docker.network.bridge.name"
MTU = "com.docker.network.driver.mtu"
ICC = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
_DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"

# A part of what the kernel takes (dev_valid_name in net/core/dev.c): it is written into rules too.
_LINK_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,14}")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Network).decode


class Catalog:
    """Networks by id, in memory and written through to the database."""

    def __init__(
        self, records: Records, settings: NetworkSettings, clock: Callable[[], int]
    ) -> None:
        self._records = records
        self._settings = settings
        self._clock = clock
        self._networks: dict[str, Network] = {}

    def load(self, used: Iterable[IPv4Network]) -> None:
        """Read the records and make the predefined networks that are missing."""
        for record in self._records.list():
            try:
                self._networks[record.id] = _decode(record.body)
            except msgspec.MsgspecError as damaged:
                error(f"network {record.name}: its record is damaged, it is forgotten: {damaged}")
                self._records.delete(record.id)
        used = list(used)
        for name, driver in (("none", "null"), ("host", "host"), ("bridge", "bridge")):
            if self._by_name(name) is None:
                self._make_predefined(name, driver, used)
        self._follow_settings()

    def all(self) -> list[Network]:
        return list(self._networks.values())

    def bridges(self) -> list[Network]:
        return [network for network in self._networks.values() if network.driver == "bridge"]

    def get(self, name_or_id: str) -> Network:
        """A network by its id, its name, or the beginning of its id.

        Raises:
            NotFoundError: there is none.
            InvalidArgumentError: several ids begin so.
        """
        found = self._networks.get(name_or_id) or self._by_name(name_or_id)
        if found is not None:
            return found
        matching = [key for key in self._networks if name_or_id and key.startswith(name_or_id)]
        if len(matching) > 1:
            raise InvalidArgumentError(
                f"network {name_or_id} is ambiguous ({len(matching)} matches found based on ID "
                "prefix)"
            )
        if not matching:
            raise NotFoundError(
                f"network {name_or_id} not found", hint="`boxship network ls` lists them"
            )
        return self._networks[matching[0]]

    def create(self, request: NetworkRequest, used: Iterable[IPv4Network]) -> Network:
        """Check the request, choose addresses and record the network.

        Args:
            request: what is asked for.
            used: subnets in use on the host.

        Raises:
            ForbiddenError: the name is predefined, or the subnet overlaps another.
            ConflictError: the name or the link name is taken.
            NotFoundError: there is no such driver.
            UnsupportedError: a known option that is not supported.
            InvalidArgumentError: a name or address is malformed.
            ExhaustedError: no subnet is left.
        """
        self._check(request)
        network_id = os.urandom(32).hex()
        network = Network(
            id=network_id,
            name=request.name,
            driver="bridge",
            created=self._clock(),
            pools=(self._pool(request, list(used)),),
            internal=request.internal,
            attachable=request.attachable,
            labels=request.labels,
            options=request.options,
            ipam_options=request.ipam_options,
            link=self._link(request, network_id),
        )
        self._insert(network)
        return network

    def forget(self, network_id: str) -> None:
        self._records.delete(network_id)
        self._networks.pop(network_id, None)

    def _by_name(self, name: str) -> Network | None:
        return next((each for each in self._networks.values() if each.name == name), None)

    def _check(self, request: NetworkRequest) -> None:
        if request.name in _RESERVED:
            raise ForbiddenError(f"operation is not permitted on predefined {request.name} network")
        if not request.name.strip() or "/" in request.name:
            raise InvalidArgumentError(f'invalid network name: "{request.name}"')
        if self._by_name(request.name):
            raise ConflictError(f"network with name {request.name} already exists")
        _check_driver(request.driver)
        if request.enable_ipv6:
            raise UnsupportedError(
                f"cannot create network {request.name}: IPv6 networks are not supported",
                hint="leave out --ipv6",
            )
        if len(request.pools) > 1:
            raise UnsupportedError(
                f"cannot create network {request.name}: bridge driver supports one IPv4 subnet"
            )
        for key in (ICC, MASQUERADE):
            flag(request.options, key, default=True)
        _check_mtu(request.options.get(MTU, "0"))

    def _link(self, request: NetworkRequest, network_id: str) -> str:
        wanted = request.options.get(BRIDGE_NAME)
        if not wanted:
            return f"bx-{network_id[:12]}"
        if not _LINK_NAME.fullmatch(wanted):
            raise InvalidArgumentError(f'invalid bridge name "{wanted}"')
        if any(network.link == wanted for network in self._networks.values()):
            raise ConflictError(f"bridge {wanted} belongs to another network")
        return wanted

    def _pool(self, request: NetworkRequest, used: list[IPv4Network]) -> IpamPool:
        ours = [IPv4Network(pool.subnet) for each in self.bridges() for pool in each.pools]
        asked = request.pools[0] if request.pools else IpamPool()
        if asked.subnet:
            return complete_pool(asked, ours)
        if asked.gateway or asked.ip_range:
            raise InvalidArgumentError(
                "invalid network config: a gateway or ip-range needs a subnet", hint="add --subnet"
            )
        subnet = choose_subnet(self._settings.ranges, [*used, *ours])
        return complete_pool(IpamPool(str(subnet), auxiliary=asked.auxiliary), ())

    def _make_predefined(self, name: str, driver: str, used: list[IPv4Network]) -> None:
        network_id = os.urandom(32).hex()
        bare = Network(network_id, name, driver, self._clock())
        if driver != "bridge":
            self._insert(bare)
            return
        pool = self._bip_pool() or self._pool(NetworkRequest(name), used)
        link = self._settings.bridge or f"bx-{network_id[:12]}"
        options = {
            _DEFAULT_BRIDGE: "true",
            ICC: str(self._settings.icc).lower(),
            MASQUERADE: "true",
            HOST_BINDING: self._settings.host_ip,
            BRIDGE_NAME: link,
        }
        self._insert(msgspec.structs.replace(bare, pools=(pool,), options=options, link=link))

    def _bip_pool(self) -> IpamPool | None:
        bip = self._settings.bip
        if not bip:
            return None
        try:
            subnet = IPv4Network(bip, strict=False)
        except ValueError:
            raise InvalidArgumentError(
                f"invalid --bip {bip}", hint="write an address with its prefix: 10.9.0.1/24"
            ) from None
        return complete_pool(IpamPool(str(subnet), gateway=bip.split("/", 1)[0]), ())

    def _follow_settings(self) -> None:
        """Let a changed `--bip` take effect on the default network."""
        default, pool = self.get("bridge"), self._bip_pool()
        if pool is not None and pool != default.pools[0]:
            changed = msgspec.structs.replace(default, pools=(pool,))
            self._records.update(changed.id, _encode(changed))
            self._networks[changed.id] = changed

    def _insert(self, network: Network) -> None:
        self._records.insert(network.id, network.name, _encode(network))
        self._networks[network.id] = network


def flag(options: dict[str, str], key: str, *, default: bool) -> bool:
    """A boolean option, as Go reads them.

    Raises:
        InvalidArgumentError: it is neither true nor false.
    """
    value = options.get(key, "").lower()
    if value in ("1", "t", "true"):
        return True
    if value in ("0", "f", "false"):
        return False
    if value:
        raise InvalidArgumentError(f"invalid value {value} for {key}", hint="use true or false")
    return default


def _check_driver(driver: str) -> None:
    if driver in ("bridge", "default", ""):
        return
    if driver in ("host", "null"):
        raise ForbiddenError(f'only one instance of "{driver}" network is allowed')
    if driver in _FOREIGN_DRIVERS:
        raise UnsupportedError(
            f"network driver {driver} is not supported", hint="use the bridge driver"
        )
    raise NotFoundError(f'plugin "{driver}" not found')


def _check_mtu(value: str) -> None:
    if not value.isdecimal() or not (value == "0" or 68 <= int(value) <= 65535):
        raise InvalidArgumentError(f"invalid {MTU} {value}", hint="use 68 to 65535")
