"""RUN."""

import posixpath
import re

from boxship.builder.convert.files import Origin
from boxship.builder.convert.state import DEFAULT_PATH, StageState
from boxship.builder.dockerfile import instructions as i
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.graph.operations import CONTEXT, NOTHING, Exec, ExecMount

SCRIPT = "/dev/pipes/run-heredoc"
"""Where the script of a heredoc that begins with `#!` is mounted."""

_SIZE = re.compile(r"(\d+)([bkmg]?)b?", re.IGNORECASE)
_SHARING = ("shared", "private", "locked")


async def run(state: StageState, instruction: i.Run, origin: Origin, network: str) -> None:
    """Convert a RUN; `network` is the request's mode for instructions that name none."""
    others: list[int] = []
    mounts: list[ExecMount] = []
    for mount in instruction.mounts:
        options = {
            key: state.expand(value, instruction.line) for key, value in mount.options.items()
        }
        place = _place(mount.type, options)
        if options.get("from"):
            others.append(await origin(options["from"], instruction.line))
            place = len(others)
        mounts.append(_mount(state, mount.type, options, place, instruction.line))
    argv, script = _argv(state, instruction)
    arguments = state.run_arguments()
    env = [*state.config.env, *(f"{name}={value}" for name, value in arguments.items())]
    if not any(line.startswith("PATH=") for line in env):
        env.insert(0, DEFAULT_PATH)
    proxies = [
        f"{name}={value}"
        for name, value in state.arguments.proxies().items()
        if name not in state.environment()
    ]
    operation = Exec(
        argv=argv,
        env=tuple(env),
        cwd=state.config.working_dir or "/",
        user=state.config.user,
        network=network if instruction.network == "default" else instruction.network,
        mounts=tuple(mounts),
        script=script,
        unkeyed_env=tuple(proxies),
    )
    told = [f"|{len(arguments)}", *(f"{k}={v}" for k, v in arguments.items())] if arguments else []
    shown = (*state.shell(), *instruction.command.arguments) if script else argv
    state.file_step(operation, " ".join(["RUN", *told, *shown]), others=tuple(others))


def _place(kind: str, options: dict[str, str]) -> int:
    return CONTEXT if kind == "bind" and not options.get("from") else NOTHING


def _argv(state: StageState, instruction: i.Run) -> tuple[tuple[str, ...], str]:
    """What to execute, and the script it needs if any.

    A heredoc alone is a script; with a command before it, it is the shell's business.
    """
    command = instruction.command
    if not command.shell_form:
        return command.arguments, ""
    (text,) = command.arguments
    heredocs = instruction.heredocs
    if len(heredocs) == 1 and text.strip() == heredocs[0].word:
        content = heredocs[0].content
        if content.startswith("#!"):
            return (SCRIPT,), content
        return (*state.shell(), content), ""
    if heredocs:
        text = text + "\n" + "".join(heredoc.raw for heredoc in heredocs)
    return (*state.shell(), text), ""


def _mount(
    state: StageState, kind: str, options: dict[str, str], place: int, line: int
) -> ExecMount:
    target = options.get("target", "")
    if kind == "secret":
        identity = options.get("id") or posixpath.basename(target)
        if not identity:
            raise DockerfileError("invalid secret mount: id or target is needed", line)
        if not target and not options.get("env"):
            target = f"/run/secrets/{identity}"
        options = {"source": identity, "mode": "0400", **options}
    read_only = "readonly" in options or (kind == "bind" and "readwrite" not in options)
    sharing = options.get("sharing", "shared")
    if sharing not in _SHARING:
        raise DockerfileError(f'unsupported sharing value "{sharing}"', line)
    path = state.absolute(target).rstrip("/") if target else ""
    if target and not path:
        raise DockerfileError("invalid mount target: / cannot be mounted over", line)
    return ExecMount(
        type=kind,
        target=path,
        source=_inside(options.get("source", "")),
        input=place,
        read_only=read_only,
        cache=options.get("id", path) if kind == "cache" else "",
        sharing=sharing,
        size=_size(options.get("size", "0"), line),
        mode=_octal(options.get("mode", "0755"), line),
        uid=_number(options.get("uid", "0"), line),
        gid=_number(options.get("gid", "0"), line),
        variable=options.get("env", ""),
        required=options.get("required", "false").lower() in ("true", "1"),
    )


def _inside(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/") or "."


def _octal(text: str, line: int) -> int:
    if re.fullmatch(r"[0-7]{1,5}", text) is None:
        raise DockerfileError(f"invalid mode {text!r}: want an octal number", line)
    return int(text, 8)


def _number(text: str, line: int) -> int:
    if not text.isdecimal():
        raise DockerfileError(f"invalid id {text!r}: want a number", line)
    return int(text)


def _size(text: str, line: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise DockerfileError(f"invalid size {text!r}", line)
    return int(match[1]) << {"": 0, "b": 0, "k": 10, "m": 20, "g": 30}[match[2].lower()]
