"""Commands of RUN as real containers: one for each, with nothing left of it afterwards.

Each has a user namespace of its own, the default capabilities and seccomp profile, and the
bridge network with NAT and DNS, as `boxship run` would give it.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from boxship.builder.worker.executor import ExecutionRequest
from boxship.builder.worker.frames import Frames
from boxship.errors import ExhaustedError, InternalError, InvalidArgumentError
from boxship.model.container import Endpoint, Resources
from boxship.model.mount import Mount
from boxship.network import dns
from boxship.network.hosts import hosts_text, parse_extra_host
from boxship.network.sandbox import Sandbox
from boxship.network.service import NetworkService
from boxship.paths import Paths
from boxship.runtime.errors import StartFailedError
from boxship.runtime.host_ids import BLOCKS
from boxship.runtime.keeper.messages import Exit
from boxship.runtime.spec.generate import USER_NAMESPACE_SIZE, SpecOptions, generate_spec
from boxship.runtime.supervisor import CreateRequest, Supervisor
from boxship.storage.trees import delete_tree

_CHUNK = 64 << 10
# Host ids of build containers: above those of the engine's containers, below nspawn's.
_FIRST_ID = 0x5000_0000
_RANGES = 4096 // BLOCKS
_HOST_FILES = ("hosts", "hostname", "resolv.conf")


class RunnerSettings(msgspec.Struct, frozen=True):
    """What the operator decides (see `EngineSettings`), and the daemon's block of host ids."""

    userns: bool = True
    cgroup_parent: str = "/boxship"
    block: int = 0


