"""From the flags of `run` and `create` to the body of a create request.

Only what was asked for is put in: the engine knows the defaults.
"""

from boxship.cli.flags import Parsed, UsageError
from boxship.cli.options import mounts, ports
from boxship.cli.options.values import (
    csv,
    duration,
    environment,
    file_lines,
    nano_cpus,
    pairs,
    size,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Document = dict[str, Any]

_STREAMS = ("stdin", "stdout", "stderr")

# Flag to field, for flags whose value goes through as it is.
_HOST_TEXTS = {
    "cgroup-parent": "CgroupParent",
    "cgroupns": "CgroupnsMode",
    "cidfile": "ContainerIDFile",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "ipc": "IpcMode",
    "pid": "PidMode",
    "runtime": "Runtime",
    "userns": "UsernsMode",
    "uts": "UTSMode",
    "volume-driver": "VolumeDriver",
}
_HOST_NUMBERS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-shares": "CpuShares",
    "memory-swappiness": "MemorySwappiness",
    "oom-score-adj": "OomScoreAdj",
    "pids-limit": "PidsLimit",
}
_HOST_FLAGS = {
    "oom-kill-disable": "OomKillDisable",
    "privileged": "Privileged",
    "publish-all": "PublishAllPorts",
    "read-only": "ReadonlyRootfs",
    "rm": "AutoRemove",
    "init": "Init",
}
_HOST_LISTS = {
    "add-host": "ExtraHosts",
    "cap-add": "CapAdd",
    "cap-drop": "CapDrop",
    "device-cgroup-rule": "DeviceCgroupRules",
    "dns": "Dns",
    "dns-search": "DnsSearch",
    "group-add": "GroupAdd",
    "link": "Links",
    "volumes-from": "VolumesFrom",
}
_HOST_SIZES = {
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "shm-size": "ShmSize",
}
_CONFIG_TEXTS = {
    "domainname": "Domainname",
    "hostname": "Hostname",
    "mac-address": "MacAddress",
    "stop-signal": "StopSignal",
    "user": "User",
    "workdir": "WorkingDir",
}
_RATES = {
    "device-read-bps": "BlkioDeviceReadBps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-iops": "BlkioDeviceWriteIOps",
}


def create_body(parsed: Parsed, *, detached: bool) -> "Document":
    """The body of `POST /containers/create`.

    Raises:
        UsageError: a value that cannot be read, or flags that exclude each other.
    """
    body = _config(parsed, detached=detached)
    body["HostConfig"] = _host_config(parsed)
    networks = _networks(parsed)
    mode = next(iter(networks), "")
    if mode:
        body["HostConfig"]["NetworkMode"] = mode
    endpoints = {name: value for name, value in networks.items() if value or len(networks) > 1}
    if endpoints:
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    return body


def _config(parsed: Parsed, *, detached: bool) -> "Document":
    image, *command = parsed.args
    interactive, tty = parsed.flag("interactive"), parsed.flag("tty")
    streams = attached_streams(parsed, detached=detached)
    config: Document = {
        "Image": image,
        "Tty": tty,
        "OpenStdin": interactive,
        "StdinOnce": interactive and "stdin" in streams,
        **{f"Attach{name.capitalize()}": name in streams for name in _STREAMS},
    }
    _copy_texts(parsed, config, _CONFIG_TEXTS)
    if command:
        config["Cmd"] = command
    if "entrypoint" in parsed.given:
        config["Entrypoint"] = [parsed.text("entrypoint")]
    env = environment(parsed.list("env"), parsed.list("env-file"))
    if env:
        config["Env"] = env
    labels = [line for path in parsed.list("label-file") for line in file_lines(path)]
    labels += parsed.list("label")
    if labels:
        config["Labels"] = pairs(labels)
    exposed = ports.expose(parsed.list("expose"))
    exposed += list(ports.publish(parsed.list("publish")))
    if exposed:
        config["ExposedPorts"] = {port: {} for port in exposed}
    if "stop-timeout" in parsed.given:
        config["StopTimeout"] = parsed.integer("stop-timeout")
    anonymous = [item for item in parsed.list("volume") if ":" not in item]
    if anonymous:
        config["Volumes"] = {item: {} for item in anonymous}
    health = _healthcheck(parsed)
    if health:
        config["Healthcheck"] = health
    return config


