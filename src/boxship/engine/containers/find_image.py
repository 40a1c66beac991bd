"""Finds the image of a new container, and checks that this host can run it."""

from pathlib import Path

from boxship.engine.context import Context
from boxship.errors import InvalidArgumentError, NotFoundError
from boxship.model.image import Image
from boxship.model.platform import Platform, host_platform

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_QEMU = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "386": "i386",
    "arm": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
# A CPU that runs the other's programs natively.
_COMPATIBLE = {("amd64", "386"), ("arm64", "arm")}


def find_image(context: Context, name: str, platform: Platform | None) -> tuple[Image, list[str]]:
    """The image, and warnings about its platform.

    Raises:
        NotFoundError: no such image, or not for the platform that was asked for.
        InvalidArgumentError: this host cannot run it.
    """
    image = context.images.resolve(name)
    actual = image.config.platform
    if platform is not None and not _satisfies(actual, platform):
        raise NotFoundError(
            f"image with reference {name} was found but does not match the specified platform: "
            f"wanted {platform}, actual: {actual}"
        )
    host = host_platform()
    if actual.os != host.os:
        raise InvalidArgumentError(
            f'image operating system "{actual.os}" cannot be used on this platform: {name}',
            hint="containers share the host's Linux kernel; use a linux image",
        )
    if host.runs(actual) or (host.architecture, actual.architecture) in _COMPATIBLE:
        return image, []
    if not _emulated(actual.architecture):
        raise InvalidArgumentError(
            f"image {name} is for {actual} and this host is {host}",
            hint=f"pull it with --platform {host}, or register an emulator (qemu-user-static)",
        )
    if platform is not None:
        return image, []
    warning = (
        f"The requested image's platform ({actual}) does not match the detected host platform "
        f"({host}) and no specific platform was requested"
    )
    return image, [warning]


def _satisfies(actual: Platform, wanted: Platform) -> bool:
    same = (actual.os, actual.architecture) == (wanted.os, wanted.architecture)
    return same and (wanted.variant is None or actual.variant in (None, wanted.variant))


def _emulated(architecture: str) -> bool:
    name = _QEMU.get(architecture, architecture)
    return (_BINFMT / f"qemu-{name}").exists()
