"""The process that unpacks: it makes the target its root, then reads an archive from stdin.

Run as a bare interpreter (`-I -S`) by `boxship.storage.diff.unpack`, with the arguments of
`Options.parse`. After chroot(2) no path in the archive can name anything outside, whatever
symbolic links the archive makes; `..` that would leave is refused all the same. Everything it
will need is imported before. The outcome is one message on stdout: see `main`.

Directories are made private and get their owner, mode, times and attributes at the end: their
times would not survive the files put into them, nor would set-gid directories and default ACLs
leave those files alone.
"""

# pathlib costs more than the system calls it makes, and its import more than a small layer:
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH115, PTH211

import errno
import os
import stat

from boxship.storage.diff.headers import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
    RefusedError,
)
from boxship.storage.diff.lower import OPAQUE, Lower
from boxship.storage.diff.reader import TarReader

_WHITEOUT = b".wh."
_WHITEOUT_META = b".wh..wh."
_WHITEOUT_OPAQUE = b".wh..wh..opq"
_OVERLAY_XATTRS = (b"trusted.overlay.", b"user.overlay.")
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
# EPERM: a user attribute on a device or symbolic link, which only regular files may have.
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EPERM, errno.EINVAL})
_DEVICES = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK}


class Options:
    """What to do; travels as command line arguments.

    Attributes:
        layer: whether `.wh.` names are whiteouts to be translated to overlay's.
        destination: where in the root to unpack; empty for the root itself.
        owner: uid and gid instead of the archive's.
        devices: whether device nodes are made rather than refused.
        keep_kinds: whether a directory and a non-directory may not replace one another.
    """

    __slots__ = ("destination", "devices", "keep_kinds", "layer", "owner")

    def __init__(
        self,
        *,
        layer: bool,
        destination: str = "",
        owner: tuple[int, int] | None = None,
        devices: bool = True,
        keep_kinds: bool = False,
    ) -> None:
        self.layer = layer
        self.destination = destination
        self.owner = owner
        self.devices = devices
        self.keep_kinds = keep_kinds

    def arguments(self) -> list[str]:
        flags = f"{self.layer:d}{self.devices:d}{self.keep_kinds:d}"
        uid, gid = self.owner or (-1, -1)
        return [flags, self.destination, str(uid), str(gid)]

    @classmethod
    def parse(cls, arguments: list[str]) -> "Options":
        flags, destination, uid, gid = arguments
        layer, devices, keep_kinds = (flag == "1" for flag in flags)
        return cls(
            layer=layer,
            destination=destination,
            owner=None if uid == "-1" else (int(uid), int(gid)),
            devices=devices,
            keep_kinds=keep_kinds,
        )


class _Facts:
    """What a directory gets at the end."""

    __slots__ = ("gid", "mode", "mtime", "uid", "xattrs")

    def __init__(
        self, owner: tuple[int, int], mode: int, mtime: int, xattrs: list[tuple[bytes, bytes]]
    ) -> None:
        self.uid, self.gid = owner
        self.mode = mode
        self.mtime = mtime
        self.xattrs = xattrs


