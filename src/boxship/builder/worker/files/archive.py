"""A tree kept as a plain tar file: the build context as a client sends it.

The archive is read where it lies and never unpacked. That saves making and deleting every file
of the context, which on ext4 costs more than all the rest of a cached build, and slows down what
makes files next (docs/decisions/build-context.md).
"""

import io
import mmap
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, cast

from boxship.builder.dockerfile.ignore import IgnoreRules
from boxship.builder.worker.files.content import Content, Hash, write_all
from boxship.builder.worker.files.tree import NO_RULES, Absent, Entry, Facts, Found, Tree
from boxship.builder.worker.files.xattrs import is_kept
from boxship.errors import InvalidArgumentError
from boxship.storage.diff import headers
from boxship.storage.diff.reader import TarReader

_MAX_LINKS = 40
_KINDS = {
    headers.REGULAR: stat.S_IFREG,
    headers.DIRECTORY: stat.S_IFDIR,
    headers.SYMLINK: stat.S_IFLNK,
    headers.FIFO: stat.S_IFIFO,
}
_IMPLIED = Facts(stat.S_IFDIR | 0o755, 0, 0, 0, 0)


class Node:
    """A member of the archive, or a directory that its members imply.

    Attributes:
        offset: where its data begins.
        stored: bytes of data in the archive.
        extents: (offset, length) of the data in a sparse file, None for others.
    """

    __slots__ = ("children", "extents", "facts", "link", "offset", "stored", "xattrs")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.children: dict[str, Node] = {}
        self.link = ""
        self.offset = 0
        self.stored = 0
        self.extents: list[tuple[int, int]] | None = None
        self.xattrs: list[tuple[str, bytes]] = []


class Archive:
    """An indexed tar file.

    Raises:
        InvalidArgumentError: it is damaged, or holds what a context must not.
    """

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.root = _Index(descriptor).read()
            size = os.fstat(descriptor).st_size
            mapped = mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b""
            self.data = memoryview(mapped)
        except headers.RefusedError as error:
            raise InvalidArgumentError(f"cannot read the build context: {error}") from error
        finally:
            os.close(descriptor)


class _Index(TarReader):
    """Reads headers and remembers where the data is."""

    def read(self) -> Node:
        root = Node(_IMPLIED)
        while (entry := self.next()) is not None:
            parts = [part for part in os.fsdecode(entry.name).split("/") if part not in ("", ".")]
            if ".." in parts:
                raise headers.RefusedError(f"{entry.name!r} leads out of it")
            self._put(root, parts, entry)
        return root

    def _put(self, root: Node, parts: list[str], entry: headers.Entry) -> None:
        parent = root
        for part in parts[:-1]:
            parent = parent.children.setdefault(part, Node(_IMPLIED))
            if not parent.facts.is_directory:
                raise headers.RefusedError(f"{entry.name!r} is below what is no directory")
        if entry.kind == headers.HARD_LINK:
            parent.children[parts[-1]] = _linked(root, entry)
            return
        node = self._node(entry)
        if not parts:
            root.facts = node.facts
            return
        before = parent.children.get(parts[-1])
        if before is not None and node.facts.is_directory:
            node.children = before.children
        parent.children[parts[-1]] = node

    def _node(self, entry: headers.Entry) -> Node:
        kind = _KINDS.get(entry.kind)
        if kind is None:
            raise headers.RefusedError(f"{entry.name!r} is a device or of an unknown kind")
        size = entry.real_size if entry.kind == headers.REGULAR else 0
        node = Node(Facts(kind | entry.mode, entry.uid, entry.gid, size, entry.mtime))
        node.link = os.fsdecode(entry.link)
        node.offset = self._place()
        node.stored = entry.size
        node.extents = entry.sparse
        pairs = ((os.fsdecode(name), value) for name, value in entry.xattrs)
        node.xattrs = sorted(pair for pair in pairs if is_kept(pair[0]))
        return node

    def _place(self) -> int:
        """Where in the file the next byte of data is: what was read less what is still buffered."""
        return os.lseek(self._fd, 0, os.SEEK_CUR) - len(self._buffer) + self._position


def _linked(root: Node, entry: headers.Entry) -> Node:
    node = root
    for part in os.fsdecode(entry.link).split("/"):
        if part in ("", "."):
            continue
        if part not in node.children:
            raise headers.RefusedError(f"{entry.name!r} is a link to {entry.link!r}, not in it")
        node = node.children[part]
    if node.facts.is_directory:
        raise headers.RefusedError(f"{entry.name!r} is a hard link to a directory")
    node.facts = node.facts._replace(identity=(0, id(node)))
    return node


