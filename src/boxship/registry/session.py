"""Requests to one registry on behalf of somebody: authentication, redirects, retries."""

from collections.abc import Collection, Mapping
from urllib.parse import urljoin, urlsplit

import msgspec

from boxship.errors import UnauthorizedError
from boxship.model.registry import Credentials
from boxship.registry.auth import TokenSource, basic, best_challenge
from boxship.registry.errors import StoppedError, UnreachableError, response_error
from boxship.registry.settings import Endpoint, RegistrySettings
from boxship.registry.stop import Stop
from boxship.registry.transport import Body, Exchanger, Request, Response

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_MAX_DELAY = 30.0


class Tools(msgspec.Struct, frozen=True):
    """What all sessions of a client share."""

    settings: RegistrySettings
    transport: Exchanger
    tokens: TokenSource


class Session:
    """One endpoint, one identity, one scope; used by several threads at once.

    Setting `stop` makes waits and retries end with StoppedError.
    """

    def __init__(
        self,
        tools: Tools,
        endpoint: Endpoint,
        credentials: Credentials,
        scope: str,
        stop: Stop,
    ) -> None:
        self._tools = tools
        self.endpoint = endpoint
        self._credentials = Credentials() if endpoint.mirror else credentials
        self._scope = scope
        self.stop = stop
        token = self._credentials.registry_token
        self._authorization = f"Bearer {token}" if token else ""

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        ok: Collection[int] = (200,),
    ) -> Response:
        """Make a request until it succeeds, fails for good or has failed too often.

        Args:
            method: HTTP method.
            target: absolute URL, or path with its query below the endpoint.
            headers: further headers.
            body: what to send.
            ok: statuses that mean success.

        Raises:
            ResponseError: the registry answered with another status.
            UnreachableError: it does not answer.
            UnauthorizedError: it wants credentials that we do not have.
            StoppedError: `stop` was set.
        """
        request = self._request(method, target, headers or {}, body)
        settings = self._tools.settings
        for attempt in range(1, settings.attempts + 1):
            last = attempt == settings.attempts
            delay = settings.backoff * 2 ** (attempt - 1)
            if self.stop.is_set():
                break
            try:
                response = self._follow(request)
            except UnreachableError as error:
                if last or not error.passing:
                    raise
            else:
                if response.status in ok:
                    return response
                if last or response.status not in _PASSING:
                    raise response_error(response.status, response.read(), request.describe())
                delay = _retry_after(response, delay)
                response.close()
            self.stop.wait(min(delay, _MAX_DELAY))
        raise StoppedError

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], body: Body | bytes | None
    ) -> Request:
        if target.startswith("/"):
            return Request(method, self.endpoint, self.endpoint.prefix + target, headers, body)
        endpoint, path = self._locate(target)
        return Request(method, endpoint, path, headers, body)

    def _locate(self, url: str) -> tuple[Endpoint, str]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UnreachableError(f"registry {self.endpoint.host} points to unusable URL {url!r}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if (parts.scheme, parts.netloc) == (self.endpoint.scheme, self.endpoint.host):
            return self.endpoint, path
        insecure = self._tools.settings.is_insecure(parts.netloc)
        return Endpoint(parts.scheme, parts.netloc, not insecure), path

    def _follow(self, request: Request) -> Response:
        for _ in range(_MAX_REDIRECTS):
            response = self._authorized(request)
            location = response.header("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.close()
            endpoint, target = self._locate(urljoin(request.url, location))
            request = msgspec.structs.replace(request, endpoint=endpoint, target=target)
        raise UnreachableError(f"{request.describe()}: more than {_MAX_REDIRECTS} redirects")

    def _authorized(self, request: Request) -> Response:
        if request.endpoint != self.endpoint:
            # Credentials are for the registry, not for the storage it redirects to, nor for
            # whoever listens when it redirects to itself without encryption.
            return self._exchange(request)
        sent = self._authorization
        response = self._exchange(_with_authorization(request, sent))
        if response.status != 401 or not self._answer_challenge(response, sent):
            return response
        response.close()
        return self._exchange(_with_authorization(request, self._authorization))

    def _exchange(self, request: Request) -> Response:
        return self._tools.transport.exchange(request, self.stop)

    def _answer_challenge(self, response: Response, sent: str) -> bool:
        """Get credentials for a second attempt; False if there are no others to try."""
        challenge = best_challenge(response.headers("WWW-Authenticate"))
        if challenge.scheme == "bearer":
            if sent != self._authorization:
                return True
            self._authorization = self._tools.tokens.bearer(
                challenge, self._scope, self._credentials, fresh=bool(sent)
            )
            return True
        if challenge.scheme != "basic":
            return False
        if not self._credentials.username:
            response.close()
            raise UnauthorizedError(
                f"registry {self.endpoint.host}: no basic auth credentials",
                hint=f"log in to {self.endpoint.host} first",
            )
        self._authorization = basic(self._credentials)
        return self._authorization != sent


def _with_authorization(request: Request, value: str) -> Request:
    if not value:
        return request
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": value})


def _retry_after(response: Response, default: float) -> float:
    text = response.header("Retry-After")
    return float(text) if text.isdecimal() else default
