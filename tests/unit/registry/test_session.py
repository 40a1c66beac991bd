"""What is sent to whom."""

from typing import Any

from boxship.model.registry import Credentials
from boxship.registry.auth import TokenSource
from boxship.registry.session import Session, Tools
from boxship.registry.settings import Endpoint, RegistrySettings
from boxship.registry.stop import Stop
from boxship.registry.transport import Request


class Answer:
    """A response without a body."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self._headers = headers

    def header(self, name: str) -> str:
        return self._headers.get(name, "")

    def headers(self, name: str) -> list[str]:
        return [self._headers[name]] if name in self._headers else []

    def close(self) -> None:
        """Nothing is open."""


class Script:
    """Stands in for a transport: wants basic authentication, then redirects."""

    def __init__(self, location: str) -> None:
        self.sent: list[Request] = []
        self._location = location

    def exchange(self, request: Request, stop: Stop | None = None) -> Any:
        del stop
        self.sent.append(request)
        if request.target == "/blob":
            return Answer(200, {})
        if "Authorization" not in request.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
        return Answer(307, {"Location": self._location})


def _follow(location: str) -> Request:
    script = Script(location)
    tools = Tools(RegistrySettings(), script, TokenSource(script, lambda _: True))
    endpoint = Endpoint("https", "registry.example")
    session = Session(tools, endpoint, Credentials("me", "pw"), "", Stop())
    session.send("GET", "/v2/a/blobs/x")
    return script.sent[-1]


def test_credentials_follow_a_redirect_within_the_registry() -> None:
    assert "Authorization" in _follow("https://registry.example/blob").headers


def test_credentials_are_not_sent_in_the_clear() -> None:
    last = _follow("http://registry.example/blob")
    assert last.endpoint.scheme == "http"
    assert "Authorization" not in last.headers
