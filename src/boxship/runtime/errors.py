"""Failures of the runtime that callers tell apart by more than their kind.

Imported by the keeper and the launcher, so it imports only `boxship.errors`.
"""

from boxship.errors import BoxshipError

_KINDS = {"not_found": "invalid_argument", "permission": "invalid_argument"}
_EXIT_CODES = {"not_found": 127, "permission": 126}


class StartFailedError(BoxshipError):
    """The container or exec process was made, but its program could not be started.

    Attributes:
        reason: `not_found` (no such program), `permission` (not executable), `hook` (a hook that
            runs before it failed) or `other`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.kind = _KINDS.get(reason, "internal")

    @property
    def exit_code(self) -> int:
        """What a shell would return, and what Docker records: 127, 126 or 128."""
        return _EXIT_CODES.get(self.reason, 128)


class HookFailedError(BoxshipError):
    """A hook of the spec failed, or took too long."""

    kind = "internal"
    reason = "hook"
