"""When a container that ended is started again, and how long that waits."""

from boxship.errors import InvalidArgumentError
from boxship.model.container import RestartPolicy

FIRST_DELAY = 0.1
"""Seconds before the first restart; doubled each time, as Docker does."""

LONGEST_DELAY = 60.0
STABLE_AFTER = 10.0
"""Seconds a container must run for its delay to start over."""

_POLICIES = ("no", "always", "on-failure", "unless-stopped")


class Ended:
    """What is known when a container's process ended."""

    __slots__ = ("exit_code", "restarts", "stopped_by_user")

    def __init__(self, exit_code: int, restarts: int, *, stopped_by_user: bool) -> None:
        self.exit_code = exit_code
        self.restarts = restarts
        self.stopped_by_user = stopped_by_user


def check_policy(policy: RestartPolicy, *, auto_remove: bool) -> None:
    """Refuse what makes no sense.

    Raises:
        InvalidArgumentError: unknown policy, a count that it does not take, or with auto-remove.
    """
    name = policy.name or "no"
    if name not in _POLICIES:
        raise InvalidArgumentError(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count < 0:
        raise InvalidArgumentError("invalid restart policy: maximum retry count cannot be negative")
    if policy.maximum_retry_count and name != "on-failure":
        raise InvalidArgumentError(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if auto_remove and name != "no":
        raise InvalidArgumentError("can't create 'AutoRemove' container with restart policy")


def should_restart(policy: RestartPolicy, ended: Ended) -> bool:
    """Whether a process that just ended is to be started again.

    A user's stop or kill wins over every policy until the next start.
    """
    if ended.stopped_by_user:
        return False
    if policy.name in ("always", "unless-stopped"):
        return True
    if policy.name != "on-failure" or ended.exit_code == 0:
        return False
    limit = policy.maximum_retry_count
    return limit == 0 or ended.restarts < limit


def should_revive(policy: RestartPolicy, ended: Ended) -> bool:
    """Whether a container found dead when the daemon starts is to be started.

    As with Docker, `always` outlasts a user's stop here and `unless-stopped` does not.
    """
    if policy.name == "always":
        return True
    return should_restart(policy, ended)


def next_delay(previous: float, ran_for: float) -> float:
    """Seconds to wait before the restart after a run of `ran_for` seconds."""
    if previous == 0 or ran_for >= STABLE_AFTER:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)
