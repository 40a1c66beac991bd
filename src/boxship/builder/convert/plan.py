"""What conversion makes: the graph, and for each stage the steps that refer to it."""

import msgspec

from boxship.builder.graph import Graph
from boxship.model.image import Image, ImageRunConfig
from boxship.model.platform import Platform


class Step(msgspec.Struct, frozen=True):
    """One instruction, converted.

    Attributes:
        text: the instruction as written.
        line: where it stands, 0 for what the request added.
        vertex: what does its work.
        config: the image's config after it.
        author: the image's author after it.
        created_by: its line in the image's history.
        trigger: whether an ONBUILD of the base image brought it.
    """

    text: str
    line: int
    vertex: int
    config: ImageRunConfig
    author: str
    created_by: str
    trigger: bool = False


class StagePlan(msgspec.Struct, frozen=True):
    """One stage that is needed.

    Attributes:
        index: its place in the Dockerfile, from 0.
        base: the image it starts from; None for `scratch` and for another stage.
        base_stage: index of the stage it starts from, or None.
        vertex: the file system it starts from.
        config: the config it starts with.
    """

    index: int
    text: str
    platform: Platform
    vertex: int
    config: ImageRunConfig
    author: str = ""
    base: Image | None = None
    base_stage: int | None = None
    steps: tuple[Step, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """A whole build; the last stage is the one asked for.

    Attributes:
        globals: texts of the ARG lines before the first FROM.
        warnings: what the user should know, one line each.
    """

    graph: Graph
    stages: tuple[StagePlan, ...]
    globals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
