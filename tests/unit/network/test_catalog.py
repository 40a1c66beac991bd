from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from boxship.errors import (
    BoxshipError,
    ConflictError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
)
from boxship.model.network import IpamPool, NetworkRequest
from boxship.network.catalog import BRIDGE_NAME, ICC, MTU, Catalog, flag
from boxship.network.settings import NetworkSettings
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    database = Database(tmp_path / "boxship.db")
    yield Records(database, "networks")
    database.close()


@pytest.fixture
def catalog(records: Records) -> Catalog:
    return loaded(records)


def loaded(records: Records, settings: NetworkSettings | None = None) -> Catalog:
    made = Catalog(records, settings or NetworkSettings(), clock=lambda: 42)
    made.load([IPv4Network("172.17.0.0/16")])
    return made


def test_the_default_network_avoids_what_the_host_uses(catalog: Catalog) -> None:
    default = catalog.get("bridge")
    assert default.pools == (IpamPool("172.18.0.0/16", gateway="172.18.0.1"),)
    assert default.link == "boxship0"
    assert catalog.get("none").driver == "null"


def test_networks_are_found_by_name_id_and_prefix(catalog: Catalog) -> None:
    made = catalog.create(NetworkRequest("mine"), [])
    assert catalog.get("mine") == catalog.get(made.id) == catalog.get(made.id[:8]) == made
    with pytest.raises(NotFoundError, match=r"^network nope not found"):
        catalog.get("nope")
    with pytest.raises(NotFoundError):
        catalog.get("")


def test_networks_are_remembered(records: Records) -> None:
    made = loaded(records).create(NetworkRequest("mine", labels={"a": "b"}, internal=True), [])
    assert loaded(records).get("mine") == made


def test_a_new_bip_moves_the_default_network(records: Records) -> None:
    before = loaded(records).get("bridge")
    after = loaded(records, NetworkSettings(bip="10.9.0.1/24")).get("bridge")
    assert (after.id, after.pools[0].subnet) == (before.id, "10.9.0.0/24")
    with pytest.raises(InvalidArgumentError, match="invalid --bip"):
        loaded(records, NetworkSettings(bip="nonsense"))


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (NetworkRequest("host"), ForbiddenError, "not permitted on predefined host network"),
        (NetworkRequest("mine"), ConflictError, "network with name mine already exists"),
        (NetworkRequest(" "), InvalidArgumentError, "invalid network name"),
        (NetworkRequest("x", driver="macvlan"), UnsupportedError, "macvlan is not supported"),
        (NetworkRequest("x", driver="weave"), NotFoundError, 'plugin "weave" not found'),
        (NetworkRequest("x", driver="host"), ForbiddenError, "only one instance"),
        (NetworkRequest("x", enable_ipv6=True), UnsupportedError, "IPv6"),
        (NetworkRequest("x", options={ICC: "maybe"}), InvalidArgumentError, "maybe"),
        (NetworkRequest("x", options={MTU: "9"}), InvalidArgumentError, "mtu 9"),
        (NetworkRequest("x", options={BRIDGE_NAME: "a/b"}), InvalidArgumentError, "a/b"),
        (NetworkRequest("x", options={BRIDGE_NAME: 'a" }'}), InvalidArgumentError, "bridge name"),
        (NetworkRequest("x", options={BRIDGE_NAME: "a" * 16}), InvalidArgumentError, "aaa"),
        (NetworkRequest("x", options={BRIDGE_NAME: "boxship0"}), ConflictError, "boxship0"),
        (
            NetworkRequest("x", pools=(IpamPool("172.18.3.0/24"),)),
            ForbiddenError,
            "Pool overlaps with other one on this address space",
        ),
        (
            NetworkRequest("x", pools=(IpamPool(gateway="10.0.0.1"),)),
            InvalidArgumentError,
            "needs a subnet",
        ),
    ],
)
def test_a_wrong_request_is_refused(
    catalog: Catalog, request_: NetworkRequest, kind: type[BoxshipError], message: str
) -> None:
    catalog.create(NetworkRequest("mine"), [])
    with pytest.raises(kind, match=message):
        catalog.create(request_, [])


def test_flags_are_read_as_in_go() -> None:
    assert flag({"k": "T"}, "k", default=False)
    assert not flag({"k": "0"}, "k", default=True)
    assert flag({}, "k", default=True)
