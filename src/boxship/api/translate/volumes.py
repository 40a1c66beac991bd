"""Volumes as the wire shows them."""

from boxship.api.translate.times import rfc3339
from boxship.engine.values import VolumeUse
from boxship.model.volume import Volume
from boxship.wire import volume as wire


def document(volume: Volume) -> wire.Volume:
    return wire.Volume(
        name=volume.name,
        driver=volume.driver,
        mountpoint=volume.mountpoint,
        created_at=rfc3339(volume.created - volume.created % 1_000_000_000),
        labels=volume.labels or None,
        options=volume.options or None,
    )


def with_usage(use: VolumeUse) -> wire.Volume:
    """A volume in `system df`."""
    result = document(use.volume)
    result.usage_data = wire.UsageData(use.size, use.references)
    return result
