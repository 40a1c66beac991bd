"""Which images there are and what they are called.

Two tables of records: `images` by id, and `tags` from a full reference (`docker.io/library/a:b`,
`docker.io/library/a@sha256:...`) to an image. Both are read once and kept in memory; every
change is written first. The documents themselves are blobs of the content store.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from boxship import log
from boxship.errors import BoxshipError, InvalidArgumentError, NotFoundError
from boxship.image.documents import chain_ids, decode_config, decode_manifest
from boxship.model.digest import Digest, parse_digest
from boxship.model.image import Descriptor, Image
from boxship.model.reference import Reference, parse_reference
from boxship.storage.content.store import ContentStore
from boxship.storage.records.database import Database
from boxship.storage.records.records import Records

_HEX_ID = re.compile(r"[0-9a-f]{64}")
_HEX_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about an image besides its documents.

    Attributes:
        target: descriptor of its manifest.
        layer_sizes: bytes of each layer, unpacked, from the base up.
        added: when it came into the store, nanoseconds since the epoch.
        parent: id of the image it was built from here, or empty.
    """

    target: Descriptor
    layer_sizes: tuple[int, ...] = ()
    added: int = 0
    parent: str = ""


class NameRecord(msgspec.Struct, frozen=True):
    """What a reference points to, and since when (nanoseconds since the epoch)."""

    image: Digest
    at: int


class _Name(NamedTuple):
    """A name in memory: parsed once, because listing images reads all of them."""

    ref: Reference
    familiar: str
    record: NameRecord


