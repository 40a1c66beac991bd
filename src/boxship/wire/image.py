"""Image documents."""

import msgspec
from msgspec import field

from boxship.wire.container import Config, GraphDriver


class RootFs(msgspec.Struct, rename="pascal"):
    """`RootFS` of an image."""

    type: str
    layers: list[str]


class ImageInspect(msgspec.Struct, rename="pascal"):
    """Answer to `GET /images/{name}/json`."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: str
    architecture: str
    os: str
    size: int
    config: Config
    root_fs: RootFs = field(name="RootFS")
    graph_driver: GraphDriver
    metadata: dict[str, str]
    parent: str = ""
    comment: str = ""
    docker_version: str = ""
    author: str = ""
    variant: str | msgspec.UnsetType = msgspec.UNSET
    container: str = ""
    container_config: Config | None = None
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET


class ImageSummary(msgspec.Struct, rename="pascal"):
    """One of the answer to `GET /images/json`; `Created` in seconds."""

    id: str
    parent_id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    shared_size: int
    labels: dict[str, str] | None
    containers: int
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET


class HistoryEntry(msgspec.Struct, rename="pascal"):
    """One layer's story; `Created` in seconds."""

    id: str
    created: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str


class Deleted(msgspec.Struct, rename="pascal", omit_defaults=True):
    """What a removal did: one of the two is set."""

    untagged: str = ""
    deleted: str = ""


class PruneResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /images/prune`."""

    images_deleted: list[Deleted] | None
    space_reclaimed: int


class ProgressDetail(msgspec.Struct, omit_defaults=True):
    """Bytes done and in all."""

    current: int = 0
    total: int = 0


class ErrorDetail(msgspec.Struct, omit_defaults=True):
    """What went wrong in a stream of messages."""

    message: str
    code: int = 0


class StreamMessage(msgspec.Struct, rename="camel", omit_defaults=True):
    """One record of a pull, push, load or build stream."""

    stream: str = ""
    status: str = ""
    id: str = ""
    progress_detail: ProgressDetail | msgspec.UnsetType = msgspec.UNSET
    progress: str = ""
    error_detail: ErrorDetail | None = None
    error: str = ""
    aux: dict[str, str | int] | None = None


class AuthRequest(msgspec.Struct):
    """Credentials, as `POST /auth` and `X-Registry-Auth` carry them."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""
    auth: str = ""
    email: str = ""


class AuthResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /auth`."""

    status: str
    identity_token: str = ""
