"""Archives are told by their content."""

import gzip
import io
import tarfile

import pytest

from boxship.builder.worker.files.recognise import is_archive


def archive(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as stream:
        stream.addfile(tarfile.TarInfo("x"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (archive("w"), True),
        (archive("w:gz"), True),
        (archive("w:bz2"), True),
        (archive("w:xz"), True),
        (b"", False),
        (b"text" * 200, False),
        (bytes(2048), False),
        (gzip.compress(b"text" * 1000), False),
        (gzip.compress(bytes(1 << 20)), False),
        (b"\x1f\x8b" + b"damaged" * 100, False),
    ],
)
def test_content_decides(content: bytes, want: bool):
    assert is_archive(content) is want
