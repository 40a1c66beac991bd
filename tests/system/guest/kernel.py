"""Debian's kernel for virtual machines, unpacked, and its modules in the order they load in."""

import re
from pathlib import Path
from typing import NamedTuple

_CACHE = Path("/var/cache/boxship-tests")
# What the guest's disk and console, the storage, and the networks of containers need.
_WANTED = (
    *("virtio_mmio", "virtio_blk", "virtio_console", "overlay", "bfq", "veth", "bridge"),
    *("nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_chain_nat", "nft_fib_inet"),
    *("nft_reject_inet", "fuse", "dummy"),
)


class UnavailableError(Exception):
    """There is no kernel on this machine that a guest could boot."""


class Kernel(NamedTuple):
    """An unpacked kernel.

    Attributes:
        image: what a machine boots.
        modules: files of the modules, each after those it depends on.
    """

    image: Path
    modules: tuple[Path, ...]


def find_kernel() -> Kernel:
    """The newest of the kernels that `.ci/packages test` has fetched.

    Raises:
        UnavailableError: there is none.
    """
    found = sorted(_CACHE.glob("linux-image-*"), key=lambda path: path.stat().st_mtime)
    images = [image for directory in found for image in (directory / "boot").glob("vmlinuz-*")]
    if not images:
        raise UnavailableError(f"no kernel in {_CACHE}: .ci/packages test fetches one")
    return Kernel(images[-1], _in_order(images[-1].parents[1]))


def _in_order(directory: Path) -> tuple[Path, ...]:
    files = {path.stem.replace("-", "_"): path for path in directory.rglob("*.ko")}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        path = files.get(name)
        if path is None or name in ordered:
            return
        # The package has no modules.dep: each module says in its .modinfo what it needs.
        found = re.search(rb"\0depends=([^\0]+)\0", path.read_bytes())
        for needed in found[1].decode().split(",") if found else ():
            add(needed.replace("-", "_"))
        ordered[name] = path

    for name in _WANTED:
        add(name)
    return tuple(ordered.values())
