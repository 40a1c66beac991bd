"""Registries to talk to, and an impatient client."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.registry.client import RegistryClient
from boxship.registry.settings import RegistrySettings

_spec = importlib.util.spec_from_file_location(
    "registries", Path(__file__).parents[2] / "fakes" / "registries.py"
)
assert _spec is not None
assert _spec.loader is not None
registries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(registries)
debian_registry = registries.debian_registry
scripted = registries.scripted


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    """A client that does not wait long before it tries again."""
    made = RegistryClient(RegistrySettings(backoff=0.001, attempts=3, timeout=10))
    yield made
    made.close()
