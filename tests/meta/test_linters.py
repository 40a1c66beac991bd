"""The linters of pyproject.toml and .importlinter pass on the whole tree."""

import subprocess
import sys
from pathlib import Path

import pytest

_CHECKED = ("src", "tests", "bench", "demo")


def _run(root: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_ruff(root: Path) -> None:
    _run(root, _tool("ruff"), "check", "--no-fix", "--output-format=concise", *_CHECKED)


def test_format(root: Path) -> None:
    _run(root, _tool("ruff"), "format", "--check", *_CHECKED)


@pytest.mark.slow
def test_layers(root: Path) -> None:
    _run(root, _tool("lint-imports"), "--no-cache")


@pytest.mark.slow
def test_types(root: Path) -> None:
    _run(root, _tool("mypy"), "--no-error-summary", "src")
