"""What packages say they export is there, and nothing is exported twice."""

import importlib
import pkgutil

import boxship
from boxship.__version__ import __version__


def _packages() -> list[str]:
    found = pkgutil.walk_packages(boxship.__path__, "boxship.")
    return ["boxship", *(module.name for module in found if module.ispkg)]


def test_every_export_exists() -> None:
    absent = [
        f"{package}.{name}"
        for package in _packages()
        for name in getattr(importlib.import_module(package), "__all__", ())
        if not hasattr(importlib.import_module(package), name)
    ]
    assert not absent


def test_exports_are_listed_once() -> None:
    for package in _packages():
        names = list(getattr(importlib.import_module(package), "__all__", ()))
        assert len(names) == len(set(names)), package


def test_the_version_is_one() -> None:
    assert __version__.count(".") == 2
