"""Finding the Dockerfile and its ignore file in a context nobody vouches for."""

import os
from pathlib import Path

import pytest

from boxship.builder.request import BuildRequest
from boxship.builder.source import read_dockerfile, read_ignore
from boxship.errors import InvalidArgumentError


def test_text_wins_over_the_context(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM a")
    assert read_dockerfile(BuildRequest(tmp_path)) == "FROM a"
    assert read_dockerfile(BuildRequest(tmp_path, dockerfile_text="FROM b")) == "FROM b"
    assert read_dockerfile(BuildRequest(None, dockerfile_text="FROM c")) == "FROM c"


def test_the_dockerfiles_own_ignore_file_wins(tmp_path: Path):
    (tmp_path / ".dockerignore").write_text("a\n")
    assert read_ignore(BuildRequest(tmp_path)) == ("a",)
    (tmp_path / "Dockerfile.dockerignore").write_text("b\n")
    assert read_ignore(BuildRequest(tmp_path)) == ("b",)
    assert read_ignore(BuildRequest(None)) == ()


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


@pytest.mark.parametrize("name", ["absent", "../outside", "dir", "link", "binary", "loop"])
def test_what_is_no_dockerfile(context: Path, name: str):
    with pytest.raises(InvalidArgumentError):
        read_dockerfile(BuildRequest(context, dockerfile=name))


def test_a_fifo_does_not_hold_up_the_daemon(context: Path):
    assert read_dockerfile(BuildRequest(context, dockerfile="fifo")) == ""
