"""OCI image documents: descriptor, manifest, index, config (OCI image spec 1.1)."""

import msgspec

from boxship.model.digest import Digest
from boxship.model.platform import Platform

MEDIA_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
MEDIA_OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MEDIA_OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
MEDIA_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MEDIA_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MEDIA_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
MEDIA_DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
MEDIA_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class PlatformDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `platform` object of an index entry."""

    architecture: str
    os: str
    os_version: str | None = msgspec.field(default=None, name="os.version")
    variant: str | None = None

    def value(self) -> Platform:
        return Platform(self.os, self.architecture, self.variant)


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A pointer to content: what it is, its digest and its size in bytes (OCI descriptor.md)."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: PlatformDocument | None = None
    artifact_type: str | None = None


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One platform's image: its config and its layers from the base up (OCI manifest.md)."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Manifests by platform (OCI image-index.md)."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str | None = None
    annotations: dict[str, str] = {}


class HealthcheckDocument(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """Docker's `Healthcheck` extension of the image config; times in nanoseconds."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ImageRunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The `config` object of an image: defaults for its containers (OCI config.md)."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] = {}
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: HealthcheckDocument | None = None
    on_build: tuple[str, ...] = ()
    shell: tuple[str, ...] | None = None


class RootFs(msgspec.Struct, frozen=True):
    """Digests of the uncompressed layers, from the base up."""

    type: str
    diff_ids: tuple[Digest, ...]


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a layer came about."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The image config document; its digest is what Docker calls the image ID (OCI config.md)."""

    architecture: str
    os: str
    rootfs: RootFs
    created: str | None = None
    author: str | None = None
    variant: str | None = None
    os_version: str | None = msgspec.field(default=None, name="os.version")
    config: ImageRunConfig = ImageRunConfig()
    history: tuple[History, ...] = ()

    @property
    def platform(self) -> Platform:
        return Platform(self.os, self.architecture, self.variant)


class Image(msgspec.Struct, frozen=True):
    """An image in the local store.

    Attributes:
        id: digest of the config document (Docker's image ID).
        target: descriptor of the manifest.
        manifest: the manifest itself.
        config: the config document.
        tags: familiar references that name it (`debian:bookworm`), sorted.
        repo_digests: familiar `name@digest` forms it was pulled or pushed under.
        size: bytes of its layers, unpacked.
        last_tagged: nanoseconds since the epoch, 0 if never.
    """

    id: Digest
    target: Descriptor
    manifest: Manifest
    config: ImageConfig
    tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    size: int = 0
    last_tagged: int = 0
    parent: str = ""
