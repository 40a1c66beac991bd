"""Platforms of images and of this host, in the words of the OCI image index."""

import os

import msgspec

from boxship.errors import InvalidArgumentError

_MACHINES = {
    "x86_64": ("amd64", None),
    "i386": ("386", None),
    "i686": ("386", None),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "ppc64le": ("ppc64le", None),
    "s390x": ("s390x", None),
    "riscv64": ("riscv64", None),
}
_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on: operating system, CPU architecture and its variant."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        tail = f"/{self.variant}" if self.variant else ""
        return f"{self.os}/{self.architecture}{tail}"

    def runs(self, image: "Platform") -> bool:
        """Whether a host of this platform runs an image of the other one natively."""
        if self.os != image.os or self.architecture != image.architecture:
            return False
        return image.variant is None or self.variant is None or image.variant <= self.variant


def host_platform() -> Platform:
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, None))
    return Platform("linux", architecture, variant)


def parse_platform(text: str) -> Platform:
    """Read `os/arch[/variant]`, `arch` or `os` as `--platform` takes it.

    Raises:
        InvalidArgumentError: the text has an empty part or more than three parts.
    """
    parts = text.lower().split("/")
    if not all(parts) or len(parts) > 3:
        raise InvalidArgumentError(f"invalid platform {text!r}: want os/architecture[/variant]")
    host = host_platform()
    if len(parts) == 1:
        if parts[0] in ("linux", "windows", "darwin", "freebsd"):
            return Platform(parts[0], host.architecture, host.variant)
        return Platform("linux", _ALIASES.get(parts[0], parts[0]))
    architecture = _ALIASES.get(parts[1], parts[1])
    return Platform(parts[0], architecture, parts[2] if len(parts) == 3 else None)
