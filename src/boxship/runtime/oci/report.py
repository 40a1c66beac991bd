"""Where the OCI command line tells more than its exit code does: an engine's log, or stderr.

An engine hands the container's own output to the runtime, so with a log only errors go to both.
"""

import os
import sys

from boxship.errors import InvalidArgumentError

_REFUSED = ("journald", "syslog")


class Report:
    """One process's."""

    __slots__ = ("_as_json", "_path")

    def __init__(self) -> None:
        self._path = ""
        self._as_json = False

    def use(self, word: str, *, as_json: bool) -> None:
        """Write to a log from now on.

        Args:
            word: value of `--log`: a path, also as `file:PATH`.
            as_json: lines of JSON instead of logfmt.

        Raises:
            InvalidArgumentError: it cannot be written to.
        """
        kind, colon, rest = word.partition(":")
        if colon and kind in _REFUSED:
            raise InvalidArgumentError(f"--log {word}: {kind} is not supported", hint="give a file")
        path = rest if colon and kind == "file" else word
        try:
            os.close(_open(path))
        except OSError as error:
            raise InvalidArgumentError(f"cannot open log {path}: {error.strerror}") from error
        self._path, self._as_json = path, as_json

    def fail(self, message: str) -> None:
        """Tell why the command failed."""
        # Engines take the reason of a failure from the log's last line of level error.
        sys.stderr.write(f"boxship-runtime: {message}\n")
        if self._path:
            self._log("error", message)

    def warn(self, message: str) -> None:
        """Tell of what was not done and keeps nothing from going on."""
        if self._path:
            self._log("warning", message)
        else:
            sys.stderr.write(f"boxship-runtime: warning: {message}\n")

    def explain(self, lines: "list[str]") -> None:
        """Tell what is going to be done, as `--debug` asks."""
        for line in lines:
            if self._path:
                self._log("debug", line)
            else:
                sys.stderr.write(f"{line}\n")

    def _log(self, level: str, message: str) -> None:
        import time  # noqa: PLC0415 - only when there is something to tell

        from boxship.runtime.spec.encode import dumps  # noqa: PLC0415 - as above

        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f'time="{stamp}" level={level} msg={dumps(message)}\n'
        if self._as_json:
            line = dumps({"level": level, "msg": message, "time": stamp}) + "\n"
        try:
            descriptor = _open(self._path)
            os.write(descriptor, line.encode(errors="replace"))
            os.close(descriptor)
        except OSError as error:
            sys.stderr.write(f"boxship-runtime: cannot write to {self._path}: {error.strerror}\n")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


REPORT = Report()
"""This process's own."""
