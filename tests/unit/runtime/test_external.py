"""External runtimes that do half of what they should."""

import errno
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from boxship.errors import InternalError
from boxship.kernel.linux import LinuxKernel
from boxship.runtime import channel
from boxship.runtime.external import Making, serve
from tests.fakes.kernel import RecordingKernel

# Notes its words and its process for the pid file; a console is called and gets nothing.
RUNTIME = """#!{python}
import pathlib, socket, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
with open(here / "words", "a") as file:
    print(*words, file=file)
if "--pid-file" in words:
    pid = (here / "pid-of-it").read_text()
    pathlib.Path(words[words.index("--pid-file") + 1]).write_text(pid)
if "--console-socket" in words:
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(words[words.index("--console-socket") + 1])
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    program = tmp_path / "runtime"
    program.write_text(RUNTIME.format(python=sys.executable))
    program.chmod(0o755)
    return program


def test_a_process_whose_terminal_does_not_come_is_ended(runtime: Path, tmp_path: Path) -> None:
    words = (sys.executable, "-c", "input()")
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        try:
            (tmp_path / "pid-of-it").write_text(str(process.pid))
            making = Making(LinuxKernel(), "x", [str(runtime)])
            making.directory = str(tmp_path)
            with pytest.raises(InternalError, match="sent no terminal"):
                making.made(["exec", "x"], "true", terminal=True)
            assert process.wait(10) == -9
        finally:
            process.kill()


@pytest.mark.parametrize("pid", ["1", "none"])
def test_a_container_that_is_lost_is_deleted(runtime: Path, tmp_path: Path, pid: str) -> None:
    (tmp_path / "pid-of-it").write_text(pid)
    (tmp_path / "config.json").write_text(json.dumps({"process": {"args": ["true"]}}))
    kernel = RecordingKernel()
    kernel.missing |= {"/etc/passwd", "/etc/group"}
    kernel.failures["pidfd_open"] = errno.ESRCH
    making = Making(kernel, "x", [str(runtime)])  # type: ignore[arg-type]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        serve(making, theirs, [0, "Spawn", "x", str(tmp_path), [["bind", "/", []]], False])
        received = channel.receive(ours)
    assert received is not None
    assert json.loads(received[0])[1] == "Failed"
    assert "delete --force x" in (tmp_path / "words").read_text().splitlines()[-1]
