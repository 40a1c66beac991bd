"""The daemon's configuration: dockerd's flags and `daemon.json`, checked and merged."""

import argparse
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from boxship.daemon.runtimes import RuntimeEntry, configured
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.paths import default_data_root, default_exec_root

DEFAULT_FILE = Path("/etc/boxship/daemon.json")

# What dockerd's file may also say, and the only values under which that holds here.
_HOLDS = {
    "live-restore": (True, False),
    "storage-driver": ("overlay2", "overlay"),
    "exec-opts": (["native.cgroupdriver=cgroupfs"], []),
    "iptables": (True,),
    "ip-forward": (True,),
    "ip-masq": (True,),
    "experimental": (True, False),
    "features": ({}, {"buildkit": False}),
    "userland-proxy": (True, False),
}


class AddressPool(msgspec.Struct, frozen=True):
    """A range that networks without a subnet of their own are cut from."""

    base: str
    size: int


class DaemonFile(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=False):
    """`daemon.json`."""

    data_root: str | None = None
    exec_root: str | None = None
    hosts: tuple[str, ...] = ()
    pidfile: str | None = None
    runtimes: dict[str, RuntimeEntry] = {}
    default_runtime: str | None = None
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    bip: str | None = None
    dns: tuple[str, ...] = ()
    log_driver: str | None = None
    log_opts: dict[str, str] = {}
    log_level: str | None = None
    debug: bool | None = None
    labels: tuple[str, ...] = ()
    cgroup_parent: str | None = None
    default_address_pools: tuple[AddressPool, ...] = ()
    tls: bool | None = None
    tlsverify: bool | None = None
    tlscacert: str | None = None
    tlscert: str | None = None
    tlskey: str | None = None


class DaemonConfig(msgspec.Struct, frozen=True):
    """Everything that was configured, defaults filled in.

    Attributes:
        runtimes: command line of an OCI runtime by its name.
        ready_fd: descriptor to say `ready` on once requests are served, or -1.
    """

    data_root: Path
    exec_root: Path
    hosts: tuple[str, ...]
    pidfile: Path
    runtimes: dict[str, tuple[str, ...]] = {}
    default_runtime: str = "boxship"
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    bip: str = ""
    dns: tuple[str, ...] = ()
    log_driver: str = "json-file"
    log_options: dict[str, str] = {}
    log_level: str = "info"
    labels: tuple[str, ...] = ()
    cgroup_parent: str = "/boxship"
    address_pools: tuple[AddressPool, ...] = ()
    tls: bool = False
    tls_verify: bool = False
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    ready_fd: int = -1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidArgumentError(message, hint="see 'boxship daemon --help'")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="boxship daemon",
        description="Run the boxship engine in the foreground.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--data-root", "-g", help="directory of persistent state")
    add("--exec-root", help="directory of run-time state")
    add("-H", "--host", action="append", help="unix:///path or tcp://host:port to listen on")
    add("-p", "--pidfile", help="file to write the daemon's process id to")
    add("--config-file", help=f"configuration file (default {DEFAULT_FILE})")
    add("--add-runtime", action="append", metavar="NAME=PATH", help="register an OCI runtime")
    add("--default-runtime", help="runtime of containers that name none")
    add("--insecure-registry", action="append", help="registry to reach without TLS checks")
    add("--registry-mirror", action="append", help="mirror to pull from first")
    add("--bip", help="address and prefix of the default bridge")
    add("--dns", action="append", help="name server of containers")
    add("--log-driver", help="default logging driver of containers")
    add("--log-opt", action="append", metavar="KEY=VALUE", help="option of that driver")
    add("--label", action="append", help="label of the engine")
    add("--cgroup-parent", help="control group above all containers (default /boxship)")
    add("--default-address-pool", action="append", metavar="base=CIDR,size=N")
    add("-D", "--debug", action="store_true", default=None, help="log more")
    add("-l", "--log-level", choices=("debug", "info", "warn", "error"))
    add("--tls", action="store_true", default=None, help="use TLS on TCP")
    add("--tlsverify", action="store_true", default=None, help="use TLS and verify clients")
    add("--tlscacert", help="CA that client certificates must be signed by")
    add("--tlscert", help="certificate of the daemon")
    add("--tlskey", help="key of the certificate")
    add("--live-restore", action="store_true", help="accepted: containers always outlive us")
    add("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    return parser


def load(arguments: list[str]) -> DaemonConfig:
    """Read flags and configuration file.

    Raises:
        InvalidArgumentError: an unknown flag or key, a value that is wrong, or one said twice.
        UnsupportedError: a setting of dockerd's that this engine does not have.
    """
    flags = _parser().parse_args(arguments)
    path = Path(flags.config_file) if flags.config_file else DEFAULT_FILE
    document = _read(path, required=flags.config_file is not None)
    return _merge(flags, document, path)


def _read(path: Path, *, required: bool) -> DaemonFile:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if required:
            raise InvalidArgumentError(f"configuration file {path} does not exist") from None
        return DaemonFile()
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror}") from error
    try:
        plain = msgspec.json.decode(data or b"{}", type=dict[str, Any])
        document = msgspec.convert(plain, DaemonFile)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidArgumentError(f"configuration file {path}: {error}") from error
    _check_keys(plain, path)
    return document


