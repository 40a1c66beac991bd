"""One repository of a registry: its manifests, its blobs, over the best endpoint that answers."""

from collections.abc import Callable
from typing import BinaryIO, Protocol, TypeVar
from urllib.parse import urlencode, urljoin

import msgspec

from boxship.errors import (
    BoxshipError,
    InvalidArgumentError,
    NotFoundError,
    UnsupportedError,
)
from boxship.model.digest import Digest, digest_of, parse_digest
from boxship.model.image import (
    MEDIA_DOCKER_LIST,
    MEDIA_DOCKER_MANIFEST,
    MEDIA_OCI_INDEX,
    MEDIA_OCI_MANIFEST,
    Descriptor,
)
from boxship.model.reference import DEFAULT_TAG, Reference
from boxship.registry.errors import (
    ResponseError,
    StoppedError,
    UnreachableError,
    VerificationError,
    pull_error,
    push_error,
)
from boxship.registry.session import Session
from boxship.registry.transport import BLOCK, Body, Response

ACCEPTED = (MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST, MEDIA_DOCKER_LIST, MEDIA_DOCKER_MANIFEST)
_MAX_MANIFEST = 4 << 20
# Asking a registry that wants to be left alone once more makes it worse.
_NO_LONGER_ASKED = (429, 500, 502, 503, 504)
_T = TypeVar("_T")


class Document(msgspec.Struct, frozen=True):
    """A manifest or index as the registry keeps it: the bytes its digest covers."""

    descriptor: Descriptor
    data: bytes


class Sink(Protocol):
    """Where a blob goes; `offset` bytes of it are there already."""

    @property
    def offset(self) -> int: ...

    def write(self, data: memoryview) -> object: ...


class Source(msgspec.Struct, frozen=True):
    """A blob to upload: `open` makes a fresh stream; `size` is None when it is not known yet.

    `digest` is asked after the stream was read to its end.
    """

    open: Callable[[], BinaryIO]
    size: int | None
    digest: Callable[[], Digest]


