"""The Docker API of one engine, over one kept connection: what an agent or an orchestrator does."""

from pathlib import Path
from typing import Any

from peers import IMAGE

from boxship.client.connection import Connection

VERSION = "/v1.41"

# As with its command line: podman raises limits that only CAP_SYS_RESOURCE may raise.
_PODMAN_ULIMITS = [
    {"Name": "nofile", "Soft": 1024, "Hard": 1024},
    {"Name": "nproc", "Soft": 1000, "Hard": 1000},
]


class Api:
    """One engine's API."""

    def __init__(self, name: str, socket: Path) -> None:
        self.name = name
        self._address = f"unix://{socket}"
        self._connection = Connection(self._address)
        self._host = {"Ulimits": _PODMAN_ULIMITS} if name == "podman" else {}

    def life_cycle(self, network: str) -> None:
        """A container that runs `true`, from nothing to nothing."""
        container = self.create(["true"], network)
        self._post(f"{container}/start")
        self._post(f"{container}/wait")
        self._ask("DELETE", container)

    def create(self, command: list[str], network: str) -> str:
        """Make a container; gives its path."""
        host = {**self._host, "NetworkMode": network}
        body = {"Image": IMAGE, "Cmd": command, "HostConfig": host}
        return f"/containers/{self._post('/containers/create', body)['Id']}"

    def start(self, container: str) -> None:
        self._post(f"{container}/start")

    def exec(self, container: str) -> None:
        """Run `true` in a container, read its output to the end, and ask for its exit code."""
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        path = f"/exec/{self._post(f'{container}/exec', body)['Id']}"
        # The stream takes its connection with it, so it gets one of its own.
        stream = Connection(self._address)
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        begun = {"Detach": False, "Tty": False}
        stream.request("POST", f"{VERSION}{path}/start", None, begun, upgrade)
        while stream.receive():
            continue
        stream.close()
        code = self._ask("GET", f"{path}/json")["ExitCode"]
        if code != 0:
            raise RuntimeError(f"{self.name}: exec ended with {code}")

    def list(self, expected: int) -> None:
        """List the running containers."""
        found = len(self._ask("GET", "/containers/json"))
        if found != expected:
            raise RuntimeError(f"{self.name}: {found} containers listed, not {expected}")

    def _post(self, path: str, body: Any = None) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._connection.request(method, VERSION + path, None, body).document()
