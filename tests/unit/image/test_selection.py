import pytest

from boxship.errors import InvalidArgumentError, NotFoundError, UnsupportedError
from boxship.image.selection import Wanted, check_platform, select
from boxship.model.digest import digest_of
from boxship.model.image import MEDIA_OCI_MANIFEST, Descriptor, Index, PlatformDocument
from boxship.model.platform import Platform, parse_platform
from boxship.model.reference import parse_reference

REF = parse_reference("app:1")


def index(*platforms: str) -> Index:
    entries = []
    for text in platforms:
        os, architecture, *variant = text.split("/")
        document = PlatformDocument(architecture, os, variant=variant[0] if variant else None)
        entries.append(
            Descriptor(MEDIA_OCI_MANIFEST, digest_of(text.encode()), 1, (), {}, document)
        )
    return Index(2, tuple(entries))


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v5", "linux/arm/v5"),
    ],
)
def test_best_of_an_index(wanted: str, chosen: str) -> None:
    many = index(
        "linux/arm/v5",
        "linux/arm/v7",
        "linux/arm/v6",
        "unknown/unknown",
        "windows/amd64",
        "linux/amd64",
        "linux/arm64/v8",
    )
    found = select(many, Wanted(parse_platform(wanted), named=True))
    assert found.digest == digest_of(chosen.encode())


def test_nothing_fits() -> None:
    with pytest.raises(NotFoundError) as caught:
        select(index("linux/s390x"), Wanted(parse_platform("linux/amd64"), named=True))
    assert caught.value.message == (
        "no matching manifest for linux/amd64 in the manifest list entries"
    )
    assert caught.value.hint == "it holds linux/s390x"


def test_entry_without_a_platform_will_do() -> None:
    entry = Descriptor(MEDIA_OCI_MANIFEST, digest_of(b"x"), 1)
    assert select(Index(2, (entry,)), Wanted(Platform("linux", "amd64"), named=False)) == entry


def test_platform_of_a_single_image() -> None:
    wanted = Wanted(Platform("linux", "amd64"), named=False)
    check_platform(Platform("linux", "amd64"), wanted, REF)
    check_platform(Platform("linux", ""), wanted, REF)
    with pytest.raises(UnsupportedError, match='image operating system "windows" cannot be used'):
        check_platform(Platform("windows", "amd64"), wanted, REF)
    with pytest.raises(InvalidArgumentError) as caught:
        check_platform(Platform("linux", "arm64"), wanted, REF)
    assert caught.value.message == (
        "image with reference app:1 was found but its platform (linux/arm64) does not match the"
        " specified platform (linux/amd64)"
    )
    assert "linux/arm64" in caught.value.hint
