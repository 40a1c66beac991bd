"""Finding the Dockerfile and its ignore file in a context nobody vouches for."""

import asyncio
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxship.builder.context import receive_context
from boxship.builder.request import BuildRequest
from boxship.builder.source import read_dockerfile, read_ignore
from boxship.builder.worker.helper import FileHelper
from boxship.errors import InvalidArgumentError


@pytest.fixture
def helper(tmp_path: Path) -> Iterator[FileHelper]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made = FileHelper(scratch)
    yield made
    made.stop()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "outside").write_text("FROM a")
    context = tmp_path / "context"
    (context / "dir").mkdir(parents=True)
    (context / "link").symlink_to(tmp_path / "outside")
    (context / "loop").symlink_to("loop")
    (context / "binary").write_bytes(b"\xff\xfe")
    os.mkfifo(context / "fifo")
    return context


def dockerfile(helper: FileHelper, request: BuildRequest) -> str:
    return asyncio.run(read_dockerfile(request, helper))


def ignored(helper: FileHelper, request: BuildRequest) -> tuple[str, ...]:
    return asyncio.run(read_ignore(request, helper))


def test_text_wins_over_the_context(helper: FileHelper, context: Path):
    (context / "Dockerfile").write_text("FROM a")
    assert dockerfile(helper, BuildRequest(context)) == "FROM a"
    assert dockerfile(helper, BuildRequest(context, dockerfile_text="FROM b")) == "FROM b"
    assert dockerfile(helper, BuildRequest(None, dockerfile_text="FROM c")) == "FROM c"


def test_the_dockerfiles_own_ignore_file_wins(helper: FileHelper, context: Path):
    (context / ".dockerignore").write_text("a\n")
    assert ignored(helper, BuildRequest(context)) == ("a",)
    (context / "Dockerfile.dockerignore").write_text("b\n")
    assert ignored(helper, BuildRequest(context)) == ("b",)
    assert ignored(helper, BuildRequest(None)) == ()


@pytest.mark.parametrize("name", ["absent", "../outside", "dir", "link", "binary", "loop", "fifo"])
def test_what_is_no_dockerfile(helper: FileHelper, context: Path, name: str):
    with pytest.raises(InvalidArgumentError):
        dockerfile(helper, BuildRequest(context, dockerfile=name))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_contexts_arrive_in_any_compression(helper: FileHelper, tmp_path: Path, mode: str):
    sent = io.BytesIO()
    with tarfile.open(fileobj=sent, mode=mode) as stream:
        member = tarfile.TarInfo("Dockerfile")
        member.size = 6
        stream.addfile(member, io.BytesIO(b"FROM a"))
    sent.seek(0)
    place = receive_context(sent, tmp_path / "context.tar")
    assert dockerfile(helper, BuildRequest(place)) == "FROM a"


def test_a_context_that_is_cut_off(helper: FileHelper, tmp_path: Path):
    with pytest.raises(InvalidArgumentError):
        receive_context(io.BytesIO(b"\x1f\x8b\x08\0\0\0\0\0"), tmp_path / "a")
    place = receive_context(io.BytesIO(b"x" * 700), tmp_path / "b")
    with pytest.raises(InvalidArgumentError, match="cannot read the build context"):
        dockerfile(helper, BuildRequest(place))
