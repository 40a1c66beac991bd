"""Links that move from the host to a container (config-linux 1.3, "Network Devices")."""

import json
import os
import subprocess

import pytest

from tests.system.runtime.conftest import run

pytestmark = [pytest.mark.root, pytest.mark.netns]


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def link():
    """A link of the host with addresses, removed in the end with its other end."""
    name = f"bxd{os.getpid() % 100000}"
    peer = f"{name}p"
    ip("link", "add", name, "mtu", "1400", "type", "veth", "peer", "name", peer)
    ip("link", "set", peer, "up")
    ip("address", "add", "10.213.7.1/24", "broadcast", "+", "dev", name)
    ip("address", "add", "fd00:213::1/64", "dev", name)
    ip("address", "add", "169.254.213.1/16", "scope", "link", "dev", name)
    ip("address", "add", "10.213.8.1/24", "valid_lft", "999", "preferred_lft", "999", "dev", name)
    yield name
    subprocess.run(["ip", "link", "delete", peer], check=False, capture_output=True)


def inside(box):
    """What `ip` tells of the links of a running container."""
    words = ("nsenter", f"--net=/proc/{box.pid()}/ns/net", "ip", "-j", "address")
    return {entry["ifname"]: entry for entry in json.loads(run(*words).out)}


@pytest.mark.parametrize("separate", [False, True])
def test_a_link_moves_with_its_lasting_addresses(box, link, separate):
    if separate:
        box.user_namespace()
    box.spec["linux"]["netDevices"] = {link: {"name": "uplink0"}}
    box.shell("sleep 100").start()
    found = inside(box)["uplink0"]
    assert "UP" in found["flags"]
    assert found["mtu"] == 1400
    kept = {(entry["local"], entry["prefixlen"]) for entry in found["addr_info"]}
    assert {("10.213.7.1", 24), ("fd00:213::1", 64)} <= kept
    assert not {entry[0] for entry in kept} & {"169.254.213.1", "10.213.8.1"}
    assert [e["broadcast"] for e in found["addr_info"] if e["local"] == "10.213.7.1"] == [
        "10.213.7.255"
    ]
    assert f"{link}@" not in ip("-o", "link")


def test_a_link_keeps_its_name(box, link):
    box.spec["linux"]["netDevices"] = {link: {}}
    box.shell("sleep 100").start()
    assert set(inside(box)) == {"lo", link}


def test_a_name_template(box, link):
    box.spec["linux"]["netDevices"] = {link: {"name": "net%d"}}
    box.shell("sleep 100").start()
    assert set(inside(box)) == {"lo", "net0"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lo", "the container has a device lo already"),
        ("a/b", "'a/b' is no name of a network device"),
        ("a name", "'a name' is no name of a network device"),
        ("far-too-long-a-name", "is no name of a network device"),
    ],
)
def test_names_that_cannot_be(box, link, name, words):
    box.spec["linux"]["netDevices"] = {link: {"name": name}}
    result = box.run()
    assert result.code == 1
    assert words in result.err
    assert f"{link}@" in ip("-o", "link")


def test_what_moved_comes_back_when_another_cannot(box, link):
    box.spec["linux"]["netDevices"] = {link: {"name": "one"}, "lo": {"name": "two"}}
    result = box.run()
    assert result.code == 1
    assert "cannot move network device lo" in result.err
    entry = json.loads(ip("-j", "address", "show", "dev", link))[0]
    assert "10.213.7.1" in {address.get("local") for address in entry["addr_info"]}


def test_a_link_that_is_not_there(box):
    box.spec["linux"]["netDevices"] = {"bxnone0": {}}
    assert "the host has no network device bxnone0" in box.run().err


def test_no_namespace_to_move_to(box, link):
    box.namespace("network", "-")
    box.spec["linux"]["sysctl"] = {}
    box.spec["linux"]["netDevices"] = {link: {}}
    assert "linux.netDevices needs a network namespace" in box.run().err


def test_two_of_one_name(box, link):
    box.spec["linux"]["netDevices"] = {link: {"name": "x"}, "other": {"name": "x"}}
    assert "gives two devices the same name" in box.run().err