def attached_streams(parsed: Parsed, *, detached: bool) -> "set[str]":
    """Which of stdin, stdout and stderr this client connects.

    Raises:
        UsageError: `-a` names another, or is given with `-d`.
    """
    named = {name.lower() for name in parsed.list("attach")}
    if not named <= set(_STREAMS):
        raise UsageError(f"valid streams are STDIN, STDOUT and STDERR, not {', '.join(named)}")
    if detached:
        if named:
            raise UsageError("conflicting options: cannot specify both --attach and --detach")
        return set()
    if named:
        return named
    return {"stdin", "stdout", "stderr"} if parsed.flag("interactive") else {"stdout", "stderr"}


def _host_config(parsed: Parsed) -> "Document":
    host: Document = {}
    _copy_texts(parsed, host, _HOST_TEXTS)
    for flag, field in _HOST_NUMBERS.items():
        if flag in parsed.given:
            host[field] = parsed.integer(flag)
    for flag, field in _HOST_FLAGS.items():
        if flag in parsed.given:
            host[field] = parsed.flag(flag)
    for flag, field in _HOST_LISTS.items():
        if parsed.list(flag):
            host[field] = parsed.list(flag)
    for flag, field in _HOST_SIZES.items():
        if flag in parsed.given:
            host[field] = size(parsed.text(flag), flag)
    if "cpus" in parsed.given:
        host["NanoCpus"] = nano_cpus(parsed.text("cpus"))
    _host_maps(parsed, host)
    _host_structures(parsed, host)
    return host


def _host_maps(parsed: Parsed, host: "Document") -> None:
    for flag, field in (("sysctl", "Sysctls"), ("annotation", "Annotations")):
        if parsed.list(flag):
            host[field] = pairs(parsed.list(flag))
    if parsed.list("storage-opt"):
        host["StorageOpt"] = pairs(parsed.list("storage-opt"))
    options = parsed.list("dns-option") + parsed.list("dns-opt")
    if options:
        host["DnsOptions"] = options
    if parsed.text("log-driver") or parsed.list("log-opt"):
        host["LogConfig"] = {
            "Type": parsed.text("log-driver"),
            "Config": pairs(parsed.list("log-opt")),
        }
    if parsed.list("security-opt"):
        host["SecurityOpt"] = [_security_option(item) for item in parsed.list("security-opt")]


def _host_structures(parsed: Parsed, host: "Document") -> None:
    binds = [mounts.bind(item) for item in parsed.list("volume") if ":" in item]
    if binds:
        host["Binds"] = binds
    if parsed.list("mount"):
        host["Mounts"] = [mounts.mount(item) for item in parsed.list("mount")]
    if parsed.list("tmpfs"):
        split = (item.partition(":") for item in parsed.list("tmpfs"))
        host["Tmpfs"] = {path: rest for path, _, rest in split}
    if parsed.list("publish"):
        host["PortBindings"] = ports.publish(parsed.list("publish"))
    if "restart" in parsed.given:
        host["RestartPolicy"] = _restart(parsed.text("restart"))
    if parsed.list("ulimit"):
        host["Ulimits"] = [ulimit(item) for item in parsed.list("ulimit")]
    if parsed.list("device"):
        host["Devices"] = [_device(item) for item in parsed.list("device")]
    for flag, field in _RATES.items():
        if parsed.list(flag):
            host[field] = [_rate(item, flag) for item in parsed.list(flag)]


def _copy_texts(parsed: Parsed, target: "Document", names: "dict[str, str]") -> None:
    for flag, field in names.items():
        if parsed.text(flag):
            target[field] = parsed.text(flag)


