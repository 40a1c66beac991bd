"""Debian's kernel for virtual machines: fetched once, and its modules in the order they load in."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

_META_PACKAGE = "linux-image-cloud-amd64"
_CACHE = Path("/var/cache/boxship-tests")
# What the guest's disk and console, the storage, and the networks of containers need.
_WANTED = (
    *("virtio_mmio", "virtio_blk", "virtio_console", "overlay", "bfq", "veth", "bridge"),
    *("nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_chain_nat", "nft_fib_inet"),
    *("nft_reject_inet", "fuse", "dummy"),
)


class UnavailableError(Exception):
    """There is no kernel to be had here: no archive answers, or it is not Debian's."""


class Kernel(NamedTuple):
    """An unpacked kernel.

    Attributes:
        image: what a machine boots.
        modules: files of the modules, each after those it depends on.
    """

    image: Path
    modules: tuple[Path, ...]


def fetch_kernel() -> Kernel:
    """Download and unpack the newest packaged kernel, unless that was done before.

    Raises:
        UnavailableError: with the reason.
    """
    name = _package() or _update_and_look()
    directory = _CACHE / name
    if not directory.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            _download(name, Path(scratch))
            archive = next(Path(scratch).glob("*.deb"))
            unpacked = Path(scratch) / "unpacked"
            _run("dpkg-deb", "-x", str(archive), str(unpacked), cwd=_CACHE)
            unpacked.rename(directory)
    image = next((directory / "boot").glob("vmlinuz-*"))
    return Kernel(image, _in_order(directory))


def _package() -> str:
    listing = _run("apt-cache", "depends", "--important", _META_PACKAGE, cwd=Path("/"), check=False)
    found = re.search(r"Depends: (linux-image-\S+)", listing)
    return found[1] if found else ""


def _update_and_look() -> str:
    _run("apt-get", "update", "-qq", cwd=Path("/"))
    name = _package()
    if not name:
        raise UnavailableError(f"the package archive has no {_META_PACKAGE}")
    return name


def _download(name: str, directory: Path) -> None:
    try:
        _run("apt-get", "download", "-qq", name, cwd=directory)
    except UnavailableError:
        # Lists that are some days old name a version that the archive has replaced.
        _run("apt-get", "update", "-qq", cwd=directory)
        _run("apt-get", "download", "-qq", name, cwd=directory)


def _run(*words: str, cwd: Path, check: bool = True) -> str:
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError as failure:
        raise UnavailableError(f"no {words[0]}: the kernel is a Debian package") from failure
    if check and done.returncode:
        raise UnavailableError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


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
