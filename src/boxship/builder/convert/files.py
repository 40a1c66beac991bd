"""COPY, ADD and WORKDIR."""

import posixpath
import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote, urlsplit

from boxship.builder.convert.state import StageState
from boxship.builder.dockerfile import instructions as i
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.graph.operations import (
    CONTEXT,
    Copy,
    CopySource,
    InlineSource,
    MakeDirectory,
    RemoteSource,
    TreeSource,
)
from boxship.errors import UnsupportedError

Origin = Callable[[str, int], Awaitable[int]]
"""Gives the vertex that a stage's name or number, or an image, stands for."""

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"(git@|git://|ssh://|https?://.*\.git(#|$))", re.IGNORECASE)
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


async def copy(state: StageState, instruction: i.Copy, origin: Origin) -> None:
    """Convert a COPY or ADD."""
    others = (await origin(instruction.origin, instruction.line),) if instruction.origin else ()
    add = instruction if isinstance(instruction, i.Add) else None
    paths = [state.expand(path, instruction.line) for path in instruction.sources]
    sources = [_source(path, 1 if others else CONTEXT, instruction) for path in paths]
    sources += _heredocs(state, instruction)
    destination = state.expand(instruction.destination, instruction.line)
    operation = Copy(
        sources=tuple(sources),
        destination=state.absolute(destination),
        owner=state.expand(instruction.owner, instruction.line),
        mode=_mode(state.expand(instruction.mode, instruction.line), instruction.line),
        excludes=tuple(state.expand(path, instruction.line) for path in instruction.excludes),
        parents=instruction.parents,
        unpack=add is not None and add.unpack is not False,
        unpack_remote=add is not None and add.unpack is True,
        keyword="ADD" if add is not None else "COPY",
    )
    _check_names(operation, instruction.line)
    names = [*paths, *(f"<<{heredoc.name}" for heredoc in instruction.heredocs), destination]
    state.file_step(operation, _history(instruction, operation, names), others=others)


def work_directory(state: StageState, instruction: i.Workdir) -> None:
    """Convert a WORKDIR: the directory is made when it is missing."""
    path = state.absolute(state.expand(instruction.path, instruction.line))
    path = path.rstrip("/") or "/"
    state.configure(working_dir=path)
    state.file_step(MakeDirectory(path), f"WORKDIR {path}")


def _source(path: str, place: int, instruction: i.Copy) -> CopySource:
    if isinstance(instruction, i.Add):
        if _GIT.match(path):
            raise UnsupportedError(
                f"ADD of a git repository ({path}) on line {instruction.line} is not supported",
                hint="clone it in a RUN, or put it in the build context",
            )
        if _URL.match(path):
            return RemoteSource(path, file_name(path), _checked(instruction))
        if instruction.checksum:
            raise DockerfileError(
                "checksum can't be specified for non-HTTP sources", instruction.line
            )
    if not path:
        raise DockerfileError("a source path expands to nothing", instruction.line)
    if instruction.parents:
        # The part before `/./` is where the kept parents begin, so it must survive.
        return TreeSource(place, path.lstrip("/"))
    return TreeSource(place, posixpath.normpath("/" + path).lstrip("/") or ".")


def file_name(url: str) -> str:
    """The name a URL gives its file when the destination is a directory; may be empty."""
    return unquote(posixpath.basename(urlsplit(url).path)).replace("/", "_")


def _check_names(operation: Copy, line: int) -> None:
    if not operation.destination.endswith("/"):
        return
    for source in operation.sources:
        if isinstance(source, RemoteSource) and source.name in ("", ".", ".."):
            raise DockerfileError(f"cannot determine filename from url: {source.url}", line)


def _checked(instruction: i.Add) -> str:
    if instruction.checksum and _CHECKSUM.fullmatch(instruction.checksum) is None:
        raise DockerfileError(
            f"invalid checksum {instruction.checksum!r}: want sha256: and 64 hex digits",
            instruction.line,
        )
    return instruction.checksum


def _heredocs(state: StageState, instruction: i.Copy) -> list[CopySource]:
    return [
        InlineSource(
            heredoc.name,
            state.expand_heredoc(heredoc.content, instruction.line)
            if heredoc.expand
            else heredoc.content,
        )
        for heredoc in instruction.heredocs
    ]


def _mode(text: str, line: int) -> int | None:
    if not text:
        return None
    if re.fullmatch(r"[0-7]{1,5}", text) is None or int(text, 8) > 0o7777:
        raise DockerfileError(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
            line,
        )
    return int(text, 8)


def _history(instruction: i.Copy, operation: Copy, names: list[str]) -> str:
    flags = [f"--from={instruction.origin}"] if instruction.origin else []
    flags += [f"--chown={operation.owner}"] if operation.owner else []
    flags += [f"--chmod={operation.mode:04o}"] if operation.mode is not None else []
    return " ".join([operation.keyword, *flags, *names])
