"""Instructions that change the image's config and no file."""

import json
import re
import signal
from collections.abc import Callable
from typing import Any

from boxship.builder.convert.state import StageState
from boxship.builder.dockerfile import instructions as i
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.graph.operations import Metadata

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/([a-z]+))?", re.IGNORECASE)


def _done(state: StageState, text: str) -> None:
    state.metadata_step(Metadata(text), text)


def _env(state: StageState, instruction: i.Env) -> None:
    """Set variables; all values of one line see the environment before the line."""
    changes = [
        (state.expand(pair.key, instruction.line), state.expand(pair.value or "", instruction.line))
        for pair in instruction.pairs
    ]
    merged = {**state.environment(), **dict(changes)}
    state.configure(env=tuple(f"{name}={value}" for name, value in merged.items()))
    _done(state, "ENV " + " ".join(f"{name}={value}" for name, value in changes))


def _label(state: StageState, instruction: i.Label) -> None:
    changes = [
        (state.expand(pair.key, instruction.line), state.expand(pair.value or "", instruction.line))
        for pair in instruction.pairs
    ]
    state.configure(labels={**state.config.labels, **dict(changes)})
    _done(state, "LABEL " + " ".join(f"{key}={value}" for key, value in changes))


def _arg(state: StageState, instruction: i.Arg) -> None:
    texts: list[str] = []
    for pair in instruction.pairs:
        default = None if pair.value is None else state.expand(pair.value, instruction.line)
        value = state.arguments.value(pair.key, default)
        state.declared[pair.key] = value
        texts.append(pair.key if value is None else f"{pair.key}={value}")
    _done(state, "ARG " + " ".join(texts))


def _command(state: StageState, command: i.Command) -> tuple[str, ...]:
    return (*state.shell(), *command.arguments) if command.shell_form else command.arguments


def _cmd(state: StageState, instruction: i.Cmd) -> None:
    argv = _command(state, instruction.command)
    state.command_set = True
    state.configure(cmd=argv)
    _done(state, "CMD " + json.dumps(argv, ensure_ascii=False))


def _entrypoint(state: StageState, instruction: i.Entrypoint) -> None:
    """Set the entrypoint; the base image's CMD was meant for the base image's entrypoint."""
    argv = _command(state, instruction.command)
    state.configure(entrypoint=argv)
    if not state.command_set:
        state.configure(cmd=None)
    _done(state, "ENTRYPOINT " + json.dumps(argv, ensure_ascii=False))


def _shell(state: StageState, instruction: i.Shell) -> None:
    state.configure(shell=instruction.arguments)
    _done(state, "SHELL " + json.dumps(instruction.arguments, ensure_ascii=False))


def _expose(state: StageState, instruction: i.Expose) -> None:
    ports: list[str] = []
    for text in instruction.ports:
        for word in state.expand_words(text, instruction.line):
            ports += _ports(word, instruction.line)
    if not ports:
        raise DockerfileError("EXPOSE requires at least one argument", instruction.line)
    merged = state.config.exposed_ports.keys() | set(ports)
    state.configure(exposed_ports={port: {} for port in sorted(merged)})
    _done(state, "EXPOSE " + " ".join(sorted(set(ports))))


def _ports(word: str, line: int) -> list[str]:
    # An address and host port before the container port are allowed and mean nothing here.
    match = _PORT.fullmatch(word.rpartition(":")[2])
    protocol = (match[3] or "tcp").lower() if match else ""
    if match is None or protocol not in ("tcp", "udp", "sctp"):
        raise DockerfileError(f"invalid containerPort: {word}", line)
    first = int(match[1])
    last = int(match[2] or first)
    if not 0 < first <= last <= 65535:
        raise DockerfileError(f"invalid containerPort: {word}", line)
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _volume(state: StageState, instruction: i.Volume) -> None:
    paths = [state.expand(path, instruction.line) for path in instruction.paths]
    if "" in paths:
        raise DockerfileError("VOLUME specified can not be an empty string", instruction.line)
    merged = state.config.volumes.keys() | set(paths)
    state.configure(volumes={path: {} for path in sorted(merged)})
    _done(state, "VOLUME [" + " ".join(paths) + "]")


def _user(state: StageState, instruction: i.User) -> None:
    name = state.expand(instruction.name, instruction.line)
    state.configure(user=name)
    _done(state, f"USER {name}")


def _stop_signal(state: StageState, instruction: i.StopSignal) -> None:
    text = state.expand(instruction.signal, instruction.line)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    numeric = text.isdecimal() and 0 < int(text) <= 64
    if not numeric and name not in signal.Signals.__members__ and not _real_time(name):
        raise DockerfileError(f"invalid signal: {text}", instruction.line)
    state.configure(stop_signal=text)
    _done(state, f"STOPSIGNAL {text}")


def _real_time(name: str) -> bool:
    return re.fullmatch(r"SIGRTM(IN\+|AX-)\d{1,2}", name) is not None


def _healthcheck(state: StageState, instruction: i.Healthcheck) -> None:
    state.configure(healthcheck=instruction.health)
    _done(state, instruction.source)


def _on_build(state: StageState, instruction: i.OnBuild) -> None:
    state.configure(on_build=(*state.config.on_build, instruction.expression))
    _done(state, f"ONBUILD {instruction.expression}")


def _maintainer(state: StageState, instruction: i.Maintainer) -> None:
    state.author = instruction.name
    _done(state, f"MAINTAINER {instruction.name}")


HANDLERS: dict[type[i.Instruction], Callable[[StageState, Any], None]] = {
    i.Arg: _arg,
    i.Cmd: _cmd,
    i.Entrypoint: _entrypoint,
    i.Env: _env,
    i.Expose: _expose,
    i.Healthcheck: _healthcheck,
    i.Label: _label,
    i.Maintainer: _maintainer,
    i.OnBuild: _on_build,
    i.Shell: _shell,
    i.StopSignal: _stop_signal,
    i.User: _user,
    i.Volume: _volume,
}
