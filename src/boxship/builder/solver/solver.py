"""Walks the graph: for each vertex a key, a look into the cache, and work on a miss.

The key of a file operation is made of the operation, the *content* it builds on (chain id) and
the content it reads, not of how these came about: a stage that was rebuilt to the same files
spoils nothing behind it. A change of the config only is keyed by the step before it.
"""

import hashlib
from collections.abc import Callable

import msgspec

from boxship.builder.graph import Graph, Operation, Vertex
from boxship.builder.graph.operations import Exec, Metadata, Scratch, SourceImage, digest
from boxship.builder.solver.cache import BuildCache
from boxship.builder.solver.results import Result, Worker


class Clock(msgspec.Struct, frozen=True):
    """Time handed in: nanoseconds since the epoch, and the same as RFC 3339 text."""

    now: Callable[[], int]
    text: Callable[[int], str]


class Solver:
    """Solves vertices of one graph; every vertex once.

    Args:
        use_cache: look results up; they are remembered in any case.
    """

    def __init__(
        self,
        graph: Graph,
        cache: BuildCache,
        worker: Worker,
        clock: Clock,
        *,
        use_cache: bool = True,
    ) -> None:
        self._graph = graph
        self._cache = cache
        self._worker = worker
        self._clock = clock
        self._use_cache = use_cache
        self._results: dict[int, Result] = {}

    async def solve(self, number: int) -> Result:
        """The result of a vertex, its inputs solved first.

        Raises:
            BoxshipError: an operation failed.
        """
        if number not in self._results:
            vertex = self._graph[number]
            inputs = tuple([await self.solve(place) for place in vertex.inputs])
            self._results[number] = await self._solve(vertex, inputs)
        return self._results[number]

    async def _solve(self, vertex: Vertex, inputs: tuple[Result, ...]) -> Result:
        operation = vertex.operation
        if isinstance(operation, SourceImage):
            return Result(_key(operation.image), operation.chain)
        if isinstance(operation, Scratch):
            return Result(_key("scratch"), "")
        if isinstance(operation, Metadata):
            key = _key(digest(operation), inputs[0].key)
            return self._found(key) or self._metadata(operation, key, inputs[0])
        chains = tuple(result.chain for result in inputs)
        contents = await self._worker.contents(operation, chains)
        key = _key(digest(operation), inputs[0].chain, contents)
        found = self._found(key)
        if found is not None and self._worker.present(found):
            return found
        chain, layer = await self._worker.execute(operation, chains)
        return self._made(Result(key, chain, layer), operation)

    def _metadata(self, operation: Metadata, key: str, before: Result) -> Result:
        return self._made(Result(key, before.chain), operation)

    def _found(self, key: str) -> Result | None:
        return self._cache.find(key, self._clock.now()) if self._use_cache else None

    def _made(self, result: Result, operation: Operation) -> Result:
        now = self._clock.now()
        result = msgspec.structs.replace(result, created=self._clock.text(now))
        self._cache.remember(result, _describe(operation), now)
        return result


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _describe(operation: Operation) -> str:
    if isinstance(operation, Exec):
        return "RUN " + " ".join(operation.argv)
    if isinstance(operation, Metadata):
        return operation.text
    return type(operation).__name__
