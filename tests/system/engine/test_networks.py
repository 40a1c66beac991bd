"""Containers on networks, and containers that share namespaces, on the real kernel."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from boxship.errors import BoxshipError, ConflictError, NotFoundError
from boxship.model.container import EndpointRequest, PortBinding
from boxship.model.network import IpamPool, NetworkRequest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns]

Run = Callable[[Any], None]
SERVE = ("sh", "-c", "while :; do echo hello | nc -l -p 80; done")


def ask(port: int) -> bytes:
    with socket.create_connection(("10.214.0.1", port), timeout=5) as connection:
        return connection.recv(100)


def test_a_bridge_address_names_and_files(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run(
            "sh",
            "-c",
            "ip -4 addr show eth0 | grep -o '10[.][.0-9/]*' | head -1;"
            "cat /etc/hosts /etc/resolv.conf",
            network_mode="bridge",
            extra_hosts=("db:10.0.0.9", "me:host-gateway"),
            dns=("10.1.1.1",),
            config={"hostname": "web", "domainname": "example.org"},
        )
        assert code == 0
        address = output.split("/")[0]
        assert address.startswith("10.214.0.")
        assert f"{address}\tweb.example.org web\n" in output
        assert "10.0.0.9\tdb\n" in output
        assert "10.214.0.1\tme\n" in output
        assert "nameserver 10.1.1.1\n" in output

    scenario(work)


def test_published_ports(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start(
            *SERVE,
            network_mode="bridge",
            port_bindings=(PortBinding(80, host_port=18080),),
            config={"exposed_ports": ("81/tcp",)},
        )
        ports = {(one.container_port, one.host_port) for one in container.ports}
        assert ports == {(80, 18080), (81, 0)}
        other = await rig.create(
            "true", network_mode="bridge", port_bindings=(PortBinding(80, host_port=18080),)
        )
        with pytest.raises(
            BoxshipError, match=r"Bind for .*:18080 failed: port is already allocated"
        ):
            await rig.engine.containers.start(other.id)
        assert not rig.engine.containers.inspect(other.id).state.running
        await rig.engine.containers.stop(container.id, grace=0)
        await rig.engine.containers.start(other.id)

    scenario(work)


def test_publish_all(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        container = await rig.start(
            *SERVE,
            network_mode="bridge",
            publish_all_ports=True,
            config={"exposed_ports": ("80/tcp",)},
        )
        assert [port.container_port for port in container.ports if port.host_port] == [80]

    scenario(work)


def test_user_networks_have_names_and_can_be_changed(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        networks = rig.engine.networks
        pool = IpamPool("10.215.0.0/24")
        network = await networks.create(NetworkRequest("front", pools=(pool,)))
        web = await rig.start(
            *SERVE,
            name="web",
            network_mode="front",
            networks={"front": EndpointRequest(aliases=("www",), ipv4_address="10.215.0.7")},
        )
        assert web.endpoints["front"].ipv4_address == "10.215.0.7"
        for name in ("web", "www", web.id[:12]):
            code, output = await rig.run(
                "sh", "-c", f"nslookup {name}; nc {name} 80 </dev/null", network_mode="front"
            )
            assert "hello" in output, output
            assert code == 0
        other = await rig.start("sleep", "1000", name="other", network_mode="bridge")
        await networks.connect("front", "other", EndpointRequest())
        inspected = networks.inspect("front")
        assert {one.name for one in inspected.containers} == {"web", "other"}
        with pytest.raises(BoxshipError, match="already exists in network front"):
            await networks.connect("front", "other", EndpointRequest())
        with pytest.raises(BoxshipError, match="has active endpoints"):
            await networks.remove("front")
        await networks.disconnect("front", "other")
        assert list(rig.engine.containers.inspect("other").endpoints) == ["bridge"]
        with pytest.raises(ConflictError, match="is not connected to network front"):
            await networks.disconnect(network.id, other.id)
        await rig.engine.containers.remove("web", force=True)
        await networks.connect("front", "other", EndpointRequest())
        await rig.engine.containers.restart("other", grace=0)
        assert set(rig.engine.containers.inspect("other").endpoints) == {"bridge", "front"}
        await rig.engine.containers.remove("other", force=True)
        await networks.remove("front")

    scenario(work)


def test_links(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        database = await rig.start("sleep", "1000", name="database", network_mode="bridge")
        address = database.endpoints["bridge"].ipv4_address
        linked = {"network_mode": "bridge", "links": ("database:db",)}
        _, output = await rig.run("cat", "/etc/hosts", **linked)
        assert f"{address}\tdb {database.config.hostname} database\n" in output
        await rig.engine.containers.stop("database", grace=0)
        late = await rig.create("true", name="late", **linked)
        text = "Cannot link to a non running container: /database AS /late/db"
        with pytest.raises(ConflictError, match=text):
            await rig.engine.containers.start(late.id)
        with pytest.raises(NotFoundError, match="No such container: nobody"):
            await rig.create("true", network_mode="bridge", links=("nobody:x",))
        await rig.engine.networks.create(NetworkRequest("back"))
        await rig.start("sleep", "1000", name="api", network_mode="back")
        code, output = await rig.run("nslookup", "inner", network_mode="back", links=("api:inner",))
        assert code == 0, output
        await rig.engine.containers.remove("api", force=True)
        await rig.engine.networks.remove("back")

    scenario(work)


def test_a_missing_network_is_refused_before_anything_is_made(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        with pytest.raises(NotFoundError, match="network nope not found"):
            await rig.create("true", network_mode="nope")

    scenario(work)


def test_sharing_a_network(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        owner = await rig.start("sleep", "1000", name="owner", network_mode="bridge")
        address = owner.endpoints["bridge"].ipv4_address
        code, output = await rig.run(
            "sh",
            "-c",
            "ip addr; hostname; cat /etc/hosts; ls /sys/class/net",
            network_mode="container:owner",
        )
        assert code == 0
        assert address in output
        assert owner.config.hostname in output
        await rig.engine.containers.stop("owner", grace=0)
        late = await rig.create("true", network_mode="container:owner")
        with pytest.raises(ConflictError, match="cannot join network of a non running container"):
            await rig.engine.containers.start(late.id)

    scenario(work)


def test_the_hosts_network_and_processes(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run("sh", "-c", "ls /sys/class/net; id -u", network_mode="host")
        assert code == 0
        assert "bxeng0" in output
        code, output = await rig.run("sh", "-c", "ls /proc | grep -c '^[0-9]'", pid_mode="host")
        assert code == 0
        assert int(output) > 5

    scenario(work)


def test_sharing_processes(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        await rig.start("sleep", "12345", name="owner")
        code, output = await rig.run("ps", pid_mode="container:owner", ipc_mode="container:owner")
        assert code == 0
        assert "sleep 12345" in output

    scenario(work)


def test_privileged(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run(
            "sh",
            "-c",
            "mount -t tmpfs x /mnt && grep CapEff /proc/self/status; cat /proc/self/uid_map",
            privileged=True,
        )
        assert code == 0
        assert "4294967295" in output

    scenario(work)
