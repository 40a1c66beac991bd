"""What making a base image needs besides the stores: words for the user, and an end."""

import os
import signal
import threading
from contextlib import suppress

from boxship.image.progress import Reporter


class Halt:
    """Set it to end a bootstrap: the tool at work is told to clean up and go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._group = 0

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        with self._lock:
            self._set = True
            self._terminate()

    def watch(self, group: int) -> None:
        """Terminate this process group when the end comes; 0 when it is gone."""
        with self._lock:
            self._group = group
            if self._set:
                self._terminate()

    def _terminate(self) -> None:
        # The whole group: the tools wait for their children before they heed a signal.
        if self._group:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGTERM)


class Base:
    """A bootstrap on its way; setting `halt` ends it."""

    def __init__(self, reporter: Reporter, name: str, halt: Halt) -> None:
        self._reporter = reporter
        self._name = name
        self.halt = halt

    def say(self, status: str) -> None:
        self._reporter.say(status, self._name)
