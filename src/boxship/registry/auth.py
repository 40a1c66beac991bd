"""Who we are to a registry: challenges, basic authentication and bearer tokens.

Sources: RFC 9110 section 11 (challenges), and the token authentication pages of the distribution
project (GET with `service` and `scope`; OAuth2 POST for identity tokens).
"""

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode, urlsplit

import msgspec

from boxship.errors import UnauthorizedError
from boxship.model.registry import Credentials
from boxship.registry.errors import UnreachableError, response_error
from boxship.registry.settings import Endpoint
from boxship.registry.transport import Exchanger, Request

_CLIENT_ID = "boxship"
# The token specification: a token without expires_in lives 60 seconds.
_DEFAULT_LIFE = 60
_MARGIN = 10
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class Challenge(msgspec.Struct, frozen=True):
    """A `WWW-Authenticate` header: the scheme in lower case and its parameters."""

    scheme: str
    parameters: Mapping[str, str] = {}


class Token(msgspec.Struct, frozen=True):
    """An answer of a token server."""

    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: int | None = None

    @property
    def value(self) -> str:
        return self.token or self.access_token


def parse_challenge(header: str) -> Challenge:
    scheme, _, rest = header.strip().partition(" ")
    parameters = {}
    for match in _PARAMETER.finditer(rest):
        quoted, plain = match.group(2), match.group(3)
        value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        parameters[match.group(1).lower()] = value
    return Challenge(scheme.lower(), parameters)


def best_challenge(headers: Sequence[str]) -> Challenge:
    """The challenge to answer among several: tokens before passwords."""
    challenges = [parse_challenge(header) for header in headers]
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return Challenge("")


def basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class TokenSource:
    """Bearer tokens, cached until they expire. Shared by all threads of a client."""

    def __init__(self, transport: Exchanger, verify: Callable[[str], bool]) -> None:
        self._transport = transport
        self._verify = verify
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str, str, Credentials], tuple[str, float]] = {}

    def bearer(
        self, challenge: Challenge, scope: str, credentials: Credentials, *, fresh: bool = False
    ) -> str:
        """The `Authorization` value that meets a bearer challenge.

        Args:
            challenge: what the registry asked for.
            scope: wanted scopes, separated by blanks, such as `repository:a/b:pull`.
            credentials: who asks; may be anonymous.
            fresh: do not take a cached token: the registry has just refused it.

        Raises:
            UnauthorizedError: the token server refuses these credentials.
            UnreachableError: the token server does not answer.
        """
        realm = challenge.parameters.get("realm", "")
        service = challenge.parameters.get("service", "")
        key = (realm, service, scope, credentials)
        with self._lock:
            kept = self._cache.get(key)
        if kept is not None and not fresh and kept[1] > time.monotonic():
            return kept[0]
        token = self.fetch(challenge, scope, credentials)
        value = f"Bearer {token.value}"
        life = _DEFAULT_LIFE if token.expires_in is None else token.expires_in
        with self._lock:
            self._cache[key] = (value, time.monotonic() + max(life - _MARGIN, 0))
        return value

    def fetch(
        self, challenge: Challenge, scope: str, credentials: Credentials, *, offline: bool = False
    ) -> Token:
        """Ask the token server; `offline` also asks for an identity token.

        Raises:
            UnauthorizedError: it refuses these credentials.
            UnreachableError: it does not answer, or answers nonsense.
        """
        request = self._request(challenge, scope, credentials, offline=offline)
        response = self._transport.exchange(request)
        status, body = response.status, response.read()
        if status in (400, 401, 403):
            raise UnauthorizedError(response_error(status, body, request.describe()).message)
        if status != 200:
            raise response_error(status, body, request.describe())
        try:
            token = msgspec.json.decode(body, type=Token)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreachableError(f"{request.describe()}: answer is no token: {error}") from error
        if not token.value:
            raise UnreachableError(f"{request.describe()}: answer holds no token")
        return token

    def _request(
        self, challenge: Challenge, scope: str, credentials: Credentials, *, offline: bool
    ) -> Request:
        parts = urlsplit(challenge.parameters.get("realm", ""))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UnreachableError(f"the registry names no usable token server: {parts.geturl()!r}")
        endpoint = Endpoint(parts.scheme, parts.netloc, self._verify(parts.netloc))
        if endpoint.scheme == "http" and endpoint.verify and not credentials.anonymous:
            raise UnauthorizedError(
                f"credentials not sent to token server {endpoint.url}: it is not encrypted",
                hint="list the host as an insecure registry to allow it",
            )
        fields = [("service", challenge.parameters.get("service", ""))]
        fields += [("scope", one) for one in scope.split()]
        if credentials.identity_token:
            form = {
                "grant_type": "refresh_token",
                "client_id": _CLIENT_ID,
                "refresh_token": credentials.identity_token,
                "service": fields[0][1],
                "scope": scope,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", endpoint, parts.path or "/", headers, urlencode(form).encode())
        headers = {}
        if credentials.username:
            headers["Authorization"] = basic(credentials)
            fields.append(("account", credentials.username))
        if offline:
            fields += [("offline_token", "true"), ("client_id", _CLIENT_ID)]
        query = "&".join(part for part in (parts.query, urlencode(fields)) if part)
        return Request("GET", endpoint, f"{parts.path or '/'}?{query}", headers)
