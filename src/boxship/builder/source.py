"""The files of a context that steer the build: the Dockerfile and its ignore file."""

import errno
import os
from pathlib import Path

from boxship.builder.dockerfile.ignore import parse_ignore
from boxship.builder.request import BuildRequest
from boxship.errors import InvalidArgumentError
from boxship.kernel import safepath

_MAX_BYTES = 16 << 20


def read_dockerfile(request: BuildRequest) -> str:
    """The Dockerfile's text, from the request itself or from the context.

    Raises:
        InvalidArgumentError: it is not there, not a file, or no text.
    """
    if request.dockerfile_text is not None:
        return request.dockerfile_text
    name = request.dockerfile
    found = _read(request.context, name) if request.context is not None else None
    if found is None:
        raise InvalidArgumentError(
            f"Cannot locate specified Dockerfile: {name}",
            hint="give its path in the context with -f",
        )
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"Dockerfile {name} is no UTF-8 text: {error}") from error


def read_ignore(request: BuildRequest) -> tuple[str, ...]:
    """Patterns of `NAME.dockerignore` beside the Dockerfile, or of `.dockerignore`."""
    if request.context is None:
        return ()
    for name in (f"{request.dockerfile}.dockerignore", ".dockerignore"):
        found = _read(request.context, name)
        if found is not None:
            return parse_ignore(found.decode(errors="replace"))
    return ()


def _read(context: Path, name: str) -> bytes | None:
    """A file of the context, links followed inside of it; None when absent."""
    root = os.open(context, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Without O_NONBLOCK a fifo in the context would hold up the daemon.
        descriptor = safepath.open_in_root(root, name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise InvalidArgumentError(f"cannot read {name}: {error.strerror}") from error
    finally:
        os.close(root)
    try:
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {name}: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise InvalidArgumentError(f"{name} is larger than {_MAX_BYTES >> 20} MB")
    return data
