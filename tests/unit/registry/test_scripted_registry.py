"""What the client does when a registry asks, moves, stumbles or lies."""

import base64
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from boxship.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedError,
)
from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_MANIFEST, Descriptor
from boxship.model.reference import Reference, parse_reference
from boxship.model.registry import Credentials
from boxship.registry.client import RegistryClient
from boxship.registry.errors import StoppedError, VerificationError
from boxship.registry.repository import Source
from boxship.registry.settings import RegistrySettings
from boxship.registry.stop import Stop

Start = Callable[[Callable[[Any], Any]], Any]
ANONYMOUS = Credentials()
IDENTITY = Credentials("", "", "ID")
BEARER = Credentials("me", "pw", "", "T")
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_OCI_MANIFEST}).encode()
DIGEST = digest_of(MANIFEST)
BLOB = bytes(range(256)) * 2000
LAYER = Descriptor("application/octet-stream", digest_of(BLOB), len(BLOB))


class Memory:
    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def offset(self) -> int:
        return len(self.data)

    def write(self, data: memoryview) -> None:
        self.data += data


def document(body: bytes = MANIFEST, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": MEDIA_OCI_MANIFEST, **headers}, body


def refusal(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json"}, body


def tls_refused(request: Any) -> tuple[int, dict[str, str], bytes]:
    return 400, {}, b""


def test_bearer_token_is_fetched_once_and_sent(scripted: Start, client: RegistryClient) -> None:
    asked: list[dict[str, list[str]]] = []

    def tokens(request: Any) -> Any:
        asked.append(parse_qs(urlsplit(request.path).query))
        assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"me:pw").decode()
        return 200, {}, b'{"token": "T1", "expires_in": 300}'

    realm = scripted(tokens)

    def registry(request: Any) -> Any:
        if request.headers["Authorization"] != "Bearer T1":
            challenge = f'Bearer realm="http://{realm.host}/t",service="reg",scope="x"'
            return 401, {"WWW-Authenticate": challenge}, b""
        return document()

    ref = parse_reference(f"{scripted(registry).host}/a/b:1")
    who = Credentials("me", "pw")
    for _ in range(2):
        assert client.repository(ref, who).manifest(ref).descriptor.digest == DIGEST
    assert asked == [{"service": ["reg"], "scope": ["repository:a/b:pull"], "account": ["me"]}]


def test_expired_token_is_replaced(scripted: Start, client: RegistryClient) -> None:
    given = iter(["T1", "T2"])
    realm = scripted(lambda _: (200, {}, json.dumps({"access_token": next(given)}).encode()))
    accepted = ["Bearer T1"]

    def registry(request: Any) -> Any:
        if request.headers["Authorization"] not in accepted:
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{realm.host}/t"'}, b""
        return document()

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    repository = client.repository(ref, ANONYMOUS)
    repository.manifest(ref)
    accepted[:] = ["Bearer T2"]
    assert repository.manifest(ref).descriptor.digest == DIGEST


def test_identity_token_is_exchanged(scripted: Start, client: RegistryClient) -> None:
    forms: list[dict[str, list[str]]] = []

    def tokens(request: Any) -> Any:
        forms.append(parse_qs(request.body.decode()))
        return 200, {}, b'{"access_token": "A"}'

    realm = scripted(tokens)

    def registry(request: Any) -> Any:
        if request.headers["Authorization"] != "Bearer A":
            challenge = f'Bearer realm="http://{realm.host}/t",service="s"'
            return 401, {"WWW-Authenticate": challenge}, b""
        return document()

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    client.repository(ref, IDENTITY).manifest(ref)
    assert forms[0]["grant_type"] == ["refresh_token"]
    assert forms[0]["refresh_token"] == ["ID"]


def test_login_returns_the_identity_token(scripted: Start, client: RegistryClient) -> None:
    realm = scripted(lambda _: (200, {}, b'{"token": "T", "refresh_token": "R"}'))

    def registry(request: Any) -> Any:
        if request.headers["Authorization"] != "Bearer T":
            return 401, {"WWW-Authenticate": f'Bearer realm="http://{realm.host}/t"'}, b""
        return 200, {}, b"{}"

    host = scripted(registry).host
    result = client.login(Credentials("me", "pw", server_address=host))
    assert (result.status, result.identity_token) == ("Login Succeeded", "R")


def test_refused_credentials(scripted: Start, client: RegistryClient) -> None:
    realm = scripted(lambda _: refusal(401, "UNAUTHORIZED", "incorrect username or password"))
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{realm.host}/t"'}
    host = scripted(lambda _: (401, challenge, b"")).host
    with pytest.raises(UnauthorizedError, match="unauthorized: incorrect username or password"):
        client.login(Credentials("me", "pw", server_address=host))


def test_denied_pull_in_dockers_words(scripted: Start, client: RegistryClient) -> None:
    denial = refusal(403, "DENIED", "requested access to the resource is denied")
    ref = parse_reference(f"{scripted(lambda _: denial).host}/secret/app:1")
    with pytest.raises(NotFoundError) as caught:
        client.repository(ref, ANONYMOUS).resolve(ref)
    assert caught.value.message == (
        f"pull access denied for {ref.familiar_name}, repository does not exist or may require"
        " 'docker login': denied: requested access to the resource is denied"
    )


def test_denied_push(scripted: Start, client: RegistryClient) -> None:
    denial = refusal(403, "DENIED", "requested access to the resource is denied")
    ref = parse_reference(f"{scripted(lambda _: denial).host}/secret:1")
    with pytest.raises(ForbiddenError, match=r"^denied: requested access"):
        client.repository(ref, ANONYMOUS, push=True).put_manifest(ref, MEDIA_OCI_MANIFEST, MANIFEST)


def test_credentials_stay_behind_on_a_redirect(scripted: Start, client: RegistryClient) -> None:
    def storage(request: Any) -> Any:
        assert request.headers["Authorization"] is None
        return 200, {}, BLOB

    store = scripted(storage)

    def registry(request: Any) -> Any:
        if request.headers["Authorization"] is None:
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 307, {"Location": f"http://{store.host}/blob?sig=1"}, b""

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    sink = Memory()
    client.repository(ref, Credentials("me", "pw")).fetch(LAYER, sink)
    assert sink.data == BLOB


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_failures_are_retried(scripted: Start, client: RegistryClient, status: int) -> None:
    answers = iter([(status, {"Retry-After": "0"}, b""), document()])
    server = scripted(lambda _: next(answers))
    ref = parse_reference(f"{server.host}/a:1")
    assert client.repository(ref, ANONYMOUS).manifest(ref).data == MANIFEST


def test_retries_are_bounded(scripted: Start, client: RegistryClient) -> None:
    server = scripted(lambda _: refusal(429, "TOOMANYREQUESTS", "slow down"))
    ref = parse_reference(f"{server.host}/a:1")
    with pytest.raises(UnavailableError, match=r"^toomanyrequests: slow down$"):
        client.repository(ref, ANONYMOUS).manifest(ref)
    assert len(server.log) == 3


def test_stop_ends_the_retries(scripted: Start, client: RegistryClient) -> None:
    stop = Stop()

    def registry(_: Any) -> Any:
        stop.set()
        return 503, {}, b""

    server = scripted(registry)
    ref = parse_reference(f"{server.host}/a:1")
    with pytest.raises(StoppedError):
        client.repository(ref, ANONYMOUS, stop=stop).manifest(ref)
    assert len(server.log) == 1


def test_broken_download_resumes_by_range(scripted: Start, client: RegistryClient) -> None:
    ranges: list[str] = []

    def registry(request: Any) -> Any:
        wanted = request.headers["Range"]
        ranges.append(wanted)
        if wanted is None:
            return 200, {"Content-Length": str(len(BLOB)), "X-Cut": "1"}, BLOB[:100_000]
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        return 206, {}, BLOB[start:]

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    sink = Memory()
    client.repository(ref, ANONYMOUS).fetch(LAYER, sink)
    assert sink.data == BLOB
    assert ranges == [None, "bytes=100000-"]


def test_registry_without_ranges_sends_all_again(scripted: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{scripted(lambda _: (200, {}, BLOB)).host}/a:1")
    sink = Memory()
    sink.data += BLOB[:1000]
    client.repository(ref, ANONYMOUS).fetch(LAYER, sink)
    assert sink.data == BLOB


def test_download_that_never_ends_fails(scripted: Start, client: RegistryClient) -> None:
    def registry(_: Any) -> Any:
        return 200, {"Content-Length": str(len(BLOB)), "X-Cut": "1"}, b""

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    with pytest.raises(UnavailableError):
        client.repository(ref, ANONYMOUS).fetch(LAYER, Memory())


def test_larger_blob_than_announced(scripted: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{scripted(lambda _: (200, {}, BLOB + b'!')).host}/a:1")
    with pytest.raises(VerificationError, match=f"blob {LAYER.digest}: registry sent more"):
        client.repository(ref, ANONYMOUS).fetch(LAYER, Memory())


def test_shorter_blob_than_announced(scripted: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{scripted(lambda _: (200, {}, BLOB[:-1])).host}/a:1")
    with pytest.raises(UnavailableError):
        client.repository(ref, ANONYMOUS).fetch(LAYER, Memory())


def test_lying_manifest_by_digest(scripted: Start, client: RegistryClient) -> None:
    server = scripted(lambda _: document(MANIFEST + b" "))
    ref = Reference(server.host, "a", None, DIGEST)
    with pytest.raises(VerificationError) as caught:
        client.repository(ref, ANONYMOUS).manifest(ref)
    assert caught.value.message == (
        f"manifest {ref.familiar()}: registry sent content with digest"
        f" {digest_of(MANIFEST + b' ')}, want {DIGEST}"
    )


def test_lying_digest_header(scripted: Start, client: RegistryClient) -> None:
    lie = {"Docker-Content-Digest": digest_of(b"other")}
    ref = parse_reference(f"{scripted(lambda _: document(**lie)).host}/a:1")
    with pytest.raises(VerificationError, match=f"want {digest_of(b'other')}"):
        client.repository(ref, ANONYMOUS).manifest(ref)


def test_schema_one_is_refused_by_name(scripted: Start, client: RegistryClient) -> None:
    old = 200, {"Content-Type": "application/json"}, b'{"schemaVersion": 1}'
    ref = parse_reference(f"{scripted(lambda _: old).host}/a:1")
    with pytest.raises(UnsupportedError, match="obsolete schema version 1"):
        client.repository(ref, ANONYMOUS).manifest(ref)


def test_mirror_is_asked_first_without_credentials(scripted: Start, client: RegistryClient) -> None:
    def mirror(request: Any) -> Any:
        assert request.headers["Authorization"] is None
        return document() if request.path == "/cache/v2/library/a/manifests/1" else tls_refused(0)

    server = scripted(mirror)
    mirrored = RegistryClient(RegistrySettings(mirrors=(f"http://{server.host}/cache/",)))
    ref = parse_reference("a:1")
    repository = mirrored.repository(ref, BEARER)
    assert repository.manifest(ref).data == MANIFEST
    mirrored.close()


def test_registry_answers_for_a_mirror_that_lacks_it(scripted: Start) -> None:
    mirror = scripted(lambda _: refusal(404, "MANIFEST_UNKNOWN", "manifest unknown"))
    origin = scripted(lambda _: document())
    settings = RegistrySettings(host_mirrors={origin.host: (f"http://{mirror.host}",)})
    mirrored = RegistryClient(settings)
    ref = parse_reference(f"{origin.host}/a:1")
    assert mirrored.repository(ref, ANONYMOUS).manifest(ref).data == MANIFEST
    assert mirror.log
    mirrored.close()


def test_refused_upload_tells_why(scripted: Start, client: RegistryClient) -> None:
    def registry(request: Any) -> Any:
        if request.command == "POST":
            return 202, {"Location": "/v2/a/blobs/uploads/1?state=x"}, b""
        return refusal(400, "DIGEST_INVALID", "provided digest did not match")

    ref = parse_reference(f"{scripted(registry).host}/a:1")
    source = Source(lambda: io.BytesIO(BLOB), len(BLOB), lambda: LAYER.digest)
    with pytest.raises(UnavailableError, match="digest invalid: provided digest did not match"):
        client.repository(ref, ANONYMOUS, push=True).upload(source)
