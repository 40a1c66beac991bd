"""The modules of a command in one file: made, used, and never believed against their sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from boxship import coldstart

SOURCE = Path(coldstart.__file__).parent
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from boxship.coldstart import run
run("probe", "boxship.probe")
"""
PROBE = """
import sys
from boxship import errors

def main():
    print({word!r}, type(errors.__loader__).__name__, errors.__file__)
    return 7
"""


class Copy(NamedTuple):
    """A package like ours with a command in it."""

    root: Path

    @property
    def file(self) -> Path:
        return self.root / f"boxship/__pycache__/probe.{sys.implementation.cache_tag}.modules"

    def write(self, word: str) -> None:
        (self.root / "boxship/probe.py").write_text(PROBE.format(word=word))

    def run(self, *options: str) -> list[str]:
        command = [sys.executable, *options, "-c", PROGRAM, str(self.root)]
        environment = {key: value for key, value in os.environ.items() if "PYTHON" not in key}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)  # noqa: PLW1510
        assert (done.returncode, done.stderr) == (7, "")
        return done.stdout.split()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    package = tmp_path / "one" / "boxship"
    package.mkdir(parents=True)
    for name in ("__init__.py", "errors.py", "coldstart.py"):
        shutil.copy2(SOURCE / name, package)
    made = Copy(package.parent)
    made.write("first")
    return made


def test_second_start_takes_modules_from_the_file(copy: Copy) -> None:
    path = str(copy.root / "boxship/errors.py")
    assert copy.run() == ["first", "SourceFileLoader", path]
    before = copy.file.stat().st_ino
    assert copy.run() == ["first", "Modules", path]
    assert copy.file.stat().st_ino == before
    assert [one.name for one in copy.file.parent.glob("probe.*.modules*")] == [copy.file.name]


def test_changed_source_is_imported_and_remembered(copy: Copy) -> None:
    copy.run()
    copy.write("another")
    assert copy.run()[:2] == ["another", "Modules"]
    copy.write("latest")
    (copy.root / "boxship/errors.py").write_text("'shorter'\n")
    assert copy.run()[:2] == ["latest", "SourceFileLoader"]
    assert copy.run()[:2] == ["latest", "Modules"]


def test_moved_package_uses_its_own_sources(copy: Copy) -> None:
    copy.run()
    other = Copy(copy.root.parent / "other")
    shutil.copytree(copy.root, other.root)
    other.write("elsewhere")
    assert other.run() == ["elsewhere", "Modules", str(other.root / "boxship/errors.py")]


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b"\xdb\x00\x00\x00\x10", b"i\x01\x00\x00\x00"]
)
def test_broken_file_is_ignored_and_replaced(copy: Copy, content: bytes) -> None:
    copy.run()
    copy.file.write_bytes(content)
    assert copy.run()[1] == "SourceFileLoader"
    assert copy.run()[1] == "Modules"


def test_nothing_is_written_where_no_byte_code_is_wanted(copy: Copy) -> None:
    assert copy.run("-B")[:2] == ["first", "SourceFileLoader"]
    assert not copy.file.exists()


def test_nothing_is_lost_where_the_file_cannot_be_written(copy: Copy) -> None:
    (copy.root / "boxship/__pycache__").write_text("in the way")
    assert copy.run()[:2] == ["first", "SourceFileLoader"]


def test_hot_path_imports_no_ctypes() -> None:
    hot = ("boxship.runtime.oci.creation", "boxship.kernel.linux")
    code = f"import sys, {', '.join(hot)}; print('ctypes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