def _networks(parsed: Parsed) -> "dict[str, Document]":
    """The networks to join, the first one's mode first; simple form or `name=...,alias=...`."""
    result: dict[str, Document] = {}
    for item in parsed.list("network") + parsed.list("net"):
        name, endpoint = _network(item)
        result[name] = endpoint
    aliases = parsed.list("network-alias") + parsed.list("net-alias")
    addresses = {"IPv4Address": parsed.text("ip"), "IPv6Address": parsed.text("ip6")}
    given = {key: value for key, value in addresses.items() if value}
    if not (aliases or given):
        return result
    first = next(iter(result), "bridge")
    endpoint = result.setdefault(first, {})
    if aliases:
        endpoint["Aliases"] = [*endpoint.get("Aliases", []), *aliases]
    if given:
        endpoint["IPAMConfig"] = given
    return result


def _network(item: str) -> "tuple[str, Document]":
    if "=" not in item:
        return item, {}
    name = ""
    endpoint: Document = {}
    for field in csv(item):
        key, _, value = field.partition("=")
        if key == "name":
            name = value
        elif key == "alias":
            endpoint.setdefault("Aliases", []).append(value)
        elif key == "ip":
            endpoint.setdefault("IPAMConfig", {})["IPv4Address"] = value
        elif key == "ip6":
            endpoint.setdefault("IPAMConfig", {})["IPv6Address"] = value
        elif key == "mac-address":
            endpoint["MacAddress"] = value
        elif key == "driver-opt":
            endpoint.setdefault("DriverOpts", {}).update(pairs([value]))
        else:
            raise UsageError(f"invalid field key {key} in --network {item}")
    return name, endpoint


def _healthcheck(parsed: Parsed) -> "Document":
    if parsed.flag("no-healthcheck"):
        return {"Test": ["NONE"]}
    health: Document = {}
    if parsed.text("health-cmd"):
        health["Test"] = ["CMD-SHELL", parsed.text("health-cmd")]
    for flag, field in (
        ("health-interval", "Interval"),
        ("health-timeout", "Timeout"),
        ("health-start-period", "StartPeriod"),
    ):
        if parsed.text(flag):
            health[field] = duration(parsed.text(flag), flag)
    if parsed.integer("health-retries"):
        health["Retries"] = parsed.integer("health-retries")
    return health


def _restart(text: str) -> "Document":
    name, colon, count = text.partition(":")
    if colon and not count.isdigit():
        raise UsageError(f"invalid restart policy format: maximum retry count in '{text}'")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def ulimit(text: str) -> "Document":
    name, equals, values = text.partition("=")
    soft, colon, hard = values.partition(":")
    try:
        low = int(soft)
        high = int(hard) if colon else low
    except ValueError as error:
        raise UsageError(f"invalid ulimit argument: {text}") from error
    if not equals:
        raise UsageError(f"invalid ulimit argument: {text}")
    return {"Name": name, "Soft": low, "Hard": high}


def _device(text: str) -> "Document":
    host, _, rest = text.partition(":")
    inside, _, permissions = rest.partition(":")
    if inside and set(inside) <= set("rwm"):
        inside, permissions = "", inside
    return {
        "PathOnHost": host,
        "PathInContainer": inside or host,
        "CgroupPermissions": permissions or "rwm",
    }


def _rate(text: str, flag: str) -> "Document":
    path, colon, rate = text.rpartition(":")
    if not colon:
        raise UsageError(f"bad format: {text} for --{flag}: want <device-path>:<rate>")
    return {"Path": path, "Rate": size(rate, flag)}


def _security_option(text: str) -> str:
    """`seccomp=FILE` is sent as the file's content, for the engine may not see our files."""
    name, _, value = text.partition("=")
    if name != "seccomp" or value in ("unconfined", "builtin", ""):
        return text
    try:
        with open(value, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 5 ms
            return f"seccomp={file.read()}"
    except OSError as error:
        raise UsageError(f"opening seccomp profile ({value}) failed: {error.strerror}") from error
