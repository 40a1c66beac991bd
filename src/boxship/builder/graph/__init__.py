"""The build as a graph of operations with digests."""

from boxship.builder.graph.operations import Operation
from boxship.builder.graph.vertices import Graph, Vertex

__all__ = ["Graph", "Operation", "Vertex"]
