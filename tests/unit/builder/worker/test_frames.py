"""Frames come in any pieces and go out whole."""

from boxship.builder.worker.frames import Frames


def frame(stream: int, body: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


def test_pieces():
    data = frame(1, b"one") + frame(2, b"") + frame(2, b"two")
    frames = Frames()
    found = [got for at in range(len(data)) for got in frames.feed(data[at : at + 1])]
    assert found == [("stdout", b"one"), ("stderr", b""), ("stderr", b"two")]
    assert list(Frames().feed(data)) == found
