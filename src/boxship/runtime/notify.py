"""Tell a seccomp agent of a process whose system calls it decides about (`SCMP_ACT_NOTIFY`).

OCI runtime spec, config-linux, "The Container Process State". Not imported without such a profile.
"""

import _socket
import os

from boxship.errors import InvalidArgumentError
from boxship.runtime.oci.rendezvous import connect
from boxship.runtime.oci.state import oci_state
from boxship.runtime.spec.encode import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.runtime.oci.state import Record


def send_listener(record: "Record", status: str, pid: int, listener: int) -> None:
    """Send the state of a process and its listener to the agent, and close the listener here.

    Args:
        record: the container.
        status: its OCI status.
        pid: the process, which waits for the agent from now on.
        listener: descriptor that seccomp(2) gave.

    Raises:
        InvalidArgumentError: nobody listens at `linux.seccomp.listenerPath`, or hangs up.
    """
    profile = record.spec["linux"]["seccomp"]
    path = profile["listenerPath"]
    state = oci_state(record, status)
    known = {
        "ociVersion": state["ociVersion"],
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": profile.get("listenerMetadata") or "",
        "state": {**state, "pid": record.pid or pid},
    }
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.to_bytes(4, "little"))
    try:
        connection = connect(path, _socket.SOCK_STREAM)
        try:
            text = dumps(known).encode()
            sent = connection.sendmsg((text,), (rights,), _socket.MSG_NOSIGNAL)
            connection.sendall(text[sent:], _socket.MSG_NOSIGNAL)
        except OSError as error:
            msg = f"cannot send the state to the seccomp agent at {path}: {error.strerror}"
            raise InvalidArgumentError(msg) from error
        finally:
            connection.close()
    finally:
        os.close(listener)
