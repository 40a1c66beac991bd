"""Dockerfile instructions applied to the config of an image: `import --change`."""

import posixpath
from collections.abc import Sequence

from boxship.builder.convert.arguments import Arguments
from boxship.builder.convert.configure import HANDLERS
from boxship.builder.convert.state import StageState
from boxship.builder.dockerfile import instructions
from boxship.builder.dockerfile.parser import parse_instructions
from boxship.builder.graph import Graph
from boxship.builder.graph.operations import Metadata
from boxship.errors import InvalidArgumentError
from boxship.model.image import ImageRunConfig
from boxship.model.platform import host_platform

_ALLOWED = (
    instructions.Cmd,
    instructions.Entrypoint,
    instructions.Env,
    instructions.Expose,
    instructions.Healthcheck,
    instructions.Label,
    instructions.OnBuild,
    instructions.StopSignal,
    instructions.User,
    instructions.Volume,
    instructions.Workdir,
)


def apply_changes(config: ImageRunConfig, changes: Sequence[str]) -> ImageRunConfig:
    """The config after the instructions, each of which may see those before it.

    Raises:
        InvalidArgumentError: an instruction is wrong, or changes files.
    """
    if not changes:
        return config
    platform = host_platform()
    graph = Graph()
    state = StageState(
        graph,
        Arguments({}, platform, platform),
        vertex=graph.add(Metadata("change")),
        config=config,
        platform=platform,
        escape="\\",
    )
    for instruction in parse_instructions("\n".join(changes)):
        if not isinstance(instruction, _ALLOWED):
            word = instruction.source.partition(" ")[0].lower()
            raise InvalidArgumentError(f"{word} is not a valid change command")
        if isinstance(instruction, instructions.Workdir):
            path = state.expand(instruction.path, instruction.line)
            state.configure(working_dir=posixpath.join(state.config.working_dir or "/", path))
        else:
            HANDLERS[type(instruction)](state, instruction)
    return state.config
