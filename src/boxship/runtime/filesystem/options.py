"""Mount options as words: what each asks of the kernel (mount(8), OCI runtime spec, "mounts")."""

from boxship.errors import InvalidArgumentError
from boxship.kernel import abi

_ATIME = abi.MOUNT_ATTR__ATIME

# word: (attributes to set, attributes to clear); with an `r` in front it goes for mounts below too
_ATTRIBUTES = {
    "ro": (abi.MOUNT_ATTR_RDONLY, 0),
    "rw": (0, abi.MOUNT_ATTR_RDONLY),
    "nosuid": (abi.MOUNT_ATTR_NOSUID, 0),
    "suid": (0, abi.MOUNT_ATTR_NOSUID),
    "nodev": (abi.MOUNT_ATTR_NODEV, 0),
    "dev": (0, abi.MOUNT_ATTR_NODEV),
    "noexec": (abi.MOUNT_ATTR_NOEXEC, 0),
    "exec": (0, abi.MOUNT_ATTR_NOEXEC),
    "nodiratime": (abi.MOUNT_ATTR_NODIRATIME, 0),
    "diratime": (0, abi.MOUNT_ATTR_NODIRATIME),
    "noatime": (abi.MOUNT_ATTR_NOATIME, _ATIME),
    "relatime": (abi.MOUNT_ATTR_RELATIME, _ATIME),
    "strictatime": (abi.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nosymfollow": (abi.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, abi.MOUNT_ATTR_NOSYMFOLLOW),
}

# word: the access time mode that it takes back, the kernel's default being relatime
_ATIME_OFF = {
    "atime": abi.MOUNT_ATTR_NOATIME,
    "norelatime": abi.MOUNT_ATTR_RELATIME,
    "nostrictatime": abi.MOUNT_ATTR_STRICTATIME,
}

# word: (MS_* flag of the whole file system, whether it sets or takes it back)
_SUPERBLOCK = {
    "sync": (abi.MS_SYNCHRONOUS, True),
    "async": (abi.MS_SYNCHRONOUS, False),
    "dirsync": (abi.MS_DIRSYNC, True),
    "lazytime": (abi.MS_LAZYTIME, True),
    "nolazytime": (abi.MS_LAZYTIME, False),
    "mand": (abi.MS_MANDLOCK, True),
    "nomand": (abi.MS_MANDLOCK, False),
    "iversion": (abi.MS_I_VERSION, True),
    "noiversion": (abi.MS_I_VERSION, False),
    "silent": (abi.MS_SILENT, True),
    "loud": (abi.MS_SILENT, False),
}

# word: the attribute of MountOptions that it turns on
_SWITCHES = {
    "bind": "bind",
    "rbind": "bind",
    "idmap": "idmap",
    "ridmap": "idmap",
    # An extension: ids are mapped where the file system can, and stay as they are elsewhere.
    "x-boxship.idmap": "idmap",
    "remount": "remount",
    "tmpcopyup": "copy_up",
    # crun's: do not follow a symbolic link at the source, at the destination; make the same link.
    "src-nofollow": "source_link",
    "dest-nofollow": "target_link",
    "copy-symlink": "copy_link",
}

_PROPAGATION = {
    "private": abi.MS_PRIVATE,
    "shared": abi.MS_SHARED,
    "slave": abi.MS_SLAVE,
    "unbindable": abi.MS_UNBINDABLE,
}

# What mount(8) keeps for itself; it also ignores what begins with `x-` or `X-`.
_IGNORED = frozenset(("", "defaults", "auto", "noauto", "_netdev"))


class MountOptions:
    """A mount's options, sorted by the call that carries them out.

    Attributes:
        bind: mount a directory or file, not a file system.
        recursive: with what is mounted below it.
        remount: change what is mounted already.
        set: MOUNT_ATTR_* to set.
        clear: MOUNT_ATTR_* to clear.
        set_below: the same for the mounts below as well.
        clear_below: the same for the mounts below as well.
        flags: MS_* flags of the file system as a whole to set.
        cleared: MS_* flags of the file system as a whole to clear.
        propagation: MS_* kind, 0 when none was asked for.
        propagation_below: it goes for the mounts below as well.
        data: parameters of the file system, `(key, value or None)`.
        idmap: translate ids, into the container's user namespace unless the mount has a mapping.
        idmap_below: do so for the mounts below as well.
        idmap_needed: fail where that cannot be done.
        copy_up: fill a tmpfs with what it hides.
        source_link: take a symbolic link at the source as it is.
        target_link: mount over a symbolic link at the destination.
        copy_link: make the symbolic link at the source again, in place of a mount.
    """

    __slots__ = (
        "bind",
        "clear",
        "clear_below",
        "cleared",
        "copy_link",
        "copy_up",
        "data",
        "flags",
        "idmap",
        "idmap_below",
        "idmap_needed",
        "propagation",
        "propagation_below",
        "recursive",
        "remount",
        "set",
        "set_below",
        "source_link",
        "target_link",
    )

    def __init__(self) -> None:
        self.bind = False
        self.recursive = False
        self.remount = False
        self.set = 0
        self.clear = 0
        self.set_below = 0
        self.clear_below = 0
        self.flags = 0
        self.cleared = 0
        self.propagation = 0
        self.propagation_below = False
        self.data: list[tuple[str, str | None]] = []
        self.idmap = False
        self.idmap_below = False
        self.idmap_needed = False
        self.copy_up = False
        self.source_link = False
        self.target_link = False
        self.copy_link = False

    def _switch(self, word: str) -> bool:
        if word not in _SWITCHES:
            return word in _IGNORED or word[:2] in ("x-", "X-")
        setattr(self, _SWITCHES[word], True)
        if word == "rbind":
            self.recursive = True
        elif word == "ridmap":
            self.idmap_below = self.idmap_needed = True
        elif word == "idmap":
            self.idmap_needed = True
        return True

    def _attribute(self, word: str) -> bool:
        change = _change(word, self.set, self.clear)
        if change is not None:
            self.set, self.clear = change
            return True
        change = _change(word[1:], self.set_below, self.clear_below) if word[0] == "r" else None
        if change is None:
            return False
        self.set_below, self.clear_below = change
        return True

    def _file_system(self, word: str) -> bool:
        if word not in _SUPERBLOCK:
            return False
        flag, on = _SUPERBLOCK[word]
        self.flags = self.flags | flag if on else self.flags & ~flag
        self.cleared = self.cleared & ~flag if on else self.cleared | flag
        return True

    def _spread(self, word: str) -> bool:
        kind = propagation(word)
        if kind is None:
            return False
        self.propagation, self.propagation_below = kind
        return True

    def _parameter(self, word: str) -> bool:
        key, separator, value = word.partition("=")
        self.data.append((key, value if separator else None))
        return True


def _change(word: str, set_: int, clear: int) -> tuple[int, int] | None:
    """What is to be set and cleared with one more word; None when it is none of these."""
    if word in _ATTRIBUTES:
        add, remove = _ATTRIBUTES[word]
        return set_ & ~remove | add, clear & ~add | remove
    mode = _ATIME_OFF.get(word)
    if mode is None:
        return None
    chosen = set_ & _ATIME if clear & _ATIME == _ATIME else -1
    # It takes back its own mode only: what another word asked for stays (mount(8)).
    if chosen not in (mode, -1) or (chosen == -1 and mode == abi.MOUNT_ATTR_RELATIME):
        return set_, clear
    return set_ & ~_ATIME, clear | _ATIME


def parse(words: "list[str] | tuple[str, ...]") -> MountOptions:
    """Sort a mount's options; the last of contradicting words wins."""
    options = MountOptions()
    sorters = (
        options._switch,  # noqa: SLF001 - builds it
        options._attribute,  # noqa: SLF001 - as above
        options._file_system,  # noqa: SLF001 - as above
        options._spread,  # noqa: SLF001 - as above
        options._parameter,  # noqa: SLF001 - as above
    )
    for word in words:
        any(sort(word) for sort in sorters)
    return options


def propagation(word: str) -> tuple[int, bool] | None:
    """The MS_* kind of a propagation word and whether it goes for mounts below (`rshared`)."""
    if word in _PROPAGATION:
        return _PROPAGATION[word], False
    if word[:1] == "r" and word[1:] in _PROPAGATION:
        return _PROPAGATION[word[1:]], True
    return None


def root_propagation(word: str) -> int:
    """MS_* flags of `linux.rootfsPropagation`; slave when it is not given.

    Raises:
        InvalidArgumentError: it is no propagation word.
    """
    if not word:
        return abi.MS_SLAVE | abi.MS_REC
    kind = propagation(word)
    if kind is None:
        msg = f"invalid rootfsPropagation {word!r}"
        raise InvalidArgumentError(msg, hint="use private, slave, shared or unbindable")
    return kind[0] | (abi.MS_REC if kind[1] else 0)


def known_words() -> "frozenset[str]":
    """Every option that is not a file system's own."""
    attributes = (*_ATTRIBUTES, *_ATIME_OFF)
    below = {f"r{word}" for word in (*attributes, *_PROPAGATION)}
    others = (*_PROPAGATION, *_SUPERBLOCK, *_SWITCHES, *filter(None, _IGNORED))
    return frozenset((*attributes, *below, *others))
