"""Registry credentials: `X-Registry-Auth`, `X-Registry-Config` and the body of `/auth`."""

import base64
import binascii

import msgspec

from boxship.model.registry import Credentials
from boxship.wire.image import AuthRequest


def from_request(body: AuthRequest) -> Credentials:
    """Credentials of a document; the old `auth` field is base64 of `user:password`."""
    username, password = body.username, body.password
    if body.auth and not username:
        username, _, password = _decode(body.auth).decode("utf-8", "replace").partition(":")
    return Credentials(
        username, password, body.identitytoken, body.registrytoken, body.serveraddress
    )


def from_header(value: str) -> Credentials | None:
    """`X-Registry-Auth`: base64 of a document. Garbage counts as none, as Docker does on pull."""
    if not value:
        return None
    try:
        credentials = from_request(msgspec.json.decode(_decode(value), type=AuthRequest))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    return None if credentials.anonymous else credentials


def from_config_header(value: str) -> dict[str, Credentials]:
    """`X-Registry-Config`: base64 of documents by registry host."""
    if not value:
        return {}
    try:
        entries = msgspec.json.decode(_decode(value), type=dict[str, AuthRequest])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
    return {host: from_request(entry) for host, entry in entries.items()}


def _decode(text: str) -> bytes:
    padded = text.replace("-", "+").replace("_", "/")
    padded += "=" * (-len(padded) % 4)
    try:
        return base64.b64decode(padded)
    except (binascii.Error, ValueError):
        return b""
