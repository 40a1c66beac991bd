"""Import the modules of a command from one file: half of a cold start was the search for each.

A container's start by command line imports about sixty small modules. Python looks each one up in
its directory and opens it, 0.15 ms a module; from one file that is read whole it takes 0.05 ms. The
file lies beside the byte code and is trusted as that is: `__pycache__/NAME.cpython-311.modules`. It
holds, by module, the code and the time and size of the source it was made from; what does not agree
any more is imported as usual, and the file is written anew when the command ends.

This module imports nothing that an interpreter has not imported by itself.
"""

import gc
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import NoReturn

    Entry = tuple[str, bool, int, int, bytes]

_PACKAGE = __name__.partition(".")[0]
_ROOT = __file__.rpartition(f"/{_PACKAGE}/")[0]
# Objects that are made before garbage is looked for; a start makes some 30,000.
_GARBAGE = 100_000
_SPEC: "type[ModuleSpec]" = type(__spec__)


class Modules:
    """A finder and loader (PEP 451) for the modules in one file.

    Attributes:
        path: of the file.
        entries: by module name: its source from where the package lies (the whole may be moved),
            whether it is a package, the source's mtime in ns and size in bytes, and the marshalled
            code.
        stale: some module was not in the file, or no longer agreed with its source.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.stale = False
        self.entries: dict[str, Entry] = _read(path)

    def find_spec(
        self, name: str, _path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """What the import system asks for each module; None leaves it to the next finder."""
        if name.partition(".")[0] != _PACKAGE:
            return None
        entry = self.entries.get(name)
        if entry is None or _stamp(entry[0]) != entry[2:4]:
            self.stale = True
            return None
        source, is_package = f"{_ROOT}/{entry[0]}", entry[1]
        spec = _SPEC(name, self, origin=source, is_package=is_package)  # type: ignore[arg-type]  # any object may load
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [source.rpartition("/")[0]]
        return spec

    def create_module(self, _spec: "ModuleSpec") -> None:
        """Leave the module's making to the import system."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run a module's code."""
        exec(marshal.loads(self.entries[module.__name__][4]), module.__dict__)  # noqa: S102, S302 - as any import does

    def remember(self) -> None:
        """Write the file anew with what this process has imported, where that may be written.

        Nothing is said when it may not: the next start is as slow as this one was.
        """
        if not self.stale or sys.dont_write_bytecode or sys.pycache_prefix:
            return
        for name, module in list(sys.modules.items()):
            entry = _entry(name, module) if name.partition(".")[0] == _PACKAGE else None
            if entry is not None:
                self.entries[name] = entry
        _write(self.path, self.entries)


def run(name: str, module: str) -> "NoReturn":
    """Run a command from its start to the end of the process.

    The interpreter is not taken down: that would take as long as the kernel needs for a container's
    namespaces. Nor does it look for garbage while it imports: there is none, and it takes 1 ms.

    Args:
        name: of the command; its file of modules is called after it.
        module: where its `main` is, which takes nothing and returns the exit code.
    """
    gc.set_threshold(_GARBAGE)
    modules = Modules(
        f"{_ROOT}/{_PACKAGE}/__pycache__/{name}.{sys.implementation.cache_tag}.modules"
    )
    sys.meta_path.insert(0, modules)
    code = __import__(module, fromlist=("main",)).main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            # Nobody reads it any more.
            continue
    modules.remember()
    os._exit(code)


def _read(path: str) -> "dict[str, Entry]":
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        content = os.read(descriptor, os.fstat(descriptor).st_size)
        magic, entries = marshal.loads(content)  # noqa: S302 - trusted as byte code is
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    finally:
        os.close(descriptor)
    return entries if magic == sys.hexversion else {}


def _stamp(source: str) -> tuple[int, int]:
    try:
        status = os.stat(f"{_ROOT}/{source}")  # noqa: PTH116 - pathlib is slow to import
    except OSError:
        return (-1, -1)
    return status.st_mtime_ns, status.st_size


def _entry(name: str, module: "ModuleType") -> "Entry | None":
    spec = module.__spec__
    get_code = getattr(spec and spec.loader, "get_code", None)
    if spec is None or get_code is None or spec.origin is None:
        return None
    source = spec.origin.removeprefix(f"{_ROOT}/")
    return (source, hasattr(module, "__path__"), *_stamp(source), marshal.dumps(get_code(name)))


def _write(path: str, entries: "dict[str, Entry]") -> None:
    partial = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError:
        return
    try:
        os.write(descriptor, marshal.dumps((sys.hexversion, entries)))
        os.rename(partial, path)  # noqa: PTH104 - pathlib is slow to import
    except OSError:
        os.unlink(partial)  # noqa: PTH108 - as above
    finally:
        os.close(descriptor)
