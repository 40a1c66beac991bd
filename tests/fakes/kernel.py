"""A kernel that does nothing, remembers what it was asked, and fails on demand."""

import itertools
import stat
from typing import Any

from boxship.kernel import KernelError
from boxship.kernel.probe import Features

FEATURES = Features((6, 12), frozenset(("user", "cgroup", "time")))


class RecordingKernel:
    """Stands in for boxship.kernel.api.Kernel.

    Attributes:
        calls: every call as text, `name(arguments)`.
        failures: call name to errno, for calls that shall fail.
        missing: paths that open_in_root and make_* find absent the first time.
        modes: what file_mode says of a descriptor; a directory by default.
        identities: what file_identity says of a descriptor; each is another file by default.
    """

    _DESCRIPTORS = frozenset(
        ("open_tree", "fsopen", "fsmount", "open_file", "open_in_root", "make_directory",
         "make_file", "pidfd_open", "open_peer")
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures: dict[str, int] = {}
        self.missing: set[str] = set()
        self.modes: dict[int, int] = {}
        self.identities: dict[int, tuple[int, int]] = {}
        self._numbers = itertools.count(100)

    def names(self) -> list[str]:
        return [call.partition("(")[0] for call in self.calls]

    def probe(self) -> Features:
        return FEATURES

    def file_mode(self, descriptor: int) -> int:
        return self.modes.get(descriptor, stat.S_IFDIR | 0o755)

    def file_identity(self, descriptor: int) -> tuple[int, int]:
        return self.identities.get(descriptor, (0, descriptor))

    def capget(self, pid: int = 0) -> tuple[int, int, int]:
        del pid
        return (1 << 41) - 1, (1 << 41) - 1, 0

    def limits(self, kind: str) -> tuple[int, int]:
        del kind
        return 1024, 4096

    def open_in_root(self, root: int, path: str, flags: int, mode: int = 0) -> int:
        self._record("open_in_root", (root, path), {})
        if path in self.missing:
            raise KernelError(2, "openat2", path)
        del flags, mode
        return next(self._numbers)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._record(name, arguments, options)
            return next(self._numbers) if name in self._DESCRIPTORS else None

        return call

    def _record(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        words = [repr(argument) for argument in arguments]
        words += [f"{key}={value!r}" for key, value in options.items() if value]
        self.calls.append(f"{name}({', '.join(words)})")
        if name in self.failures:
            raise KernelError(self.failures[name], name)
