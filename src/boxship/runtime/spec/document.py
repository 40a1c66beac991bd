"""Read and write JSON files with the interpreter's C parts only: a cold start has no time for more.

What they are not there for (another interpreter, errors) the json package does.
"""

import os

from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.runtime.spec.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLANK = " \t\n\r"
_CHUNK = 1 << 16
_TOO_DEEP = "it is nested too deeply"


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0:
        # Python would write it as `inf`, which is no JSON.
        raise ValueError(f"{text} is not a number of JSON")
    return value


class _Options:
    """What the C scanner asks its owner for, as json.JSONDecoder has it."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = staticmethod(_finite)
    parse_int = int

    parse_constant = staticmethod(_finite)


def _scanner() -> "Callable[[str, int], tuple[Any, int]] | None":
    try:
        from _json import make_scanner  # noqa: PLC0415 - may be missing
    except ImportError:
        return None
    scan: Callable[[str, int], tuple[Any, int]] = make_scanner(_Options)  # type: ignore[arg-type]  # it wants attributes
    return scan


_scan = _scanner()


def loads(text: str) -> "Any":
    """Decode a JSON document.

    Raises:
        ValueError: it is not JSON.
    """
    if _scan is None:
        return _slow_loads(text)
    start = len(text) - len(text.lstrip(_BLANK))
    try:
        value, end = _scan(text, start)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except (StopIteration, SystemError, ValueError):
        # Without the json package the scanner has no exception to raise: that says what is wrong.
        return _slow_loads(text)
    return _slow_loads(text) if text[end:].strip(_BLANK) else value


def read(path: str) -> "Any":
    """Decode a file.

    Raises:
        NotFoundError: it does not exist.
        InvalidArgumentError: it is not JSON or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return read_open(descriptor, path)
    finally:
        os.close(descriptor)


def read_open(descriptor: int, name: str) -> "Any":
    """Decode an open file.

    Raises:
        InvalidArgumentError: it is not JSON or cannot be read.
    """
    try:
        return loads(read_text(descriptor))
    except ValueError as error:
        raise InvalidArgumentError(f"{name} is not JSON: {error}") from error
    except OSError as error:
        raise InvalidArgumentError(f"{name} cannot be read: {error.strerror}") from error


def read_text(descriptor: int) -> str:
    """All of an open file as text."""
    parts = []
    while chunk := os.read(descriptor, _CHUNK):
        parts.append(chunk)
    return b"".join(parts).decode()


def write(path: str, value: "Any") -> None:
    """Replace a file by a document, whole or not at all.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    partial = f"{path}.{os.getpid()}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            rest = memoryview(dumps(value).encode(errors="surrogateescape"))
            while rest:
                # A disk that is nearly full takes a part.
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        os.rename(partial, path)  # noqa: PTH104 - pathlib is slow to import
    except OSError:
        os.unlink(partial)  # noqa: PTH108 - as above
        raise


def _slow_loads(text: str) -> "Any":
    import json  # noqa: PLC0415 - see above

    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
