"""Messages survive the socket; a torn one is noticed."""

import socket

import msgspec
import pytest

from boxship.builder.worker.files.messages import (
    Failed,
    Locate,
    Request,
    Text,
    TreeRef,
    receive,
    send,
)
from boxship.model.mount import Mount


def test_round_trip():
    one, other = socket.socketpair()
    with one, other:
        request = Locate(TreeRef(Mount("bind", "/x", options=("ro",)), ("a",), "w"), "p")
        send(one, request)
        send(one, Text("done"))
        assert msgspec.json.decode(receive(other), type=Request) == request
        assert msgspec.json.decode(receive(other), type=Text | Failed) == Text("done")


def test_the_end_is_told_from_a_torn_message():
    one, other = socket.socketpair()
    with other:
        one.close()
        assert receive(other) == b""
    one, other = socket.socketpair()
    with other:
        one.sendall(b"\0\0\0\x05abc")
        one.close()
        with pytest.raises(ConnectionError):
            receive(other)
