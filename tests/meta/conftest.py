"""The files that house rules are about."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Source:
    """One Python file, parsed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)


def _sources(*directories: str) -> list[Source]:
    found = [path for name in directories for path in (ROOT / name).rglob("*.py")]
    return [Source(path) for path in sorted(found)]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def package_sources() -> list[Source]:
    """What is shipped."""
    return _sources("src")


@pytest.fixture(scope="session")
def test_sources() -> list[Source]:
    """What tests it."""
    return _sources("tests")
