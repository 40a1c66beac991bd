"""`/images`."""

from boxship.api.request import Request, Response, json_response, no_content
from boxship.api.router import Route
from boxship.api.streams import Messages, download, stream_messages, upload
from boxship.api.translate import images as translate
from boxship.api.translate.credentials import from_header
from boxship.api.translate.progress import message
from boxship.engine.facade import EngineFacade
from boxship.engine.values import ImageUse
from boxship.errors import InvalidArgumentError, UnsupportedError
from boxship.image.remove import Removed
from boxship.model.platform import parse_platform
from boxship.wire import image as wire


class ImageRoutes:
    """Images."""

    def __init__(self, engine: EngineFacade) -> None:
        self._engine = engine

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/images/json", self.list),
            Route("POST", "/images/create", self.create),
            Route("POST", "/images/load", self.load),
            Route("POST", "/images/prune", self.prune),
            Route("POST", "/images/bootstrap", self.bootstrap),
            Route("GET", "/images/get", self.save),
            Route("GET", "/images/{name}/get", self.save),
            Route("GET", "/images/{name}/json", self.inspect),
            Route("GET", "/images/{name}/history", self.history),
            Route("POST", "/images/{name}/push", self.push),
            Route("POST", "/images/{name}/tag", self.tag),
            Route("DELETE", "/images/{name}", self.remove),
        )

    async def list(self, request: Request) -> Response:
        filters = dict(request.query.filters())
        if request.query.text("filter"):
            # Clients before 1.28 filter by name here.
            filters["reference"] = (request.query.text("filter"),)
        found = self._engine.images.list(filters, all=request.query.flag("all"))
        return json_response(
            [translate.summary(ImageUse(image, -1), request.version) for image in found]
        )

    async def inspect(self, request: Request) -> Response:
        image = self._engine.images.get(request.params["name"])
        return json_response(translate.inspect(image, request.version))

    async def history(self, request: Request) -> Response:
        entries = self._engine.images.history(request.params["name"])
        return json_response([translate.history(entry) for entry in entries])

    async def create(self, request: Request) -> None:
        """Pull (`fromImage`) or import (`fromSrc`)."""
        query = request.query
        if query.text("fromImage"):
            await self._pull(request)
        elif query.text("fromSrc") == "-":
            await self._import(request)
        elif query.text("fromSrc"):
            raise UnsupportedError(
                f"import from {query.text('fromSrc')!r} is not supported",
                hint="download the archive and import it from standard input",
            )
        else:
            raise InvalidArgumentError("fromImage or fromSrc is missing")

    async def _pull(self, request: Request) -> None:
        query = request.query
        reference = _with_tag(query.text("fromImage"), query.text("tag"))
        platform = parse_platform(query.text("platform")) if query.text("platform") else None
        credentials = from_header(request.headers.get("x-registry-auth", ""))

        async def work(sink: Messages) -> None:
            await self._engine.images.pull(
                reference, platform, credentials, lambda progress: sink(message(progress))
            )

        await stream_messages(request, work)

    async def _import(self, request: Request) -> None:
        query = request.query
        repository = query.text("repo")
        reference = _with_tag(repository, query.text("tag")) if repository else ""

        async def work(sink: Messages) -> None:
            async with upload(request) as archive:
                image = await self._engine.images.import_(
                    archive, reference, query.all("changes"), query.text("message")
                )
            sink(wire.StreamMessage(status=image.id))

        await stream_messages(request, work)

    async def load(self, request: Request) -> None:
        quiet = request.query.flag("quiet")

        async def work(sink: Messages) -> None:
            async with upload(request) as archive:
                await self._engine.images.load(
                    archive,
                    lambda progress: (
                        None if quiet and not progress.stream else sink(message(progress))
                    ),
                )

        await stream_messages(request, work, eager=True)

    async def save(self, request: Request) -> None:
        one = request.params.get("name")
        names = (one,) if one else request.query.all("names")
        for name in names:
            # An unknown name must be a plain 404, which it cannot be once the archive has begun.
            self._engine.images.get(name)
        stream = await request.stream("application/x-tar")
        async with download(stream) as out:
            await self._engine.images.save(names, out)

    async def push(self, request: Request) -> None:
        reference = _with_tag(request.params["name"], request.query.text("tag"))
        credentials = from_header(request.headers.get("x-registry-auth", ""))

        async def work(sink: Messages) -> None:
            await self._engine.images.push(
                reference, credentials, lambda progress: sink(message(progress))
            )

        await stream_messages(request, work)

    async def tag(self, request: Request) -> Response:
        repository = request.query.text("repo")
        if not repository:
            raise InvalidArgumentError("repository name must have at least one component")
        target = _with_tag(repository, request.query.text("tag"))
        self._engine.images.tag(request.params["name"], target)
        return no_content(201)

    async def remove(self, request: Request) -> Response:
        removed = await self._engine.images.remove(
            request.params["name"],
            force=request.query.flag("force"),
            no_prune=request.query.flag("noprune"),
        )
        return json_response([_deleted(item) for item in removed])

    async def prune(self, request: Request) -> Response:
        report = await self._engine.images.prune(request.query.filters())
        deleted = [wire.Deleted(deleted=name) for name in report.deleted]
        return json_response(wire.PruneResponse(deleted or None, report.reclaimed))

    async def bootstrap(self, request: Request) -> None:
        """Make a base image without a registry: our own addition to the API."""
        name = request.query.text("name")

        async def work(sink: Messages) -> None:
            image = await self._engine.images.bootstrap(
                name, lambda progress: sink(message(progress))
            )
            sink(wire.StreamMessage(status=f"Image ID: {image.id}"))

        await stream_messages(request, work)


def _deleted(item: Removed) -> wire.Deleted:
    return wire.Deleted(item.untagged, item.deleted)


def _with_tag(name: str, tag: str) -> str:
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"
