"""The solver: what is a hit, what is work, and what keys are made of."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from boxship.builder.graph import Graph, Operation
from boxship.builder.graph.operations import (
    CONTEXT,
    Copy,
    Exec,
    Metadata,
    Scratch,
    SourceImage,
    TreeSource,
)
from boxship.builder.solver.cache import BuildCache
from boxship.builder.solver.results import Layer, Result
from boxship.builder.solver.solver import Clock, Solver
from boxship.errors import InternalError
from boxship.model.digest import digest_of
from boxship.model.image import Descriptor

HOUR = 3600 * 10**9


class Row(NamedTuple):
    id: str
    body: bytes


class Memory:
    """A store in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.writes = 0

    def put(self, key: str, name: str | None, body: bytes) -> None:
        self.writes += 1
        self.rows[key] = body

    def find(self, key: str) -> Row | None:
        return Row(key, self.rows[key]) if key in self.rows else None

    def list(self) -> Sequence[Row]:
        return [Row(*item) for item in sorted(self.rows.items())]

    def delete(self, key: str) -> object:
        return self.rows.pop(key, None)


class Bench:
    """A worker whose layers are made of words; `files` is what the context holds."""

    def __init__(self, files: str = "files") -> None:
        self.files = files
        self.done: list[Operation] = []
        self.lost = False
        self.fail = False

    async def contents(self, operation: Operation, chains: tuple[str, ...]) -> str:
        return self.files if isinstance(operation, Copy) else ""

    async def execute(
        self, operation: Operation, chains: tuple[str, ...]
    ) -> tuple[str, Layer | None]:
        if self.fail:
            raise InternalError("broken")
        self.done.append(operation)
        diff = digest_of(
            f"{operation} {self.files if isinstance(operation, Copy) else ''}".encode()
        )
        return f"{chains[0]}+{diff[7:11]}", Layer(diff, Descriptor("layer", diff, 7))

    def present(self, result: Result) -> bool:
        return not self.lost


RUN = Exec(argv=("a",), env=(), cwd="/")
COPY = Copy(sources=(TreeSource(CONTEXT, "."),), destination="/")


class Site:
    def __init__(self) -> None:
        self.memory = Memory()
        self.bench = Bench()
        self.now = 0

    def solve(self, graph: Graph, *, use_cache: bool = True) -> Result:
        clock = Clock(lambda: self.now, lambda now: f"at {now}")
        cache = BuildCache(self.memory)
        solver = Solver(graph, cache, self.bench, clock, use_cache=use_cache)
        return asyncio.run(solver.solve(len(graph) - 1))


@pytest.fixture
def site() -> Site:
    return Site()


def line(*operations: Operation, base: Operation | None = None) -> Graph:
    """A graph in which each operation builds on the one before."""
    graph = Graph()
    last = graph.add(base or SourceImage(digest_of(b"i"), "base"))
    for operation in operations:
        last = graph.add(operation, (last,))
    return graph


def test_the_second_time_is_a_hit_with_the_first_ones_time(site: Site):
    first = site.solve(line(COPY, RUN))
    site.now = 5
    second = site.solve(line(COPY, RUN))
    assert (first.cached, second.cached) == (False, True)
    assert (second.chain, second.layer, second.created) == (first.chain, first.layer, "at 0")
    assert len(site.bench.done) == 2


def test_contents_and_operation_and_parent_make_the_key(site: Site):
    site.solve(line(COPY, RUN))
    site.bench.files = "changed"
    assert not site.solve(line(COPY, RUN)).cached
    assert not site.solve(line(COPY, Exec(argv=("b",), env=(), cwd="/"))).cached
    assert not site.solve(line(RUN, base=SourceImage(digest_of(b"j"), "other"))).cached


def test_another_image_of_the_same_layers_is_as_good(site: Site):
    site.solve(line(RUN))
    assert site.solve(line(RUN, base=SourceImage(digest_of(b"relabelled"), "base"))).cached


def test_metadata_before_a_command_does_not_spoil_it(site: Site):
    graph = Graph()
    image = graph.add(SourceImage(digest_of(b"i"), "base"))
    graph.add(Metadata("LABEL a=1"), (image,))
    graph.add(RUN, (image,))
    site.solve(graph)
    assert site.solve(line(RUN)).cached


def test_metadata_is_keyed_by_the_step_before(site: Site):
    first = site.solve(line(Metadata("ENV a=1"), Metadata("ENV b=1")))
    site.now = 9
    assert site.solve(line(Metadata("ENV a=1"), Metadata("ENV b=1"))).created == first.created
    assert site.solve(line(Metadata("ENV a=2"), Metadata("ENV b=1"))).created == "at 9"


def test_without_cache_everything_is_done_and_remembered(site: Site):
    site.solve(line(RUN))
    assert not site.solve(line(RUN), use_cache=False).cached
    assert site.solve(line(RUN)).cached


def test_a_result_whose_layer_is_gone_is_made_again(site: Site):
    site.solve(line(RUN))
    site.bench.lost = True
    assert not site.solve(line(RUN)).cached


def test_a_vertex_that_two_need_is_solved_once(site: Site):
    graph = Graph()
    image = graph.add(Scratch())
    run = graph.add(RUN, (image,))
    other = graph.add(Exec(argv=("b",), env=(), cwd="/"), (image,))
    graph.add(Copy(sources=(TreeSource(1, "x"),), destination="/"), (run, other))
    site.solve(graph)
    assert len(site.bench.done) == 3


def test_failures_are_not_remembered(site: Site):
    site.bench.fail = True
    with pytest.raises(InternalError):
        site.solve(line(RUN))
    assert site.memory.rows == {}


def test_hits_are_noted_as_used_once_an_hour(site: Site):
    site.solve(line(RUN))
    writes = site.memory.writes
    site.now = HOUR
    site.solve(line(RUN))
    assert site.memory.writes == writes
    site.now = HOUR + 1
    site.solve(line(RUN))
    assert site.memory.writes == writes + 1


def test_pruning(site: Site):
    cache = BuildCache(site.memory)
    site.solve(line(RUN))
    site.now = 2 * HOUR
    site.solve(line(COPY))
    cache.take_note("files", "k", "digest")
    assert cache.note("files", "k") == "digest"
    assert [entry.description for entry in cache.prune(HOUR)] == ["RUN a"]
    assert [entry.description for entry in cache.entries()] == ["Copy"]
    assert cache.note("files", "k") is None
    cache.prune()
    assert site.memory.rows == {}
