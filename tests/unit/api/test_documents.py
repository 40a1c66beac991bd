"""Request bodies: nulls where Go's clients send them, and errors that name the field."""

from collections.abc import AsyncIterator

import pytest

from boxship.api.request import Head, Peer, Request
from boxship.api.versions import LATEST
from boxship.errors import InvalidArgumentError
from boxship.wire.container import CreateRequest, ExecCreateRequest
from boxship.wire.network import NetworkCreateRequest


class Upload:
    """A transport that has only a body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read_body(self) -> AsyncIterator[bytes]:
        yield self._body[:5]
        yield self._body[5:]


def request(body: bytes) -> Request:
    head = Head("POST", "/x", LATEST, "", {})
    return Request(head, Upload(body), Peer())  # type: ignore[arg-type]  # a body is all it needs


async def test_an_empty_body_is_an_empty_document() -> None:
    assert (await request(b"").document(CreateRequest)).image == ""


async def test_nulls_read_as_absent() -> None:
    body = b"""{"Image": "a", "Tty": null, "Healthcheck": {"Test": ["NONE"], "StartPeriod": null},
        "HostConfig": {"Memory": null, "PortBindings": {"80/tcp": [{"HostIp": null}]}},
        "NetworkingConfig": {"EndpointsConfig": {"net": null}}}"""
    document = await request(body).document(CreateRequest)
    assert document.image == "a"
    assert document.tty is False
    assert document.healthcheck is not None
    assert document.host_config is not None
    assert document.host_config.memory == 0
    assert document.networking_config is not None
    assert document.networking_config.endpoints_config == {"net": None}


async def test_nulls_in_lists_of_objects_read_as_absent() -> None:
    body = b'{"Name": "n", "IPAM": {"Config": [{"Subnet": "10.0.0.0/8", "IPRange": null}]}}'
    document = await request(body).document(NetworkCreateRequest)
    assert document.ipam is not None
    assert document.ipam.config is not None
    assert document.ipam.config[0].ip_range == ""


async def test_what_is_wrong_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match=r"invalid JSON in request body: .*\$\.Tty"):
        await request(b'{"Tty": "yes", "User": null}').document(ExecCreateRequest)
    with pytest.raises(InvalidArgumentError, match="invalid JSON in request body"):
        await request(b"{").document(ExecCreateRequest)


async def test_a_body_without_end_is_cut_off() -> None:
    with pytest.raises(InvalidArgumentError, match="request body is over 4 bytes"):
        await request(b"123456").read(4)
