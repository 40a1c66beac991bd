"""A base image of the host's static busybox: one program, its applets as links, a few files."""

import io
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from boxship.errors import NotFoundError, UnsupportedError
from boxship.image.bootstrap.base import Base
from boxship.image.context import Context
from boxship.image.importing import import_stream
from boxship.image.made import Import
from boxship.kernel.process import run
from boxship.model.image import Image, ImageRunConfig
from boxship.model.reference import Reference

_PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
_HINT = "install Debian's package busybox-static"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INTERPRETER_SEGMENT = 3

_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o555,
    "root": 0o700,
    "run": 0o755,
    "sbin": 0o755,
    "sys": 0o555,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/spool/mail": 0o755,
    "var/tmp": 0o1777,
    "var/www": 0o755,
}
_ACCOUNTS = (
    ("root", 0, "/root", "/bin/sh"),
    ("daemon", 1, "/usr/sbin", "/bin/false"),
    ("bin", 2, "/bin", "/bin/false"),
    ("sys", 3, "/dev", "/bin/false"),
    ("mail", 8, "/var/spool/mail", "/bin/false"),
    ("www-data", 33, "/var/www", "/bin/false"),
    ("operator", 37, "/var", "/bin/false"),
    ("nobody", 65534, "/home", "/bin/false"),
)
_GROUPS = {
    "adm": 4,
    "tty": 5,
    "disk": 6,
    "lp": 7,
    "wheel": 10,
    "utmp": 43,
    "staff": 50,
    "users": 100,
}


def bootstrap_busybox(context: Context, base: Base, ref: Reference) -> Image:
    """Make the image. Blocking.

    Raises:
        NotFoundError: the host has no busybox.
        UnsupportedError: it is not a static one.
    """
    program = next((place for place in _PLACES if place.is_file()), None)
    if program is None:
        raise NotFoundError("no busybox on this host", hint=_HINT)
    binary = program.read_bytes()
    if _needs_libraries(binary):
        raise UnsupportedError(f"{program} needs shared libraries: it is not static", hint=_HINT)
    base.say(f"Packing {program}")
    listed = run([str(program), "--list-full"]).stdout.decode()
    # The program's own time, so that equal programs make equal images.
    moment = int(program.stat().st_mtime)
    archive = _archive(binary, listed.split(), moment)
    config = ImageRunConfig(env=(_PATH,), cmd=("sh",))
    created = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
    wanted = Import((ref,), config, created_by="bootstrap busybox", created=created)
    return import_stream(context, archive, wanted, "busybox file system")


def _archive(binary: bytes, applets: list[str], moment: int) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, mode in _DIRECTORIES.items():
            _add(tar, name, moment, mode=mode, kind=tarfile.DIRTYPE)
        _add(tar, "bin/busybox", moment, data=binary, mode=0o755)
        for name in sorted({"bin/sh", *applets} - {"bin/busybox"}):
            if name.rpartition("/")[0] in _DIRECTORIES:
                _add(tar, name, moment, mode=0o755, kind=tarfile.LNKTYPE)
        for name, text in _files():
            mode = 0o640 if name == "etc/shadow" else 0o644
            _add(tar, name, moment, data=text.encode(), mode=mode)
    out.seek(0)
    return out


def _add(
    tar: tarfile.TarFile,
    name: str,
    moment: int,
    *,
    data: bytes = b"",
    mode: int,
    kind: bytes = tarfile.REGTYPE,
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime, info.size = kind, mode, moment, len(data)
    if kind == tarfile.LNKTYPE:
        info.linkname = "bin/busybox"
    tar.addfile(info, io.BytesIO(data))


def _files() -> Iterator[tuple[str, str]]:
    groups = {name: number for name, number, _, _ in _ACCOUNTS} | _GROUPS
    groups["nogroup"] = groups.pop("nobody")
    yield (
        "etc/passwd",
        "".join(f"{n}:x:{i}:{i}:{n}:{home}:{shell}\n" for n, i, home, shell in _ACCOUNTS),
    )
    yield (
        "etc/group",
        "".join(f"{n}:x:{i}:\n" for n, i in sorted(groups.items(), key=lambda item: item[1])),
    )
    yield "etc/shadow", "".join(f"{name}:*:::::::\n" for name, _, _, _ in _ACCOUNTS)
    yield "etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"
    yield "etc/profile", f"export {_PATH}\n"


def _needs_libraries(binary: bytes) -> bool:
    """Whether an ELF file names an interpreter (elf(5), PT_INTERP), in the host's byte order."""
    if binary[:4] != b"\x7fELF":
        return False
    wide = binary[4] == 2
    order = "little" if binary[5] == 1 else "big"

    def field(offset: int, size: int) -> int:
        return int.from_bytes(binary[offset : offset + size], order)  # type: ignore[arg-type]

    start = field(32, 8) if wide else field(28, 4)
    entry, count = (field(54, 2), field(56, 2)) if wide else (field(42, 2), field(44, 2))
    kinds = (field(start + index * entry, 4) for index in range(count))
    return _INTERPRETER_SEGMENT in kinds