class Repository:
    """Manifests and blobs of one repository. Blocking; several threads may use it at once."""

    def __init__(self, ref: Reference, sessions: tuple[Session, ...]) -> None:
        self._ref = ref
        self._base = f"/v2/{ref.path}"
        self._sessions = sessions

    def resolve(self, ref: Reference) -> Document | Descriptor:
        """What the tag or digest of the reference points to now.

        A HEAD request does, which registries do not count as a pull; the document itself comes
        along when the registry leaves the digest out.

        Raises:
            NotFoundError: no such repository or tag, in Docker's words.
            UnauthorizedError: it wants other credentials.
            UnavailableError: it does not answer, or not as the specification says.
        """

        def head(session: Session) -> Descriptor | None:
            target = self._manifest_target(ref)
            headers = {"Accept": ", ".join(ACCEPTED)}
            try:
                response = session.send("HEAD", target, headers)
            except ResponseError as error:
                if error.status in _NO_LONGER_ASKED:
                    raise
                # The answer to HEAD has no body, so no reason: let GET fail with one.
                return None
            response.close()
            return _described(response, ref)

        found = self._first(head, self._pull_error)
        return found if found is not None else self.manifest(ref)

    def manifest(self, ref: Reference) -> Document:
        """Fetch a manifest or index by the tag or digest of the reference, and verify it.

        Raises: as resolve(), and
            VerificationError: the registry sent other bytes than the digest names.
        """

        def get(session: Session) -> Document:
            target = self._manifest_target(ref)
            response = session.send("GET", target, {"Accept": ", ".join(ACCEPTED)})
            data = response.read(_MAX_MANIFEST)
            return _document(response, data, ref)

        return self._first(get, self._pull_error)

    def fetch(self, blob: Descriptor, sink: Sink) -> None:
        """Write a blob to the sink from its offset on, resuming when the connection breaks.

        The caller verifies the digest: only the sink has seen all bytes.

        Raises:
            NotFoundError: the registry does not have it.
            VerificationError: it has more bytes than the descriptor says.
            UnavailableError: the registry does not answer, or stopped sending.
        """
        stalled = 0
        while sink.offset < blob.size:
            before = sink.offset
            try:
                self._copy(blob, sink)
            except UnreachableError as error:
                stalled = stalled + 1 if sink.offset == before else 0
                if not error.passing or stalled > 1:
                    raise
                continue
            if sink.offset == before:
                raise VerificationError(
                    f"blob {blob.digest}: registry sent {sink.offset} bytes, want {blob.size}"
                )

    def has(self, digest: Digest) -> bool:
        """Whether the repository holds a blob."""

        def head(session: Session) -> bool:
            try:
                session.send("HEAD", f"{self._base}/blobs/{digest}").close()
            except ResponseError as error:
                if error.status == 404:
                    return False
                raise
            return True

        return self._first(head, push_error)

    def mount(self, digest: Digest, other: str) -> str:
        """Take a blob over from another repository of the same registry.

        Returns:
            An empty string when that worked, else the URL of an upload that was opened instead.
        """
        query = urlencode({"mount": digest, "from": other})
        return self._begin(f"{self._base}/blobs/uploads/?{query}")

    def upload(self, source: Source, location: str = "") -> None:
        """Send a blob; `location` is the URL of an upload that is open already.

        One PUT when the size is known (distribution specification, "POST then PUT"), else one
        chunked PATCH and a PUT that closes it.

        Raises:
            ForbiddenError: the registry denies it.
            UnavailableError: the registry does not answer or refuses the blob.
        """
        location = location or self._begin(f"{self._base}/blobs/uploads/")
        headers = {"Content-Type": "application/octet-stream"}
        body: Body | bytes = Body(source.open, source.size)
        if source.size is None:
            answer = self._change(_Change("PATCH", location, headers, body, (202, 204)))
            location = answer.location or location
            body = b""
        joint = "&" if "?" in location else "?"
        target = f"{location}{joint}{urlencode({'digest': source.digest()})}"
        self._change(_Change("PUT", target, headers, body, (201, 204)))

    def put_manifest(self, ref: Reference, media_type: str, data: bytes) -> Digest:
        """Store a manifest under the tag or digest of the reference.

        Raises: as upload().
        """
        headers = {"Content-Type": media_type}
        self._change(_Change("PUT", self._manifest_target(ref), headers, data, (200, 201, 202)))
        return digest_of(data)

    def _manifest_target(self, ref: Reference) -> str:
        return f"{self._base}/manifests/{ref.digest or ref.tag or DEFAULT_TAG}"

    def _begin(self, target: str) -> str:
        answer = self._change(_Change("POST", target, {}, b"", (201, 202)))
        if answer.status == 201:
            return ""
        if not answer.location:
            raise UnreachableError(f"registry {self._ref.domain} opened an upload without a URL")
        return answer.location

    def _change(self, change: "_Change") -> "_Answer":
        def run(session: Session) -> _Answer:
            response = session.send(
                change.method, change.target, change.headers, change.body, change.ok
            )
            response.read()
            location = response.header("Location")
            if location:
                base = session.endpoint.url + change.target
                here = base if change.target.startswith("/") else change.target
                location = urljoin(here, location)
            return _Answer(response.status, location)

        return self._first(run, push_error)

    def _copy(self, blob: Descriptor, sink: Sink) -> None:
        def copy(session: Session) -> None:
            offset = sink.offset
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            target = f"{self._base}/blobs/{blob.digest}"
            response = session.send("GET", target, headers, ok=(200, 206))
            try:
                # A registry that ignores Range sends everything again.
                _drain(response, blob, sink, offset if response.status == 200 else 0, session)
            finally:
                response.close()

        self._first(copy, self._blob_error)

    def _pull_error(self, error: ResponseError) -> BoxshipError:
        return pull_error(error, self._ref)

    def _blob_error(self, error: ResponseError) -> BoxshipError:
        return NotFoundError(error.message) if error.status == 404 else self._pull_error(error)

    def _first(
        self,
        operation: Callable[[Session], _T],
        translate: Callable[[ResponseError], BoxshipError],
    ) -> _T:
        """Try the endpoints in order and settle on the first that holds a conversation."""
        while True:
            session = self._sessions[0]
            try:
                result = operation(session)
            except StoppedError:
                raise
            except UnreachableError:
                if not self._drop(session):
                    raise
            except BoxshipError as error:
                # A mirror may lack, refuse or garble what the registry itself has.
                if session.endpoint.mirror and self._drop(session):
                    continue
                if isinstance(error, ResponseError):
                    raise translate(error) from error
                raise
            else:
                if not session.endpoint.mirror:
                    self._sessions = (session,)
                return result

    def _drop(self, session: Session) -> bool:
        """Give an endpoint up; False when there is no other left."""
        rest = tuple(other for other in self._sessions if other is not session)
        if not rest:
            return False
        self._sessions = rest
        return True


