"""What can be done to a file system while building: frozen values, each with a digest.

Numbers in `input` fields are places in the inputs of the vertex that holds the operation.
"""

import hashlib

import msgspec

from boxship.model.digest import Digest

CONTEXT = -1
"""In an `input` field: the build context instead of another vertex."""

NOTHING = -2
"""In an `input` field: no source at all (an empty cache, a tmpfs)."""


class SourceImage(msgspec.Struct, frozen=True, tag="image"):
    """The file system of an image; `chain` is its chain id, empty when it has no layers."""

    image: Digest
    chain: str


class Scratch(msgspec.Struct, frozen=True, tag="scratch"):
    """An empty file system."""


class ExecMount(msgspec.Struct, frozen=True):
    """Something mounted while a command runs; it leaves no trace in the layer.

    Attributes:
        type: `bind`, `cache`, `tmpfs` or `secret`.
        target: absolute path inside.
        source: path in the input's file system, or id of the secret.
        input: where `source` is found; also the initial content of a cache.
        cache: name that builds share a cache directory by.
        sharing: of a cache: `shared`, `private` or `locked`.
        size: of a tmpfs in bytes, 0 for the kernel's default.
        mode: of a new cache directory or a secret.
        variable: environment variable that holds the secret instead of a file, or empty.
        required: of a secret: fail when the request does not hold it.
    """

    type: str
    target: str
    source: str = ""
    input: int = NOTHING
    read_only: bool = False
    cache: str = ""
    sharing: str = "shared"
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    variable: str = ""
    required: bool = False


class Exec(msgspec.Struct, frozen=True, tag="exec"):
    """Run a command on inputs[0].

    Attributes:
        script: a file with this content is what argv[0] names, for heredocs with `#!`.
        unkeyed_env: environment that does not count for the cache (proxies).
    """

    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str = ""
    network: str = "default"
    mounts: tuple[ExecMount, ...] = ()
    script: str = ""
    unkeyed_env: tuple[str, ...] = ()


class TreeSource(msgspec.Struct, frozen=True, tag="tree"):
    """Files of the context or of another file system; the path may hold wildcards."""

    input: int
    path: str


class InlineSource(msgspec.Struct, frozen=True, tag="inline"):
    """A file whose content stands in the Dockerfile."""

    name: str
    content: str


class RemoteSource(msgspec.Struct, frozen=True, tag="remote"):
    """A file to fetch by http or https.

    Attributes:
        name: what the file is called in a destination that is a directory.
        checksum: the digest it must have, or empty.
    """

    url: str
    name: str
    checksum: str = ""


CopySource = TreeSource | InlineSource | RemoteSource


class Copy(msgspec.Struct, frozen=True, tag="copy"):
    """Copy files onto inputs[0].

    Attributes:
        destination: absolute; a trailing `/` says it is a directory.
        owner: `user[:group]` by name or number, resolved in the target; empty for 0:0 (context)
            or as in the source (other file systems).
        mode: permission bits for everything copied, or None to keep them.
        unpack: extract local archives.
        keyword: COPY or ADD, for messages.
    """

    sources: tuple[CopySource, ...]
    destination: str
    owner: str = ""
    mode: int | None = None
    excludes: tuple[str, ...] = ()
    parents: bool = False
    unpack: bool = False
    unpack_remote: bool = False
    keyword: str = "COPY"


class MakeDirectory(msgspec.Struct, frozen=True, tag="mkdir"):
    """Make a directory and its parents on inputs[0] unless it is there."""

    path: str


class Metadata(msgspec.Struct, frozen=True, tag="metadata"):
    """A change of the image's config only; `text` says which."""

    text: str


Operation = SourceImage | Scratch | Exec | Copy | MakeDirectory | Metadata


def digest(operation: Operation) -> str:
    """The identity of an operation by everything in it that may change its result."""
    if isinstance(operation, Exec):
        operation = msgspec.structs.replace(operation, unkeyed_env=())
    return hashlib.sha256(msgspec.json.encode(operation)).hexdigest()
