"""Volume documents."""

import msgspec


class VolumeCreateRequest(msgspec.Struct, rename="pascal"):
    """Body of `POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class UsageData(msgspec.Struct, rename="pascal"):
    """Disk use of a volume; -1 where it was not counted."""

    size: int
    ref_count: int


class Volume(msgspec.Struct, rename="pascal"):
    """A volume."""

    name: str
    driver: str
    mountpoint: str
    created_at: str
    labels: dict[str, str] | None
    options: dict[str, str] | None
    scope: str = "local"
    usage_data: UsageData | msgspec.UnsetType = msgspec.UNSET


class VolumeList(msgspec.Struct, rename="pascal"):
    """Answer to `GET /volumes`."""

    volumes: list[Volume]
    warnings: list[str] | None = None


class PruneResponse(msgspec.Struct, rename="pascal"):
    """Answer to `POST /volumes/prune`."""

    volumes_deleted: list[str] | None
    space_reclaimed: int
