import pytest

from boxship.kernel.netlink import message


def test_attributes_are_padded_and_read_back() -> None:
    packed = message.text(3, "eth0") + message.u32(4, 1400) + message.u8(33, 1)
    assert len(packed) == 12 + 8 + 8
    found = message.attributes(packed)
    assert message.string(found[3]) == "eth0"
    assert message.number(found[4]) == 1400
    assert message.number(found[33]) == 1
    assert message.number(found.get(9)) == 0
    assert message.string(found.get(9)) == ""


def test_nested_attributes_are_marked_and_read_without_the_mark() -> None:
    packed = message.nested(18, message.text(1, "veth"))
    assert packed[3] & 0x80
    inner = message.attributes(message.attributes(packed)[18])
    assert message.string(inner[1]) == "veth"


@pytest.mark.parametrize("broken", [b"", b"\1", b"\0\0\0\0", b"\3\0\1\0", b"\xff\xff\1\0ab"])
def test_broken_attributes_end_the_reading(broken: bytes) -> None:
    assert set(message.attributes(broken)) <= {1}


def test_messages_of_one_datagram_are_told_apart() -> None:
    head = message.HEADER
    data = head.pack(17, 2, 0, 7, 0) + b"a\0\0\0" + head.pack(20, 3, 1, 8, 0) + b"abcd"
    assert list(message.messages(data)) == [(2, 0, 7, b"a"), (3, 1, 8, b"abcd")]
    assert list(message.messages(data[:30])) == [(2, 0, 7, b"a")]
