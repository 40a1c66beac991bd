import os

import pytest

from boxship.errors import InternalError
from boxship.runtime import sync


@pytest.fixture
def ends():
    left, right = sync.pair()
    yield left, right
    left.close()
    right.close()


def test_messages_arrive_whole_and_in_order(ends):
    left, right = ends
    left.send(sync.READY)
    left.send_error(sync.NOT_FOUND, 2, "ü is\0 missing")
    assert right.receive().kind == sync.READY
    error = right.receive()
    assert (error.kind, error.reason, error.number) == (sync.ERROR, "not_found", 2)
    assert error.text == "ü is\0 missing"


def test_descriptors_travel_and_are_closed_on_exec(ends):
    left, right = ends
    reading, writing = os.pipe()
    left.send(sync.SETUP, (reading, writing))
    fds = right.receive().fds
    assert len(fds) == 2
    assert not any(os.get_inheritable(fd) for fd in fds)
    os.write(writing, b"x")
    assert os.read(fds[0], 1) == b"x"
    for fd in (*fds, reading, writing):
        os.close(fd)


def test_many_descriptors_in_one_message(ends):
    left, right = ends
    null = os.open("/dev/null", os.O_RDONLY)
    left.send(sync.SETUP, [null] * 200)
    fds = right.receive().fds
    assert len(fds) == 200
    for fd in (null, *fds):
        os.close(fd)


def test_the_end_is_none_and_errors_to_nobody_are_silent(ends):
    left, right = ends
    left.close()
    assert right.receive() is None
    right.send_error(sync.OTHER, 0, "nobody listens")


def test_a_long_text_is_cut(ends):
    left, right = ends
    left.send_error(sync.OTHER, 0, "x" * 100_000)
    assert len(right.receive().text) == 4096


def test_other_packets_are_refused(ends):
    left, right = ends
    left._socket.send(b"?")
    with pytest.raises(InternalError, match="unknown message"):
        right.receive()


def test_a_death_with_a_message_unread_does_not_hide_its_error(ends):
    left, right = ends
    left.send(sync.GO)
    right.send_error(sync.OTHER, 2, "no such thing")
    right.close()
    message = left.receive()
    assert (message.kind, message.text) == (sync.ERROR, "no such thing")
