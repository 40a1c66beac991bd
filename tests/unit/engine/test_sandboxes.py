import pytest

from boxship.engine.sandboxes.modes import Mode, modes_of
from boxship.engine.sandboxes.ranges import COUNT, FIRST, SIZE, IdRanges
from boxship.errors import ExhaustedError, InvalidArgumentError
from boxship.model.container import HostConfig


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("", Mode("named", "bridge")),
        ("default", Mode("named", "bridge")),
        ("none", Mode("none")),
        ("host", Mode("host")),
        ("container:web", Mode("container", "web")),
        ("front", Mode("named", "front")),
    ],
)
def test_network_modes(mode: str, expected: Mode) -> None:
    assert modes_of(HostConfig(network_mode=mode)).network == expected


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        (HostConfig(), "private"),
        (HostConfig(privileged=True), "host"),
        (HostConfig(network_mode="host"), "host"),
        (HostConfig(pid_mode="host"), "host"),
        (HostConfig(userns_mode="host"), "host"),
        (HostConfig(pid_mode="container:x"), "private"),
    ],
)
def test_who_gets_a_user_namespace(host: HostConfig, kind: str) -> None:
    assert modes_of(host).user.kind == kind


def test_whom_it_shares_with() -> None:
    host = HostConfig(network_mode="container:a", pid_mode="container:b", ipc_mode="container:a")
    assert modes_of(host).shared_with == ("a", "b")


def test_no_modes() -> None:
    with pytest.raises(InvalidArgumentError):
        modes_of(HostConfig(ipc_mode="nope"))
    with pytest.raises(InvalidArgumentError):
        modes_of(HostConfig(userns_mode="nope"))


def test_ranges_do_not_overlap_and_are_reused_last() -> None:
    ranges = IdRanges()
    first, second = ranges.take(), ranges.take()
    assert (first, second) == (FIRST, FIRST + SIZE)
    ranges.release(first)
    assert ranges.take() == second + SIZE


def test_an_adopted_range_is_not_given_away() -> None:
    ranges = IdRanges()
    ranges.adopt(FIRST)
    assert ranges.take() == FIRST + SIZE


def test_ranges_run_out() -> None:
    ranges = IdRanges()
    for _ in range(COUNT):
        ranges.take()
    with pytest.raises(ExhaustedError):
        ranges.take()
    ranges.release(FIRST)
    assert ranges.take() == FIRST
