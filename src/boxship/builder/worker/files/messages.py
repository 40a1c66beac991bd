"""The closed set of messages between the daemon and the file helper: JSON behind a length."""

import socket

import msgspec

from boxship.model.digest import Digest
from boxship.model.mount import Mount

_LENGTH = 4
_MAX_BYTES = 64 << 20


class TreeRef(msgspec.Struct, frozen=True):
    """A file system to read.

    Attributes:
        root: how to get at it: a directory (bind), an overlay, or a tar file (`tar`).
        ignore: patterns that hide files.
        what: begins the message about a missing path.
    """

    root: Mount
    ignore: tuple[str, ...] = ()
    what: str = ""


class TreeFiles(msgspec.Struct, frozen=True, tag="tree"):
    """Paths of a tree to copy, in this order."""

    tree: TreeRef
    path: str


class InlineFile(msgspec.Struct, frozen=True, tag="inline"):
    """A file by its content."""

    name: str
    content: str


class FetchedFile(msgspec.Struct, frozen=True, tag="fetched"):
    """A file that was downloaded to `path`; `modified` in seconds since the epoch, 0 unknown."""

    path: str
    name: str
    modified: int
    unpack: bool


class Hash(msgspec.Struct, frozen=True, tag="hash"):
    """Digest what copying these paths would read. Answer: Text."""

    tree: TreeRef
    paths: tuple[str, ...]
    excludes: tuple[str, ...]
    owners: bool


class CopyFiles(msgspec.Struct, frozen=True, tag="copy"):
    """Copy sources into a root; see `copying.Rules`. Answer: Text, empty."""

    target: Mount
    sources: tuple[TreeFiles | InlineFile | FetchedFile, ...]
    destination: str
    owner: str
    keep_owner: bool
    mode: int | None
    excludes: tuple[str, ...]
    parents: bool
    unpack: bool
    keyword: str


class MakeDirectory(msgspec.Struct, frozen=True, tag="mkdir"):
    """Make a directory and its parents in a root. Answer: Text, empty."""

    target: Mount
    path: str


class Locate(msgspec.Struct, frozen=True, tag="locate"):
    """Resolve a path in a tree. Answer: Text, the path relative to the root, links followed."""

    tree: TreeRef
    path: str


class ReadFile(msgspec.Struct, frozen=True, tag="read"):
    """Read a file of a tree, links followed inside of it. Answer: File.

    Attributes:
        limit: bytes it may have at most.
    """

    tree: TreeRef
    path: str
    limit: int


class Pack(msgspec.Struct, frozen=True, tag="pack"):
    """Make a layer of an upper directory. Answer: Packed.

    Attributes:
        upper: the directory.
        lower: what it lay on, None for nothing.
        stubs: mount points to take out again.
        content: root of the content store.
        key: name of the ingest.
    """

    upper: str
    lower: Mount | None
    stubs: tuple[str, ...]
    content: str
    key: str


class Text(msgspec.Struct, frozen=True, tag="text"):
    """It is done; the text says what came out."""

    text: str


class File(msgspec.Struct, frozen=True, tag="file"):
    """Content of a file; None when there is none."""

    content: bytes | None


class Packed(msgspec.Struct, frozen=True, tag="packed"):
    """A layer: digests, bytes of the blob, and number of entries (0: nothing changed)."""

    diff_id: Digest
    digest: Digest
    size: int
    entries: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It failed: kind and message of the error."""

    kind: str
    message: str
    hint: str = ""


Request = Hash | CopyFiles | MakeDirectory | Locate | ReadFile | Pack
Answer = Text | File | Packed | Failed


def send(channel: socket.socket, message: Request | Answer) -> None:
    body = msgspec.json.encode(message)
    channel.sendall(len(body).to_bytes(_LENGTH, "big") + body)


def receive(channel: socket.socket) -> bytes:
    """The next message; empty when the other side is gone.

    Raises:
        ConnectionError: it stopped in the middle.
    """
    head = _exactly(channel, _LENGTH)
    if not head:
        return b""
    length = int.from_bytes(head, "big")
    if length > _MAX_BYTES:
        msg = f"message of {length} bytes from the file helper"
        raise ConnectionError(msg)
    return _exactly(channel, length)


def _exactly(channel: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = channel.recv(length - len(data))
        if not piece:
            if data:
                msg = "the file helper's messages stopped in the middle"
                raise ConnectionError(msg)
            return b""
        data += piece
    return bytes(data)