class ContainerRunner:
    """The executor of the daemon.

    The supervisor's reports of exits must be offered to `exited`.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        networks: NetworkService,
        paths: Paths,
        settings: RunnerSettings,
    ) -> None:
        self._supervisor = supervisor
        self._networks = networks
        self._paths = paths
        self._settings = settings
        self._exits: dict[str, asyncio.Future[Exit]] = {}
        self._slots: set[int] = set()

    def exited(self, ended: Exit) -> bool:
        """Take a report of an exit; False when the container is not one of a build."""
        waiting = self._exits.get(ended.container_id)
        if waiting is None:
            return False
        if not waiting.done():
            waiting.set_result(ended)
        return True

    async def run(self, request: ExecutionRequest, output: Callable[[str, bytes], None]) -> int:
        """See `Executor.run`."""
        self._exits[request.id] = asyncio.get_running_loop().create_future()
        try:
            async with AsyncExitStack() as undo:
                return await self._run(request, output, undo)
        finally:
            del self._exits[request.id]

    async def _run(
        self,
        request: ExecutionRequest,
        output: Callable[[str, bytes], None],
        undo: AsyncExitStack,
    ) -> int:
        bundle = self._paths.bundle(request.id)
        bundle.mkdir(parents=True, mode=0o700)
        undo.callback(delete_tree, bundle)
        endpoint = self._reserve(request, undo)
        self._write_files(request, endpoint, bundle)
        spec = generate_spec(self._options(request, bundle, undo))
        (bundle / "config.json").write_bytes(msgspec.json.encode(spec))
        create = CreateRequest(
            id=request.id,
            bundle=str(bundle),
            rootfs=request.root,
            terminal=False,
            open_stdin=False,
            stdin_once=False,
            log=None,
        )
        undo.push_async_callback(self._supervisor.delete, request.id)
        pid = await self._supervisor.create(create)
        if endpoint is not None:
            await self._join(request, endpoint, pid)
        return await self._watch(request, output, undo)

    async def _start(self, request: ExecutionRequest) -> None:
        try:
            await self._supervisor.start(request.id)
        except StartFailedError as failure:
            raise _in_dockers_words(failure) from failure

    async def _watch(
        self,
        request: ExecutionRequest,
        output: Callable[[str, bytes], None],
        undo: AsyncExitStack,
    ) -> int:
        """Start it, pass its output on until the end, and wait for its exit."""
        stream = await self._supervisor.attach(request.id, stdin=False, stdout=True, stderr=True)
        undo.callback(stream.close)
        await self._start(request)
        await _pump(stream, output)
        ended = await self._exits[request.id]
        if ended.oom_killed:
            output("stderr", b"the command was killed: it reached its memory limit\n")
        return ended.code

    def _reserve(self, request: ExecutionRequest, undo: AsyncExitStack) -> Endpoint | None:
        if request.network == "host":
            return None
        name = "bridge" if request.network in ("", "default") else request.network
        endpoint = self._networks.reserve(_sandbox(request), name)
        undo.push_async_callback(self._networks.leave, request.id, endpoint)
        return endpoint

    async def _join(self, request: ExecutionRequest, endpoint: Endpoint, pid: int) -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # The process is dead before its program was tried; starting it tells why.
            await self._start(request)
            raise
        try:
            await self._networks.join(_sandbox(request, namespace), endpoint.network_id)
        finally:
            os.close(namespace)

    def _write_files(
        self, request: ExecutionRequest, endpoint: Endpoint | None, bundle: Path
    ) -> None:
        name = _hostname(request)
        (bundle / "hostname").write_text(f"{name}\n")
        (bundle / "hosts").write_text(self._hosts(request, endpoint, name))
        (bundle / "resolv.conf").write_text(self._resolv(endpoint))
        for file in _HOST_FILES:
            (bundle / file).chmod(0o644)

    def _hosts(self, request: ExecutionRequest, endpoint: Endpoint | None, name: str) -> str:
        pools = self._networks.get("bridge").pools
        gateway = pools[0].gateway if pools else ""
        extra = request.limits.extra_hosts
        if endpoint is None:
            # The host's network: its names hold too.
            try:
                text = Path("/etc/hosts").read_text(errors="replace")
            except OSError:
                text = ""
            known = (parse_extra_host(entry, gateway) for entry in extra)
            return text + "".join(f"{address}\t{host}\n" for host, address in known)
        addresses = [endpoint.ipv4_address] if endpoint.ipv4_address else []
        return hosts_text(addresses, [name], extra, host_gateway=gateway)

    def _resolv(self, endpoint: Endpoint | None) -> str:
        if endpoint is None:
            return dns.host_configuration().text()
        user_network = endpoint.network_name not in ("bridge", "none")
        return self._networks.resolv_conf(dns.ResolvConf(), user_network=user_network)

    def _options(
        self, request: ExecutionRequest, bundle: Path, undo: AsyncExitStack
    ) -> SpecOptions:
        host = request.network == "host"
        base = 0
        if self._settings.userns and not host:
            base = self._take_range(undo)
        files = tuple(
            Mount(
                "bind", str(bundle / name), f"/etc/{name}", ("rbind", "rprivate", "x-boxship.idmap")
            )
            for name in _HOST_FILES
        )
        namespaces = {"network": "host"} if host else {}
        if not base:
            namespaces["user"] = "host"
        return SpecOptions(
            argv=request.argv,
            env=request.env,
            cwd=request.cwd,
            user=request.user,
            hostname=_hostname(request),
            mounts=(*files, *map(_mapped, request.mounts)),
            resources=linux_resources(request.limits.resources),
            rlimits=request.limits.ulimits,
            namespaces=namespaces,
            cgroup=f"{self._settings.cgroup_parent}/{request.id}",
            shm_size=request.limits.shm_size,
            user_base=base,
        )

    def _take_range(self, undo: AsyncExitStack) -> int:
        for slot in range(_RANGES):
            if slot not in self._slots:
                self._slots.add(slot)
                undo.callback(self._slots.discard, slot)
                number = self._settings.block * _RANGES + slot
                return _FIRST_ID + number * USER_NAMESPACE_SIZE
        raise ExhaustedError(f"all {_RANGES} ranges of user ids for builds are in use")


def linux_resources(limits: Resources) -> dict[str, Any]:
    """The limits that a build can ask for as OCI `linux.resources` (config-linux.md)."""
    memory = {"limit": limits.memory, "swap": limits.memory_swap or limits.memory * 2}
    cpu = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period,
        "quota": limits.cpu_quota,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    found: dict[str, Any] = {}
    if limits.memory:
        found["memory"] = memory
    if any(cpu.values()):
        found["cpu"] = {name: value for name, value in cpu.items() if value}
    return found


async def _pump(stream: socket.socket, output: Callable[[str, bytes], None]) -> None:
    loop = asyncio.get_running_loop()
    frames = Frames()
    while data := await loop.sock_recv(stream, _CHUNK):
        for name, body in frames.feed(data):
            output(name, body)


def _sandbox(request: ExecutionRequest, namespace: int = -1) -> Sandbox:
    name = f"build-{request.id[:12]}"
    return Sandbox(request.id, name, _hostname(request), namespace)


def _hostname(request: ExecutionRequest) -> str:
    return request.id[:12]


def _mapped(mount: Mount) -> Mount:
    """Binds with ids translated into the container's user namespace."""
    if mount.type != "bind":
        return mount
    return msgspec.structs.replace(mount, options=(*mount.options, "rprivate", "x-boxship.idmap"))


def _in_dockers_words(failure: StartFailedError) -> InvalidArgumentError | InternalError:
    text = (
        "failed to create task for container: OCI runtime create failed: "
        f"unable to start container process: {failure.message}: unknown"
    )
    if failure.reason in ("not_found", "permission"):
        return InvalidArgumentError(text)
    return InternalError(text)
