"""`POST /build`: an image from a Dockerfile and an uploaded context."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from boxship.api.request import Request, Response, json_response
from boxship.api.router import Route
from boxship.api.streams import Messages, stream_messages, upload
from boxship.api.translate.credentials import from_config_header
from boxship.api.translate.progress import build_message
from boxship.builder.context import receive_context
from boxship.builder.request import BuildEvent, BuildRequest
from boxship.engine.facade import EngineFacade
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.model.container import Resources, Ulimit
from boxship.wire.container import Ulimit as WireUlimit
from boxship.wire.image import StreamMessage
from boxship.wire.system import BuildPruneResponse

_Document = TypeVar("_Document")

_REFUSED = ("squash", "outputs", "cpusetmems", "securityopt")


class BuildRoutes:
    """Builds by upload.

    Args:
        engine: does the work.
        scratch: directory for contexts while their build runs.
    """

    def __init__(self, engine: EngineFacade, scratch: Path) -> None:
        self._engine = engine
        self._scratch = scratch

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/build", self.build),
            Route("POST", "/build/prune", self.prune),
        )

    async def build(self, request: Request) -> None:
        quiet = request.query.flag("q")
        _refuse(request)

        async def work(sink: Messages) -> None:
            async with self._context(request) as context:
                wanted = _build_request(request, context)

                def output(event: BuildEvent) -> None:
                    if not quiet:
                        sink(build_message(event))

                image = await self._engine.builds.build(wanted, output)
                if quiet:
                    sink(StreamMessage(stream=f"{image.id}\n"))

        await stream_messages(request, work)

    async def prune(self, request: Request) -> Response:
        report = await self._engine.builds.prune(request.query.filters())
        return json_response(BuildPruneResponse(list(report.deleted) or None, report.reclaimed))

    @asynccontextmanager
    async def _context(self, request: Request) -> AsyncIterator[Path]:
        """The uploaded context, as one plain tar file for the time of one build."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(prefix="context-", dir=self._scratch) as place:
            path = Path(place.name)
            async with upload(request) as archive:
                await asyncio.to_thread(receive_context, archive, path)
            yield path


def _refuse(request: Request) -> None:
    query = request.query
    for name in _REFUSED:
        if query.text(name) not in ("", "0", "[]", "null"):
            raise UnsupportedError(f"build option {name} is not supported by this engine")
    if query.text("remote"):
        raise UnsupportedError(
            f"remote build context {query.text('remote')!r} is not supported",
            hint="fetch it and build from the directory",
        )
    if query.text("version") == "2":
        raise UnsupportedError("BuildKit sessions are not supported", hint="set DOCKER_BUILDKIT=0")


def _build_request(request: Request, context: Path) -> BuildRequest:
    query = request.query
    return BuildRequest(
        context=context,
        dockerfile=query.text("dockerfile") or "Dockerfile",
        tags=tuple(tag for tag in query.all("t") if tag),
        args=_document(query.text("buildargs"), dict[str, str | None], "buildargs") or {},
        target=query.text("target"),
        no_cache=query.flag("nocache"),
        pull=query.flag("pull"),
        labels=_document(query.text("labels"), dict[str, str], "labels") or {},
        platform=query.text("platform"),
        network_mode=query.text("networkmode") or "default",
        extra_hosts=tuple(host for host in query.all("extrahosts") if host),
        shm_size=query.integer("shmsize"),
        ulimits=_ulimits(query.text("ulimits")),
        resources=_resources(request),
        credentials=from_config_header(request.headers.get("x-registry-config", "")),
    )


def _resources(request: Request) -> Resources:
    query = request.query
    return Resources(
        memory=query.integer("memory"),
        memory_swap=query.integer("memswap"),
        cpu_shares=query.integer("cpushares"),
        cpu_period=query.integer("cpuperiod"),
        cpu_quota=query.integer("cpuquota"),
        cpuset_cpus=query.text("cpusetcpus"),
    )


def _ulimits(text: str) -> tuple[Ulimit, ...]:
    items = _document(text, list[WireUlimit], "ulimits") or []
    return tuple(Ulimit(item.name, item.soft, item.hard) for item in items)


def _document(text: str, kind: type[_Document], name: str) -> _Document | None:
    if text in ("", "null"):
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidArgumentError(f"invalid {name} {text!r}: {error}") from error
