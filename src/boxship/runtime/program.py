"""Find the program a container runs and become it; clients match the texts, which are runc's."""

import _signal  # type: ignore[import-not-found]  # the signal module is slow to import
import errno
import os
import stat

from boxship.errors import BoxshipError
from boxship.kernel import KernelError, shield
from boxship.runtime import sync
from boxship.runtime.steps import Context, Step


class ProgramError(BoxshipError):
    """The program cannot be run.

    Attributes:
        reason: as in boxship.runtime.sync.
        number: errno.
    """

    kind = "invalid_argument"

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number
        self.reason = sync.reason(number)


class ChangeDirectory(Step):
    """Go to the working directory, which must lie in the container (CVE-2024-21626)."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"change to {self.path}"

    def execute(self, context: Context) -> None:
        failed = f'chdir to cwd ("{self.path}") set in config.json failed'
        try:
            context.kernel.change_directory(self.path)
        except KernelError as error:
            text = error.strerror.lower() if error.strerror else ""
            raise ProgramError(error.errno or 0, f"{failed}: {text}") from error
        try:
            inside = os.getcwd().startswith("/")  # noqa: PTH109 - pathlib is slow to import
        except FileNotFoundError:
            inside = False
        if not inside:
            raise ProgramError(errno.EPERM, f"{failed}: it is outside of the container's root")


class FindProgram(Step):
    """Look the program up in the container's PATH, as its user."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self) -> str:
        return f"find program {self.name}"

    def execute(self, context: Context) -> None:
        context.program = find_program(self.name, context.environment.get("PATH", ""))


def find_program(name: str, path: str) -> str:
    """The file to execute for the first word of a command.

    Raises:
        ProgramError: there is none, or it is not executable.
    """
    if "/" in name:
        number = _unusable(name)
        if number:
            raise ProgramError(number, f'exec: "{name}": {_words(number, name)}')
        return name
    for directory in path.split(":") if name else ():
        candidate = f"{directory or '.'}/{name}"
        if not _unusable(candidate):
            return candidate
    raise ProgramError(errno.ENOENT, f'exec: "{name}": executable file not found in $PATH')


def _unusable(path: str) -> int:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib is slow to import
    except OSError as error:
        return error.errno or errno.EIO
    if stat.S_ISDIR(mode):
        return errno.EISDIR
    return 0 if os.access(path, os.X_OK) else errno.EACCES


def _words(number: int, path: str) -> str:
    text = os.strerror(number).lower()
    return f"stat {path}: {text}" if number == errno.ENOENT else text


def become(context: Context, arguments: "list[str]") -> None:
    """Execute the program; comes back only with an error.

    Raises:
        ProgramError: the kernel refuses (wrong architecture, missing interpreter, ...).
    """
    failed = f"exec {context.program}: "
    executable: str | int = context.program
    if context.shield:
        executable = context.shield
        arguments = [shield.packet(failed), context.program, *arguments]
    try:
        os.execve(executable, arguments, context.environment)  # noqa: S606 - no shell wanted
    except OSError as error:
        number = error.errno or 0
        raise ProgramError(number, failed + os.strerror(number).lower()) from error
    except ValueError as error:
        raise ProgramError(errno.EINVAL, f"{failed}{error}") from error


def default_signals() -> None:
    """Have no signal ignored or held back, which would outlast execve(2).

    The interpreter ignores some, `run` holds some back, and nohup or a shell's `&` before the
    engine ignores others.
    """
    for number in _signal.valid_signals():
        if _signal.getsignal(number) is _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
