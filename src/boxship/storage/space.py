"""A full disk, told in the words of the user."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from boxship.errors import ExhaustedError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def guard_space(what: str) -> Iterator[None]:
    """Turn ENOSPC and EDQUOT of the block into an ExhaustedError that names what was written."""
    try:
        yield
    except OSError as failure:
        if failure.errno in FULL:
            raise exhausted(what) from failure
        raise


def exhausted(what: str) -> ExhaustedError:
    return ExhaustedError(
        f"no space left on the disk to store {what}", hint="free some with `boxship system prune`"
    )
