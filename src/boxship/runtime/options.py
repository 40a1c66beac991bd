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
    "atime": (0, _ATIME),
    "relatime": (abi.MOUNT_ATTR_RELATIME, _ATIME),
    "norelatime": (0, _ATIME),
    "strictatime": (abi.MOUNT_ATTR_STRICTATIME, _ATIME),
    "nostrictatime": (0, _ATIME),
    "nosymfollow": (abi.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "symfollow": (0, abi.MOUNT_ATTR_NOSYMFOLLOW),
}

_PROPAGATION = {
    "private": abi.MS_PRIVATE,
    "shared": abi.MS_SHARED,
    "slave": abi.MS_SLAVE,
    "unbindable": abi.MS_UNBINDABLE,
}

_IGNORED = frozenset(
    (
        "",
        "defaults",
        "async",
        "nomand",
        "nolazytime",
        "loud",
        "silent",
        "iversion",
        "noiversion",
        "auto",
        "noauto",
    )
)


class MountOptions:
    """A mount's options, sorted by the call that carries them out.

    Attributes:
        bind: mount a directory or file, not a file system.
        recursive: with what is mounted below it.
        set: MOUNT_ATTR_* to set.
        clear: MOUNT_ATTR_* to clear.
        set_below: the same for the mounts below as well.
        clear_below: the same for the mounts below as well.
        propagation: MS_* kind, 0 when none was asked for.
        propagation_below: it goes for the mounts below as well.
        data: parameters of the file system, `(key, value or None)`.
        idmap: translate ids into the container's user namespace.
        idmap_below: do so for the mounts below as well.
        copy_up: fill a tmpfs with what it hides.
    """

    __slots__ = (
        "bind",
        "clear",
        "clear_below",
        "copy_up",
        "data",
        "idmap",
        "idmap_below",
        "propagation",
        "propagation_below",
        "recursive",
        "set",
        "set_below",
    )

    def __init__(self) -> None:
        self.bind = False
        self.recursive = False
        self.set = 0
        self.clear = 0
        self.set_below = 0
        self.clear_below = 0
        self.propagation = 0
        self.propagation_below = False
        self.data: list[tuple[str, str | None]] = []
        self.idmap = False
        self.idmap_below = False
        self.copy_up = False

    def _switch(self, word: str) -> bool:
        if word in ("bind", "rbind"):
            self.bind = True
            self.recursive = self.recursive or word == "rbind"
        elif word in ("idmap", "ridmap"):
            self.idmap = True
            self.idmap_below = word == "ridmap"
        elif word == "tmpcopyup":
            self.copy_up = True
        else:
            return word in _IGNORED
        return True

    def _attribute(self, word: str) -> bool:
        if word in _ATTRIBUTES:
            add, remove = _ATTRIBUTES[word]
            self.set = self.set & ~remove | add
            self.clear = self.clear & ~add | remove
        elif word[0] == "r" and word[1:] in _ATTRIBUTES:
            add, remove = _ATTRIBUTES[word[1:]]
            self.set_below = self.set_below & ~remove | add
            self.clear_below = self.clear_below & ~add | remove
        else:
            return False
        return True

    def _spread(self, word: str) -> bool:
        kind = propagation(word)
        if kind is None:
            return False
        self.propagation, self.propagation_below = kind
        return True

    def _parameter(self, word: str) -> None:
        key, separator, value = word.partition("=")
        self.data.append((key, value if separator else None))


def parse(words: "list[str] | tuple[str, ...]") -> MountOptions:
    """Sort a mount's options; the last of contradicting words wins."""
    options = MountOptions()
    for word in words:
        known = options._switch(word) or options._attribute(word) or options._spread(word)  # noqa: SLF001 - builds it
        if not known:
            options._parameter(word)  # noqa: SLF001 - builds it
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
    switches = ("bind", "rbind", "idmap", "ridmap", "tmpcopyup")
    below = {f"r{word}" for word in (*_ATTRIBUTES, *_PROPAGATION)}
    return frozenset((*_ATTRIBUTES, *_PROPAGATION, *below, *filter(None, _IGNORED), *switches))
