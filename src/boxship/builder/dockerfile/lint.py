"""Mistakes that build all the same: one line each, the rule's name first.

The names are those that Docker's build checks use, so that what users find about them applies.
"""

from collections.abc import Iterator

from boxship.builder.dockerfile.instructions import (
    Arg,
    Cmd,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Healthcheck,
    Maintainer,
    Stage,
    Workdir,
)

_SECRET_WORDS = ("password", "passwd", "secret", "token", "apikey", "api_key", "private_key")
_RESERVED_STAGES = ("scratch", "context")


def lint(dockerfile: Dockerfile) -> tuple[str, ...]:
    """Everything worth a warning, in the order of the file."""
    found = [f"NoEmptyContinuation: {warning}" for warning in dockerfile.warnings]
    for stage in dockerfile.stages:
        found += _stage(stage)
    return tuple(found)


def _stage(stage: Stage) -> Iterator[str]:
    if stage.name in _RESERVED_STAGES:
        yield _line(stage.line, f"ReservedStageName: stage name {stage.name!r} is reserved")
    yield from _repeated(stage)
    yield from _secrets(stage)
    absolute = False
    for instruction in stage.instructions:
        if isinstance(instruction, Maintainer):
            text = "MaintainerDeprecated: use LABEL org.opencontainers.image.authors instead"
            yield _line(instruction.line, text)
        elif isinstance(instruction, Cmd | Entrypoint) and instruction.command.shell_form:
            keyword = type(instruction).__name__.upper()
            text = f"JSONArgsRecommended: {keyword} in shell form receives no signals"
            yield _line(instruction.line, text)
        elif isinstance(instruction, Workdir):
            relative = not instruction.path.startswith(("/", "$"))
            if relative and not absolute:
                text = f"WorkdirRelativePath: {instruction.path!r} depends on the base image"
                yield _line(instruction.line, text)
            absolute = absolute or not relative
        elif isinstance(instruction, Copy) and instruction.origin.startswith("$"):
            text = "VariableInFrom: --from does not expand variables; name a stage with FROM"
            yield _line(instruction.line, text)


def _repeated(stage: Stage) -> Iterator[str]:
    for kind in (Cmd, Entrypoint, Healthcheck):
        same = [instruction for instruction in stage.instructions if isinstance(instruction, kind)]
        for instruction in same[:-1]:
            name = kind.__name__.upper()
            text = f"MultipleInstructionsDisallowed: only the last {name} of a stage counts"
            yield _line(instruction.line, text)


def _secrets(stage: Stage) -> Iterator[str]:
    for instruction in stage.instructions:
        if not isinstance(instruction, Arg | Env):
            continue
        for pair in instruction.pairs:
            if any(word in pair.key.lower() for word in _SECRET_WORDS):
                keyword = type(instruction).__name__.upper()
                text = f"SecretsUsedInArgOrEnv: {keyword} {pair.key} stays in the image"
                yield _line(instruction.line, f"{text}; use RUN --mount=type=secret")


def _line(number: int, text: str) -> str:
    return f"{text} (line {number})"
