"""What a container runs: its request completed from its image, by Docker's rules."""

from collections.abc import Iterable

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.model.container import ContainerConfig, Healthcheck
from boxship.model.image import HealthcheckDocument, ImageRunConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def merge(request: ContainerConfig, image: ImageRunConfig) -> ContainerConfig:
    """Complete a request from the image; the request wins where both speak.

    An entrypoint of one empty string removes the image's, and with it the image's command.

    Raises:
        InvalidArgumentError: neither names a command.
    """
    entrypoint, command = _argv(request, image)
    if not entrypoint and not command:
        raise InvalidArgumentError("no command specified")
    return msgspec.structs.replace(
        request,
        entrypoint=entrypoint,
        command=command,
        env=tuple(_missing_env(request.env, image.env)),
        user=request.user or image.user,
        working_dir=request.working_dir or image.working_dir,
        labels={**image.labels, **request.labels},
        exposed_ports=_union(request.exposed_ports, map(_with_protocol, image.exposed_ports)),
        volumes=_union(request.volumes, image.volumes),
        stop_signal=request.stop_signal or image.stop_signal,
        healthcheck=_healthcheck(request.healthcheck, image.healthcheck),
        shell=request.shell or image.shell,
    )


def argv(config: ContainerConfig) -> tuple[str, ...]:
    """The command line of a merged config."""
    return (config.entrypoint or ()) + (config.command or ())


def process_env(config: ContainerConfig, inherited: Iterable[str] = ()) -> tuple[str, ...]:
    """The environment the process starts with: defaults, links, then what was configured.

    A configured variable without `=` removes the default of that name.
    """
    values: dict[str, str] = {"PATH": DEFAULT_PATH, "HOSTNAME": config.hostname}
    if config.tty:
        values["TERM"] = "xterm"
    for item in (*inherited, *config.env):
        name, equals, value = item.partition("=")
        if equals:
            values[name] = value
        else:
            values.pop(name, None)
    return tuple(f"{name}={value}" for name, value in values.items())


def _argv(
    request: ContainerConfig, image: ImageRunConfig
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    if request.entrypoint == ("",):
        return None, request.command or None
    if request.entrypoint:
        return request.entrypoint, request.command
    return image.entrypoint or None, request.command or image.cmd


def _missing_env(chosen: tuple[str, ...], defaults: tuple[str, ...]) -> Iterable[str]:
    names = {item.partition("=")[0] for item in chosen}
    yield from chosen
    yield from (item for item in defaults if item.partition("=")[0] not in names)


def _union(chosen: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*map(str, chosen), *more)))


def _with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"


def _healthcheck(
    chosen: Healthcheck | None, default: HealthcheckDocument | None
) -> Healthcheck | None:
    if default is None:
        return chosen
    if chosen is None:
        return msgspec.convert(msgspec.structs.asdict(default), Healthcheck)
    if chosen.test:
        return chosen
    changes = {name: value for name, value in msgspec.structs.asdict(chosen).items() if value}
    return msgspec.convert({**msgspec.structs.asdict(default), **changes}, Healthcheck)
