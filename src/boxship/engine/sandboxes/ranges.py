"""Ranges of host ids for user namespaces, one for each sandbox.

Nothing on disk carries these ids (id-mapped mounts translate), so a range belongs to a container
only while it runs and is given to the next one afterwards.
"""

from boxship.errors import ExhaustedError

SIZE = 65536
FIRST = 0x10000000
"""Above the ids of people, of systemd's dynamic users and of the usual /etc/subuid grants."""

COUNT = 16384
"""Up to host id 0x50000000, below systemd-nspawn's own ranges at 0x70000000."""


class IdRanges:
    """Hands out ranges of 65,536 ids by their first id."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self._next = 0

    def take(self) -> int:
        """The first id of a range that no sandbox uses; released ones are re-used last.

        Raises:
            ExhaustedError: all of them are in use.
        """
        for step in range(COUNT):
            slot = (self._next + step) % COUNT
            if slot not in self._used:
                self._used.add(slot)
                self._next = (slot + 1) % COUNT
                return FIRST + slot * SIZE
        raise ExhaustedError(f"all {COUNT} ranges of user ids are in use")

    def adopt(self, base: int) -> None:
        """Mark a range as used by a container that runs already."""
        self._used.add((base - FIRST) // SIZE)

    def release(self, base: int) -> None:
        """Give a range back. Idempotent; base 0 (no user namespace) is ignored."""
        if base:
            self._used.discard((base - FIRST) // SIZE)
