from ipaddress import IPv4Network

import pytest

from boxship.errors import ExhaustedError, ForbiddenError, InvalidArgumentError
from boxship.model.network import IpamPool
from boxship.network.ipam import AddressPool, choose_subnet, complete_pool
from boxship.network.settings import DEFAULT_RANGES, AddressRange


def test_subnets_are_dockers_in_order() -> None:
    assert str(choose_subnet(DEFAULT_RANGES, [])) == "172.17.0.0/16"
    taken = [IPv4Network("172.17.0.0/24"), IPv4Network("172.16.0.0/12")]
    assert str(choose_subnet(DEFAULT_RANGES, taken)) == "192.168.0.0/20"
    with pytest.raises(ExhaustedError, match="non-overlapping IPv4 address pool"):
        choose_subnet((AddressRange("10.0.0.0/24", 25),), [IPv4Network("10.0.0.0/8")])


def test_addresses_rest_before_they_are_used_again() -> None:
    pool = AddressPool(
        IpamPool("10.0.0.0/29", gateway="10.0.0.1", auxiliary={"router": "10.0.0.3"})
    )
    assert [pool.allocate() for _ in range(3)] == ["10.0.0.2", "10.0.0.4", "10.0.0.5"]
    pool.release("10.0.0.2")
    assert pool.allocate() == "10.0.0.6"
    assert pool.allocate() == "10.0.0.2"
    with pytest.raises(ExhaustedError):
        pool.allocate()


def test_a_range_limits_what_is_handed_out_but_not_what_is_asked_for() -> None:
    pool = AddressPool(IpamPool("10.0.0.0/24", ip_range="10.0.0.128/30", gateway="10.0.0.1"))
    assert pool.allocate() == "10.0.0.128"
    assert pool.claim("10.0.0.7") == "10.0.0.7"


def test_claims_are_checked() -> None:
    pool = AddressPool(IpamPool("10.0.0.0/24", gateway="10.0.0.1"))
    with pytest.raises(ForbiddenError, match="Address already in use"):
        pool.claim("10.0.0.1")
    with pytest.raises(InvalidArgumentError, match="does not belong to subnet"):
        pool.claim("10.0.1.5")
    with pytest.raises(InvalidArgumentError, match="invalid IPv4 address: nonsense"):
        pool.claim("nonsense")


def test_a_pool_gets_its_gateway() -> None:
    assert complete_pool(IpamPool("10.0.0.0/24"), []).gateway == "10.0.0.1"


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (IpamPool("10.0.0.1/24"), "it should be 10.0.0.0/24"),
        (IpamPool("10.0.0.0"), "no room"),
        (IpamPool("10.0.0.0/31"), "no room"),
        (IpamPool("fd00::/64"), "not an IPv4 CIDR address"),
        (IpamPool("10.0.0.0/24", gateway="10.1.0.1"), "invalid gateway 10.1.0.1"),
        (IpamPool("10.0.0.0/24", ip_range="10.1.0.0/25"), "invalid ip-range"),
        (IpamPool("10.0.0.0/24", auxiliary={"a": "10.1.0.9"}), "invalid a 10.1.0.9"),
    ],
)
def test_a_wrong_pool_is_refused(pool: IpamPool, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        complete_pool(pool, [])


def test_pools_may_not_overlap() -> None:
    with pytest.raises(
        ForbiddenError, match=r"^Pool overlaps with other one on this address space"
    ):
        complete_pool(IpamPool("10.0.0.0/16"), [IPv4Network("10.0.3.0/24")])
