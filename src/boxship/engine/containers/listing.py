"""ps: which containers there are, by filters, with their disk use if wished."""

import asyncio
import re
from collections.abc import Callable

from boxship.engine.containers.network import bindings, exposed
from boxship.engine.context import Context
from boxship.engine.filters import carries
from boxship.engine.values import ContainerSize, Filters, ListedContainer, ListQuery
from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.model.container import Container

_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_Test = Callable[[Container, str], bool]


async def list_containers(context: Context, query: ListQuery) -> tuple[ListedContainer, ...]:
    """Containers that pass, newest first.

    Raises:
        InvalidArgumentError: an unknown filter or a value that it cannot have.
        NotFoundError: a container that `before` or `since` names.
    """
    found = [entry.container for entry in context.store]
    found.sort(key=lambda container: container.created, reverse=True)
    if not (query.all or query.limit or "status" in query.filters or "exited" in query.filters):
        found = [container for container in found if container.state.running]
    chosen = select(context, found, query.filters)
    if query.limit > 0:
        chosen = chosen[: query.limit]
    if not query.size:
        return tuple(map(ListedContainer, chosen))
    return tuple([ListedContainer(one, await measure(context, one)) for one in chosen])


def select(context: Context, containers: list[Container], filters: Filters) -> list[Container]:
    """Those that pass every filter; values of one filter are alternatives, except labels."""
    for name, values in filters.items():
        if not values:
            continue
        test = _test(context, name, values)
        need = all if name in ("label", "label!") else any
        containers = [
            container
            for container in containers
            if need(test(container, value) for value in values)
        ]
    return containers


def _test(context: Context, name: str, values: tuple[str, ...]) -> _Test:
    if name in ("before", "since"):
        return _by_age(context, name)
    if name == "ancestor":
        return _by_image(context, values)
    if name == "network":
        return _in_network
    test = _TESTS.get(name)
    if test is None:
        raise InvalidArgumentError(f"invalid filter '{name}'")
    _check_values(name, values)
    return test


def _check_values(name: str, values: tuple[str, ...]) -> None:
    for value in values:
        if name == "status" and value not in _STATUSES:
            raise InvalidArgumentError(f"invalid filter 'status={value}'")
        if name == "exited" and not value.lstrip("-").isdigit():
            raise InvalidArgumentError(f"invalid filter 'exited={value}'")


def _by_age(context: Context, name: str) -> _Test:
    if name == "before":
        return lambda one, ref: one.created < context.store.find(ref).container.created
    return lambda one, ref: one.created > context.store.find(ref).container.created


def _by_image(context: Context, values: tuple[str, ...]) -> _Test:
    """Containers of the image, or of one that was built on top of it."""
    stacks: dict[str, tuple[str, ...]] = {}
    for value in values:
        try:
            stacks[value] = context.images.resolve(value).config.rootfs.diff_ids
        except (NotFoundError, InvalidArgumentError):
            continue

    def test(container: Container, value: str) -> bool:
        stack = stacks.get(value)
        if stack is None:
            return False
        try:
            own = context.images.resolve(container.image_id).config.rootfs.diff_ids
        except NotFoundError:
            return False
        return own[: len(stack)] == stack

    return test


def _in_network(container: Container, value: str) -> bool:
    return any(
        value == name or (len(value) >= 12 and endpoint.network_id.startswith(value))
        for name, endpoint in container.endpoints.items()
    )


def _matches_name(container: Container, pattern: str) -> bool:
    try:
        found = re.search(pattern, f"/{container.name}") or re.search(pattern, container.name)
    except re.error:
        return pattern == container.name
    return found is not None


def _mounts(container: Container, value: str) -> bool:
    return any(value in (mount.name, mount.target.rstrip("/")) for mount in container.mounts)


def _ended_with(container: Container, value: str) -> bool:
    state = container.state
    ended = state.status == "exited" and bool(state.finished_at)
    return ended and state.exit_code == int(value)


def _publishes(container: Container, value: str) -> bool:
    ports = {(one.container_port, one.protocol) for one in bindings(container)}
    return any(port in ports for port in _ports(value))


def _exposes(container: Container, value: str) -> bool:
    ports = set(exposed(container.config))
    return any(port in ports for port in _ports(value))


def _ports(value: str) -> list[tuple[int, str]]:
    span, _, protocol = value.partition("/")
    first, _, last = span.partition("-")
    if not first.isdigit() or (last and not last.isdigit()):
        raise InvalidArgumentError(f"invalid port in filter: {value}")
    return [(port, protocol or "tcp") for port in range(int(first), int(last or first) + 1)]


_TESTS: dict[str, _Test] = {
    "id": lambda container, value: container.id.startswith(value),
    "name": _matches_name,
    "label": lambda container, value: carries(container.config.labels, value),
    "label!": lambda container, value: not carries(container.config.labels, value),
    "status": lambda container, value: container.state.status == value,
    "exited": _ended_with,
    "volume": _mounts,
    "publish": _publishes,
    "expose": _exposes,
    "health": lambda _, value: value == "none",
    "is-task": lambda _, value: value.lower() in ("false", "0"),
    "isolation": lambda _, value: value in ("", "default"),
}


async def measure(context: Context, container: Container) -> ContainerSize:
    """Count the disk use of a container; reads its whole tree, in a thread."""
    try:
        written = (await asyncio.to_thread(context.snapshots.usage, container.snapshot)).size
    except NotFoundError:
        written = 0
    try:
        image = context.images.resolve(container.image_id).size
    except NotFoundError:
        image = 0
    return ContainerSize(written, written + image)
