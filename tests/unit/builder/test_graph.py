"""The graph: equal work is one vertex, and inputs stand before what reads them."""

import pytest

from boxship.builder.graph import Graph
from boxship.builder.graph.operations import Exec, Metadata, Scratch, digest


def test_equal_vertices_are_one():
    graph = Graph()
    scratch = graph.add(Scratch())
    assert graph.add(Scratch()) == scratch
    one = graph.add(Metadata("ENV a=b"), (scratch,))
    assert graph.add(Metadata("ENV a=c"), (scratch,)) != one
    assert graph.add(Metadata("ENV a=b"), (scratch,)) == one
    assert (len(graph), graph[one].inputs) == (3, (scratch,))


def test_inputs_must_exist():
    with pytest.raises(ValueError, match="not in the graph"):
        Graph().add(Scratch(), (0,))


def test_proxies_do_not_count():
    plain = Exec(argv=("a",), env=("x=1",), cwd="/")
    proxied = Exec(argv=("a",), env=("x=1",), cwd="/", unkeyed_env=("http_proxy=p",))
    assert digest(plain) == digest(proxied)
    assert digest(plain) != digest(Exec(argv=("a",), env=("x=2",), cwd="/"))
