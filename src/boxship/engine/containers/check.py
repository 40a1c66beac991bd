"""Refuses, before anything is made, what is wrong in itself or cannot be honoured.

Texts that clients match are Docker's.
"""

import os
import re
from typing import NamedTuple

from boxship.engine.containers.limits import discarded, unified_host
from boxship.engine.containers.runtimes import is_external
from boxship.engine.containers.signals import signal_number
from boxship.engine.logs.options import check_log
from boxship.engine.restart_policy import check_policy
from boxship.engine.sandboxes.modes import Modes, modes_of
from boxship.engine.settings import EngineSettings
from boxship.errors import ConflictError, InvalidArgumentError, UnsupportedError
from boxship.model.container import ContainerConfig, HostConfig, Resources, Ulimit

MIN_MEMORY = 6 << 20
_OOM_WARNING = (
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the "
    "system running out of resources."
)
# getrlimit(2), as Linux has them.
_ULIMITS = (
    *("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile"),
    *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOSTNAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?")


class SecurityOptions(NamedTuple):
    """`--security-opt`, read.

    Attributes:
        seccomp: empty for the default profile, `unconfined`, or the text of a profile.
    """

    seccomp: str = ""
    no_new_privileges: bool = False


def check(config: ContainerConfig, host: HostConfig, settings: EngineSettings) -> list[str]:
    """Check a request, and return what the user should be warned of.

    Raises:
        InvalidArgumentError: an option is wrong in itself.
        ConflictError: two options exclude each other.
        UnsupportedError: an option is right, and this engine cannot honour it.
    """
    modes = modes_of(host)
    _check_config(config)
    check_policy(host.restart, auto_remove=host.auto_remove)
    check_log(host.log)
    security_options(host.security_opt)
    _check_runtime(host, settings)
    _check_modes(config, host, modes)
    _check_ulimits(host.ulimits)
    _check_ports(host)
    if host.shm_size < 0:
        raise InvalidArgumentError("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgumentError(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    warnings = _check_resources(host.resources, os.cpu_count() or 1)
    return warnings + discarded(host.resources, unified=unified_host())


def security_options(options: tuple[str, ...]) -> SecurityOptions:
    """Read `--security-opt`.

    Raises:
        InvalidArgumentError: not of the form `name=value`.
        UnsupportedError: a mechanism this engine does not drive.
    """
    found = SecurityOptions()
    for option in options:
        name, value = _split_option(option)
        if name == "no-new-privileges":
            found = found._replace(no_new_privileges=_truth(option, value or "true"))
        elif name == "seccomp":
            found = found._replace(seccomp=value if value != "builtin" else "")
        elif name == "label" or (name == "apparmor" and value in ("unconfined", "docker-default")):
            continue
        elif name in ("systempaths", "writable-cgroups", "apparmor", "proc-opts"):
            raise UnsupportedError(f"security option {option!r} is not supported")
        else:
            raise InvalidArgumentError(f'invalid --security-opt 2: "{option}"')
    return found


def _truth(option: str, word: str) -> bool:
    """A boolean as Go reads it: one that is not understood must not pass for `no`."""
    if word in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if word in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidArgumentError(f'invalid --security-opt: "{option}"')


def _split_option(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        # Docker before 17 wrote `label:disable`.
        name, _, value = option.partition(":")
    return name, value


def _check_config(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgumentError(
            f"the working directory '{config.working_dir}' is invalid, "
            "it needs to be an absolute path"
        )
    if config.stop_signal:
        signal_number(config.stop_signal)
    if config.hostname and _HOSTNAME.fullmatch(config.hostname) is None:
        raise InvalidArgumentError(f"invalid hostname format: {config.hostname}")
    for item in config.env:
        name = item.partition("=")[0]
        if not name or "\x00" in item:
            raise InvalidArgumentError(f"invalid environment variable: {item}")
    words = (*(config.entrypoint or ()), *(config.command or ()), config.user, config.working_dir)
    for word in words:
        if "\x00" in word:
            raise InvalidArgumentError(f"invalid argument {word!r}: it holds a NUL byte")
    for name in config.labels:
        if _CONTROL.search(name):
            raise InvalidArgumentError(f"invalid label {name!r}: it has control characters")


def _check_runtime(host: HostConfig, settings: EngineSettings) -> None:
    if not is_external(settings, host.runtime):
        return
    if settings.init if host.init is None else host.init:
        raise UnsupportedError(
            f"--init is not supported with runtime {host.runtime or settings.default_runtime}",
            hint="leave --init out, or --runtime",
        )
    if host.userns_mode == "private":
        raise UnsupportedError(
            f"a user namespace is not supported with runtime "
            f"{host.runtime or settings.default_runtime}",
            hint="leave --userns out, or --runtime",
        )


def _check_modes(config: ContainerConfig, host: HostConfig, modes: Modes) -> None:
    network = modes.network
    if host.uts_mode == "host" and config.hostname:
        raise ConflictError("conflicting options: hostname and the UTS mode")
    if not network.is_shared:
        return
    if config.hostname:
        raise ConflictError("conflicting options: hostname and the network mode")
    if host.links:
        raise ConflictError("conflicting options: container type network can't be used with links")
    if host.dns:
        raise ConflictError("conflicting options: dns and the network mode")
    if host.extra_hosts:
        raise ConflictError("conflicting options: custom host-to-IP mapping and the network mode")
    if host.port_bindings or host.publish_all_ports:
        raise ConflictError(
            "conflicting options: port publishing and the container type network mode"
        )


def _check_ulimits(limits: tuple[Ulimit, ...]) -> None:
    for limit in limits:
        if limit.name not in _ULIMITS:
            raise InvalidArgumentError(
                f"invalid ulimit type: {limit.name}", hint=f"one of {', '.join(_ULIMITS)}"
            )
        soft, hard = (float("inf") if value < 0 else value for value in (limit.soft, limit.hard))
        if soft > hard:
            raise InvalidArgumentError(
                f"ulimit soft limit must be less than or equal to hard limit: "
                f"{limit.soft} > {limit.hard} for {limit.name}"
            )


def _check_ports(host: HostConfig) -> None:
    for binding in host.port_bindings:
        if not 0 < binding.container_port < 65536:
            raise InvalidArgumentError(f"invalid port specification: {binding.container_port}")
        if not 0 <= binding.host_port < 65536:
            raise InvalidArgumentError(f'invalid port specification: "{binding.host_port}"')
        if binding.protocol not in ("tcp", "udp", "sctp"):
            raise InvalidArgumentError(f"invalid protocol {binding.protocol!r}")


def _check_resources(limits: Resources, cpus: int) -> list[str]:
    _check_memory(limits)
    _check_cpu(limits, cpus)
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidArgumentError("range of blkio weight is from 10 to 1000")
    if limits.oom_kill_disable and not limits.memory:
        return [_OOM_WARNING]
    return []


def _check_memory(limits: Resources) -> None:
    if limits.memory and limits.memory < MIN_MEMORY:
        raise InvalidArgumentError("Minimum memory limit allowed is 6MB")
    if limits.memory_swap > 0 and not limits.memory:
        raise InvalidArgumentError(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if 0 < limits.memory_swap < limits.memory:
        raise InvalidArgumentError(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if limits.memory and limits.memory_reservation > limits.memory:
        raise InvalidArgumentError(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    swappiness = limits.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgumentError(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )


def _check_cpu(limits: Resources, cpus: int) -> None:
    if limits.nano_cpus and (limits.cpu_quota or limits.cpu_period):
        raise InvalidArgumentError(
            "Conflicting options: Nano CPUs and CPU Period/Quota cannot both be set"
        )
    if limits.nano_cpus < 0 or limits.nano_cpus > cpus * 1_000_000_000:
        raise InvalidArgumentError(
            f"Range of CPUs is from 0.01 to {cpus:.2f}, as there are only {cpus} CPUs available"
        )
    if limits.cpu_period and not 1000 <= limits.cpu_period <= 1_000_000:
        raise InvalidArgumentError(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < limits.cpu_quota < 1000:
        raise InvalidArgumentError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
