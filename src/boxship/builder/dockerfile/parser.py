"""A whole Dockerfile to stages of typed instructions."""

import re

import msgspec

from boxship.builder.dockerfile.decode import Source, decode, take_apart
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.instructions import Arg, Dockerfile, Instruction, Stage
from boxship.builder.dockerfile.lexer import lex

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile.

    Raises:
        DockerfileError: the first line that is wrong, with its number.
    """
    lexed = lex(text)
    if not lexed.lines:
        raise DockerfileError("file with no instructions")
    globals_: list[Arg] = []
    stages: list[tuple[Stage, list[Instruction]]] = []
    for line in lexed.lines:
        source = take_apart(line, lexed.escape)
        if source.keyword == "FROM":
            stages.append((_stage(source, [stage.name for stage, _ in stages]), []))
            continue
        instruction = decode(source)
        if stages:
            stages[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            globals_.append(instruction)
        else:
            raise DockerfileError("no build stage in current context", source.line)
    if not stages:
        raise DockerfileError("no build stage in current context", hint="begin with FROM")
    return Dockerfile(
        stages=tuple(
            msgspec.structs.replace(stage, instructions=tuple(body)) for stage, body in stages
        ),
        globals=tuple(globals_),
        escape=lexed.escape,
        warnings=lexed.warnings,
    )


def parse_instructions(text: str) -> tuple[Instruction, ...]:
    """Read instructions outside a stage: triggers of a base image, `commit --change` lines.

    Raises:
        DockerfileError: a line is wrong, or is a FROM.
    """
    lexed = lex(text)
    sources = [take_apart(line, lexed.escape) for line in lexed.lines]
    for source in sources:
        if source.keyword == "FROM":
            raise DockerfileError("FROM isn't allowed as an ONBUILD trigger", source.line)
    return tuple(decode(source) for source in sources)


def _stage(source: Source, earlier: list[str]) -> Stage:
    platform = source.checked(("platform",)).text("platform")
    words = source.words()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise DockerfileError("FROM requires either one or three arguments", source.line)
    name = words[2].lower() if len(words) == 3 else ""
    if name and _STAGE_NAME.fullmatch(name) is None:
        raise DockerfileError(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or '
            "contain symbols",
            source.line,
        )
    if name and name in earlier:
        raise DockerfileError(f'duplicate name "{name}" for build stages', source.line)
    return Stage(line=source.line, source=source.text, base=words[0], name=name, platform=platform)
