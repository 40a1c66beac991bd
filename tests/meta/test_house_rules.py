"""What the style guide asks for and no linter knows."""

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

_FORBIDDEN_NAMES = ("utils", "util", "helpers", "common", "misc")
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")

# Put together here, so that this file does not hold what it looks for.
_ELSEWHERE = (
    re.escape("/" + "work/"),
    re.escape("/" + "opt/wheels"),
    re.escape("pypi" + ".org"),
    re.escape("python" + "hosted.org"),
    "files" + r"\.python",
    r"\b" + "shared/(DESIGN|STYLE|PEERS|DEMAND|API-COMPAT)",
    r"\b" + r"brief\.md\b",
)
_NOT_TEXT = (".png", ".gz", ".tar", ".xz", ".zst", ".bin")


def test_module_names(package_sources: list[Any]) -> None:
    vague = [source.name for source in package_sources if source.path.stem in _FORBIDDEN_NAMES]
    assert not vague, f"name the thing these hold: {vague}"


def test_every_module_says_what_it_is(package_sources: list[Any]) -> None:
    silent = [source.name for source in package_sources if not ast.get_docstring(source.tree)]
    assert not silent, f"modules without a docstring: {silent}"


def test_packages_hold_a_docstring_and_exports_only(package_sources: list[Any]) -> None:
    busy = [
        f"{source.name}:{node.lineno}"
        for source in package_sources
        if source.path.name == "__init__.py"
        for node in source.tree.body
        if not _is_export(node)
    ]
    assert not busy, f"code in __init__.py: {busy}"


def _is_export(node: ast.stmt) -> bool:
    """A docstring, an import, `__all__`, `TYPE_CHECKING` or lazy loading of exports."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        return all(name.isupper() or name.startswith("_") for name in names)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")


def test_nothing_is_left_to_do(package_sources: list[Any], test_sources: list[Any]) -> None:
    left = [
        f"{source.name}:{number}"
        for source in (*package_sources, *test_sources)
        if source.path != Path(__file__)
        for number, line in enumerate(source.text.splitlines(), 1)
        if _UNFINISHED.search(line)
    ]
    assert not left, f"finish these, or file an issue: {left}"


def test_tests_use_fakes_and_never_patch(test_sources: list[Any]) -> None:
    patched = [
        f"{source.name}:{node.lineno}"
        for source in test_sources
        for node in ast.walk(source.tree)
        if _patches(node)
    ]
    assert not patched, f"hand a fake in (tests/fakes) where these patch: {patched}"


def _patches(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith("unittest.mock")
    if isinstance(node, ast.Import):
        return any(alias.name.startswith("unittest.mock") for alias in node.names)
    # setenv, delenv and chdir are how a test hands in its surroundings; setattr replaces code.
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("setattr", "delattr")
        and isinstance(node.value, ast.Name)
        and node.value.id == "monkeypatch"
    )


def test_files_speak_only_of_this_project(root: Path) -> None:
    pattern = re.compile("|".join(_ELSEWHERE))
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name in _tracked(root)
        for number, line in enumerate(_lines(root / name), 1)
        if pattern.search(line)
    ]
    assert not found, "mention no other place than this project:\n" + "\n".join(found)


def _tracked(root: Path) -> list[str]:
    if not (root / ".git").exists():
        return [str(path.relative_to(root)) for path in root.rglob("*") if path.suffix == ".py"]
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    return [name for name in listing.stdout.split("\0") if name]


def _lines(path: Path) -> list[str]:
    if path.suffix in _NOT_TEXT or not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
