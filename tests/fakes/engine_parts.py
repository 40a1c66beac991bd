"""Stand-ins for what the engine needs of the kernel: the keeper's processes, and networks.

They record what they are asked and fail where a test says so. Everything else of an engine in
unit tests is real.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from boxship.errors import ConflictError, NotFoundError
from boxship.model.container import Endpoint, EndpointRequest, PortBinding, PublishedPort
from boxship.model.network import IpamPool, Network
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.supervisor import Status


class Failing:
    """Raises what a test planted for the call of a name, once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, BaseException] = {}

    def called(self, name: str) -> None:
        self.calls.append(name)
        failure = self.failures.pop(name, None)
        if failure is not None:
            raise failure


class FakeSupervisor(Failing):
    """Processes that run until a test or a signal ends them."""

    def __init__(self, on_exit: Callable[[Exit], None], clock: Callable[[], int]) -> None:
        super().__init__()
        self._on_exit = on_exit
        self._clock = clock
        self.known: dict[str, Status] = {}
        self.ignores: set[int] = set()
        self.peers: list[socket.socket] = []
        self.requests: list[Any] = []

    async def create(self, request: Any) -> int:
        self.called("create")
        self.requests.append(request)
        # A real process, so that its namespaces can be opened.
        self.known[request.id] = Status(request.id, os.getpid(), False, None, started=False)
        return os.getpid()

    async def start(self, container_id: str) -> None:
        self.called("start")
        self.known[container_id] = self.known[container_id]._replace(running=True, started=True)

    async def signal(self, container_id: str, signum: int) -> None:
        self.called(f"signal {int(signum)}")
        if not self._runs(container_id):
            raise ConflictError(f"container {container_id} is not running")
        if signum not in self.ignores:
            self.end(container_id, 128 + signum)

    async def attach(self, container_id: str, exec_id: Any = None, **_: bool) -> socket.socket:
        self.called("attach")
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        return ours

    async def exec(self, request: Any, attach: Any = None) -> tuple[int, socket.socket | None]:
        self.called("exec")
        self.requests.append(request)
        return 4242, await self.attach("", "") if attach else None

    async def resize(self, *_: Any) -> None:
        self.called("resize")

    async def pause(self, container_id: str) -> None:
        self.called("pause")

    async def resume(self, container_id: str) -> None:
        self.called("resume")

    async def delete(self, container_id: str) -> None:
        self.called("delete")
        self.known.pop(container_id, None)

    async def statuses(self) -> list[Status]:
        return list(self.known.values())

    def end(self, container_id: str, code: int, *, oom_killed: bool = False) -> None:
        """Let a process end."""
        ended = Exit(container_id, None, code, oom_killed, self._clock())
        self.known[container_id] = self.known[container_id]._replace(running=False, exit=ended)
        asyncio.get_running_loop().call_soon(self._on_exit, ended)

    def _runs(self, container_id: str) -> bool:
        return container_id in self.known and self.known[container_id].running


class FakeNetworks(Failing):
    """Three networks that exist, and who is on them."""

    def __init__(self) -> None:
        super().__init__()
        self._networks = {
            name: Network(f"{name:0<64}", name, driver, 0, pools)
            for name, driver, pools in (
                ("bridge", "bridge", (IpamPool("10.0.0.0/24", gateway="10.0.0.1"),)),
                ("host", "host", ()),
                ("none", "null", ()),
            )
        }
        self.members: set[tuple[str, str]] = set()
        self.published: dict[str, list[PublishedPort]] = {}
        self.has_published = asyncio.Event()

    def get(self, name: str) -> Network:
        for network in self._networks.values():
            if name in (network.name, network.id):
                return network
        raise NotFoundError(f"network {name} not found")

    def list(self) -> Sequence[Network]:
        return list(self._networks.values())

    def reserve(self, sandbox: Any, name: str, request: EndpointRequest | None = None) -> Endpoint:
        self.called("reserve")
        network = self.get(name)
        self.members.add((sandbox.container_id, network.id))
        address = "10.0.0.2" if network.name == "bridge" else ""
        return Endpoint(network.id, network.name, "e" * 64, ipv4_address=address)

    async def join(self, sandbox: Any, name: str, request: Any = None) -> Endpoint:
        self.called("join")
        network = self.get(name)
        return Endpoint(network.id, network.name, "e" * 64, ipv4_address="10.0.0.2")

    async def leave(self, container_id: str, endpoint: Endpoint, *, netns: int = -1) -> None:
        self.called("leave")
        self.members.discard((container_id, endpoint.network_id))

    async def publish(
        self, container_id: str, address: str, bindings: Sequence[PortBinding]
    ) -> Sequence[PublishedPort]:
        self.called("publish")
        self.published[container_id] = [
            PublishedPort(one.container_port, one.protocol, "10.0.0.1", one.host_port or 40000)
            for one in bindings
        ]
        self.has_published.set()
        return self.published[container_id]

    async def unpublish(self, container_id: str) -> None:
        self.called("unpublish")
        self.published.pop(container_id, None)

    async def adopt(self, sandbox: Any, endpoints: Any, ports: Any = ()) -> None:
        self.called("adopt")

    async def reconcile(self) -> None:
        self.called("reconcile")

    def resolv_conf(self, wishes: Any, *, user_network: bool) -> str:
        return f"# {wishes} {user_network}\n"

    def use_servers(self, container_id: str, servers: Sequence[str]) -> None:
        self.called("use_servers")
