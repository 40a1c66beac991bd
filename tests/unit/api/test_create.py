"""Create requests: what clients send, to what the engine takes."""

import msgspec
import pytest

from boxship.api.translate.create import argv, container_config, host_config
from boxship.api.translate.mounts import parse_bind
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.container import MountRequest, PortBinding, RestartPolicy
from boxship.wire.container import CreateRequest


def body(text: str) -> CreateRequest:
    return msgspec.json.decode(text, type=CreateRequest)


def test_an_empty_request_is_docker_s_defaults() -> None:
    host = host_config(body('{"Image": "busybox"}'))
    assert container_config(body('{"Image": "busybox"}')).image == "busybox"
    assert host.network_mode == "default"
    assert host.restart == RestartPolicy()
    assert host.resources.memory == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ([], None),
        (["a", "b c"], ("a", "b c")),
        ("sh -c 'a b'", ("sh", "-c", "a b")),
        ([""], ("",)),
    ],
)
def test_commands(value: list[str] | str | None, expected: tuple[str, ...] | None) -> None:
    assert argv(value) == expected


def test_ports() -> None:
    host = host_config(
        body(
            '{"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}],'
            ' "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5300-5310"}], "9": []}}}'
        )
    )
    assert host.port_bindings == (
        PortBinding(80, "tcp", "", 8080, 0),
        PortBinding(53, "udp", "127.0.0.1", 5300, 5310),
        PortBinding(9, "tcp", "", 0, 0),
    )


@pytest.mark.parametrize("key", ["0/tcp", "x", "80/icmp", "65536/udp"])
def test_what_is_no_port_is_refused(key: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid port"):
        host_config(body(f'{{"HostConfig": {{"PortBindings": {{"{key}": null}}}}}}'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", MountRequest("volume", "/data", from_binds=True)),
        ("vol:/data", MountRequest("volume", "/data", "vol", from_binds=True)),
        ("vol:/data:nocopy", MountRequest("volume", "/data", "vol", no_copy=True, from_binds=True)),
        (
            "/src:/data:ro,rslave",
            MountRequest(
                "bind", "/data", "/src", True, "rslave", create_source=True, from_binds=True
            ),
        ),
    ],
)
def test_binds(text: str, expected: MountRequest) -> None:
    assert parse_bind(text) == expected


@pytest.mark.parametrize("text", ["a:b", ":/x", "/a:/b:bad", "/a:/b:ro:x", "a/b:/c", "/a:b"])
def test_what_is_no_bind_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_bind(text)


def test_two_mounts_for_one_target_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="Duplicate mount point: /a"):
        host_config(body('{"HostConfig": {"Binds": ["/x:/a", "/y:/a"]}}'))


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ('"StorageOpt": {"size": "1G"}', "StorageOpt"),
        ('"DeviceRequests": [{"Driver": "nvidia"}]', "DeviceRequests"),
        ('"CpuRealtimePeriod": 5', "CpuRealtimePeriod"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_name(option: str, name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"option {name} is not supported"):
        host_config(body(f'{{"HostConfig": {{{option}}}}}'))


def test_old_clients_send_minus_one_for_not_given() -> None:
    host = host_config(body('{"HostConfig": {"MemorySwappiness": -1, "PidsLimit": -1}}'))
    assert host.resources.memory_swappiness is None
    assert host.resources.pids_limit == 0
