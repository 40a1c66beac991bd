"""Typed instructions to a plan: stages on demand, names resolved, configs computed.

No file is touched and nothing is run here: with the base images' configs known, everything but
the contents of layers is known.
"""

from typing import Protocol

import msgspec

from boxship.builder.convert.arguments import Arguments, expand
from boxship.builder.convert.configure import HANDLERS
from boxship.builder.convert.execute import run
from boxship.builder.convert.files import copy, work_directory
from boxship.builder.convert.plan import Plan, StagePlan
from boxship.builder.convert.state import DEFAULT_PATH, StageState
from boxship.builder.dockerfile.errors import DockerfileError
from boxship.builder.dockerfile.instructions import (
    Copy,
    Dockerfile,
    Instruction,
    Label,
    Pair,
    Run,
    Stage,
    Workdir,
)
from boxship.builder.dockerfile.parser import parse_instructions
from boxship.builder.graph import Graph
from boxship.builder.graph.operations import Scratch, SourceImage
from boxship.errors import InvalidArgumentError
from boxship.model.digest import chain_id
from boxship.model.image import Image, ImageRunConfig
from boxship.model.platform import Platform, host_platform, parse_platform


class Options(msgspec.Struct, frozen=True):
    """What of a request matters for conversion; see `BuildRequest`."""

    args: dict[str, str | None] = {}
    target: str = ""
    labels: dict[str, str] = {}
    platform: str = ""
    network: str = "default"


class Resolver(Protocol):
    """Finds base images, fetching them if need be."""

    async def __call__(self, name: str, platform: Platform) -> Image:
        """The image of this name for this platform.

        Raises:
            NotFoundError: there is none, here or in the registry.
        """
        ...


async def convert(dockerfile: Dockerfile, options: Options, resolve: Resolver) -> Plan:
    """Make the plan of one build; stages that the target does not need are left out.

    Raises:
        DockerfileError: an instruction cannot be carried out as written.
        InvalidArgumentError: the target stage does not exist, or the platform is malformed.
        NotFoundError: a base image does not exist.
    """
    converter = _Converter(dockerfile, options, resolve)
    return await converter.plan()