class ImageStore:
    """Images by id, and names for them. Safe to use from any thread."""

    def __init__(
        self, content: ContentStore, database: Database, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._content = content
        self._database = database
        self._clock = clock
        self._image_records = Records(database, "images")
        self._name_records = Records(database, "tags")
        self._lock = threading.RLock()
        self._images: dict[Digest, Image] = {}
        self._records: dict[Digest, ImageRecord] = {}
        self._names: dict[str, _Name] = {}
        self._load()

    def all(self) -> list[Image]:
        """All images, newest first."""
        with self._lock:
            names = self._grouped()
            found = [self._with_names(one, names.get(one, ())) for one in self._images]
        return sorted(found, key=lambda image: image.config.created or "", reverse=True)

    def find(self, image_id: Digest) -> Image | None:
        with self._lock:
            return self._named(image_id) if image_id in self._images else None

    def find_reference(self, ref: Reference) -> Image | None:
        """The image a reference names; a digest counts more than a tag beside it."""
        with self._lock:
            name = self._names.get(_key(ref))
            return None if name is None else self.find(name.record.image)

    def resolve(self, text: str) -> Image:
        """Find an image as Docker does: by id, by name, then by the beginning of an id.

        Raises:
            NotFoundError: `No such image: NAME`.
            InvalidArgumentError: no such name can be, or several ids begin so.
        """
        if _HEX_ID.fullmatch(text.removeprefix("sha256:")):
            image = self.find(Digest("sha256:" + text.removeprefix("sha256:")))
            if image is not None:
                return image
            raise NotFoundError(f"No such image: {text}")
        named = self._resolve_name(text)
        if named is not None:
            return named
        prefix = _HEX_PREFIX.fullmatch(text)
        found = self._by_prefix(prefix.group(1)) if prefix else []
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidArgumentError(
                f"multiple IDs found with provided prefix: {text}", hint="give more digits"
            )
        raise NotFoundError(f"No such image: {_shown(text)}")

    def is_id(self, text: str, image: Image) -> bool:
        """Whether the text found this image by its id and not by a name."""
        return image.id.removeprefix("sha256:").startswith(
            text.removeprefix("sha256:")
        ) and not self._resolve_name(text)

    def record(self, image_id: Digest) -> ImageRecord:
        """Facts beside the documents.

        Raises:
            NotFoundError: there is no such image.
        """
        with self._lock:
            try:
                return self._records[image_id]
            except KeyError as absent:
                raise NotFoundError(f"No such image: {image_id}") from absent

    def add(self, image_id: Digest, record: ImageRecord, refs: Iterable[Reference] = ()) -> Image:
        """Enter an image whose blobs are all there, under these names as well.

        A known image keeps its names; its manifest becomes the given one.
        """
        with self._lock:
            record = msgspec.structs.replace(record, added=self._clock())
            image = self._documents(image_id, record)
            with self._database.transaction():
                self._image_records.put(image_id, None, msgspec.json.encode(record))
                for ref in refs:
                    self._write_name(ref, image_id)
            self._images[image_id], self._records[image_id] = image, record
            return self._named(image_id)

    def layer_sizes(self) -> dict[str, int]:
        """Bytes of every layer of every image, unpacked, by chain id."""
        sizes: dict[str, int] = {}
        with self._lock:
            for image_id, record in self._records.items():
                chains = chain_ids(self._images[image_id].config)
                sizes.update(zip(chains, record.layer_sizes, strict=False))
        return sizes

    def tag(self, image_id: Digest, ref: Reference) -> Digest | None:
        """Make a reference name this image; returns the image it named before."""
        with self._lock:
            if image_id not in self._images:
                raise NotFoundError(f"No such image: {image_id}")
            before = self._names.get(_key(ref))
            self._write_name(ref, image_id)
            return before.record.image if before else None

    def untag(self, ref: Reference) -> bool:
        """Forget a name; tell whether it was there."""
        with self._lock:
            self._name_records.delete(_key(ref))
            return self._names.pop(_key(ref), None) is not None

    def references(self, image_id: Digest) -> list[Reference]:
        """All names of an image, tags and digests, sorted."""
        with self._lock:
            names = list(self._names.values())
        refs = [name.ref for name in names if name.record.image == image_id]
        return sorted(refs, key=str)

    def tags_of(self, ref: Reference) -> list[Reference]:
        """The tagged references of one repository, sorted."""
        with self._lock:
            refs = [name.ref for name in self._names.values()]
        return sorted((one for one in refs if one.name == ref.name and one.tag), key=str)

    def delete(self, image_id: Digest) -> list[Reference]:
        """Forget an image and its names; returns the names."""
        with self._lock:
            refs = self.references(image_id)
            with self._database.transaction():
                for ref in refs:
                    self._name_records.delete(_key(ref))
                self._image_records.delete(image_id)
            for ref in refs:
                self._names.pop(_key(ref), None)
            self._images.pop(image_id, None)
            self._records.pop(image_id, None)
            return refs

    def _write_name(self, ref: Reference, image_id: Digest) -> None:
        record = NameRecord(image_id, self._clock())
        self._name_records.put(_key(ref), None, msgspec.json.encode(record))
        self._remember(_key(ref), record)

    def _remember(self, key: str, record: NameRecord) -> None:
        ref = parse_reference(key)
        self._names[key] = _Name(ref, ref.familiar(), record)

    def _resolve_name(self, text: str) -> Image | None:
        try:
            ref = parse_reference(text).with_default_tag()
        except InvalidArgumentError:
            if _HEX_PREFIX.fullmatch(text):
                return None
            raise
        return self.find_reference(ref)

    def _by_prefix(self, prefix: str) -> list[Image]:
        with self._lock:
            ids = [one for one in self._images if one.startswith(f"sha256:{prefix}")]
            return [self._named(one) for one in ids]

    def _named(self, image_id: Digest) -> Image:
        return self._with_names(image_id, self._grouped().get(image_id, ()))

    def _grouped(self) -> dict[Digest, list[_Name]]:
        groups: dict[Digest, list[_Name]] = {}
        for name in self._names.values():
            groups.setdefault(name.record.image, []).append(name)
        return groups

    def _with_names(self, image_id: Digest, names: Iterable[_Name]) -> Image:
        tags = [name for name in names if name.ref.digest is None]
        digests = [name.familiar for name in names if name.ref.digest is not None]
        return msgspec.structs.replace(
            self._images[image_id],
            tags=tuple(sorted(name.familiar for name in tags)),
            repo_digests=tuple(sorted(digests)),
            last_tagged=max((name.record.at for name in tags), default=0),
        )

    def _documents(self, image_id: Digest, record: ImageRecord) -> Image:
        manifest = decode_manifest(self._content.read(record.target.digest), image_id)
        config = decode_config(self._content.read(image_id), image_id)
        return Image(
            id=image_id,
            target=record.target,
            manifest=manifest,
            config=config,
            size=sum(record.layer_sizes),
            parent=record.parent,
        )

    def _load(self) -> None:
        for row in self._image_records:
            try:
                image_id = parse_digest(row.id)
                record = msgspec.json.decode(row.body, type=ImageRecord)
                self._images[image_id] = self._documents(image_id, record)
                self._records[image_id] = record
            except (BoxshipError, msgspec.MsgspecError) as damaged:
                log.warn(f"image {row.id} is left out: {damaged}")
        for row in self._name_records:
            try:
                name = msgspec.json.decode(row.body, type=NameRecord)
            except msgspec.MsgspecError as damaged:
                log.warn(f"image name {row.id} is left out: {damaged}")
                continue
            if name.image in self._images:
                self._remember(row.id, name)


def _key(ref: Reference) -> str:
    if ref.digest is not None:
        return f"{ref.name}@{ref.digest}"
    return str(ref.with_default_tag())


def _shown(text: str) -> str:
    """The name as Docker repeats it: with the tag it looked for."""
    try:
        return parse_reference(text).with_default_tag().familiar()
    except InvalidArgumentError:
        return text
