import errno

import pytest

from boxship.runtime import sync
from boxship.runtime.program import ProgramError, find_program


@pytest.fixture
def tools(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "text").write_text("no program")
    (tmp_path / "dir").mkdir()
    return tmp_path


def test_a_name_is_looked_up_in_path(tools):
    assert find_program("tool", f"/nowhere:{tools}") == f"{tools}/tool"


def test_a_path_is_taken_as_it_is(tools):
    assert find_program(f"{tools}/tool", "") == f"{tools}/tool"


def test_an_empty_directory_of_path_is_the_current_one(tools, monkeypatch):
    monkeypatch.chdir(tools)
    assert find_program("tool", "/nowhere:") == "./tool"


@pytest.mark.parametrize("path", ["", "/nowhere", "/:/usr"])
def test_a_missing_name(path):
    with pytest.raises(ProgramError) as failure:
        find_program("no-such-tool", path)
    assert str(failure.value) == 'exec: "no-such-tool": executable file not found in $PATH'
    assert failure.value.reason == sync.NOT_FOUND


def test_what_is_not_executable_is_passed_over_in_path(tools):
    with pytest.raises(ProgramError, match="executable file not found"):
        find_program("dir", str(tools))


def test_texts_for_paths(tools):
    cases = {
        f"{tools}/none": (f"stat {tools}/none: no such file or directory", errno.ENOENT),
        f"{tools}/dir": ("is a directory", errno.EISDIR),
    }
    for path, (text, number) in cases.items():
        with pytest.raises(ProgramError) as failure:
            find_program(path, "")
        assert str(failure.value) == f'exec: "{path}": {text}'
        assert failure.value.number == number


def test_a_file_without_x_bits_is_a_matter_of_permission(tools):
    with pytest.raises(ProgramError) as failure:
        find_program(f"{tools}/text", "")
    assert str(failure.value) == f'exec: "{tools}/text": permission denied'
    assert failure.value.reason == sync.PERMISSION
