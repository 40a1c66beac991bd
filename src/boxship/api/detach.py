"""Detach keys: the sequence that leaves an attached terminal (`ctrl-p,ctrl-q` by default)."""

from boxship.errors import InvalidArgumentError

DEFAULT = "ctrl-p,ctrl-q"
_SPECIAL = "@[\\]^_"


def parse_keys(text: str) -> bytes:
    r"""Read `ctrl-x,y`: letters and `ctrl-` followed by a letter or one of `@ [ \ ] ^ _`.

    Raises:
        InvalidArgumentError: a key that is neither.
    """
    return bytes(_key(part, text) for part in text.split(","))


def _key(part: str, text: str) -> int:
    if len(part) == 1 and part.isascii():
        return ord(part)
    name = part[5:].lower() if part.lower().startswith("ctrl-") else ""
    if len(name) == 1 and ((name.isascii() and name.isalpha()) or name in _SPECIAL):
        return ord(name.upper()) & 0x1F
    raise InvalidArgumentError(f"invalid detach keys ({text}) provided: unknown key {part!r}")


class DetachKeys:
    """Finds the sequence in what a user types, even when it arrives in pieces."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the whole sequence has been typed.

        A started sequence is held back until it is certain.
        """
        if not self._keys:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(out), True
                continue
            if self._matched:
                out += self._keys[: self._matched]
                self._matched = 0
                if byte == self._keys[0]:
                    self._matched = 1
                    continue
            out.append(byte)
        return bytes(out), False


def keys_of(text: str, *, tty: bool) -> DetachKeys:
    """The keys of one session; without a terminal there are none."""
    if not tty:
        return DetachKeys(b"")
    return DetachKeys(parse_keys(text or DEFAULT))