def _check_keys(plain: dict[str, Any], path: Path) -> None:
    known = set(DaemonFile.__struct_encode_fields__)
    for key in sorted(set(plain) - known):
        if key not in _HOLDS:
            raise InvalidArgumentError(
                f"configuration file {path}: {key!r} matches no configuration option"
            )
        if plain[key] not in _HOLDS[key]:
            raise UnsupportedError(
                f"configuration file {path}: {key} = {plain[key]!r} is not supported"
            )


def _merge(flags: argparse.Namespace, document: DaemonFile, path: Path) -> DaemonConfig:
    def one(name: str, default: Any, key: str = "") -> Any:
        flag, value = getattr(flags, name), getattr(document, key or name)
        if flag is not None and value not in (None, ()):
            raise InvalidArgumentError(
                f"{name.replace('_', '-')} is given both as a flag and in {path}"
            )
        if flag is not None:
            return flag
        return default if value in (None, ()) else value

    exec_root = Path(one("exec_root", default_exec_root())).absolute()
    default_host = f"unix://{exec_root}/boxship.sock"
    return DaemonConfig(
        data_root=Path(one("data_root", default_data_root())).absolute(),
        exec_root=exec_root,
        hosts=tuple(one("host", (default_host,), "hosts")),
        pidfile=Path(one("pidfile", exec_root / "boxship.pid")).absolute(),
        runtimes=configured(
            [_pair("add-runtime", o) for o in flags.add_runtime or ()], document.runtimes
        ),
        default_runtime=one("default_runtime", "boxship"),
        insecure_registries=_places(
            "insecure-registry", one("insecure_registry", (), "insecure_registries")
        ),
        registry_mirrors=_places("registry-mirror", one("registry_mirror", (), "registry_mirrors")),
        bip=_bip(one("bip", "")),
        dns=tuple(_address("dns", text) for text in one("dns", ())),
        log_driver=one("log_driver", "json-file"),
        log_options=document.log_opts | dict(_pair("log-opt", o) for o in flags.log_opt or ()),
        log_level="debug" if one("debug", default=False) else one("log_level", "info"),
        labels=_labels(one("label", (), "labels")),
        cgroup_parent=_group(one("cgroup_parent", "/boxship")),
        address_pools=_pools(flags.default_address_pool or (), document),
        tls=bool(one("tls", default=False)),
        tls_verify=bool(one("tlsverify", default=False)),
        tls_ca=one("tlscacert", ""),
        tls_certificate=one("tlscert", ""),
        tls_key=one("tlskey", ""),
        ready_fd=flags.ready_fd,
    )


def _pools(items: list[str] | tuple[str, ...], document: DaemonFile) -> tuple[AddressPool, ...]:
    pools = list(document.default_address_pools)
    for item in items:
        fields = dict(_pair("default-address-pool", part) for part in item.split(","))
        if set(fields) != {"base", "size"} or not fields["size"].isdigit():
            raise InvalidArgumentError(f"invalid default-address-pool {item!r}: want base=,size=")
        pools.append(AddressPool(fields["base"], int(fields["size"])))
    for pool in pools:
        _check_pool(pool)
    return tuple(pools)


def _check_pool(pool: AddressPool) -> None:
    what = f"invalid default-address-pool base={pool.base},size={pool.size}"
    try:
        prefix = ipaddress.IPv4Network(pool.base).prefixlen
    except ValueError as error:
        raise InvalidArgumentError(f"{what}: {error}") from error
    if not prefix <= pool.size <= 30:
        raise InvalidArgumentError(
            f"{what}: networks of this size cannot be cut from it",
            hint=f"give a length of prefix from {prefix} to 30",
        )


def _labels(items: Iterable[str]) -> tuple[str, ...]:
    return tuple("=".join(_pair("label", item)) for item in items)


def _places(name: str, items: Iterable[str]) -> tuple[str, ...]:
    """Registries by host or URL."""
    found = tuple(items)
    for item in found:
        if not item or any(character.isspace() for character in item):
            raise InvalidArgumentError(f"invalid {name} {item!r}: want a host, as example.com:5000")
    return found


def _bip(text: str) -> str:
    if not text:
        return ""
    try:
        own = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise InvalidArgumentError(f"invalid bip {text!r}: {error}") from error
    if own.ip not in own.network.hosts() or own.is_loopback or own.is_multicast:
        raise InvalidArgumentError(
            f"invalid bip {text!r}: the bridge cannot have this address",
            hint="give it one of a host, and the length of its prefix, as 172.17.0.1/16",
        )
    return text


def _group(path: str) -> str:
    if path.endswith(".slice") or ".." in path.split("/"):
        raise InvalidArgumentError(
            f"invalid cgroup-parent {path!r}", hint="give the path of a control group, as /name"
        )
    return "/" + path.strip("/")


def _address(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise InvalidArgumentError(f"invalid {name} {text!r}: {error}") from error


def _pair(name: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise InvalidArgumentError(f"invalid {name} {text!r}: want NAME=VALUE")
    return key, value
