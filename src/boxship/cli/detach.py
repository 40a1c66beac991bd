"""Detach keys at the client, which sees them first (`ctrl-p,ctrl-q` by default)."""

from boxship.cli.flags import UsageError

DEFAULT = "ctrl-p,ctrl-q"
_SPECIAL = "@[\\]^_"


class DetachKeys:
    """Finds the sequence in what a user types, even when it arrives in pieces."""

    def __init__(self, text: str) -> None:
        self._keys = bytes(_key(part) for part in (text or DEFAULT).split(","))
        self._matched = 0

    def filter(self, data: bytes) -> "tuple[bytes, bool]":
        """What to pass on, and whether the whole sequence has been typed."""
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(out), True
                continue
            out += self._keys[: self._matched]
            self._matched = int(byte == self._keys[0])
            if not self._matched:
                out.append(byte)
        return bytes(out), False


def _key(part: str) -> int:
    if len(part) == 1 and part.isascii():
        return ord(part)
    name = part[5:].lower() if part.lower().startswith("ctrl-") else ""
    if len(name) == 1 and ((name.isascii() and name.isalpha()) or name in _SPECIAL):
        return ord(name.upper()) & 0x1F
    raise UsageError(f"invalid detach keys: unknown key {part!r}")
