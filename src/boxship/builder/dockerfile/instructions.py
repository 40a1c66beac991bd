"""Typed Dockerfile instructions: what was written, checked, before any expansion."""

import msgspec

from boxship.builder.dockerfile.lexer import Heredoc
from boxship.model.image import HealthcheckDocument


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all instructions.

    Attributes:
        line: 1-based line it starts on.
        source: its text with continuations joined, as `Step 2/5 :` shows it.
    """

    line: int
    source: str


class Command(msgspec.Struct, frozen=True):
    """A program and arguments (exec form), or one line for a shell."""

    arguments: tuple[str, ...]
    shell_form: bool


class Pair(msgspec.Struct, frozen=True):
    """A key and its value; None when only a name was given (`ARG X`)."""

    key: str
    value: str | None


class RunMount(msgspec.Struct, frozen=True):
    """One `RUN --mount`; numbers are still text because variables may stand in them.

    Attributes:
        type: `bind`, `cache`, `tmpfs` or `secret`.
        options: the other keys, lower case, with their values (`true` for a bare flag).
    """

    type: str
    options: dict[str, str]


class Arg(Instruction, frozen=True):
    """Declares build arguments, with or without a default."""

    pairs: tuple[Pair, ...]


class Env(Instruction, frozen=True):
    """Sets environment variables of the image."""

    pairs: tuple[Pair, ...]


class Label(Instruction, frozen=True):
    """Sets labels of the image."""

    pairs: tuple[Pair, ...]


class Run(Instruction, frozen=True):
    """Runs a command; what it changes becomes a layer."""

    command: Command
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[RunMount, ...] = ()
    network: str = "default"


class Copy(Instruction, frozen=True):
    """COPY, and the common half of ADD.

    Attributes:
        sources: paths, or for ADD also URLs; those of heredocs are in `heredocs`.
        origin: `--from`: a stage's name or number, or an image; empty for the context.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    origin: str = ""
    owner: str = ""
    mode: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


class Add(Copy, frozen=True):
    """ADD: URLs are fetched and local archives unpacked (`unpack` None), unless told otherwise."""

    checksum: str = ""
    unpack: bool | None = None


class Cmd(Instruction, frozen=True):
    """The default command."""

    command: Command


class Entrypoint(Instruction, frozen=True):
    """The program that the command is handed to."""

    command: Command


class Shell(Instruction, frozen=True):
    """The program that the shell forms are handed to."""

    arguments: tuple[str, ...]


class Expose(Instruction, frozen=True):
    """Ports the image listens on: `80`, `80/udp`, `8000-8010`."""

    ports: tuple[str, ...]


class Volume(Instruction, frozen=True):
    """Paths whose data outlives the container."""

    paths: tuple[str, ...]


class User(Instruction, frozen=True):
    """Who the following commands and the container run as: `user[:group]`."""

    name: str


class Workdir(Instruction, frozen=True):
    """The working directory, made when missing; relative to the one before."""

    path: str


class StopSignal(Instruction, frozen=True):
    """The signal that asks the container to stop."""

    signal: str


class Maintainer(Instruction, frozen=True):
    """The author; deprecated, still honoured."""

    name: str


class Healthcheck(Instruction, frozen=True):
    """`HEALTHCHECK NONE` has the test `("NONE",)`."""

    health: HealthcheckDocument


class OnBuild(Instruction, frozen=True):
    """An instruction kept for the builds that start from this image."""

    expression: str


class Stage(msgspec.Struct, frozen=True):
    """One FROM and what follows it.

    Attributes:
        base: image, earlier stage or `scratch`, before expansion.
        name: after AS, lower case, or empty.
        platform: the `--platform` flag before expansion, or empty.
    """

    line: int
    source: str
    base: str
    name: str = ""
    platform: str = ""
    instructions: tuple[Instruction, ...] = ()


class Dockerfile(msgspec.Struct, frozen=True):
    """A whole file.

    Attributes:
        globals: the ARGs before the first FROM.
        escape: backslash or backtick.
        warnings: what lint noticed.
    """

    stages: tuple[Stage, ...]
    globals: tuple[Arg, ...] = ()
    escape: str = "\\"
    warnings: tuple[str, ...] = ()
