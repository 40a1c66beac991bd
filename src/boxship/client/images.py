"""Images of an engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from boxship.client.calls import Calls, Filters, encode_filters, messages
from boxship.errors import InternalError
from boxship.wire.image import Deleted, HistoryEntry, ImageInspect, ImageSummary

Progress = Callable[[dict[str, Any]], None]
_TAR = {"Content-Type": "application/x-tar"}


class Images:
    """Images, one verb a method. A name is a reference (`debian:bookworm`) or an id.

    Where work takes time, `progress` is told of it in the API's own messages (`status`, `id`,
    `progressDetail`, `stream`).
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, filters: Filters | None = None) -> Sequence[ImageSummary]:
        query = {"filters": encode_filters(filters)}
        return self._calls.ask(list[ImageSummary], "GET", "/images/json", query)

    def get(self, name: str) -> ImageInspect:
        return self._calls.ask(ImageInspect, "GET", f"/images/{name}/json")

    def history(self, name: str) -> Sequence[HistoryEntry]:
        return self._calls.ask(list[HistoryEntry], "GET", f"/images/{name}/history")

    def pull(self, name: str, *, platform: str = "", progress: Progress | None = None) -> None:
        """Fetch an image from its registry; without a tag that is `latest`."""
        whole = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        query = {"fromImage": whole, "platform": platform or None}
        _follow(self._calls.stream("POST", "/images/create", query), progress)

    def push(self, name: str, *, progress: Progress | None = None) -> None:
        """Send an image to the registry in its name."""
        headers = {"X-Registry-Auth": "e30="}
        path = f"/images/{name}/push"
        _follow(self._calls.stream("POST", path, None, None, headers), progress)

    def tag(self, name: str, target: str) -> None:
        """Give an image another name."""
        repository, colon, tag = target.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = target, ""
        self._calls.send("POST", f"/images/{name}/tag", {"repo": repository, "tag": tag})

    def remove(self, name: str, *, force: bool = False) -> Sequence[Deleted]:
        """Remove a name, and with the last one the image."""
        return self._calls.ask(list[Deleted], "DELETE", f"/images/{name}", {"force": force})

    def load(self, archive: Iterable[bytes], *, progress: Progress | None = None) -> None:
        """Take in images from an archive that `save` made, given in pieces."""
        _follow(self._calls.stream("POST", "/images/load", None, iter(archive), _TAR), progress)

    def save(self, *names: str) -> Iterator[bytes]:
        """An archive of images, in pieces."""
        return self._calls.stream("GET", "/images/get", {"names": [*names]})

    def build(
        self,
        context: Iterable[bytes],
        *,
        tag: str = "",
        dockerfile: str = "Dockerfile",
        args: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Build an image from a Dockerfile; its id.

        Args:
            context: a tar archive, in pieces.
            tag: the image's name.
            dockerfile: the Dockerfile's path in the context.
            args: values for its ARG instructions.
            progress: is told what the build says.

        Raises:
            InternalError: the build failed; the message says at which instruction.
        """
        query = {
            "t": tag or None,
            "dockerfile": dockerfile,
            "buildargs": msgspec.json.encode(args).decode() if args else None,
        }
        image_id = ""
        for message in messages(self._calls.stream("POST", "/build", query, iter(context), _TAR)):
            image_id = (message.get("aux") or {}).get("ID") or image_id
            if progress is not None:
                progress(message)
        if not image_id:
            raise InternalError("the build ended without an image")
        return image_id


def _follow(pieces: Iterable[bytes], progress: Progress | None) -> None:
    for message in messages(pieces):
        if progress is not None:
            progress(message)
