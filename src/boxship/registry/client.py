"""The client of the distribution API: where a pull, a push or a login starts."""

import msgspec

from boxship.errors import UnauthorizedError
from boxship.model.reference import DEFAULT_DOMAIN, Reference
from boxship.model.registry import Credentials
from boxship.registry.auth import Challenge, TokenSource, basic, best_challenge
from boxship.registry.errors import UnreachableError, response_error
from boxship.registry.repository import Repository
from boxship.registry.session import Session, Tools
from boxship.registry.settings import Endpoint, RegistrySettings
from boxship.registry.stop import Stop
from boxship.registry.transport import Request, Transport

_HUB_ADDRESSES = ("", "docker.io", "index.docker.io", "registry-1.docker.io")


class LoginResult(msgspec.Struct, frozen=True):
    """A successful login, in Docker's words; the identity token replaces the password, if any."""

    status: str
    identity_token: str = ""


class RegistryClient:
    """Talks to registries. Blocking; meant to be shared by worker threads for a daemon's life."""

    def __init__(self, settings: RegistrySettings | None = None) -> None:
        self._settings = settings or RegistrySettings()
        self._transport = Transport(self._settings)
        tokens = TokenSource(self._transport, lambda host: not self._settings.is_insecure(host))
        self._tools = Tools(self._settings, self._transport, tokens)

    def repository(
        self,
        ref: Reference,
        credentials: Credentials,
        *,
        push: bool = False,
        mount_from: tuple[str, ...] = (),
        stop: Stop | None = None,
    ) -> Repository:
        """Open the repository that a reference names; nothing is sent yet.

        Args:
            ref: names the registry and the repository.
            credentials: who asks.
            push: whether anything will be written; then mirrors are not used.
            mount_from: paths of other repositories of the registry to take blobs over from.
            stop: set it to make transfers end early.
        """
        actions = "pull,push" if push else "pull"
        scopes = [f"repository:{ref.path}:{actions}"]
        scopes += [f"repository:{path}:pull" for path in mount_from if path != ref.path]
        settings = self._settings
        endpoints = settings.upstream(ref.domain) if push else settings.endpoints(ref.domain)
        ending = stop or Stop()
        sessions = tuple(
            Session(self._tools, endpoint, credentials, " ".join(scopes), ending)
            for endpoint in endpoints
        )
        return Repository(ref, sessions)

    def login(self, credentials: Credentials) -> LoginResult:
        """Check credentials with the registry that their server address names.

        Raises:
            UnauthorizedError: the registry refuses them.
            UnavailableError: it does not answer.
        """
        endpoints = self._settings.upstream(_domain(credentials.server_address))
        for endpoint in endpoints[:-1]:
            try:
                return self._login(endpoint, credentials)
            except UnreachableError:
                continue
        return self._login(endpoints[-1], credentials)

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def _login(self, endpoint: Endpoint, credentials: Credentials) -> LoginResult:
        challenge = self._ping(endpoint, "")
        token = ""
        if challenge is None:
            return LoginResult("Login Succeeded")
        if challenge.scheme == "bearer":
            answer = self._tools.tokens.fetch(challenge, "", credentials, offline=True)
            authorization, token = f"Bearer {answer.value}", answer.refresh_token
        else:
            authorization = basic(credentials)
        if self._ping(endpoint, authorization) is not None:
            raise UnauthorizedError(
                f"login attempt to {endpoint.url}/v2/ failed with status: 401 Unauthorized",
                hint="check user name and password",
            )
        return LoginResult("Login Succeeded", token)

    def _ping(self, endpoint: Endpoint, authorization: str) -> Challenge | None:
        """GET /v2/: None when the registry lets us in, else what it asks for."""
        headers = {"Authorization": authorization} if authorization else {}
        request = Request("GET", endpoint, f"{endpoint.prefix}/v2/", headers)
        response = self._transport.exchange(request)
        asked = response.headers("WWW-Authenticate")
        status, body = response.status, response.read()
        if status == 401:
            return best_challenge(asked)
        if status != 200:
            raise response_error(status, body, request.describe())
        return None


def _domain(server_address: str) -> str:
    host = server_address.partition("://")[2] if "://" in server_address else server_address
    host = host.partition("/")[0]
    return DEFAULT_DOMAIN if host in _HUB_ADDRESSES else host
