"""The graph: operations and what they build on, append-only and free of cycles."""

import msgspec

from boxship.builder.graph.operations import Operation


class Vertex(msgspec.Struct, frozen=True):
    """An operation and the numbers of the vertices it reads; inputs[0] is what it builds on."""

    operation: Operation
    inputs: tuple[int, ...] = ()


class Graph:
    """Vertices by number. An equal vertex is not added twice, so equal work is done once."""

    def __init__(self) -> None:
        self._vertices: list[Vertex] = []
        self._numbers: dict[bytes, int] = {}

    def add(self, operation: Operation, inputs: tuple[int, ...] = ()) -> int:
        """The vertex's number; inputs must be numbers given out before, so no cycle can arise."""
        if any(number >= len(self._vertices) or number < 0 for number in inputs):
            msg = f"inputs {inputs} of {type(operation).__name__} are not in the graph"
            raise ValueError(msg)
        vertex = Vertex(operation, inputs)
        key = msgspec.json.encode(vertex)
        if key not in self._numbers:
            self._numbers[key] = len(self._vertices)
            self._vertices.append(vertex)
        return self._numbers[key]

    def __getitem__(self, number: int) -> Vertex:
        return self._vertices[number]

    def __len__(self) -> int:
        return len(self._vertices)
