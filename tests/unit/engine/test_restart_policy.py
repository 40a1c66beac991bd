import pytest

from boxship.engine.restart_policy import (
    Ended,
    check_policy,
    next_delay,
    should_restart,
    should_revive,
)
from boxship.errors import InvalidArgumentError
from boxship.model.container import RestartPolicy


@pytest.mark.parametrize(
    ("policy", "code", "restarts", "again"),
    [
        (RestartPolicy(), 1, 0, False),
        (RestartPolicy("always"), 0, 100, True),
        (RestartPolicy("unless-stopped"), 0, 3, True),
        (RestartPolicy("on-failure"), 0, 0, False),
        (RestartPolicy("on-failure"), 1, 99, True),
        (RestartPolicy("on-failure", 2), 1, 1, True),
        (RestartPolicy("on-failure", 2), 1, 2, False),
    ],
)
def test_policies(policy: RestartPolicy, code: int, restarts: int, again: bool) -> None:
    assert should_restart(policy, Ended(code, restarts, stopped_by_user=False)) is again


def test_a_user_who_stops_it_wins_until_the_daemon_starts_again() -> None:
    stopped = Ended(137, 0, stopped_by_user=True)
    assert not should_restart(RestartPolicy("always"), stopped)
    assert should_revive(RestartPolicy("always"), stopped)
    assert not should_revive(RestartPolicy("unless-stopped"), stopped)


def test_the_delay_doubles_up_to_a_minute_and_starts_over_after_a_stable_run() -> None:
    delay = 0.0
    seen = []
    for _ in range(12):
        delay = next_delay(delay, 0.1)
        seen.append(delay)
    assert seen[:4] == [0.1, 0.2, 0.4, 0.8]
    assert seen[-1] == 60.0
    assert next_delay(60.0, 10.0) == 0.1


@pytest.mark.parametrize(
    ("policy", "auto_remove"),
    [
        (RestartPolicy("sometimes"), False),
        (RestartPolicy("always", 3), False),
        (RestartPolicy("on-failure", -1), False),
        (RestartPolicy("always"), True),
    ],
)
def test_nonsense_is_refused(policy: RestartPolicy, auto_remove: bool) -> None:
    with pytest.raises(InvalidArgumentError):
        check_policy(policy, auto_remove=auto_remove)
