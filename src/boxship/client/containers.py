"""Containers of an engine."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from boxship.client.calls import Calls, Filters, decode, encode_filters
from boxship.wire.container import (
    ContainerInspect,
    ContainerSummary,
    CreateRequest,
    CreateResponse,
    ExecCreateRequest,
    ExecInspect,
    HostConfig,
    IdResponse,
    TopResponse,
    WaitResponse,
)

_HEADER = struct.Struct(">BxxxL")
_STDOUT = 1


class Finished(NamedTuple):
    """How a command ended: its exit code (128 + n for signal n) and what it wrote."""

    exit_code: int
    output: bytes
    errors: bytes


class Containers:
    """Containers, one verb a method. A `ref` is an id, a unique prefix of one, or a name.

    Every method raises NotFoundError for a ref that is none, and the kinds of `boxship.errors` for
    what the engine refuses.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - Docker's word
        filters: Filters | None = None,
    ) -> Sequence[ContainerSummary]:
        """Running containers, newest first; with `all` the others too."""
        query = {"all": all, "filters": encode_filters(filters)}
        return self._calls.ask(list[ContainerSummary], "GET", "/containers/json", query)

    def get(self, ref: str) -> ContainerInspect:
        return self._calls.ask(ContainerInspect, "GET", f"/containers/{ref}/json")

    def create(self, request: CreateRequest, *, name: str = "") -> str:
        """Make a container that does not run yet; its id."""
        query = {"name": name or None}
        made = self._calls.ask(CreateResponse, "POST", "/containers/create", query, request)
        return made.id

    def start(self, ref: str) -> None:
        self._calls.send("POST", f"/containers/{ref}/start")

    def stop(self, ref: str, *, grace: int | None = None) -> None:
        """Send the stop signal, and SIGKILL after `grace` seconds (None: the container's own)."""
        self._calls.send("POST", f"/containers/{ref}/stop", {"t": grace})

    def restart(self, ref: str, *, grace: int | None = None) -> None:
        self._calls.send("POST", f"/containers/{ref}/restart", {"t": grace})

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        self._calls.send("POST", f"/containers/{ref}/kill", {"signal": signal})

    def wait(self, ref: str) -> int:
        """The exit code, once the container does not run any more."""
        return self._calls.ask(WaitResponse, "POST", f"/containers/{ref}/wait").status_code

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; `force` kills it first, `volumes` takes its anonymous ones along."""
        self._calls.send("DELETE", f"/containers/{ref}", {"force": force, "v": volumes})

    def rename(self, ref: str, name: str) -> None:
        self._calls.send("POST", f"/containers/{ref}/rename", {"name": name})

    def top(self, ref: str) -> TopResponse:
        """The processes in a container."""
        return self._calls.ask(TopResponse, "GET", f"/containers/{ref}/top")

    def logs(
        self, ref: str, *, follow: bool = False, tail: int | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """What a container wrote, as (1, data) for output and (2, data) for errors.

        Args:
            ref: the container.
            follow: go on until it ends.
            tail: the last so many lines only.
        """
        tty = self.get(ref).config.tty
        query = {"stdout": True, "stderr": True, "follow": follow, "tail": tail}
        pieces = self._calls.stream("GET", f"/containers/{ref}/logs", query)
        return ((_STDOUT, data) for data in pieces) if tty else unframed(pieces)

    def run(
        self,
        image: str,
        *command: str,
        env: Mapping[str, str] | None = None,
        host: HostConfig | None = None,
    ) -> Finished:
        """Run a command in a new container to its end, and remove the container."""
        made = self.create(
            CreateRequest(
                image=image,
                cmd=list(command) or None,
                env=[f"{name}={value}" for name, value in (env or {}).items()],
                host_config=host,
            )
        )
        try:
            # Asked for before the start, so that its end cannot be missed.
            query = {"condition": "next-exit"}
            waiting = self._calls.stream("POST", f"/containers/{made}/wait", query)
            self.start(made)
            code = decode(waiting, WaitResponse).status_code
            return _finished(code, self.logs(made))
        finally:
            self.remove(made, force=True, volumes=True)

    def exec(self, ref: str, *command: str, user: str = "", working_dir: str = "") -> Finished:
        """Run a command in a running container to its end."""
        request = ExecCreateRequest(
            cmd=list(command),
            user=user,
            working_dir=working_dir,
            attach_stdout=True,
            attach_stderr=True,
        )
        made = self._calls.ask(IdResponse, "POST", f"/containers/{ref}/exec", body=request).id
        pieces = list(unframed(self._calls.stream("POST", f"/exec/{made}/start", None, {})))
        ended = self._calls.ask(ExecInspect, "GET", f"/exec/{made}/json")
        return _finished(ended.exit_code or 0, iter(pieces))


def _finished(code: int, pieces: Iterator[tuple[int, bytes]]) -> Finished:
    kept: dict[bool, list[bytes]] = {True: [], False: []}
    for stream, data in pieces:
        kept[stream == _STDOUT].append(data)
    return Finished(code, b"".join(kept[True]), b"".join(kept[False]))


def unframed(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Take Docker's frames apart: stream, three zeros, length, payload."""
    rest = b""
    for data in pieces:
        rest += data
        while len(rest) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(rest)
            if len(rest) < _HEADER.size + length:
                break
            yield stream, rest[_HEADER.size : _HEADER.size + length]
            rest = rest[_HEADER.size + length :]
