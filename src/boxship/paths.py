"""Where boxship keeps things: one value that every store takes its directory from.

The defaults are texts and `pathlib` is not imported here: that would cost every command 11 ms.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class Paths:
    """The two trees of one daemon: what survives a reboot and what does not.

    Several daemons run side by side when each has its own pair.

    Attributes:
        data_root: persistent state (content, snapshots, volumes, database).
        exec_root: run-time state (sockets, bundles, logs of the keeper, locks).
    """

    def __init__(self, data_root: "Path", exec_root: "Path") -> None:
        self.data_root = data_root
        self.exec_root = exec_root

    @property
    def content(self) -> "Path":
        return self.data_root / "content"

    @property
    def snapshots(self) -> "Path":
        return self.data_root / "snapshots"

    @property
    def volumes(self) -> "Path":
        return self.data_root / "volumes"

    @property
    def database(self) -> "Path":
        return self.data_root / "boxship.db"

    def container_data(self, container_id: str) -> "Path":
        """Persistent files of one container: its log, hosts, hostname and resolv.conf."""
        return self.data_root / "containers" / container_id

    def bundle(self, container_id: str) -> "Path":
        """The OCI bundle of one container while it has a process."""
        return self.exec_root / "bundles" / container_id

    @property
    def keeper_socket(self) -> "Path":
        return self.exec_root / "keeper.sock"

    @property
    def daemon_lock(self) -> "Path":
        return self.exec_root / "daemon.lock"


def default_data_root() -> str:
    """`/var/lib/boxship` for root, the XDG data directory otherwise."""
    if os.geteuid() == 0:
        return "/var/lib/boxship"
    home = os.environ.get("HOME", "/")
    return (os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share") + "/boxship"


def default_exec_root() -> str:
    """`/run/boxship` for root, the XDG runtime directory otherwise."""
    if os.geteuid() == 0:
        return "/run/boxship"
    return (os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") + "/boxship"


def default_socket() -> str:
    """The unix socket the daemon listens on and the client looks for by default."""
    return default_exec_root() + "/boxship.sock"
