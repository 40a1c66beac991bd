"""The client against a real registry."""

import hashlib
import io
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from boxship.errors import NotFoundError, UnauthorizedError, UnavailableError
from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_CONFIG, MEDIA_OCI_MANIFEST, Descriptor, Manifest
from boxship.model.reference import Reference, parse_reference
from boxship.model.registry import Credentials
from boxship.registry.client import RegistryClient
from boxship.registry.repository import Source
from boxship.registry.settings import RegistrySettings

Start = Callable[..., str]
ANONYMOUS = Credentials()
# user tester, password sesame
HTPASSWD = "tester:$2b$05$8.FX1/2A3eSbckpm59au3u2KZZR5R3m8G6baiSqPqt.EVX7HPAjBG\n"


class Memory:
    """A sink in memory."""

    def __init__(self, start: bytes = b"") -> None:
        self.data = bytearray(start)

    @property
    def offset(self) -> int:
        return len(self.data)

    def write(self, data: memoryview) -> None:
        self.data += data


def source(data: bytes, *, sized: bool = True) -> Source:
    return Source(lambda: io.BytesIO(data), len(data) if sized else None, lambda: digest_of(data))


def descriptor(data: bytes, media_type: str = "application/octet-stream") -> Descriptor:
    return Descriptor(media_type, digest_of(data), len(data))


def push_image(client: RegistryClient, ref: Reference, blob: bytes, who: Credentials) -> bytes:
    repository = client.repository(ref, who, push=True)
    repository.upload(source(blob))
    repository.upload(source(b"{}"))
    manifest = msgspec.json.encode(
        Manifest(2, descriptor(b"{}", MEDIA_OCI_CONFIG), (descriptor(blob),), MEDIA_OCI_MANIFEST)
    )
    repository.put_manifest(ref, MEDIA_OCI_MANIFEST, manifest)
    return manifest


def test_push_and_pull(debian_registry: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{debian_registry()}/team/app:1")
    blob = hashlib.sha256(b"seed").digest() * 100_000
    manifest = push_image(client, ref, blob, ANONYMOUS)

    repository = client.repository(ref, ANONYMOUS)
    found = repository.resolve(ref)
    assert found == descriptor(manifest, MEDIA_OCI_MANIFEST)
    by_digest = Reference(ref.domain, ref.path, None, digest_of(manifest))
    assert repository.manifest(by_digest).data == manifest
    sink = Memory()
    repository.fetch(descriptor(blob), sink)
    assert sink.data == blob


def test_resumes_at_the_offset(debian_registry: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{debian_registry()}/app")
    blob = bytes(range(256)) * 1000
    push_image(client, ref, blob, ANONYMOUS)
    sink = Memory(blob[:100_000])
    client.repository(ref, ANONYMOUS).fetch(descriptor(blob), sink)
    assert sink.data == blob


def test_upload_of_unknown_size_and_mount(debian_registry: Start, client: RegistryClient) -> None:
    host = debian_registry()
    blob = b"layer" * 1000
    first = client.repository(parse_reference(f"{host}/one"), ANONYMOUS, push=True)
    second = client.repository(parse_reference(f"{host}/two"), ANONYMOUS, push=True)
    assert not first.has(digest_of(blob))
    first.upload(source(blob, sized=False))
    assert first.has(digest_of(blob))
    assert not second.has(digest_of(blob))
    assert second.mount(digest_of(blob), "one") == ""
    assert second.has(digest_of(blob))


def test_refused_mount_becomes_an_upload(debian_registry: Start, client: RegistryClient) -> None:
    repository = client.repository(
        parse_reference(f"{debian_registry()}/two"), ANONYMOUS, push=True
    )
    location = repository.mount(digest_of(b"x"), "nowhere")
    assert location
    repository.upload(source(b"x"), location)
    assert repository.has(digest_of(b"x"))


def test_unknown_image_in_dockers_words(debian_registry: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{debian_registry()}/none:v9")
    with pytest.raises(NotFoundError) as caught:
        client.repository(ref, ANONYMOUS).resolve(ref)
    assert caught.value.message == (
        f"manifest for {ref.familiar()} not found: manifest unknown: manifest unknown"
    )


def test_unknown_blob(debian_registry: Start, client: RegistryClient) -> None:
    ref = parse_reference(f"{debian_registry()}/none:v9")
    with pytest.raises(NotFoundError, match="blob unknown"):
        client.repository(ref, ANONYMOUS).fetch(descriptor(b"none"), Memory())


def test_basic_authentication(
    debian_registry: Start, client: RegistryClient, tmp_path: Path
) -> None:
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD)
    host = debian_registry(f"auth: {{htpasswd: {{realm: test, path: {users}}}}}\n")
    ref = parse_reference(f"{host}/secret:1")
    who = Credentials("tester", "sesame", server_address=host)
    push_image(client, ref, b"blob", who)
    assert client.repository(ref, who).resolve(ref)
    with pytest.raises(UnauthorizedError, match="no basic auth credentials"):
        client.repository(ref, ANONYMOUS).resolve(ref)
    with pytest.raises(UnauthorizedError, match="authentication required"):
        client.repository(ref, Credentials("tester", "wrong")).resolve(ref)

    assert client.login(who).status == "Login Succeeded"
    with pytest.raises(UnauthorizedError, match="failed with status: 401 Unauthorized"):
        client.login(Credentials("tester", "wrong", server_address=host))


def test_registry_that_is_down_is_named(client: RegistryClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ref = parse_reference(f"127.0.0.1:{taken.getsockname()[1]}/app")
        with pytest.raises(UnavailableError) as caught:
            client.repository(ref, ANONYMOUS).resolve(ref)
    assert caught.value.message == f"registry {ref.domain} does not answer: connection refused"
    assert caught.value.hint


def test_tls_with_an_authority_of_the_certs_directory(
    debian_registry: Start, client: RegistryClient, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "reg.crt", tmp_path / "reg.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    host = debian_registry(tls=f", tls: {{certificate: {certificate}, key: {key}}}")
    ref = parse_reference(f"{host}/app:1")
    manifest = push_image(client, ref, b"blob", ANONYMOUS)

    folder = tmp_path / "certs" / host
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(certificate.read_bytes())
    strict = _Strict(certs_dirs=(tmp_path / "certs",))
    trusting = RegistryClient(strict)
    assert trusting.repository(ref, ANONYMOUS).resolve(ref) == descriptor(
        manifest, MEDIA_OCI_MANIFEST
    )
    trusting.close()
    with pytest.raises(UnavailableError, match="certificate not trusted"):
        RegistryClient(_Strict(certs_dirs=())).repository(ref, ANONYMOUS).resolve(ref)


def test_plain_http_needs_consent(debian_registry: Start) -> None:
    ref = parse_reference(f"{debian_registry()}/app:1")
    with pytest.raises(UnavailableError, match="server gave HTTP response to HTTPS client"):
        RegistryClient(_Strict()).repository(ref, ANONYMOUS).resolve(ref)


class _Strict(RegistrySettings, frozen=True):
    """Settings for which not even loopback is insecure."""

    def is_insecure(self, host: str) -> bool:
        return False
