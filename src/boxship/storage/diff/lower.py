"""What the layers below hold at a path, without mounting them."""

import os
import stat

OPAQUE = b"user.overlay.opaque"
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Lower:
    """Overlay layers, top first, as directory descriptors.

    Looks up one path in the merged view of them. Every component is opened by itself and symbolic
    links are never followed: the layers may be outside of the root this process is confined to.
    """

    def __init__(self, layers: list[int]) -> None:
        self._layers = layers

    def root(self) -> os.stat_result | None:
        return os.fstat(self._layers[0]) if self._layers else None

    def find(self, path: bytes) -> "Found | None":
        """The directory or symbolic link at a relative path; None for anything else."""
        parts = path.split(b"/")
        for layer in self._layers:
            found, final = _look(layer, parts)
            if found is not None or final:
                return found
        return None


class Found:
    """A directory's facts, or a symbolic link's target."""

    __slots__ = ("facts", "link")

    def __init__(self, facts: os.stat_result, link: bytes | None) -> None:
        self.facts = facts
        self.link = link


def _look(layer: int, parts: list[bytes]) -> tuple[Found | None, bool]:
    """Look in one layer; the flag tells that it hides those below."""
    opened: list[int] = []
    directory, hides = layer, False
    try:
        for part in parts[:-1]:
            directory = os.open(part, _DIRECTORY, dir_fd=directory)
            opened.append(directory)
            hides = hides or _is_opaque(directory)
        facts = os.stat(parts[-1], dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            return Found(facts, None), True
        if stat.S_ISLNK(facts.st_mode):
            return Found(facts, os.readlink(parts[-1], dir_fd=directory)), True
    except FileNotFoundError:
        return None, hides
    except OSError:
        # Something that is no directory stands in the way: a file, a link or a whiteout.
        return None, True
    else:
        return None, True
    finally:
        for fd in opened:
            os.close(fd)


def _is_opaque(directory: int) -> bool:
    # An O_PATH descriptor takes no fgetxattr(2), but its name in /proc would need /proc.
    fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.getxattr(fd, OPAQUE) == b"y"
    except OSError:
        return False
    finally:
        os.close(fd)
