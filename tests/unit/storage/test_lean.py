"""The extractor starts in a bare interpreter for every layer: what it imports is counted."""

import subprocess
import sys
from pathlib import Path

import boxship

HEAVY = {"asyncio", "collections", "msgspec", "pathlib", "re", "subprocess", "typing", "zstandard"}


def test_the_extractor_imports_next_to_nothing() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "import boxship.storage.diff.extract; print(*sys.modules)"
    )
    source = Path(boxship.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, source], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())
