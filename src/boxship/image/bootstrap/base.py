"""What making a base image needs besides the stores: words for the user, and an end."""

import threading

from boxship.image.progress import Reporter


class Base:
    """A bootstrap on its way; setting `stop` ends it."""

    def __init__(self, reporter: Reporter, name: str, stop: threading.Event) -> None:
        self._reporter = reporter
        self._name = name
        self.stop = stop

    def say(self, status: str) -> None:
        self._reporter.say(status, self._name)
