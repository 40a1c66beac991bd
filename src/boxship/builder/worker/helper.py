"""The daemon's end of the file helper: one process for a build."""

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from boxship import errors
from boxship.builder.worker.files.messages import (
    Answer,
    Failed,
    File,
    Pack,
    Packed,
    ReadFile,
    Request,
    Text,
    receive,
    send,
)

_CODE = (
    "import sys; sys.path += sys.argv[3:]; "
    "from boxship.builder.worker.files.main import main; main(int(sys.argv[1]), sys.argv[2])"
)
_KINDS: dict[str, type[errors.BoxshipError]] = {
    kind.kind: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.BoxshipError)
}


class FileHelper:
    """Starts with the first request; requests are carried out one at a time.

    Args:
        scratch: an empty directory for its mounts, and for temporary files of the build.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._decoder = msgspec.json.Decoder(Answer)

    def start(self) -> None:
        """Start the process now, so that it is ready when the first request comes."""
        with self._lock:
            if self._process is None:
                self._start()

    async def text(self, request: Request) -> str:
        """Ask for something whose answer is a text.

        Raises:
            BoxshipError: what went wrong there.
        """
        answer = await self._ask(request)
        if not isinstance(answer, Text):
            raise errors.InternalError(f"the file helper answered {answer!r}")
        return answer.text

    async def read(self, request: ReadFile) -> bytes | None:
        """Ask for a file's content; None when there is no such file.

        Raises:
            BoxshipError: what went wrong there.
        """
        answer = await self._ask(request)
        if not isinstance(answer, File):
            raise errors.InternalError(f"the file helper answered {answer!r}")
        return answer.content

    async def pack(self, request: Pack) -> Packed:
        """Ask for a layer.

        Raises:
            BoxshipError: what went wrong there.
        """
        answer = await self._ask(request)
        if not isinstance(answer, Packed):
            raise errors.InternalError(f"the file helper answered {answer!r}")
        return answer

    def stop(self) -> None:
        """End the process and with it all its mounts; whatever it was doing is cut off."""
        process, channel = self._process, self._channel
        if process is not None:
            process.kill()
            process.wait()
        if channel is not None:
            channel.close()

    async def _ask(self, request: Request) -> Answer:
        try:
            return await asyncio.to_thread(self._exchange, request)
        except asyncio.CancelledError:
            # The thread is inside a call of the helper and notices its end.
            if self._process is not None:
                self._process.kill()
            raise

    def _exchange(self, request: Request) -> Answer:
        with self._lock:
            channel = self._channel or self._start()
            try:
                send(channel, request)
                body = receive(channel)
            except OSError as error:
                raise errors.InternalError(f"the file helper is gone: {error}") from error
        if not body:
            raise errors.InternalError("the file helper ended unexpectedly")
        answer: Answer = self._decoder.decode(body)
        if isinstance(answer, Failed):
            raise _KINDS.get(answer.kind, errors.InternalError)(answer.message, hint=answer.hint)
        return answer

    def _start(self) -> socket.socket:
        here, there = socket.socketpair()
        package = Path(errors.__file__).parents[1]
        libraries = Path(msgspec.__file__).parents[1]
        arguments = [str(there.fileno()), str(self.scratch), str(package), str(libraries)]
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(there.fileno(),),
                env={},
            )
        self._channel = here
        return here
