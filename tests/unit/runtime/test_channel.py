import os
import socket

import pytest

from boxship.runtime import channel


@pytest.fixture
def ends():
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield pair
    for end in pair:
        end.close()


@pytest.mark.parametrize("size", [0, 1, channel.INLINE, channel.INLINE + 1, 3_000_000])
def test_a_body_of_any_size_arrives_with_its_descriptors(ends, size):
    reader, writer = os.pipe()
    body = os.urandom(size)
    channel.send(ends[0], body, (writer,))
    arrived, fds = channel.receive(ends[1])
    assert arrived == body
    assert len(fds) == 1
    assert not os.get_inheritable(fds[0])
    os.write(fds[0], b"through")
    assert os.read(reader, 10) == b"through"
    channel.close_all([reader, writer, *fds])


def test_the_end_is_none(ends):
    channel.send(ends[0], b"last")
    ends[0].close()
    assert channel.receive(ends[1]) == (b"last", [])
    assert channel.receive(ends[1]) is None


def test_an_empty_or_full_socket_blocks(ends):
    for end in ends:
        end.setblocking(False)
    with pytest.raises(BlockingIOError):
        channel.receive(ends[1])
    with pytest.raises(BlockingIOError):
        _fill(ends[0])


def _fill(sock):
    while True:
        channel.send(sock, b"x" * 60_000)


def test_a_packet_that_does_not_begin_as_agreed_is_refused(ends):
    ends[0].send(b"?")
    with pytest.raises(channel.ChannelError):
        channel.receive(ends[1])
