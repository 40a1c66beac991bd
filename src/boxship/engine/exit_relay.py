"""Brings the keeper's reports of exits to the engine, which is made after the connection."""

from collections.abc import Callable

from boxship.runtime.keeper.messages import Exit


class ExitRelay:
    """Holds reports back until there is somebody to hear them."""

    def __init__(self) -> None:
        self._early: list[Exit] = []
        self._hear: Callable[[Exit], None] | None = None

    def __call__(self, ended: Exit) -> None:
        if self._hear is None:
            self._early.append(ended)
        else:
            self._hear(ended)

    def forward_to(self, hear: Callable[[Exit], None]) -> None:
        """Hear what was held back, and everything from now on."""
        self._hear = hear
        early, self._early = self._early, []
        for ended in early:
            hear(ended)