class ArchiveTree(Tree[Node]):
    """Handles are nodes."""

    def __init__(self, archive: Archive, rules: IgnoreRules = NO_RULES, what: str = "") -> None:
        super().__init__(rules, what)
        self._archive = archive

    def release(self, found: Found[Node]) -> None:
        """Nothing was opened."""

    def open(self, file: Found[Node] | Entry[Node]) -> Content:
        node = file.handle if isinstance(file, Found) else file.parent.children[file.name]
        return _MemberContent(self._archive.data, node)

    def link_target(self, entry: Entry[Node]) -> str:
        return entry.parent.children[entry.name].link

    def enter(self, directory: Found[Node] | Entry[Node]) -> Node:
        found: Node
        if isinstance(directory, Found):
            found = directory.handle
        else:
            found = directory.parent.children[directory.name]
        return found

    def leave(self, handle: Node) -> None:
        """Nothing was opened."""

    def entries(self, handle: Node) -> Iterator[tuple[str, Facts]]:
        for name, node in handle.children.items():
            yield name, node.facts

    def _resolve(self, path: str) -> Found[Node]:
        """Follow a path as the kernel would with this as the root directory."""
        trail: list[tuple[str, Node]] = []
        left = path.split("/")[::-1]
        links = 0
        while left:
            part = left.pop()
            node = trail[-1][1] if trail else self._archive.root
            if not node.facts.is_directory:
                raise Absent
            if part == "..":
                del trail[-1:]
            elif part not in ("", "."):
                child = node.children.get(part)
                if child is None:
                    raise Absent
                if not stat.S_ISLNK(child.facts.mode):
                    trail.append((part, child))
                    continue
                links += 1
                if links > _MAX_LINKS:
                    raise InvalidArgumentError(f"stat {path}: too many levels of symbolic links")
                if child.link.startswith("/"):
                    trail.clear()
                left += child.link.split("/")[::-1]
        node = trail[-1][1] if trail else self._archive.root
        return Found(path, "/".join(name for name, _ in trail), node.facts, node)


class _MemberContent:
    """Content of a member."""

    __slots__ = ("_data", "_node")

    def __init__(self, archive: memoryview, node: Node) -> None:
        self._node = node
        self._data = archive[node.offset : node.offset + node.stored]

    def head(self, size: int) -> bytes:
        if self._node.extents is not None:
            return self.stream().read(size)
        return bytes(self._data[:size])

    def digest(self, into: Hash) -> None:
        if self._node.extents is not None:
            # Where the holes are counts, not the zeros in them.
            into.update(repr(self._node.extents).encode())
        into.update(self._data)

    def copy(self, target: int) -> None:
        if self._node.extents is None:
            write_all(target, self._data)
            return
        os.ftruncate(target, self._node.facts.size)
        position = 0
        for offset, length in self._node.extents:
            os.lseek(target, offset, os.SEEK_SET)
            write_all(target, self._data[position : position + length])
            position += length

    def stream(self) -> BinaryIO:
        if self._node.extents is not None:
            view = _SparseView(self._data, self._node.extents, self._node.facts.size)
            return cast("BinaryIO", io.BufferedReader(view))
        return cast("BinaryIO", io.BufferedReader(_View(self._data)))

    def xattrs(self) -> list[tuple[str, bytes]]:
        return self._node.xattrs

    def close(self) -> None:
        """Nothing was opened."""


class _View(io.RawIOBase):
    """Reads memory without a copy of all of it."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._data[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


class _SparseView(io.RawIOBase):
    """Reads a sparse file with its holes, whose size costs nothing until it is read."""

    def __init__(self, data: memoryview, extents: list[tuple[int, int]], size: int) -> None:
        self._data = data
        # The holes end where the file does.
        self._extents = [*extents, (size, 0)]
        self._size = size
        self._index = 0
        self._stored = 0
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        offset, length = self._extents[self._index]
        while self._position >= offset + length and self._index + 1 < len(self._extents):
            self._stored += length
            self._index += 1
            offset, length = self._extents[self._index]
        if self._position < offset:
            taken = min(len(buffer), offset - self._position)
            buffer[:taken] = bytes(taken)
        else:
            start = self._position - offset
            taken = min(len(buffer), length - start)
            piece = self._data[self._stored + start : self._stored + start + taken]
            taken = len(piece)
            buffer[:taken] = piece
        self._position += taken
        return taken
