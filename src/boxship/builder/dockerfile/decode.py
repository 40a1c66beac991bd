"""One logical line to one typed instruction; a table of functions, one an instruction."""

import json
from collections.abc import Callable
from difflib import get_close_matches

import msgspec

from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.flags import Flags, split_flags
from boxship.builder.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from boxship.builder.dockerfile.lexer import Heredoc, LogicalLine
from boxship.builder.dockerfile.options import parse_duration, parse_mount
from boxship.builder.dockerfile.words import split_words
from boxship.model.image import HealthcheckDocument

_COPY_FLAGS = ("from", "chown", "chmod", "link", "parents", "exclude")
_ADD_FLAGS = ("chown", "chmod", "link", "checksum", "keep-git-dir", "exclude", "unpack")
_HEALTH_FLAGS = ("interval", "timeout", "start-period", "start-interval", "retries")


class Source(msgspec.Struct, frozen=True):
    """What a decoder gets: the line taken apart."""

    line: int
    text: str
    keyword: str
    rest: str
    flags: tuple[str, ...]
    heredocs: tuple[Heredoc, ...]
    escape: str

    def words(self) -> list[str]:
        return split_words(self.rest, self.escape)

    def checked(self, known: tuple[str, ...] = ()) -> Flags:
        return Flags(self.flags, known, self.line)


def take_apart(line: LogicalLine, escape: str) -> Source:
    """Separate name, flags and arguments."""
    keyword, *arguments = line.text.split(maxsplit=1)
    rest = "".join(arguments).strip()
    flags: list[str] = []
    if keyword.upper() != "ONBUILD":
        flags, rest = split_flags(rest, escape)
    return Source(
        line=line.number,
        text=line.text,
        keyword=keyword.upper(),
        rest=rest,
        flags=tuple(flags),
        heredocs=line.heredocs,
        escape=escape,
    )


def decode(source: Source) -> Instruction:
    """Type and check one instruction other than FROM.

    Raises:
        DockerfileError: an unknown name, flag or a wrong number of arguments.
    """
    decoder = _DECODERS.get(source.keyword)
    if decoder is None:
        raise DockerfileError(f"unknown instruction: {unknown(source.keyword)}", source.line)
    if not source.rest:
        raise DockerfileError(
            _COUNTS.get(source.keyword, _AT_LEAST_ONE) % source.keyword, source.line
        )
    return decoder(source)


def unknown(keyword: str) -> str:
    close = get_close_matches(keyword, [*_DECODERS, "FROM"], 1)
    return f"{keyword} (did you mean {close[0]}?)" if close else keyword


def _json_list(source: Source, text: str) -> tuple[str, ...] | None:
    """The arguments of the exec form, or None when this is not one."""
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in values):
        raise DockerfileError(
            "when using JSON array syntax, arrays must be comprised of strings only", source.line
        )
    return tuple(values)


def _command(source: Source, text: str) -> Command:
    arguments = _json_list(source, text)
    if arguments is None:
        return Command((text,), shell_form=True)
    return Command(arguments, shell_form=False)


def _pairs(source: Source) -> tuple[Pair, ...]:
    """`k=v k2="v 2"`, or the old `k v v v` with one key."""
    words = source.words()
    if "=" not in words[0]:
        if len(words) < 2:
            raise DockerfileError(f"{source.keyword} must have two arguments", source.line)
        return (Pair(words[0], source.rest[len(words[0]) :].strip()),)
    pairs: list[Pair] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise DockerfileError(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value',
                source.line,
            )
        if not key:
            raise DockerfileError(f"{source.keyword} names can not be blank", source.line)
        pairs.append(Pair(key, value))
    return tuple(pairs)


def _env(source: Source) -> Instruction:
    source.checked()
    return Env(line=source.line, source=source.text, pairs=_pairs(source))


def _label(source: Source) -> Instruction:
    source.checked()
    return Label(line=source.line, source=source.text, pairs=_pairs(source))


def _arg(source: Source) -> Instruction:
    source.checked()
    pairs: list[Pair] = []
    for word in source.words():
        key, equals, value = word.partition("=")
        if not key:
            raise DockerfileError("ARG names can not be blank", source.line)
        pairs.append(Pair(key, value if equals else None))
    return Arg(line=source.line, source=source.text, pairs=tuple(pairs))


def _run(source: Source) -> Instruction:
    flags = source.checked(("mount", "network", "security"))
    network = flags.text("network", "default")
    if network not in ("default", "none", "host"):
        raise DockerfileError(f'unsupported network mode "{network}"', source.line)
    if flags.text("security", "sandbox") != "sandbox":
        raise DockerfileError("RUN --security=insecure is not allowed", source.line)
    return Run(
        line=source.line,
        source=source.text,
        command=_command(source, source.rest),
        heredocs=source.heredocs,
        mounts=tuple(parse_mount(text, source.line) for text in flags.many("mount")),
        network=network,
    )


def _paths(source: Source) -> tuple[tuple[str, ...], str]:
    listed = _json_list(source, source.rest)
    paths = list(listed) if listed is not None else source.words()
    if len(paths) < 2:
        raise DockerfileError(
            f"{source.keyword} requires at least two arguments, but only one was provided. "
            "Destination could not be determined",
            source.line,
        )
    heredocs = {heredoc.word for heredoc in source.heredocs}
    sources = tuple(path for path in paths[:-1] if path not in heredocs)
    if len(paths) > 2 and not paths[-1].endswith("/") and "$" not in paths[-1]:
        _require_directory(source, paths[-1])
    return sources, paths[-1]


