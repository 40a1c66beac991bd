"""What flows: attached terminals, JSON messages, uploads and downloads.

Framing of output without a terminal is Docker's "stdcopy": one byte for the stream, three zero
bytes, four bytes of big-endian length, then the payload.
"""

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO

import msgspec

from boxship import log
from boxship.api.detach import DetachKeys
from boxship.api.errors import unexpected
from boxship.api.request import Duplex, Request, Stream
from boxship.engine.facade import Session
from boxship.errors import BoxshipError
from boxship.wire.image import ErrorDetail, StreamMessage

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
STDOUT, STDERR = 1, 2

_FRAME_HEAD = 8
_PIPE_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031  # linux/fcntl.h

Messages = Callable[[StreamMessage], None]


def frame(stream: int, data: bytes) -> bytes:
    """One stdcopy frame."""
    return struct.pack(">BxxxL", stream, len(data)) + data


def content_type(request: Request, *, tty: bool) -> str:
    """The media type of a container's output; clients before 1.42 know only the raw one."""
    return RAW if tty or request.version < (1, 42) else MULTIPLEXED


class FramedSession:
    """A terminal's session for a client that asked for frames: all output is standard output.

    Docker frames an exec by what its start request says of a terminal, not by whether it has one.
    """

    tty = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self.write = session.write
        self.close_input = session.close_input
        self.close = session.close

    async def read(self) -> bytes:
        data = await self._session.read()
        return frame(STDOUT, data) if data else b""


class UnframedSession:
    """A session without a terminal, for a client that wants its output without frames."""

    tty = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._head = b""
        self._left = 0
        self.write = session.write
        self.close_input = session.close_input
        self.close = session.close

    async def read(self) -> bytes:
        while data := await self._session.read():
            payload = self._payload(data)
            if payload:
                return payload
        return b""

    def _payload(self, data: bytes) -> bytes:
        parts = []
        while data:
            if self._left:
                parts.append(data[: self._left])
                data, self._left = data[self._left :], self._left - len(parts[-1])
                continue
            wanted = _FRAME_HEAD - len(self._head)
            self._head, data = self._head + data[:wanted], data[wanted:]
            if len(self._head) == _FRAME_HEAD:
                self._left, self._head = int.from_bytes(self._head[4:], "big"), b""
        return b"".join(parts)


async def connect(
    duplex: Duplex,
    session: Session,
    keys: DetachKeys,
    ended: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Tie a hijacked connection to a process's streams until either side is done.

    The client's half-close is the end of standard input, not of the session. After the last output
    `ended` is awaited before the connection closes.
    """
    incoming = log.create_task(_feed(duplex, session, keys), "attach: input")
    outgoing = log.create_task(_drain(session, duplex), "attach: output")
    try:
        # Input that ended says nothing about output; a detach does.
        done, _ = await asyncio.wait((incoming, outgoing), return_when=asyncio.FIRST_COMPLETED)
        detached = incoming in done and incoming.result()
        if not detached:
            await outgoing
            if ended is not None:
                await ended()
    finally:
        incoming.cancel()
        outgoing.cancel()
        session.close()
        duplex.close()


async def _feed(duplex: Duplex, session: Session, keys: DetachKeys) -> bool:
    """Client to process; true when the user typed the detach keys."""
    while True:
        data = await duplex.read()
        if not data:
            await session.close_input()
            return False
        data, detached = keys.filter(data)
        if data:
            await session.write(data)
        if detached:
            return True


async def _drain(session: Session, duplex: Duplex) -> None:
    with suppress(ConnectionResetError):
        while data := await session.read():
            await duplex.write(data)


async def stream_messages(
    request: Request, work: Callable[[Messages], Awaitable[None]], *, eager: bool = False
) -> None:
    """Run `work`, sending each message it gives as a line of JSON.

    The head goes out with the first message, so that a failure before it is an ordinary error
    answer; a failure after it becomes the stream's last message, as Docker clients expect.
    `work` may call its sink from any thread. With `eager` the head goes out at once, for clients
    that look for failures in the stream only.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[StreamMessage | None] = asyncio.Queue()

    def sink(message: StreamMessage) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, message)

    async def run() -> None:
        try:
            await work(sink)
        except (BoxshipError, ConnectionResetError):
            raise
        except Exception as error:
            # By then the head may be out with a 200: only the stream itself can still tell.
            raise unexpected(f"{request.method} {request.path}", error) from error
        finally:
            loop.call_soon_threadsafe(queue.put_nowait, None)

    task = loop.create_task(run())
    stream: Stream | None = None
    try:
        if eager:
            stream = await request.stream()
        while (message := await queue.get()) is not None:
            stream = stream or await request.stream()
            await stream.write(msgspec.json.encode(message) + b"\r\n")
        await task
    except BoxshipError as error:
        if stream is None:
            raise
        code = getattr(error, "exit_code", 0)
        last = StreamMessage(error_detail=ErrorDetail(str(error), code), error=str(error))
        await stream.write(msgspec.json.encode(last) + b"\r\n")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, BoxshipError):
            await task
    if stream is None:
        await request.stream()


@asynccontextmanager
async def upload(request: Request) -> AsyncIterator[BinaryIO]:
    """The request's body as a file that a thread may read while it still arrives."""
    reader, writer = os.pipe()
    _widen(writer)
    task = log.create_task(_fill(request, writer), "upload")
    file = os.fdopen(reader, "rb", buffering=0)
    try:
        yield file
    finally:
        file.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _fill(request: Request, writer: int) -> None:
    transport, protocol = await _open_writer(writer)
    try:
        async for data in request.body():
            transport.write(data)
            await protocol.ready.wait()
            if protocol.lost:
                return
    except ConnectionResetError:
        # The reader sees a truncated archive and says so.
        return
    finally:
        transport.close()


@asynccontextmanager
async def download(stream: Stream) -> AsyncIterator[BinaryIO]:
    """A file to write into from a thread; everything written reaches the client."""
    reader, writer = os.pipe()
    _widen(writer)
    task = log.create_task(_forward(reader, stream), "download")
    file = os.fdopen(writer, "wb", buffering=0)
    try:
        yield file
        file.close()
        await task
    finally:
        file.close()
        task.cancel()


async def _forward(reader: int, stream: Stream) -> None:
    loop = asyncio.get_running_loop()
    source = asyncio.StreamReader(limit=_PIPE_SIZE)
    file = os.fdopen(reader, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(source), file)
    try:
        while data := await source.read(_PIPE_SIZE):
            await stream.write(data)
    finally:
        transport.close()


class _WriterProtocol(asyncio.BaseProtocol):
    """Flow control of the write end of a pipe."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()
        self.lost = False

    def pause_writing(self) -> None:
        self.ready.clear()

    def resume_writing(self) -> None:
        self.ready.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        self.ready.set()


async def _open_writer(writer: int) -> tuple[asyncio.WriteTransport, _WriterProtocol]:
    loop = asyncio.get_running_loop()
    file = os.fdopen(writer, "wb", buffering=0)
    return await loop.connect_write_pipe(_WriterProtocol, file)


def _widen(pipe: int) -> None:
    """A larger pipe, where /proc/sys/fs/pipe-max-size allows it."""
    with suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_SIZE)