class Extractor:
    """Makes the entries of one archive below the current directory, which is the root."""

    def __init__(self, reader: TarReader, lower: Lower, options: Options) -> None:
        self._reader = reader
        self._lower = lower
        self._options = options
        # Names of directories that exist, and the real name that each one has in this tree.
        self._places: dict[bytes, bytes] = {b"": b""}
        self._facts: dict[bytes, _Facts] = {}
        self._whiteouts: set[bytes] = set()
        self._base = b""
        self._makers = {
            REGULAR: self._regular,
            DIRECTORY: self._directory,
            SYMLINK: self._symlink,
            HARD_LINK: self._hard_link,
            FIFO: self._node,
            CHARACTER: self._node,
            BLOCK_DEVICE: self._node,
        }

    def run(self) -> None:
        """Unpack everything.

        Raises:
            RefusedError: the archive is damaged or asks for something it may not.
            OSError: the kernel refused, with the path.
        """
        root = self._lower.root()
        if root is not None:
            self._facts[b"."] = _facts_like(root)
        self._base = self._resolve(clean_name(os.fsencode(self._options.destination)))
        while (entry := self._reader.next()) is not None:
            self._make(entry)
        for path, facts in self._facts.items():
            _set_directory(path, facts)

    def _make(self, entry: Entry) -> None:
        name = clean_name(entry.name)
        if not name:
            if self._options.layer and entry.kind == DIRECTORY:
                self._facts[b"."] = self._facts_of(entry)
            return
        place, base = self._locate(name)
        if self._options.layer and base.startswith(_WHITEOUT):
            self._whiteout(place, base)
            return
        maker = self._makers.get(entry.kind)
        if maker is None:
            raise RefusedError(f"entry {_shown(name)} is of the unknown type {entry.kind!r}")
        if self._options.owner is not None:
            entry.uid, entry.gid = self._options.owner
        path = _joined(place, base)
        try:
            maker(entry, path)
        except OSError as failure:
            # Calls on descriptors know no name.
            if isinstance(failure.filename, int | None):
                failure.filename = path
            raise

    def _locate(self, name: bytes) -> tuple[bytes, bytes]:
        """The real directory of a clean name, and its last component."""
        parent, _, base = name.rpartition(b"/")
        if self._base:
            parent = _joined(self._base, parent) if parent else self._base
        place = self._places.get(parent)
        return (self._resolve(parent) if place is None else place), base

    # One method for each kind of entry. A name is usually free, so it is tried first.

    def _regular(self, entry: Entry, path: bytes) -> None:
        try:
            fd = os.open(path, _CREATE, entry.mode)
        except FileExistsError:
            self._clear(path, entry)
            fd = os.open(path, _CREATE, entry.mode)
        try:
            if entry.real_size:
                self._reader.copy_data(fd, entry)
            if entry.uid or entry.gid or not self._options.layer:
                os.fchown(fd, entry.uid, entry.gid)
                # chown(2) takes these bits away, from root too.
                if entry.mode & _SPECIAL_BITS:
                    os.fchmod(fd, entry.mode)
            if entry.xattrs:
                _set_xattrs(fd, path, entry.xattrs)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _directory(self, entry: Entry, path: bytes) -> None:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                hidden = path in self._whiteouts
                self._clear(path, entry)
                os.mkdir(path, 0o700)
                if hidden:
                    os.setxattr(path, OPAQUE, b"y")
        self._places[path] = path
        self._facts[path] = self._facts_of(entry)

    def _symlink(self, entry: Entry, path: bytes) -> None:
        try:
            os.symlink(entry.link, path)
        except FileExistsError:
            self._clear(path, entry)
            os.symlink(entry.link, path)
        self._finish(entry, path)

    def _hard_link(self, entry: Entry, path: bytes) -> None:
        source = _joined(*self._locate(clean_name(entry.link)))
        if source == path:
            return
        try:
            try:
                os.link(source, path, follow_symlinks=False)
            except FileExistsError:
                self._clear(path, entry)
                os.link(source, path, follow_symlinks=False)
        except FileNotFoundError:
            raise RefusedError(
                f"entry {_shown(path)} is a hard link to {_shown(source)}, which it lacks"
            ) from None

    def _node(self, entry: Entry, path: bytes) -> None:
        if entry.kind != FIFO and not self._options.devices:
            raise RefusedError(f"entry {_shown(path)} is a device node")
        mode = _DEVICES.get(entry.kind, stat.S_IFIFO) | entry.mode
        device = os.makedev(*entry.device)
        try:
            os.mknod(path, mode, device)
        except FileExistsError:
            self._clear(path, entry)
            os.mknod(path, mode, device)
        self._finish(entry, path)

    def _finish(self, entry: Entry, path: bytes) -> None:
        if entry.uid or entry.gid or not self._options.layer:
            os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
            if entry.mode & _SPECIAL_BITS and entry.kind != SYMLINK:
                os.chmod(path, entry.mode)
        _set_xattrs(path, path, entry.xattrs)
        os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)

    def _whiteout(self, place: bytes, base: bytes) -> None:
        if base == _WHITEOUT_OPAQUE:
            os.setxattr(place or b".", OPAQUE, b"y")
            return
        hidden = base[len(_WHITEOUT) :]
        if base.startswith(_WHITEOUT_META):
            # Bookkeeping of AUFS, from old images.
            return
        if hidden in (b"", b".", b".."):
            raise RefusedError(f"entry {_shown(_joined(place, base))} is a whiteout of nothing")
        path = _joined(place, hidden)
        try:
            os.mknod(path, stat.S_IFCHR, 0)
        except FileExistsError:
            # A whiteout hides what is below only, never what its own layer has.
            if stat.S_ISDIR(os.lstat(path).st_mode):
                os.setxattr(path, OPAQUE, b"y")
        else:
            self._whiteouts.add(path)

    def _clear(self, path: bytes, entry: Entry) -> None:
        """Make room for an entry where something is: later entries win."""
        existing = os.lstat(path)
        is_directory = stat.S_ISDIR(existing.st_mode)
        if self._options.keep_kinds and is_directory != (entry.kind == DIRECTORY):
            raise RefusedError(f"entry {_shown(path)} would replace a {_kind_name(existing)}")
        if is_directory:
            _remove(path)
        else:
            os.unlink(path)
        self._whiteouts.discard(path)
        # Whatever was known below that name is gone with it.
        self._places = {b"": b""}
        below = path + b"/"
        for known in [known for known in self._facts if known == path or known.startswith(below)]:
            del self._facts[known]

    def _facts_of(self, entry: Entry) -> _Facts:
        owner = self._options.owner or (entry.uid, entry.gid)
        return _Facts(owner, entry.mode, entry.mtime, entry.xattrs)

    # Directories that the archive leaves out

    def _resolve(self, name: bytes) -> bytes:
        """The real name, in this tree, of a directory that the archive calls `name`.

        Symbolic links are followed in the merged view of this tree and the layers below, as they
        would be with all of them mounted. What is missing is made, like below if it is there.
        """
        known = self._places.get(name)
        if known is not None:
            return known
        todo = name.split(b"/")[::-1]
        place, links = b"", 0
        while todo:
            part = todo.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                place = place.rpartition(b"/")[0]
                continue
            path = _joined(place, part)
            link = self._enter(path)
            if link is None:
                place = path
                continue
            links += 1
            if links > _MAX_LINKS:
                raise RefusedError(f"entry {_shown(name)} is behind a loop of symbolic links")
            if link.startswith(b"/"):
                place = b""
            todo.extend(link.split(b"/")[::-1])
        self._places[name] = place
        return place

    def _enter(self, path: bytes) -> bytes | None:
        """Make sure that a directory is there, or return the symbolic link in its place."""
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            return self._make_missing(path)
        if stat.S_ISLNK(facts.st_mode):
            return os.readlink(path)
        if path in self._whiteouts:
            os.unlink(path)
            self._whiteouts.discard(path)
            self._make_missing(path)
            os.setxattr(path, OPAQUE, b"y")
        elif not stat.S_ISDIR(facts.st_mode):
            raise RefusedError(f"entry {_shown(path)} is used as a directory but is none")
        return None

    def _make_missing(self, path: bytes) -> bytes | None:
        below = self._lower.find(path)
        if below is not None and below.link is not None:
            return below.link
        os.mkdir(path, 0o755)
        if below is not None:
            self._facts[path] = _facts_like(below.facts)
        elif self._options.owner is not None:
            os.chown(path, *self._options.owner)
        return None


