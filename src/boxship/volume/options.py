"""Options of the local driver: `type`, `device`, `o` and `size`, as for mount(8)."""

from typing import NamedTuple

from boxship.errors import InvalidArgumentError, UnsupportedError

_KNOWN = ("type", "device", "o", "size")
_BIND = ("bind", "rbind")


class LocalOptions(NamedTuple):
    """What backs a volume.

    Attributes:
        kind: `directory` (its own), `bind` (another directory) or `tmpfs`.
        device: the other directory.
        options: of the tmpfs, fstab-style.
    """

    kind: str = "directory"
    device: str = ""
    options: str = ""


def parse_options(options: dict[str, str]) -> LocalOptions:
    """Read the options of a volume.

    Raises:
        InvalidArgumentError: an option is unknown, or one that it needs is missing.
        UnsupportedError: a file system that boxship does not mount.
    """
    for key in options:
        if key not in _KNOWN:
            raise InvalidArgumentError(f'invalid option: "{key}"')
    kind = options.get("type", "")
    words = [word for word in options.get("o", "").split(",") if word]
    if kind == "tmpfs":
        if options.get("size"):
            words.append(f"size={options['size']}")
        return LocalOptions("tmpfs", "tmpfs", ",".join(words))
    if any(word in _BIND for word in words) and kind in ("", "none", "bind"):
        return _bind(options, words)
    if kind and kind != "none":
        raise UnsupportedError(
            f'volume type "{kind}" is not supported',
            hint="mount it on the host and use type=none,o=bind,device=PATH",
        )
    if words or options.get("device"):
        raise InvalidArgumentError('missing required option: "type"')
    if options.get("size"):
        raise UnsupportedError(
            "quota size requested but no quota support", hint="use type=tmpfs for a bounded volume"
        )
    return LocalOptions()


def _bind(options: dict[str, str], words: list[str]) -> LocalOptions:
    device = options.get("device", "")
    if not device.startswith("/"):
        raise InvalidArgumentError(
            'missing required option: "device"', hint="give device=/absolute/path"
        )
    unknown = [word for word in words if word not in (*_BIND, "rw")]
    if unknown:
        raise UnsupportedError(
            f"bind option {unknown[0]} of a volume is not supported",
            hint="give it where the volume is used, as in -v NAME:/path:ro",
        )
    return LocalOptions("bind", device)
