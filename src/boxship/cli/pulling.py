"""Pulling an image, with its progress shown."""

import sys

from boxship.cli.progress import Progress
from boxship.errors import BoxshipError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from boxship.cli.app import App


class StreamError(BoxshipError):
    """A failure the engine reported after its answer had begun."""

    kind = "stream"
    exit_code = 1


def pull(
    app: "App", image: str, *, platform: str = "", quiet: bool = False, to_stderr: bool = False
) -> None:
    """Pull an image.

    Raises:
        StreamError: the registry or the engine failed on the way.
    """
    name, tag = split_tag(image)
    query = {"fromImage": name, "tag": tag, "platform": platform or None}
    from boxship.cli.credentials import auth_header  # noqa: PLC0415 - only to reach a registry

    answer = app.request("POST", "/images/create", query, headers=auth_header(name))
    progress = Progress(sys.stderr if to_stderr else sys.stdout, quiet=quiet)
    for message in answer.documents():
        if message.get("error"):
            raise StreamError(str(message["error"]))
        progress.show(message)


def split_tag(image: str) -> "tuple[str, str]":
    """Repository and tag (`latest` when there is none); a digest counts as the tag."""
    name, at, digest = image.partition("@")
    if at:
        return name, digest
    head, colon, tag = image.rpartition(":")
    if colon and "/" not in tag:
        return head, tag
    return image, "latest"
