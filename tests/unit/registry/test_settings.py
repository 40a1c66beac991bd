import pytest

from boxship.errors import InvalidArgumentError
from boxship.registry.auth import best_challenge, parse_challenge
from boxship.registry.proxy import proxy_for
from boxship.registry.settings import RegistrySettings


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.9.9.9:5000", True),
        ("[::1]:5000", True),
        ("reg.example:5000", True),
        ("reg.example", False),
        ("plain.example:81", True),
        ("10.1.2.3:5000", True),
        ("11.1.2.3", False),
    ],
)
def test_insecure_hosts(host: str, insecure: bool) -> None:
    settings = RegistrySettings(insecure=("reg.example:5000", "plain.example", "10.0.0.0/8"))
    assert settings.is_insecure(host) is insecure
    schemes = [endpoint.scheme for endpoint in settings.upstream(host)]
    assert schemes == (["https", "http"] if insecure else ["https"])


def test_hub_is_reached_by_its_own_name() -> None:
    settings = RegistrySettings(mirrors=("https://mirror.example/hub/",))
    urls = [endpoint.url for endpoint in settings.endpoints("docker.io")]
    assert urls == ["https://mirror.example/hub", "https://registry-1.docker.io"]


@pytest.mark.parametrize("url", ["ftp://x", "https://", "https://user:pw@x"])
def test_bad_mirror(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid registry mirror"):
        RegistrySettings(mirrors=(url,)).endpoints("docker.io")


def test_challenges() -> None:
    header = 'Bearer realm="https://a/t?x=1,2",service="s \\"q\\"", scope=plain'
    challenge = parse_challenge(header)
    assert challenge.scheme == "bearer"
    assert challenge.parameters == {
        "realm": "https://a/t?x=1,2",
        "service": 's "q"',
        "scope": "plain",
    }
    assert parse_challenge("").scheme == ""
    assert best_challenge(['Basic realm="x"', header]) == challenge
    assert best_challenge(["Negotiate", "Basic"]).scheme == "basic"
    assert best_challenge([]).scheme == ""


def test_proxies() -> None:
    environ = {"HTTPS_PROXY": "http://u:p%40@proxy:3128", "NO_PROXY": ".corp,10.0.0.0/8,exact:5000"}
    found = proxy_for("https", "reg.example", environ)
    assert found is not None
    assert (found.host, found.port) == ("proxy", 3128)
    assert found.headers() == {"Proxy-Authorization": "Basic dTpwQA=="}
    for direct in ("x.corp", "10.1.1.1:5000", "exact:5000", "localhost:5000", "127.0.0.1"):
        assert proxy_for("https", direct, environ) is None
    assert proxy_for("http", "reg.example", environ) is None
    with pytest.raises(InvalidArgumentError, match="HTTPS_PROXY"):
        proxy_for("https", "x.example", {"HTTPS_PROXY": "socks5://secret@x"})
