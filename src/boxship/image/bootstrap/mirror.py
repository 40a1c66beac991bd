"""Where this host gets Debian from, and when a release was made there."""

import http.client
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from boxship.errors import NotFoundError, UnavailableError

_DEFAULT = "http://deb.debian.org/debian"
_DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
_APT = Path("/etc/apt")
_TIMEOUT = 30
_MAX_RELEASE = 1 << 20
_MAX_REDIRECTS = 5


class Mirror(msgspec.Struct, frozen=True):
    """A Debian mirror and the lines of sources.list that use it."""

    url: str
    sources: tuple[str, ...]


def find_mirror(suite: str, apt: Path = _APT) -> Mirror:
    """The mirrors that this host's apt uses for Debian, else Debian's own."""
    urls = list(_urls(apt))
    url = next((one for one in urls if one.endswith("/debian")), _DEFAULT)
    security = next((one for one in urls if one.endswith("/debian-security")), _DEFAULT_SECURITY)
    return Mirror(
        url,
        (
            f"deb {url} {suite} main",
            f"deb {url} {suite}-updates main",
            f"deb {security} {suite}-security main",
        ),
    )


def release_time(url: str, suite: str) -> int:
    """When the release file of a suite was made, seconds since the epoch.

    Raises:
        NotFoundError: the mirror does not have the suite.
        UnavailableError: it does not answer.
    """
    for line in _fetch(f"{url}/dists/{suite}/Release").decode(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "Date":
            try:
                return int(parsedate_to_datetime(value.strip()).timestamp())
            except ValueError:
                break
    raise UnavailableError(f"mirror {url}: the release file of {suite} has no date")


def _urls(apt: Path) -> Iterator[str]:
    """URLs in one-line and deb822 source files (sources.list(5))."""
    files = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*"))]
    for path in files:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith(("deb ", "deb\t", "URIs:")):
                for word in line.split():
                    if word.startswith(("http://", "https://")):
                        yield word.rstrip("/")


def _fetch(url: str) -> bytes:
    for _ in range(_MAX_REDIRECTS):
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=_TIMEOUT)
        try:
            connection.request("GET", parts.path)
            response = connection.getresponse()
            data = response.read(_MAX_RELEASE)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                f"Debian mirror {parts.netloc} does not answer: {error}",
                hint="check the network and the apt sources of this host",
            ) from error
        finally:
            connection.close()
        if response.status == 200:
            return data
        location = response.headers.get("Location", "")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            raise NotFoundError(f"{url}: {response.status} {response.reason}")
        url = location
    raise UnavailableError(f"{url}: too many redirects")
