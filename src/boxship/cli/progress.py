"""Progress of transfers: one line a layer, redrawn on a terminal, appended elsewhere."""

from boxship.cli.visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


class Progress:
    """Shows the messages of one pull, push or load."""

    def __init__(self, out: "TextIO", *, quiet: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._terminal = out.isatty()
        self._lines: dict[str, int] = {}
        self._height = 0

    def show(self, message: "dict[str, Any]") -> None:
        """Show one message."""
        if self._quiet:
            return
        if "stream" in message:
            self._out.write(message["stream"])
        elif "status" in message:
            self._status(message)
        self._out.flush()

    def _status(self, message: "dict[str, Any]") -> None:
        ident = str(message.get("id") or "")
        bar = str(message.get("progress") or "")
        line = f"{ident}: {message['status']}" if ident else str(message["status"])
        if not self._terminal:
            # A log keeps what changed, not every step of a bar.
            if not bar:
                self._out.write(line + "\n")
            return
        text = visible(f"{line} {bar}".rstrip())
        if not ident:
            self._out.write(text + "\n")
            self._lines.clear()
            self._height = 0
        elif ident in self._lines:
            up = self._height - self._lines[ident]
            self._out.write(f"\x1b[{up}A\r\x1b[2K{text}\x1b[{up}B\r")
        else:
            self._lines[ident] = self._height
            self._height += 1
            self._out.write(f"\x1b[2K{text}\n")
