"""Whom a container shares a namespace with: the `--network`, `--pid`, `--ipc` family of options."""

from typing import NamedTuple

from boxship.errors import InvalidArgumentError
from boxship.model.container import HostConfig

_CONTAINER = "container:"


class Mode(NamedTuple):
    """One namespace: `private`, `host`, `container` (then `other` names it) or `none`.

    For the network, `named` is a network of its own and `other` its name.
    """

    kind: str
    other: str = ""

    @property
    def is_host(self) -> bool:
        return self.kind == "host"

    @property
    def is_shared(self) -> bool:
        return self.kind == "container"


class Modes(NamedTuple):
    """All namespaces of a container that can be shared."""

    network: Mode
    pid: Mode
    ipc: Mode
    uts: Mode
    cgroup: Mode
    user: Mode

    @property
    def shared_with(self) -> tuple[str, ...]:
        """Refs of the containers that it shares namespaces with, without repeats."""
        return tuple(dict.fromkeys(mode.other for mode in self if mode.is_shared))


def modes_of(host: HostConfig) -> Modes:
    """Read the modes of a host config.

    The user namespace is the host's when the container is privileged or sees the host's
    processes or network, as Docker's users expect it; `userns_mode` cannot undo that.

    Raises:
        InvalidArgumentError: a mode that is none, in Docker's words.
    """
    network = _network(host.network_mode)
    pid = _mode("PID", host.pid_mode, ("", "private"))
    uts = _mode("UTS", host.uts_mode, ("", "private"))
    cgroup = _mode("cgroup namespace", host.cgroupns_mode, ("", "private"))
    if uts.is_shared or cgroup.is_shared:
        raise InvalidArgumentError(f"invalid UTS mode: {host.uts_mode or host.cgroupns_mode}")
    ipc = _mode("IPC", host.ipc_mode, ("", "private", "shareable", "none"))
    if host.userns_mode not in ("", "host", "private"):
        raise InvalidArgumentError(f"invalid userns mode: {host.userns_mode}")
    opened = host.privileged or any(mode.is_host for mode in (network, pid, ipc, uts))
    user = Mode("host") if opened or host.userns_mode == "host" else Mode("private")
    return Modes(network, pid, ipc, uts, cgroup, user)


def _network(text: str) -> Mode:
    if text in ("", "default", "bridge"):
        return Mode("named", "bridge")
    if text in ("host", "none"):
        return Mode(text)
    if text.startswith(_CONTAINER):
        return Mode("container", _container_of(text, "network"))
    return Mode("named", text)


def _mode(what: str, text: str, private: tuple[str, ...]) -> Mode:
    if text == "host":
        return Mode("host")
    if text.startswith(_CONTAINER):
        return Mode("container", _container_of(text, what))
    if text in private:
        return Mode("private")
    raise InvalidArgumentError(f"invalid {what} mode: {text}")


def _container_of(text: str, what: str) -> str:
    other = text.removeprefix(_CONTAINER)
    if not other:
        raise InvalidArgumentError(f"invalid container format {what} mode: {text}")
    return other
