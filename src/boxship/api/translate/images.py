"""Images as the wire shows them."""

from boxship.api.translate.times import ZERO, seconds_of
from boxship.api.versions import Version
from boxship.engine.values import ImageUse
from boxship.image.describe import HistoryEntry
from boxship.model.image import Image, ImageRunConfig
from boxship.wire import container as container_wire
from boxship.wire import image as wire

_LAST_VIRTUAL_SIZE: Version = (1, 43)


def inspect(image: Image, version: Version) -> wire.ImageInspect:
    """Answer to `GET /images/{name}/json`."""
    document = wire.ImageInspect(
        id=image.id,
        repo_tags=list(image.tags),
        repo_digests=list(image.repo_digests),
        created=image.config.created or ZERO,
        architecture=image.config.architecture,
        os=image.config.os,
        size=image.size,
        config=_config(image.config.config),
        root_fs=wire.RootFs("layers", list(image.config.rootfs.diff_ids)),
        graph_driver=container_wire.GraphDriver("overlay2", {}),
        metadata={"LastTagTime": ZERO},
        parent=image.parent,
        comment=image.config.history[-1].comment or "" if image.config.history else "",
        author=image.config.author or "",
    )
    if image.config.variant:
        document.variant = image.config.variant
    if version <= _LAST_VIRTUAL_SIZE:
        document.virtual_size = image.size
    return document


def summary(use: ImageUse, version: Version) -> wire.ImageSummary:
    """One of the answer to `GET /images/json`."""
    image = use.image
    tags, digests = list(image.tags), list(image.repo_digests)
    if version < (1, 43):
        # Clients before 1.43 cannot read an empty list.
        tags = tags or ["<none>:<none>"]
        digests = digests or ["<none>@<none>"]
    document = wire.ImageSummary(
        id=image.id,
        parent_id=image.parent,
        repo_tags=tags,
        repo_digests=digests,
        created=seconds_of(image.config.created),
        size=image.size,
        shared_size=-1,
        labels=image.config.config.labels or None,
        containers=use.containers,
    )
    if version <= _LAST_VIRTUAL_SIZE:
        document.virtual_size = image.size
    return document


def _config(value: ImageRunConfig) -> container_wire.Config:
    healthcheck = value.healthcheck
    return container_wire.Config(
        user=value.user,
        exposed_ports={port: {} for port in value.exposed_ports} or None,
        env=list(value.env),
        cmd=None if value.cmd is None else list(value.cmd),
        healthcheck=None
        if healthcheck is None
        else container_wire.Healthcheck(
            list(healthcheck.test),
            healthcheck.interval,
            healthcheck.timeout,
            healthcheck.start_period,
            healthcheck.start_interval,
            healthcheck.retries,
        ),
        args_escaped=value.args_escaped or None,
        volumes={path: {} for path in value.volumes} or None,
        working_dir=value.working_dir,
        entrypoint=None if value.entrypoint is None else list(value.entrypoint),
        on_build=list(value.on_build) or None,
        labels=value.labels or None,
        stop_signal=value.stop_signal or None,
        shell=None if value.shell is None else list(value.shell),
    )


def history(entry: HistoryEntry) -> wire.HistoryEntry:
    """One of the answer to `GET /images/{name}/history`."""
    step = entry.history
    return wire.HistoryEntry(
        id=entry.id or "<missing>",
        created=seconds_of(step.created),
        created_by=step.created_by or "",
        tags=list(entry.tags) or None,
        size=entry.size,
        comment=step.comment or "",
    )