def _require_directory(source: Source, destination: str) -> None:
    if destination not in (".", "..") and not destination.endswith(("/.", "/..")):
        raise DockerfileError(
            f"When using {source.keyword} with more than one source file, the destination must "
            "be a directory and end with a /",
            source.line,
        )


def _copy(source: Source) -> Instruction:
    flags = source.checked(_COPY_FLAGS)
    sources, destination = _paths(source)
    return Copy(
        line=source.line,
        source=source.text,
        sources=sources,
        destination=destination,
        heredocs=source.heredocs,
        origin=flags.text("from"),
        owner=flags.text("chown"),
        mode=flags.text("chmod"),
        link=bool(flags.boolean("link")),
        parents=bool(flags.boolean("parents")),
        excludes=flags.many("exclude"),
    )


def _add(source: Source) -> Instruction:
    flags = source.checked(_ADD_FLAGS)
    flags.boolean("keep-git-dir")
    sources, destination = _paths(source)
    return Add(
        line=source.line,
        source=source.text,
        sources=sources,
        destination=destination,
        heredocs=source.heredocs,
        owner=flags.text("chown"),
        mode=flags.text("chmod"),
        link=bool(flags.boolean("link")),
        excludes=flags.many("exclude"),
        checksum=flags.text("checksum"),
        unpack=flags.boolean("unpack"),
    )


def _cmd(source: Source) -> Instruction:
    source.checked()
    return Cmd(line=source.line, source=source.text, command=_command(source, source.rest))


def _entrypoint(source: Source) -> Instruction:
    source.checked()
    return Entrypoint(line=source.line, source=source.text, command=_command(source, source.rest))


def _shell(source: Source) -> Instruction:
    source.checked()
    arguments = _json_list(source, source.rest)
    if arguments is None:
        raise DockerfileError("SHELL requires the arguments to be in JSON form", source.line)
    if not arguments:
        raise DockerfileError("SHELL requires at least one argument", source.line)
    return Shell(line=source.line, source=source.text, arguments=arguments)


def _expose(source: Source) -> Instruction:
    source.checked()
    return Expose(line=source.line, source=source.text, ports=tuple(source.words()))


def _volume(source: Source) -> Instruction:
    source.checked()
    listed = _json_list(source, source.rest)
    paths = listed if listed is not None else tuple(source.words())
    if not paths:
        raise DockerfileError("VOLUME requires at least one argument", source.line)
    if "" in (path.strip() for path in paths):
        raise DockerfileError("VOLUME specified can not be an empty string", source.line)
    return Volume(line=source.line, source=source.text, paths=paths)


def _user(source: Source) -> Instruction:
    source.checked()
    return User(line=source.line, source=source.text, name=source.rest)


def _workdir(source: Source) -> Instruction:
    source.checked()
    return Workdir(line=source.line, source=source.text, path=source.rest)


def _stopsignal(source: Source) -> Instruction:
    source.checked()
    return StopSignal(line=source.line, source=source.text, signal=source.rest)


def _maintainer(source: Source) -> Instruction:
    source.checked()
    return Maintainer(line=source.line, source=source.text, name=source.rest)


def _healthcheck(source: Source) -> Instruction:
    flags = source.checked(_HEALTH_FLAGS)
    kind, _, rest = source.rest.partition(" ")
    kind, rest = kind.upper(), rest.strip()
    if kind == "NONE":
        if rest:
            raise DockerfileError("HEALTHCHECK NONE takes no arguments", source.line)
        health = HealthcheckDocument(test=("NONE",))
        return Healthcheck(line=source.line, source=source.text, health=health)
    if kind != "CMD":
        raise DockerfileError(f'Unknown type "{kind}" in HEALTHCHECK (try CMD)', source.line)
    if not rest:
        raise DockerfileError("Missing command after HEALTHCHECK CMD", source.line)
    command = _command(source, rest)
    retries = flags.text("retries", "0")
    if not retries.isdecimal():
        raise DockerfileError(
            f"--retries must be a number of 0 or more, not {retries!r}", source.line
        )
    health = HealthcheckDocument(
        test=("CMD-SHELL" if command.shell_form else "CMD", *command.arguments),
        interval=parse_duration(flags.text("interval", "0"), source.line),
        timeout=parse_duration(flags.text("timeout", "0"), source.line),
        start_period=parse_duration(flags.text("start-period", "0"), source.line),
        start_interval=parse_duration(flags.text("start-interval", "0"), source.line),
        retries=int(retries),
    )
    return Healthcheck(line=source.line, source=source.text, health=health)


def _onbuild(source: Source) -> Instruction:
    trigger = source.rest.split(maxsplit=1)[0].upper()
    if trigger == "ONBUILD":
        raise DockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", source.line)
    if trigger in ("FROM", "MAINTAINER"):
        raise DockerfileError(f"{trigger} isn't allowed as an ONBUILD trigger", source.line)
    bodies = "".join(heredoc.raw for heredoc in source.heredocs)
    expression = source.rest + ("\n" + bodies if bodies else "")
    inner = LogicalLine(source.line, source.line, source.rest, source.heredocs)
    decode(take_apart(inner, source.escape))
    return OnBuild(line=source.line, source=source.text, expression=expression)


_AT_LEAST_ONE = "%s requires at least one argument"
_EXACTLY_ONE = "%s requires exactly one argument"
_COUNTS = {
    "USER": _EXACTLY_ONE,
    "WORKDIR": _EXACTLY_ONE,
    "STOPSIGNAL": _EXACTLY_ONE,
    "MAINTAINER": _EXACTLY_ONE,
}
_DECODERS: dict[str, Callable[[Source], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": _cmd,
    "COPY": _copy,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": _maintainer,
    "ONBUILD": _onbuild,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
