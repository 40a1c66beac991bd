"""`boxship build`: an image from a Dockerfile."""

import os
import sys
from pathlib import Path

from boxship.cli.command import Command
from boxship.cli.contexts import pack
from boxship.cli.credentials import config_header
from boxship.cli.flags import Flag, Parsed, UsageError
from boxship.cli.options.container import ulimit
from boxship.cli.options.values import pairs, size
from boxship.cli.progress import Progress
from boxship.cli.pulling import StreamError
from boxship.client.documents import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from boxship.cli.app import App

_OUTSIDE = ".dockerfile.outside"


def build(app: "App", parsed: Parsed) -> int:
    """Send the context and show the build; 1, or the failed command's code, when it fails."""
    body, dockerfile = _context(parsed)
    query = _query(parsed, dockerfile)
    headers = {"Content-Type": "application/x-tar"} | config_header()
    answer = app.request("POST", "/build", query, body, headers)
    progress = Progress(sys.stdout, quiet=False)
    image_id = ""
    for message in answer.documents():
        if message.get("error"):
            detail = message.get("errorDetail") or {}
            failure = StreamError(str(message["error"]))
            failure.exit_code = int(detail.get("code") or 1)
            raise failure
        image_id = (message.get("aux") or {}).get("ID") or image_id
        progress.show(message)
    if parsed.text("iidfile"):
        Path(parsed.text("iidfile")).write_text(image_id, encoding="ascii")
    return 0


def _context(parsed: Parsed) -> "tuple[Iterable[bytes], str]":
    """The context as chunks, and the Dockerfile's name within it."""
    where, file = parsed.args[0], parsed.text("file")
    if where == "-":
        if file == "-":
            raise UsageError("invalid argument: can't use stdin for both build context and file")
        return _from_stdin(file)
    directory = Path(where)
    if not directory.is_dir():
        raise UsageError(
            f"unable to prepare context: path {where!r} not found or not a directory",
            hint="give a directory, or - for an archive or a Dockerfile on standard input",
        )
    if file == "-":
        return pack(directory, _OUTSIDE, {_OUTSIDE: sys.stdin.buffer.read()}), _OUTSIDE
    path = Path(file) if file else directory / "Dockerfile"
    if not path.is_file() and file and (directory / file).is_file():
        path = directory / file
    if not path.is_file():
        raise UsageError(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path:"
            f" lstat {path}: no such file or directory"
        )
    inside = os.path.relpath(path.resolve(), directory.resolve())
    if inside.startswith(".."):
        return pack(directory, _OUTSIDE, {_OUTSIDE: path.read_bytes()}), _OUTSIDE
    return pack(directory, inside, {}), inside


def _from_stdin(file: str) -> "tuple[Iterable[bytes], str]":
    """An archive goes through as it is; anything else is a Dockerfile without a context."""
    head = sys.stdin.buffer.read(512)
    packed = head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd" or head[:3] == b"BZh"
    if packed or head[:6] == b"\xfd7zXZ\x00" or head[257:262] == b"ustar":
        return _chunks(head), file or "Dockerfile"
    text = head + sys.stdin.buffer.read()
    import tempfile  # noqa: PLC0415 - the rare case

    empty = tempfile.TemporaryDirectory(prefix="boxship-context-")
    with empty:
        return iter(list(pack(Path(empty.name), _OUTSIDE, {_OUTSIDE: text}))), _OUTSIDE


def _chunks(head: bytes) -> "Iterable[bytes]":
    yield head
    while data := sys.stdin.buffer.read(1 << 18):
        yield data


def _query(parsed: Parsed, dockerfile: str) -> "dict[str, Any]":
    arguments = {
        name: value if equals else os.environ.get(name)
        for name, equals, value in (item.partition("=") for item in parsed.list("build-arg"))
    }
    return {
        "t": parsed.list("tag"),
        "dockerfile": dockerfile,
        "nocache": parsed.flag("no-cache"),
        "pull": parsed.flag("pull") or None,
        "q": parsed.flag("quiet") or None,
        "rm": True,
        "target": parsed.text("target") or None,
        "platform": parsed.text("platform") or None,
        "networkmode": parsed.text("network") or None,
        "buildargs": dumps(arguments).decode() if arguments else None,
        "labels": dumps(pairs(parsed.list("label"))).decode() if parsed.list("label") else None,
        "extrahosts": parsed.list("add-host"),
        "shmsize": size(parsed.text("shm-size"), "shm-size") or None,
        "memory": size(parsed.text("memory"), "memory") or None,
        "ulimits": dumps([ulimit(item) for item in parsed.list("ulimit")]).decode()
        if parsed.list("ulimit")
        else None,
    }


COMMAND = Command(
    "[OPTIONS] PATH | -",
    "Build an image from a Dockerfile",
    build,
    (
        Flag("add-host", "list", "Add a custom host-to-IP mapping (host:ip)"),
        Flag("build-arg", "list", "Set build-time variables"),
        Flag("file", "text", "Name of the Dockerfile (default is PATH/Dockerfile)", short="f"),
        Flag("force-rm", "bool", "Always remove intermediate containers (they always are)"),
        Flag("iidfile", "text", "Write the image ID to the file"),
        Flag("label", "list", "Set metadata for an image"),
        Flag("memory", "text", "Memory limit of each step", short="m", value="bytes"),
        Flag("network", "text", "Networking mode for the RUN instructions"),
        Flag("no-cache", "bool", "Do not use cache when building the image"),
        Flag("platform", "text", "Set platform if server is multi-platform capable"),
        Flag("pull", "bool", "Always attempt to pull a newer version of the image"),
        Flag("quiet", "bool", "Print only the image ID on success", short="q"),
        Flag("rm", "bool", "Remove intermediate containers (they always are)", default=True),
        Flag("shm-size", "text", "Size of /dev/shm", value="bytes"),
        Flag("tag", "list", "Name and optionally a tag (name:tag)", short="t"),
        Flag("target", "text", "Set the target build stage to build"),
        Flag("ulimit", "list", "Ulimit options"),
    ),
    args=(1, 1),
)
