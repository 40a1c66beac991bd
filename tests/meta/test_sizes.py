"""Files and functions stay small enough to be read at once."""

import ast
from typing import Any

_FILE_LINES = 500
_TEST_FILE_LINES = 800
_FUNCTION_LINES = 60


def test_files(package_sources: list[Any], test_sources: list[Any]) -> None:
    limits = [(source, _FILE_LINES) for source in package_sources]
    limits += [(source, _TEST_FILE_LINES) for source in test_sources]
    long = [
        f"{source.name}: {lines} lines, at most {limit}: look for the second thing in it"
        for source, limit in limits
        if (lines := source.text.count("\n")) > limit
    ]
    assert not long, "\n".join(long)


def test_functions(package_sources: list[Any], test_sources: list[Any]) -> None:
    long = [
        f"{source.name}:{node.lineno}: {node.name} has {lines} lines, at most {_FUNCTION_LINES}"
        for source in (*package_sources, *test_sources)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := _lines(node)) > _FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1
