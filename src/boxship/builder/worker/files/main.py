"""The helper process: reads requests from its socket until the daemon closes it.

It does what needs mounts or a lot of Python: the daemon stays responsive, both cores work, and
its mounts end with it. It is started for one build and trusted as little as the daemon trusts
the files it touches.
"""

import gc
import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.archive import Archive, ArchiveTree
from boxship.builder.worker.files.copying import Copier, Rules
from boxship.builder.worker.files.digests import TreeDigest
from boxship.builder.worker.files.directory import DirectoryTree
from boxship.builder.worker.files.messages import (
    Answer,
    CopyFiles,
    Failed,
    FetchedFile,
    File,
    Hash,
    InlineFile,
    Locate,
    MakeDirectory,
    Pack,
    Packed,
    ReadFile,
    Request,
    Text,
    TreeFiles,
    TreeRef,
    receive,
    send,
)
from boxship.builder.worker.files.mounts import Roots
from boxship.builder.worker.files.owners import resolve_owner
from boxship.builder.worker.files.stubs import remove_stubs
from boxship.builder.worker.files.target import Target
from boxship.builder.worker.files.tree import Tree
from boxship.errors import BoxshipError, InvalidArgumentError, NotFoundError
from boxship.model.mount import Mount
from boxship.storage.content.store import ContentStore
from boxship.storage.diff.pack import write_layer
from boxship.storage.space import FULL


def main(descriptor: int, scratch: str) -> None:
    """Serve until the socket is closed.

    Args:
        descriptor: of the socket to the daemon.
        scratch: directory to mount in.
    """
    # A Ctrl-C at the daemon's terminal is the daemon's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0)
    gc.disable()
    channel = socket.socket(fileno=descriptor)
    helper = Helper(Roots(scratch))
    decoder = msgspec.json.Decoder(Request)
    while message := receive(channel):
        send(channel, helper.answer(decoder.decode(message)))


class Helper:
    """Answers one request after another."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._archives: dict[str, Archive] = {}

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except BoxshipError as error:
            return Failed(error.kind, error.message, error.hint)
        except OSError as error:
            kind = "exhausted" if error.errno in FULL else "internal"
            return Failed(kind, f"{type(request).__name__.lower()}: {error}")

    def _answer(self, request: Request) -> Answer:
        match request:
            case Hash():
                return self._hash(request)
            case CopyFiles():
                return self._copy(request)
            case MakeDirectory():
                with self._roots.writing(request.target) as root:
                    os.close(Target(root.descriptor).directory(request.path, (0, 0))[0])
                return Text("")
            case Locate():
                tree = self._tree(request.tree)
                found = tree.find(request.path)
                tree.release(found)
                return Text(found.real)
            case ReadFile():
                return self._read(request)
            case Pack():
                return self._pack(request)

    def _tree(self, reference: TreeRef) -> Tree[Any]:
        rules = IgnoreRules(reference.ignore)
        if reference.root.type != "tar":
            root = self._roots.reading(reference.root)
            return DirectoryTree(root.descriptor, rules, reference.what)
        path = reference.root.source
        if path not in self._archives:
            self._archives[path] = Archive(path)
        return ArchiveTree(self._archives[path], rules, reference.what)

    def _read(self, request: ReadFile) -> Answer:
        tree = self._tree(request.tree)
        try:
            found = tree.find(request.path)
        except NotFoundError:
            return File(None)
        try:
            if not found.facts.is_regular:
                raise InvalidArgumentError(f"{request.path} is not a file")
            content = tree.open(found)
            data = content.head(request.limit + 1)
            content.close()
        finally:
            tree.release(found)
        if len(data) > request.limit:
            raise InvalidArgumentError(f"{request.path} is larger than {request.limit} bytes")
        return File(data)

    def _hash(self, request: Hash) -> Answer:
        digest = TreeDigest(self._tree(request.tree), request.excludes, owners=request.owners)
        for path in request.paths:
            digest.add(path)
        return Text(digest.hexdigest())

    def _copy(self, request: CopyFiles) -> Answer:
        with self._roots.writing(request.target) as root:
            owner = (0, 0) if not request.keep_owner else None
            if request.owner:
                owner = resolve_owner(root.descriptor, request.owner)
            rules = Rules(
                destination=request.destination,
                owner=owner,
                mode=request.mode,
                excludes=request.excludes,
                parents=request.parents,
                unpack=request.unpack,
                target=root.path,
                keyword=request.keyword,
            )
            upper = _upper(request.target)
            # With one source nothing can want to look at what was left.
            defer = upper is not None and len(request.sources) == 1
            copier = Copier(Target(root.descriptor), rules, defer=defer)
            for source in request.sources:
                self._copy_one(copier, source)
        if upper is not None:
            descriptor = os.open(upper, os.O_PATH | os.O_DIRECTORY)
            try:
                copier.write_deferred(descriptor)
            finally:
                os.close(descriptor)
        return Text("")

    def _copy_one(self, copier: Copier, source: TreeFiles | InlineFile | FetchedFile) -> None:
        match source:
            case TreeFiles():
                copier.tree(self._tree(source.tree), source.path)
            case InlineFile():
                copier.inline(source.name, source.content)
            case FetchedFile():
                copier.fetched(source.path, source.name, source.modified, unpack=source.unpack)

    def _pack(self, request: Pack) -> Answer:
        if request.stubs:
            self._remove_stubs(request)
        store = ContentStore(Path(request.content))
        with store.ingest(request.key) as ingest:
            try:
                packed = write_layer(Path(request.upper), ingest)
                # The root is always an entry.
                if packed.entries > 1:
                    ingest.commit()
            finally:
                ingest.abort()
        return Packed(packed.diff_id, packed.digest, packed.size, packed.entries - 1)

    def _remove_stubs(self, request: Pack) -> None:
        upper = os.open(request.upper, os.O_RDONLY | os.O_DIRECTORY)
        try:
            lower = self._roots.reading(request.lower).descriptor if request.lower else None
            remove_stubs(upper, lower, request.stubs)
        finally:
            os.close(upper)


def _upper(mount: Mount) -> str | None:
    """Where an overlay mount puts what is written to it."""
    for option in mount.options:
        if option.startswith("upperdir="):
            return option.removeprefix("upperdir=")
    return None
