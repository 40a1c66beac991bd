"""What a build is asked for and what it tells while it works."""

from pathlib import Path

import msgspec

from boxship.errors import InvalidArgumentError
from boxship.model.container import Resources, Ulimit
from boxship.model.registry import Credentials


class BuildRequest(msgspec.Struct, frozen=True):
    """One build.

    Attributes:
        context: build context: a directory, or a plain tar file (see `context.receive_context`);
            None when there is none (a Dockerfile by itself).
        dockerfile: path of the Dockerfile in the context.
        dockerfile_text: the Dockerfile itself, instead of a path.
        tags: references for the image.
        args: `--build-arg`; None as a value means the client had no such variable.
        target: stage to build, by name or number; empty for the last.
        pull: ask registries for newer base images.
        platform: `os/arch[/variant]`; empty for the host's.
        network_mode: of RUN: `default`, `none`, `host` or a network's name.
        extra_hosts: `name:address` lines for the hosts file of RUN.
        shm_size: bytes of /dev/shm in RUN, 0 for the default.
        secrets: content by id, for `RUN --mount=type=secret`.
        credentials: by registry host, for base images.
    """

    context: Path | None
    dockerfile: str = "Dockerfile"
    dockerfile_text: str | None = None
    tags: tuple[str, ...] = ()
    args: dict[str, str | None] = {}
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    labels: dict[str, str] = {}
    platform: str = ""
    network_mode: str = "default"
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[Ulimit, ...] = ()
    resources: Resources = Resources()
    secrets: dict[str, bytes] = {}
    credentials: dict[str, Credentials] = {}


class BuildEvent(msgspec.Struct, frozen=True):
    """Something to show, or the result.

    Attributes:
        text: output to show as it is, newline included.
        stream: `stdout` or `stderr` for output of RUN, `progress` for the builder's own words.
        image_id: the image that was built; set once, at the end.
        layer: for a base image being pulled: the layer `current` and `total` (bytes) are about.
    """

    text: str = ""
    stream: str = "progress"
    image_id: str = ""
    layer: str = ""
    current: int = 0
    total: int = 0


class CommandFailedError(InvalidArgumentError):
    """A RUN command ended with another exit code than 0.

    Attributes:
        exit_code: the exit code, 128 + n for signal n.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code
