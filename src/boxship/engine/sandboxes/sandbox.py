"""The namespaces of a container: its own, the host's, or another container's."""

from contextlib import AsyncExitStack
from typing import NamedTuple

from boxship.engine.context import Context
from boxship.engine.sandboxes.modes import Mode, Modes, modes_of
from boxship.errors import ConflictError, UnsupportedError
from boxship.model.container import Container


class Sandbox(NamedTuple):
    """What a container's process is put into.

    Attributes:
        modes: how each namespace was asked for.
        user_base: first host id of its user namespace; 0 for the host's ids.
        paths: namespaces to join, `/proc/PID/ns/...` by OCI's name of the type.
    """

    modes: Modes
    user_base: int
    paths: dict[str, str]


_JOINED = (("network", "net"), ("pid", "pid"), ("ipc", "ipc"))


def open_sandbox(
    context: Context, container: Container, undo: AsyncExitStack, *, external: bool = False
) -> Sandbox:
    """Allocate or find what the container's namespaces need.

    A container that shares a namespace joins its owner's user namespace too: the kernel lets a
    process administer (mount /sys or mqueue of, listen on low ports of) a namespace only from
    the user namespace that owns it.

    With `external` an external runtime makes the container: in the host's user namespace, since
    those cannot mount id-mapped layers.

    Raises:
        ConflictError: a container to share with does not run.
    """
    modes = modes_of(container.host)
    paths: dict[str, str] = {}
    owners: list[Container] = []
    for kind, name in _JOINED:
        mode: Mode = getattr(modes, kind)
        if mode.is_shared:
            owner = _running(context, mode.other, kind)
            owners.append(owner)
            paths[kind] = f"/proc/{owner.state.pid}/ns/{name}"
    if owners:
        base = owners[0].user_base
        if base and external:
            raise UnsupportedError(
                f"runtime {container.host.runtime} cannot join container "
                f"{owners[0].name}, which has a user namespace",
                hint="start that one with --userns=host",
            )
        if base:
            paths["user"] = f"/proc/{owners[0].state.pid}/ns/user"
        return Sandbox(modes, base, paths)
    if external or modes.user.is_host or not context.settings.userns:
        return Sandbox(modes, 0, paths)
    base = context.ranges.take()
    undo.callback(context.ranges.release, base)
    return Sandbox(modes, base, paths)


def _running(context: Context, ref: str, kind: str) -> Container:
    container = context.store.find(ref).container
    if not container.state.pid:
        raise ConflictError(f"cannot join {kind} of a non running container: {container.id}")
    return container
