"""Proxies named by the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), as with dockerd."""

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.registry.settings import host_name


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy: where it listens and the `Proxy-Authorization` it wants, if any."""

    host: str
    port: int
    authorization: str = ""

    def headers(self) -> dict[str, str]:
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for this host, or None to go there directly.

    Loopback addresses are never proxied, as in Go's net/http.

    Raises:
        InvalidArgumentError: the variable holds no usable http:// address.
    """
    variable = f"{scheme}_proxy"
    value = environ.get(variable.upper()) or environ.get(variable) or ""
    if not value or _direct(host, environ):
        return None
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        # The value may hold a password: name the variable only.
        raise InvalidArgumentError(
            f"cannot use the proxy in {variable.upper()}", hint="want http://host:port"
        )
    return Proxy(parts.hostname, port, _basic(parts.username, parts.password))


def _basic(user: str | None, password: str | None) -> str:
    if not user:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _direct(host: str, environ: Mapping[str, str]) -> bool:
    name = host_name(host)
    if name == "localhost" or _is_loopback(name):
        return True
    rules = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return any(_excludes(rule.strip(), host, name) for rule in rules.split(",") if rule.strip())


def _excludes(rule: str, host: str, name: str) -> bool:
    if rule == "*" or rule in (host, name):
        return True
    if "/" in rule:
        try:
            return ipaddress.ip_address(name) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    return name.endswith("." + rule.lstrip("*").lstrip("."))


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
