"""ADD of a URL: fetch it once, digest it on the way."""

import hashlib
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from boxship.errors import InvalidArgumentError, UnavailableError

_TIMEOUT = 60
_CHUNK = 256 << 10


class Fetched(msgspec.Struct, frozen=True):
    """A downloaded file; `modified` is what its server says, seconds since the epoch, or 0."""

    path: str
    digest: str
    modified: int


def fetch(url: str, checksum: str, directory: Path, stop: threading.Event) -> Fetched:
    """Download a file.

    Args:
        url: http or https.
        checksum: digest it must have, or empty.
        directory: where to put it.
        stop: ends the download when set.

    Raises:
        UnavailableError: the server does not answer or refuses.
        InvalidArgumentError: the file has another digest, or the URL is malformed.
    """
    import urllib.error  # noqa: PLC0415 - ssl and http cost the daemon's start
    import urllib.request  # noqa: PLC0415 - as above

    place = directory / f"fetched-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
    try:
        # Only http and https come here, and redirects cannot leave them and ftp.
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, place.open("wb") as out:  # noqa: S310
            digest = hashlib.sha256()
            while (data := response.read(_CHUNK)) and not stop.is_set():
                digest.update(data)
                out.write(data)
            modified = _seconds(response.headers.get("last-modified", ""))
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError(
            f"ADD failed: failed to GET {url} with status {error.code} {error.reason}"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise UnavailableError(f"ADD failed: failed to GET {url}: {reason}") from error
    found = f"sha256:{digest.hexdigest()}"
    if checksum and found != checksum:
        raise InvalidArgumentError(
            f"ADD failed: digest mismatch for {url}: got {found}, expected {checksum}"
        )
    return Fetched(str(place), found, modified)


def _seconds(text: str) -> int:
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError):
        return 0