class _Change(msgspec.Struct, frozen=True):
    """A request that changes something, and the statuses that mean it worked."""

    method: str
    target: str
    headers: dict[str, str]
    body: Body | bytes | None
    ok: tuple[int, ...]


class _Answer(msgspec.Struct, frozen=True):
    status: int
    location: str


def _described(response: Response, ref: Reference) -> Descriptor | None:
    digest = response.header("Docker-Content-Digest")
    media_type = response.header("Content-Type").partition(";")[0].strip()
    length = response.header("Content-Length")
    if not digest or media_type not in ACCEPTED or not length.isdecimal():
        return None
    try:
        found = parse_digest(digest)
    except InvalidArgumentError:
        return None
    _check_digest(ref, found)
    return Descriptor(media_type, found, int(length))


def _document(response: Response, data: bytes, ref: Reference) -> Document:
    digest = digest_of(data)
    _check_digest(ref, digest)
    promised = response.header("Docker-Content-Digest")
    if promised.startswith("sha256:") and promised != digest:
        raise VerificationError(
            f"manifest {ref.familiar()}: registry sent content with digest {digest},"
            f" want {promised}"
        )
    media_type = response.header("Content-Type").partition(";")[0].strip()
    return Document(Descriptor(_media_type(media_type, data, ref), digest, len(data)), data)


def _check_digest(ref: Reference, got: Digest) -> None:
    if ref.digest is not None and ref.digest != got:
        raise VerificationError(
            f"manifest {ref.familiar()}: registry sent content with digest {got}, want {ref.digest}"
        )


class _Typed(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""
    schema_version: int = 0


def _media_type(header: str, data: bytes, ref: Reference) -> str:
    try:
        typed = msgspec.json.decode(data, type=_Typed)
    except (msgspec.DecodeError, RecursionError) as error:
        raise VerificationError(
            f"manifest {ref.familiar()} is no JSON document: {error}"
        ) from error
    if typed.schema_version == 1:
        raise UnsupportedError(
            f"manifest {ref.familiar()} has the obsolete schema version 1",
            hint="push the image again with a current engine",
        )
    media_type = header if header in ACCEPTED else typed.media_type
    if media_type not in ACCEPTED:
        raise UnsupportedError(
            f"manifest {ref.familiar()} has unknown media type {media_type or header!r}"
        )
    return media_type


def _drain(response: Response, blob: Descriptor, sink: Sink, skip: int, session: Session) -> None:
    buffer = memoryview(bytearray(BLOCK))
    while count := response.readinto(buffer):
        if session.stop.is_set():
            raise StoppedError
        chunk = buffer[:count]
        if skip:
            dropped = min(skip, count)
            skip -= dropped
            chunk = chunk[dropped:]
        if sink.offset + len(chunk) > blob.size:
            raise VerificationError(
                f"blob {blob.digest}: registry sent more than the {blob.size} bytes announced"
            )
        if chunk:
            sink.write(chunk)
    if session.stop.is_set():
        # What looked like the end was the cut connection.
        raise StoppedError
