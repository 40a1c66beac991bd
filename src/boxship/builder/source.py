"""The files of a context that steer the build: the Dockerfile and its ignore file."""

from pathlib import Path

from boxship.builder.dockerfile.ignore import parse_ignore
from boxship.builder.request import BuildRequest
from boxship.builder.worker.files.messages import ReadFile, TreeRef
from boxship.builder.worker.helper import FileHelper
from boxship.errors import InvalidArgumentError
from boxship.model.mount import Mount

_MAX_BYTES = 16 << 20


def context_root(context: Path) -> Mount:
    """How the file helper gets at a context: a directory, or a tar file."""
    if context.is_dir():
        return Mount("bind", str(context), options=("rbind", "ro"))
    return Mount("tar", str(context))


async def read_dockerfile(request: BuildRequest, helper: FileHelper) -> str:
    """The Dockerfile's text, from the request itself or from the context.

    Raises:
        InvalidArgumentError: it is not there, not a file, or no text.
    """
    if request.dockerfile_text is not None:
        return request.dockerfile_text
    found = await _read(request, request.dockerfile, helper)
    if found is None:
        raise InvalidArgumentError(
            f"Cannot locate specified Dockerfile: {request.dockerfile}",
            hint="give its path in the context with -f",
        )
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"Dockerfile {request.dockerfile} is no UTF-8 text: {error}"
        ) from error


async def read_ignore(request: BuildRequest, helper: FileHelper) -> tuple[str, ...]:
    """Patterns of `NAME.dockerignore` beside the Dockerfile, or of `.dockerignore`.

    Raises:
        InvalidArgumentError: a pattern means nothing.
    """
    for name in (f"{request.dockerfile}.dockerignore", ".dockerignore"):
        found = await _read(request, name, helper)
        if found is not None:
            return parse_ignore(found.decode(errors="replace"))
    return ()


async def _read(request: BuildRequest, name: str, helper: FileHelper) -> bytes | None:
    """A file of the context, links followed inside of it; None when absent."""
    if request.context is None:
        return None
    tree = TreeRef(context_root(request.context))
    return await helper.read(ReadFile(tree, name, _MAX_BYTES))
