"""Ranges of host ids for user namespaces, one for each sandbox.

Nothing on disk carries these ids (id-mapped mounts translate), so a range belongs to a container
only while it runs and is given to the next one afterwards.
"""

from collections import deque
from collections.abc import Callable
from itertools import count

from boxship.errors import ExhaustedError
from boxship.runtime.host_ids import BLOCKS

SIZE = 65536
FIRST = 0x10000000
"""Above the ids of people, of systemd's dynamic users and of the usual /etc/subuid grants."""

COUNT = 16384
"""Up to host id 0x50000000, below systemd-nspawn's own ranges at 0x70000000."""

_PER_BLOCK = COUNT // BLOCKS


class IdRanges:
    """Hands out ranges of 65,536 ids by their first id, from blocks that the daemon claims."""

    def __init__(self, claim: Callable[[], int] | None = None) -> None:
        """Have no range yet.

        Args:
            claim: gives the number of a block; without it they are this object's alone.
        """
        self._claim = claim or count().__next__
        self._used: set[int] = set()
        self._free: deque[int] = deque()

    def take(self) -> int:
        """The first id of a range that no sandbox uses; released ones are re-used last.

        Raises:
            ExhaustedError: all of them are in use.
        """
        while True:
            while self._free:
                slot = self._free.popleft()
                if slot not in self._used:
                    self._used.add(slot)
                    return FIRST + slot * SIZE
            self._extend()

    def _extend(self) -> None:
        number = self._claim()
        if number >= BLOCKS:
            raise ExhaustedError(f"all {COUNT} ranges of user ids are in use")
        self._free.extend(range(number * _PER_BLOCK, (number + 1) * _PER_BLOCK))

    def adopt(self, base: int) -> None:
        """Mark a range as used by a container that runs already."""
        self._used.add((base - FIRST) // SIZE)

    def release(self, base: int) -> None:
        """Give a range back. Idempotent; base 0 (no user namespace) is ignored."""
        slot = (base - FIRST) // SIZE
        if base and slot in self._used:
            self._used.discard(slot)
            self._free.append(slot)