class _Converter:
    def __init__(self, dockerfile: Dockerfile, options: Options, resolve: Resolver) -> None:
        self._dockerfile = dockerfile
        self._options = options
        self._resolve = resolve
        self._graph = Graph()
        host = host_platform()
        self._platform = parse_platform(options.platform) if options.platform else host
        self._arguments = Arguments(options.args, host, self._platform)
        self._plans: dict[int, StagePlan] = {}
        self._states: dict[int, StageState] = {}
        self._target = 0

    async def plan(self) -> Plan:
        self._arguments.declare_globals(self._dockerfile.globals, self._dockerfile.escape)
        self._target = self._find_target()
        await self._stage(self._target)
        unconsumed = self._arguments.unconsumed()
        warnings: tuple[str, ...] = ()
        if unconsumed:
            names = " ".join(unconsumed)
            warnings = (f"One or more build-args [{names}] were not consumed",)
        return Plan(
            graph=self._graph,
            stages=tuple(self._plans[index] for index in sorted(self._plans)),
            globals=tuple(declaration.source for declaration in self._dockerfile.globals),
            warnings=warnings,
        )

    def _find_target(self) -> int:
        target = self._options.target
        stages = self._dockerfile.stages
        if not target:
            return len(stages) - 1
        for index, stage in enumerate(stages):
            if stage.name == target.lower():
                return index
        if target.isdecimal() and int(target) < len(stages):
            return int(target)
        known = ", ".join(stage.name for stage in stages if stage.name)
        raise InvalidArgumentError(
            f'target stage "{target}" could not be found',
            hint=f"the Dockerfile names: {known}" if known else "no stage of it has a name",
        )

    async def _stage(self, index: int) -> StageState:
        """Convert a stage and, first, those it refers to; they all stand before it."""
        if index in self._states:
            return self._states[index]
        stage = self._dockerfile.stages[index]
        plan = await self._start(index, stage)
        state = StageState(
            self._graph,
            self._arguments,
            vertex=plan.vertex,
            config=plan.config,
            platform=plan.platform,
            escape=self._dockerfile.escape,
        )
        state.author = plan.author
        if plan.base_stage is not None:
            state.inherit(self._states[plan.base_stage])
        await self._triggers(state, index)
        for instruction in stage.instructions:
            await self._instruction(state, instruction, index)
        if index == self._target:
            await self._labels(state, index)
        self._states[index] = state
        self._plans[index] = msgspec.structs.replace(plan, steps=tuple(state.steps))
        return state

    async def _start(self, index: int, stage: Stage) -> StagePlan:
        names = self._arguments.globals()
        name = expand(stage.base, names, self._dockerfile.escape, stage.line)
        if not name:
            raise DockerfileError(f"base name ({stage.base}) should not be blank", stage.line)
        platform = self._stage_platform(stage, names)
        earlier = self._earlier(name, index)
        if earlier is not None:
            base = await self._stage(earlier)
            return StagePlan(
                index=index,
                text=stage.source,
                platform=base.platform,
                vertex=base.file_system,
                config=base.config,
                author=base.author,
                base_stage=earlier,
            )
        if name == "scratch":
            config = ImageRunConfig(env=(DEFAULT_PATH,), working_dir="/")
            vertex = self._graph.add(Scratch())
            return StagePlan(index, stage.source, platform, vertex, config)
        image = await self._resolve(name, platform)
        return StagePlan(
            index=index,
            text=stage.source,
            platform=image.config.platform,
            vertex=self._graph.add(_source(image)),
            config=image.config.config,
            author=image.config.author or "",
            base=image,
        )

    def _stage_platform(self, stage: Stage, names: dict[str, str]) -> Platform:
        text = expand(stage.platform, names, self._dockerfile.escape, stage.line)
        if not text:
            return self._platform
        try:
            return parse_platform(text)
        except InvalidArgumentError as error:
            raise DockerfileError(error.message, stage.line) from error

    def _earlier(self, name: str, index: int) -> int | None:
        for number, stage in enumerate(self._dockerfile.stages[:index]):
            if stage.name and stage.name == name.lower():
                return number
        return None

    async def _triggers(self, state: StageState, index: int) -> None:
        """Carry out the base's ONBUILD instructions as if they followed FROM."""
        expressions = state.config.on_build
        state.configure(on_build=())
        for expression in expressions:
            for instruction in parse_instructions(expression):
                await self._instruction(state, instruction, index, trigger=True)

    async def _labels(self, state: StageState, index: int) -> None:
        if self._options.labels:
            quoted = {key: _quoted(value) for key, value in self._options.labels.items()}
            pairs = tuple(Pair(_quoted(key), value) for key, value in quoted.items())
            text = "LABEL " + " ".join(f"{k}={v}" for k, v in self._options.labels.items())
            await self._instruction(state, Label(line=0, source=text, pairs=pairs), index)

    async def _instruction(
        self, state: StageState, instruction: Instruction, index: int, *, trigger: bool = False
    ) -> None:
        async def origin(name: str, line: int) -> int:
            return await self._origin(name, line, index)

        if isinstance(instruction, Run):
            await run(state, instruction, origin, self._options.network)
        elif isinstance(instruction, Copy):
            await copy(state, instruction, origin)
        elif isinstance(instruction, Workdir):
            work_directory(state, instruction)
        else:
            HANDLERS[type(instruction)](state, instruction)
        state.steps[-1] = msgspec.structs.replace(
            state.steps[-1], text=instruction.source, line=instruction.line, trigger=trigger
        )

    async def _origin(self, name: str, line: int, index: int) -> int:
        """The vertex that `--from` or a mount's `from` means."""
        earlier = self._earlier(name, index)
        if earlier is None and name.isdecimal():
            earlier = int(name)
            if earlier >= index:
                raise DockerfileError(f"invalid from flag value {name}: invalid stage index", line)
        if earlier is not None:
            return (await self._stage(earlier)).file_system
        if name == self._dockerfile.stages[index].name:
            raise DockerfileError(f"stage {name} cannot copy from itself", line)
        return self._graph.add(_source(await self._resolve(name, self._platform)))


def _source(image: Image) -> SourceImage:
    layers = image.config.rootfs.diff_ids
    return SourceImage(image.id, chain_id(layers) if layers else "")


def _quoted(text: str) -> str:
    """Text that expansion gives back as it is."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
