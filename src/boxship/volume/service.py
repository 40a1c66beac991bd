"""The volume service: named directories, by the local driver.

A volume is `NAME/_data` below the root, as with Docker; its owner ids are those that the container
sees, since containers with a user namespace get it by an id-mapped mount.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from boxship.errors import ConflictError, InvalidArgumentError, NotFoundError
from boxship.log import warn
from boxship.model.volume import Volume
from boxship.storage.records.database import Database
from boxship.storage.records.records import Record, Records
from boxship.storage.snapshots.usage import tree_usage
from boxship.storage.trees import Trash
from boxship.volume.copying import populate
from boxship.volume.options import LocalOptions, parse_options
from boxship.volume.tmpfs import mount_tmpfs, unmount_tmpfs

_DATA = "_data"
_TRASH = ".trash"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_ANONYMOUS_LABEL = "com.docker.volume.anonymous"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Volume).decode
_Volumes = list[Volume]


class VolumeService:
    """Volumes of one daemon.

    The record is written after the directory is made and deleted before it goes, so a volume that
    is listed has its directory whenever the daemon dies.

    Args:
        database: where volumes are recorded.
        root: directory of the volumes.
        clock: nanoseconds since the epoch.
    """

    def __init__(
        self, database: Database, root: Path, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._records = Records(database, "volumes")
        self._root = root
        self._clock = clock
        root.mkdir(parents=True, exist_ok=True)
        # As for snapshots: what a container makes set-user-id must not be at hand.
        root.chmod(0o700)
        self._trash = Trash(root / _TRASH)
        self._users: dict[str, set[str]] = {}

    def start(self) -> None:
        """Finish what an earlier daemon left: trees on their way out, unused tmpfs mounts."""
        self._trash.empty()

    def close(self) -> None:
        """Wait until removed volumes are deleted."""
        self._trash.close()

    def create(
        self,
        name: str = "",
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or find the one of this name; without a name an anonymous one.

        Raises:
            InvalidArgumentError: the name or an option is malformed.
            NotFoundError: there is no such driver.
            UnsupportedError: a file system that is not supported.
        """
        anonymous = not name
        name = name or os.urandom(32).hex()
        _check_name(name)
        if driver not in ("", "local"):
            raise NotFoundError(
                f"create {name}: error looking up volume plugin {driver}: "
                f'plugin "{driver}" not found',
                hint="use the local driver",
            )
        found = self._find(name)
        if found is not None:
            return found
        parse_options(dict(options or {}))
        volume = Volume(
            name=name,
            driver="local",
            mountpoint=str(self._data(name)),
            created=self._clock(),
            labels=_labels(labels, anonymous=anonymous),
            options=dict(options or {}),
            anonymous=anonymous,
        )
        self._data(name).mkdir(parents=True, exist_ok=True, mode=0o755)
        self._records.insert(name, name, _encode(volume))
        return volume

    def get(self, name: str) -> Volume:
        """A volume by its name.

        Raises:
            NotFoundError: there is none.
        """
        found = self._find(name)
        if found is None:
            raise NotFoundError(
                f"get {name}: no such volume", hint="`boxship volume ls` lists them"
            )
        return found

    def list(self) -> _Volumes:
        """All volumes, by name."""
        read = (_read(record) for record in self._records.list())
        return [volume for volume in read if volume is not None]

    def remove(self, name: str, users: Sequence[str] = (), *, force: bool = False) -> Volume | None:
        """Remove a volume and what is in it; the directory is deleted in the background.

        Args:
            name: of the volume.
            users: ids of containers that refer to it, stopped ones included.
            force: a volume that does not exist is no error.

        Raises:
            NotFoundError: there is none.
            ConflictError: containers use it.
        """
        if force and self._find(name) is None:
            return None
        volume = self.get(name)
        used_by = sorted({*users, *self._users.get(name, ())})
        if used_by:
            raise ConflictError(
                f"remove {name}: volume is in use - [{', '.join(used_by)}]",
                hint="remove these containers first",
            )
        self._unmount(volume)
        self._records.delete(name)
        self._trash.put(self._root / name)
        return volume

    def prune(
        self,
        used: Iterable[str],
        matches: Callable[[Volume], bool] = lambda volume: volume.anonymous,
    ) -> tuple[_Volumes, int]:
        """Remove volumes that no container refers to; by default anonymous ones.

        Returns:
            what was removed, and how many bytes it held.
        """
        keep = {*used, *(name for name, users in self._users.items() if users)}
        doomed = [each for each in self.list() if each.name not in keep and matches(each)]
        space = 0
        for volume in doomed:
            space += self.size(volume)
            self.remove(volume.name)
        return doomed, space

    def size(self, volume: Volume) -> int:
        """Bytes on disk of the volume's own directory; what it binds is not counted."""
        if parse_options(volume.options).kind != "directory":
            return 0
        return tree_usage(Path(volume.mountpoint)).size

    def acquire(self, name: str, container_id: str) -> Path:
        """Make a volume ready for a container that starts; the directory to mount.

        Raises:
            NotFoundError: there is no such volume, or the directory that it binds is missing.
            KernelError: its tmpfs cannot be mounted.
        """
        volume = self.get(name)
        local = parse_options(volume.options)
        source = self._source(volume, local)
        if local.kind == "tmpfs":
            mount_tmpfs(source, local.options)
        self._users.setdefault(name, set()).add(container_id)
        return source

    def release(self, name: str, container_id: str) -> None:
        """A container that acquired the volume has ended; the last one takes a tmpfs along."""
        users = self._users.get(name, set())
        users.discard(container_id)
        volume = self._find(name)
        if not users:
            self._users.pop(name, None)
            if volume is not None:
                self._unmount(volume)

    async def populate(self, name: str, layers: Sequence[Path], path: str) -> bool:
        """Fill an empty volume with what an image has at a path, with owners, modes and times.

        Does nothing when the volume holds something or the image has no such directory. A copy
        that was cut off is begun again.

        Args:
            name: of the volume.
            layers: directories of the image's layers, the top one first.
            path: in the image; its symbolic links stay inside it.

        Returns:
            whether something was copied.

        Raises:
            NotFoundError: there is no such volume.
            OSError: reading or writing failed.
        """
        volume = self.get(name)
        local = parse_options(volume.options)
        target = self._source(volume, local)
        return await asyncio.to_thread(populate, self._root / name, target, tuple(layers), path)

    def _source(self, volume: Volume, local: LocalOptions) -> Path:
        if local.kind != "bind":
            return Path(volume.mountpoint)
        if not Path(local.device).is_dir():
            raise NotFoundError(
                f"failed to mount local volume: mount {local.device}:{volume.mountpoint}: "
                "no such file or directory",
                hint=f"make directory {local.device}",
            )
        return Path(local.device)

    @staticmethod
    def _unmount(volume: Volume) -> None:
        if parse_options(volume.options).kind == "tmpfs":
            unmount_tmpfs(Path(volume.mountpoint))

    def _find(self, name: str) -> Volume | None:
        record = self._records.find(name)
        return _read(record) if record else None

    def _data(self, name: str) -> Path:
        return self._root / name / _DATA


def is_anonymous_name(name: str) -> bool:
    return _ANONYMOUS.fullmatch(name) is not None


def _labels(labels: Mapping[str, str] | None, *, anonymous: bool) -> dict[str, str]:
    return {**(labels or {}), **({_ANONYMOUS_LABEL: ""} if anonymous else {})}


def _check_name(name: str) -> None:
    if len(name) == 1:
        raise InvalidArgumentError(
            "volume name is too short, names should be at least two alphanumeric characters"
        )
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )
    if len(name) > 255:
        raise InvalidArgumentError(f"create {name}: a volume name has at most 255 characters")


def _read(record: Record) -> Volume | None:
    """What a record says; None when it is damaged, which costs this volume only."""
    try:
        return _decode(record.body)
    except msgspec.MsgspecError as damaged:
        warn(f"volume {record.id}: its record is damaged, its files are left alone: {damaged}")
        return None
