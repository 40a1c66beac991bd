"""Another version's daemon is started while containers run."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxship

pytestmark = [pytest.mark.root, pytest.mark.overlayfs, pytest.mark.netns, pytest.mark.slow]

Version = Callable[[str, int], Path]


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Make a copy of the package that says it is of a version, and speaks a protocol."""

    def make(number: str, step: int) -> Path:
        sources = tmp_path / number
        package = sources / "boxship"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(boxship.__file__).parent, package, ignore=ignored)
        (package / "__version__.py").write_text(f'__version__ = "{number}"\n')
        channel = package / "runtime/channel.py"
        text, count = re.subn(
            r"^PROTOCOL = (\d+)$",
            lambda found: f"PROTOCOL = {int(found[1]) + step}",
            channel.read_text(),
            flags=re.MULTILINE,
        )
        assert count == 1
        channel.write_text(text)
        return sources

    return make


@pytest.fixture
def other(template: Path, empty_host: Callable[..., Any]) -> Any:
    """A host whose daemon was never started."""
    return empty_host(template)


@pytest.mark.parametrize("step", [0, -1], ids=["same-protocol", "older-protocol"])
def test_containers_run_on_under_a_keeper_of_the_new_version(
    other: Any, version: Version, step: int
) -> None:
    other.sources = version("0.0.9", step)
    other.start()
    fifo = other.root / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    script = "while read x; do echo $x; [ $x != end ] || exit 5; done < /fifo"
    one = other.run("sh", "-c", script, host={"Binds": [f"{fifo}:/fifo"], "UsernsMode": "host"})
    terminal = other.run("sh", Tty=True, OpenStdin=True)
    os.write(writer, b"before\n")
    other.until_output(one, "before")
    state = other.state(one)
    keeper = other.one("keeper")
    other.stop()
    os.write(writer, b"between\n")
    other.sources = None
    other.start()
    assert other.find("keeper") != [keeper]
    assert other.state(one) == state
    os.write(writer, b"after\n")
    assert other.until_output(one, "after").split() == ["before", "between", "after"]
    assert other.execute(terminal, "echo", "hi").strip() == "hi"
    other.post(f"/containers/{terminal}/resize", h=20, w=70)
    assert other.terminal_size(terminal) == "20 70"
    os.write(writer, b"end\n")
    other.until_status(one, "exited")
    os.close(writer)
    assert other.state(one)["ExitCode"] == 5
    other.remove(one)
    other.remove(terminal)
    assert other.leaks() == []


def test_a_keeper_of_a_newer_protocol_is_left_alone(other: Any, version: Version) -> None:
    newer = version("9.0.0", 1)
    other.sources = newer
    other.start()
    one = other.run("sleep", "1000")
    state, keeper = other.state(one), other.one("keeper")
    other.stop()
    other.sources = None
    with pytest.raises(Exception, match="is of a newer boxship") as caught:
        other.start()
    assert "start that version again" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    other.sources = newer
    other.start()
    assert other.find("keeper") == [keeper]
    assert other.state(one) == state
    other.remove(one)


def test_a_launcher_of_another_protocol_says_so(other: Any, version: Version, refused: Any) -> None:
    """An upgrade has replaced the files under a keeper that runs."""
    other.sources = version("0.0.9", 0)
    other.start()
    channel = other.sources / "boxship/runtime/channel.py"
    channel.write_text(channel.read_text().replace("PROTOCOL = ", "PROTOCOL = 1 + "))
    shutil.rmtree(channel.parent / "__pycache__")
    other.kill("launcher")
    one = other.create("true")
    with pytest.raises(refused, match="the launcher speaks protocol"):
        other.post(f"/containers/{one}/start")
    other.stop()
    other.sources = None
    other.start()
    other.post(f"/containers/{one}/start")
    other.until_status(one, "exited")
