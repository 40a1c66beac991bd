"""Which registries are trusted how, and where their mirrors are: dockerd's registry options."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.model.reference import DEFAULT_DOMAIN

HUB_HOST = "registry-1.docker.io"
_LOOPBACK = ("127.0.0.0/8", "::1/128", "localhost")
_CERTS = (Path("/etc/boxship/certs.d"), Path("/etc/docker/certs.d"))


class Endpoint(msgspec.Struct, frozen=True):
    """One way to reach a registry.

    Attributes:
        scheme: `https` or `http`.
        host: host, with its port when it has one.
        verify: whether the certificate must be trusted.
        prefix: path before `/v2/`, for mirrors below a path; empty or with a leading slash.
        mirror: whether it stands in for another registry and gets no credentials.
    """

    scheme: str
    host: str
    verify: bool = True
    prefix: str = ""
    mirror: bool = False

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.prefix}"


class RegistrySettings(msgspec.Struct, frozen=True):
    """How registries are reached.

    Attributes:
        insecure: hosts, `host:port` pairs or networks in CIDR form that may be spoken to over
            plain HTTP or with an unknown certificate. Loopback addresses always may, as in Docker.
        mirrors: URLs asked before Docker Hub.
        host_mirrors: the same for other registries, by domain.
        certs_dirs: directories that hold `HOST/*.crt` (authorities) and `HOST/*.cert` with
            `HOST/*.key` (client certificates).
        timeout: seconds without a byte after which a registry counts as gone.
        attempts: how often a request that failed for a passing reason is made in all.
        backoff: seconds before the second attempt; doubles each time.
    """

    insecure: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    host_mirrors: Mapping[str, tuple[str, ...]] = {}
    certs_dirs: tuple[Path, ...] = _CERTS
    timeout: float = 60.0
    attempts: int = 4
    backoff: float = 0.5

    def endpoints(self, domain: str) -> tuple[Endpoint, ...]:
        """Ways to pull from a registry, best first: its mirrors, then itself."""
        mirrors = self.host_mirrors.get(domain, ())
        if domain == DEFAULT_DOMAIN:
            mirrors = (*self.mirrors, *mirrors)
        return (*(self._mirror(url) for url in mirrors), *self.upstream(domain))

    def upstream(self, domain: str) -> tuple[Endpoint, ...]:
        """Ways to reach the registry itself: the only ones that uploads and logins use."""
        host = HUB_HOST if domain == DEFAULT_DOMAIN else domain
        if not self.is_insecure(host):
            return (Endpoint("https", host),)
        return (Endpoint("https", host, verify=False), Endpoint("http", host, verify=False))

    def is_insecure(self, host: str) -> bool:
        """Whether plain HTTP and unknown certificates are accepted from this host."""
        name = host_name(host)
        return any(_matches(rule, host, name) for rule in (*self.insecure, *_LOOPBACK))

    def _mirror(self, url: str) -> Endpoint:
        scheme, separator, rest = url.partition("://")
        if not separator:
            scheme, rest = "https", url
        host, _, path = rest.partition("/")
        if scheme not in ("http", "https") or not host or "@" in host:
            raise InvalidArgumentError(
                f"invalid registry mirror {url!r}", hint="give it as https://host[:port][/path]"
            )
        prefix = "/" + path.strip("/") if path.strip("/") else ""
        return Endpoint(scheme, host, not self.is_insecure(host), prefix, mirror=True)


def host_name(host: str) -> str:
    """The host without its port and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _matches(rule: str, host: str, name: str) -> bool:
    if "/" not in rule:
        return rule in (host, name)
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
