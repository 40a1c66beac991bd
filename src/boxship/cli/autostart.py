"""Start the daemon when none answers, so that there is nothing to set up."""

import os
import sys

from boxship.errors import UnavailableError
from boxship.paths import default_data_root, default_exec_root

_READY = b"ready\n"


def start_daemon(address: str) -> None:
    """Start a daemon of its own session that serves `address`, and wait until it does.

    It says so on a pipe, so nobody polls. Its own messages go to `daemon.log` under the data root.

    Raises:
        UnavailableError: it ended before it was ready; the message ends with its last words.
    """
    if os.geteuid() != 0:
        raise UnavailableError(
            "no daemon answers, and only root can start one",
            hint="start it as root; a single container runs without, by boxship-runtime",
        )
    import subprocess  # noqa: PLC0415 - once in the life of a daemon
    from pathlib import Path  # noqa: PLC0415

    log_path = Path(default_data_root()) / "daemon.log"
    reader, writer = os.pipe()
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            start = log.tell()
            argv = [sys.executable, "-m", "boxship.daemon", "--host", address]
            subprocess.Popen(
                [*argv, "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        os.close(reader)
        raise UnavailableError(
            f"cannot start the daemon: {error}",
            hint=f"it needs to write {default_data_root()} and {default_exec_root()}; run as root",
        ) from error
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        answer = ready.read(len(_READY))
    if answer != _READY:
        with log_path.open("rb") as log:
            log.seek(start)
            words = log.read().decode("utf-8", "replace").strip().splitlines()
        reason = words[-1] if words else "it said nothing"
        raise UnavailableError(f"the daemon did not start: {reason}", hint=f"see {log_path}")
