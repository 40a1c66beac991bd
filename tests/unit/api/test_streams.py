"""Attached sessions and streams of messages."""

import asyncio
import json
import threading

import pytest

from boxship.api.detach import keys_of
from boxship.api.request import Head, Peer, Request, Response
from boxship.api.streams import FramedSession, Messages, connect, frame, stream_messages
from boxship.api.versions import LATEST
from boxship.builder.request import CommandFailedError
from boxship.errors import NotFoundError
from boxship.wire.image import StreamMessage


class Pipe:
    """A session or a connection: what comes out of it, and what was put in."""

    def __init__(self, *pieces: bytes, tty: bool = False, ends: bool = True) -> None:
        self._pieces = asyncio.Queue[bytes]()
        for piece in pieces:
            self._pieces.put_nowait(piece)
        if ends:
            self._pieces.put_nowait(b"")
        self.tty = tty
        self.taken = b""
        self.closed = False
        self.input_closed = asyncio.Event()

    def end(self, last: bytes = b"") -> None:
        for piece in (last, b"") if last else (b"",):
            self._pieces.put_nowait(piece)

    async def read(self) -> bytes:
        return await self._pieces.get()

    async def write(self, data: bytes) -> None:
        self.taken += data

    async def close_input(self) -> None:
        self.input_closed.set()

    def close(self) -> None:
        self.closed = True


async def test_the_end_of_input_is_not_the_end_of_output() -> None:
    client, process = Pipe(b"in"), Pipe(ends=False)
    work = asyncio.create_task(connect(client, process, keys_of("", tty=False)))
    await process.input_closed.wait()
    assert not work.done()
    process.end(b"out")
    await work
    assert (process.taken, client.taken) == (b"in", b"out")
    assert client.closed
    assert process.closed


async def test_detach_keys_end_the_session_and_not_the_process() -> None:
    client, process = Pipe(b"x\x10\x11y", ends=False), Pipe(ends=False)
    await connect(client, process, keys_of("", tty=True))
    assert process.taken == b"x"
    assert not process.input_closed.is_set()
    assert client.closed


async def test_what_must_be_known_at_the_end_is_awaited_before_it() -> None:
    client, process = Pipe(ends=False), Pipe(b"out")
    seen: list[tuple[bytes, bool]] = []

    async def ended() -> None:
        seen.append((client.taken, client.closed))

    await connect(client, process, keys_of("", tty=False), ended)
    assert seen == [(b"out", False)]


async def test_a_terminal_in_frames_is_all_standard_output() -> None:
    session = FramedSession(Pipe(b"hello", tty=True))
    assert await session.read() == b"\x01\x00\x00\x00\x00\x00\x00\x05hello"
    assert await session.read() == b""


def test_a_frame_is_eight_bytes_and_the_payload() -> None:
    assert frame(2, b"x" * 258)[:8] == b"\x02\x00\x00\x00\x00\x00\x01\x02"


class Answer:
    """A transport that takes one chunked answer."""

    def __init__(self) -> None:
        self.head: Response | None = None
        self.lines: list[dict[str, object]] = []

    async def start_stream(self, response: Response) -> "Answer":
        self.head = response
        return self

    async def write(self, data: bytes) -> None:
        assert data.endswith(b"\r\n")
        self.lines.append(json.loads(data))


def request() -> tuple[Request, Answer]:
    answer = Answer()
    head = Head("POST", "/build", LATEST, "", {})
    return Request(head, answer, Peer()), answer  # type: ignore[arg-type]  # as much as is used


async def test_messages_are_lines_of_json_from_any_thread() -> None:
    one, answer = request()

    async def work(sink: Messages) -> None:
        thread = threading.Thread(target=sink, args=(StreamMessage(stream="a"),))
        thread.start()
        await asyncio.to_thread(thread.join)
        sink(StreamMessage(status="b", id="c"))

    await stream_messages(one, work)
    assert answer.lines == [{"stream": "a"}, {"status": "b", "id": "c"}]


async def test_a_failure_before_the_first_message_is_an_ordinary_error() -> None:
    one, answer = request()

    async def work(_sink: Messages) -> None:
        raise NotFoundError("no such image")

    with pytest.raises(NotFoundError):
        await stream_messages(one, work)
    assert answer.head is None


async def test_a_failure_after_it_is_the_last_message() -> None:
    one, answer = request()

    async def work(sink: Messages) -> None:
        sink(StreamMessage(stream="a"))
        raise CommandFailedError("it returned a non-zero code: 7", 7)

    await stream_messages(one, work)
    text = "it returned a non-zero code: 7"
    assert answer.lines[-1] == {"errorDetail": {"code": 7, "message": text}, "error": text}


async def test_a_failure_nobody_foresaw_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    one, answer = request()

    async def work(sink: Messages) -> None:
        sink(StreamMessage(stream="a"))
        raise ZeroDivisionError("boom")

    await stream_messages(one, work)
    assert answer.lines[-1]["error"] == "internal error: ZeroDivisionError: boom"
    assert "Traceback" in capsys.readouterr().err


async def test_no_message_at_all_is_an_empty_answer() -> None:
    one, answer = request()

    async def work(_sink: Messages) -> None:
        return

    await stream_messages(one, work)
    assert answer.head is not None
    assert answer.lines == []
