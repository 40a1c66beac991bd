"""The guest's disk: busybox, the interpreter that runs the tests, boxship and its tests.

Everything lies where it lies on the host, so that the virtual environment works as it is.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_BUSYBOX = Path("/bin/busybox")
_PROGRAMS = ("nft", "ip")
_LIBRARIES = ("libseccomp.so.2", "libnftables.so.1")
_DISTRIBUTIONS = ("boxship", "msgspec", "h11", "isal", "zstandard", "dnslib", "pytest", "docker")
_LEFT_OUT = ("site-packages", "dist-packages", "test", "idlelib", "lib2to3", "ensurepip", "tkinter")
_INITRD_SCRIPT = """#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $b insmod $module; done
$b mount -t ext4 /dev/vda /new && $b mount --move /dev /new/dev && $b mount --move /proc /new/proc
exec $b switch_root /new /sbin/guest-init
"""
_INIT_SCRIPT = """#!/bin/sh
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs tmpfs /run
ln -s /proc/self/fd /dev/fd
ip link set lo up
hostname guest
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8
cd {root}
{command}
sync
reboot -f
"""


def make_initrd(directory: Path, modules: Iterable[Path]) -> Path:
    """Pack what loads the modules and mounts the disk.

    Args:
        directory: where to work; the result is in it.
        modules: in loading order.
    """
    tree = directory / "initrd"
    for name in ("bin", "modules", "proc", "dev", "new"):
        (tree / name).mkdir(parents=True)
    shutil.copy(_BUSYBOX, tree / "bin/busybox")
    (tree / "bin/sh").symlink_to("busybox")
    for number, module in enumerate(modules):
        shutil.copy(module, tree / "modules" / f"{number:02}-{module.name}")
    _script(tree / "init", _INITRD_SCRIPT)
    packed = directory / "initrd.cpio"
    with packed.open("wb") as output:
        subprocess.run(
            [_BUSYBOX, "sh", "-c", "find . | cpio -o -H newc"],
            cwd=tree,
            stdout=output,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    return packed


def make_disk(directory: Path, command: str) -> Path:
    """Make an ext4 image whose init runs a shell command in the checkout and ends the machine."""
    tree = directory / "disk"
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "proc", "sys", "dev"):
        (tree / name).mkdir(parents=True)
    for name in ("run", "tmp", "root", "var/lib", "var/tmp"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "tmp").chmod(0o1777)
    _interpreter(tree)
    _checkout(tree)
    _programs(tree)
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    (tree / "etc/resolv.conf").write_text("")
    _script(tree / "usr/sbin/guest-init", _INIT_SCRIPT.format(root=_ROOT, command=command))
    image = directory / "disk.img"
    mkfs = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") or "mkfs.ext4"
    subprocess.run([mkfs, "-q", "-F", "-d", str(tree), str(image), "2G"], check=True)
    return image


def _interpreter(tree: Path) -> None:
    program = Path(sys.executable)
    while program.is_symlink():
        _copy(tree, program)
        program = program.parent / program.readlink()
    _copy(tree, program)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sys.base_prefix) / "lib" / version
    ignored = shutil.ignore_patterns(*_LEFT_OUT, "config-*")
    shutil.copytree(library, _under(tree, library), symlinks=True, ignore=ignored)
    _shared_libraries(tree, [program.resolve(), *library.glob("lib-dynload/*.so")])


def _checkout(tree: Path) -> None:
    for name in ("src", "tests", "bin"):
        shutil.copytree(_ROOT / name, _under(tree, _ROOT / name))
    _copy(tree, _ROOT / "pyproject.toml")
    # A virtual environment is known by this file beside its bin directory.
    _copy(tree, Path(sys.prefix) / "pyvenv.cfg")
    for path in _installed():
        _copy(tree, path)
    _shared_libraries(tree, [path for path in _installed() if path.suffix == ".so"])


def _installed() -> list[Path]:
    """Files of the packages that boxship and its tests import, and of what those need."""
    found: dict[str, importlib.metadata.Distribution] = {}
    names = list(_DISTRIBUTIONS)
    while names:
        name = names.pop()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform or version of Python
        if name != "boxship":
            plain = [line for line in found[name].requires or () if "extra ==" not in line]
            names += [word[0] for line in plain if (word := re.match(r"[\w.-]+", line))]
    files = [file for one in found.values() for file in one.files or ()]
    paths = (Path(str(file.locate())) for file in files)
    return [path for path in paths if path.is_file() and path.is_relative_to(sys.prefix)]


def _programs(tree: Path) -> None:
    shutil.copy(_BUSYBOX, tree / "usr/bin/busybox")
    listing = subprocess.run([_BUSYBOX, "--list-full"], capture_output=True, text=True, check=True)
    own = [Path(path) for name in _PROGRAMS if (path := shutil.which(name))]
    for path in own:
        _copy(tree, path.resolve())
        if not (tree / "usr/sbin" / path.name).exists():
            (tree / "usr/sbin" / path.name).symlink_to(path.resolve())
    for line in listing.stdout.split():
        name = Path(line).name
        if not (tree / "usr/bin" / name).exists() and name not in _PROGRAMS:
            (tree / "usr/bin" / name).symlink_to("busybox")
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    libraries = [
        Path(path)
        for name in _LIBRARIES
        for path in re.findall(rf"^\s{re.escape(name)} .* => (\S+)$", cache.stdout, re.MULTILINE)
    ]
    for path in libraries:
        _copy(tree, path, follow=True)
    _shared_libraries(tree, [path.resolve() for path in own] + libraries)
    subprocess.run(["/sbin/ldconfig", "-r", str(tree)], check=False)


def _shared_libraries(tree: Path, files: list[Path]) -> None:
    if not files:
        return
    done = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    for path in sorted(set(re.findall(r"(/\S+) \(0x", done.stdout))):
        _copy(tree, Path(path), follow=True)


def _copy(tree: Path, path: Path, *, follow: bool = False) -> None:
    target = _under(tree, path)
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=follow)


def _under(tree: Path, path: Path) -> Path:
    return tree / path.relative_to("/")


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