def clean_name(name: bytes) -> bytes:
    """A name relative to the root, without `.`, `..` and doubled slashes; empty for the root.

    Raises:
        RefusedError: it leads out of the root.
    """
    if name.startswith(b"./"):
        name = name[2:]
    if name.endswith(b"/"):
        name = name[:-1]
    if name and name[0] not in b"./" and b"/." not in name and b"//" not in name:
        return name
    kept: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not kept:
                raise RefusedError(f"entry {_shown(name)} leads out of the root")
            kept.pop()
        elif part not in (b"", b"."):
            kept.append(part)
    return b"/".join(kept)


def _joined(place: bytes, base: bytes) -> bytes:
    return place + b"/" + base if place else base


def _facts_like(facts: os.stat_result) -> _Facts:
    owner = facts.st_uid, facts.st_gid
    return _Facts(owner, stat.S_IMODE(facts.st_mode), facts.st_mtime_ns, [])


def _set_directory(path: bytes, facts: _Facts) -> None:
    os.chown(path, facts.uid, facts.gid)
    os.chmod(path, facts.mode)
    _set_xattrs(path, path, facts.xattrs)
    os.utime(path, ns=(facts.mtime, facts.mtime))


def _set_xattrs(target: int | bytes, path: bytes, xattrs: list[tuple[bytes, bytes]]) -> None:
    follow = isinstance(target, int)
    for name, value in xattrs:
        # An archive has no say in how the overlay reads this layer.
        if name.startswith(_OVERLAY_XATTRS):
            continue
        try:
            if follow:
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as failure:
            # Labels of a security module, or attributes, that this host does not have.
            if failure.errno not in _UNSUPPORTED:
                failure.filename = path
                raise


def _remove(path: bytes) -> None:
    """Remove a tree that this archive made; nothing is mounted in it."""
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            _remove(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(path)


def _kind_name(facts: os.stat_result) -> str:
    return "directory" if stat.S_ISDIR(facts.st_mode) else "file that is no directory"


def _shown(name: bytes) -> str:
    shown = name.decode("utf-8", "backslashreplace")
    return repr(shown if len(shown) <= 200 else shown[:200] + "...")


def main(arguments: list[str]) -> None:
    """Unpack stdin: root, options, layers below (top first).

    Writes to stdout one of: `ok`; `refused`, reason; `failed`, errno, reason; fields end with NUL.
    """
    root, options, layers = arguments[0], arguments[1:5], arguments[5:]
    try:
        lower = Lower([os.open(layer, os.O_PATH | os.O_DIRECTORY) for layer in layers])
        _confine(root)
        reader = TarReader(0)
        Extractor(reader, lower, Options.parse(options)).run()
        reader.drain()
        outcome = ["ok"]
    except RefusedError as refusal:
        outcome = ["refused", str(refusal)]
    except (ValueError, OverflowError) as failure:
        # A NUL in a name, or a number too large for the call it is for.
        outcome = ["refused", f"it is damaged: {failure}"]
    except OSError as failure:
        outcome = ["failed", str(failure.errno or 0), _reason(failure)]
    message = "".join(field.replace("\0", "") + "\0" for field in outcome)
    os.write(1, message.encode("utf-8", "backslashreplace"))


def _confine(root: str) -> None:
    os.umask(0)
    os.chroot(root)
    os.chdir("/")


def _reason(failure: OSError) -> str:
    if failure.filename is None:
        return str(failure.strerror)
    name = failure.filename2 or failure.filename
    return f"{_shown(os.fsencode(name))}: {failure.strerror}"
