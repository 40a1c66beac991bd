"""Content digests, as the OCI image specification writes them: `algorithm:hex`."""

import hashlib
import re
from typing import NewType

from boxship.errors import InvalidArgumentError

Digest = NewType("Digest", str)

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def parse_digest(text: str) -> Digest:
    """Check and type a digest.

    Only sha256 is accepted: a name of another algorithm could not be verified here.

    Raises:
        InvalidArgumentError: the text is not `sha256:` and 64 lower-case hexadecimal digits.
    """
    if _SHA256.fullmatch(text) is None:
        raise InvalidArgumentError(f"invalid digest {text!r}: want sha256: and 64 hex digits")
    return Digest(text)


def digest_of(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def hex_of(digest: Digest) -> str:
    """The part after the colon, which names the blob's file in an OCI image layout."""
    return digest.partition(":")[2]


def chain_id(diff_ids: "tuple[Digest, ...] | list[Digest]") -> Digest:
    """The identity of a stack of layers (OCI image spec, config.md, Layer ChainID).

    Raises:
        InvalidArgumentError: the stack is empty.
    """
    if not diff_ids:
        raise InvalidArgumentError("an empty list of layers has no chain id")
    chain = diff_ids[0]
    for diff_id in diff_ids[1:]:
        chain = digest_of(f"{chain} {diff_id}".encode())
    return chain
