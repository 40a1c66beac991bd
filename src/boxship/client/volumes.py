"""Volumes of an engine."""

from collections.abc import Mapping, Sequence

from boxship.client.calls import Calls, Filters, encode_filters
from boxship.wire.volume import Volume, VolumeCreateRequest, VolumeList


class Volumes:
    """Volumes, one verb a method."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, filters: Filters | None = None) -> Sequence[Volume]:
        query = {"filters": encode_filters(filters)}
        return self._calls.ask(VolumeList, "GET", "/volumes", query).volumes or []

    def get(self, name: str) -> Volume:
        return self._calls.ask(Volume, "GET", f"/volumes/{name}")

    def create(self, name: str = "", *, labels: Mapping[str, str] | None = None) -> Volume:
        """Make a volume, or give the one of this name; an empty name makes an anonymous one."""
        body = VolumeCreateRequest(name, labels=dict(labels or {}))
        return self._calls.ask(Volume, "POST", "/volumes/create", body=body)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume that no container uses; `force` does not mind one that is not there."""
        self._calls.send("DELETE", f"/volumes/{name}", {"force": force})
