"""What the OCI commands do when something else happens meanwhile."""

import os
import subprocess
import sys

import pytest

from boxship.errors import ConflictError, NotFoundError
from boxship.kernel.linux import LinuxKernel
from boxship.runtime.oci.creation import write_pid_file
from boxship.runtime.oci.lifecycle import delete, kill
from boxship.runtime.oci.state import Record, Store


class ReusingKernel(LinuxKernel):
    """The number of a process is another's from the second look on."""

    looks = 0

    def start_time(self, pid: int, /) -> int:
        self.looks += 1
        return super().start_time(pid) + (self.looks > 1)


@pytest.fixture
def bystander():
    """A process that has taken over a container's number."""
    words = (sys.executable, "-c", "input()")
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        yield process


def remembered(store, pid):
    store.reserve("x")
    record = Record(id="x", bundle="/", spec={"process": {}}, cgroup="")
    record.pid, record.start_time = pid, LinuxKernel().start_time(pid)
    store.save(record)


def test_a_number_that_is_anothers_by_now_is_not_signalled(tmp_path, bystander):
    kernel = ReusingKernel()
    store = Store(str(tmp_path), kernel)
    remembered(store, bystander.pid)
    with pytest.raises(ConflictError, match="not running"):
        kill(kernel, store, "x", 9, everyone=False)
    assert bystander.poll() is None


def test_delete_does_not_end_another(tmp_path, bystander):
    kernel = ReusingKernel()
    store = Store(str(tmp_path), kernel)
    remembered(store, bystander.pid)
    delete(kernel, store, "x", force=True)
    assert bystander.poll() is None
    assert store.ids() == []


def test_delete_leaves_what_create_is_at_work_in(tmp_path):
    kernel = LinuxKernel()
    store = Store(str(tmp_path), kernel)
    directory = store.reserve("x")
    with pytest.raises(NotFoundError):
        delete(kernel, store, "x", force=False)
    assert os.listdir(directory) == []  # noqa: PTH208 - it is there


def test_a_link_in_the_way_of_a_pid_file_leads_nowhere(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".pid", f".pid.{os.getpid()}"):
        (tmp_path / name).symlink_to(victim)
    write_pid_file(f"{tmp_path}/pid", 42)
    assert (tmp_path / "pid").read_text() == "42"
    assert victim.read_text() == "mine"


def test_a_pid_file_that_cannot_be_leaves_no_part(tmp_path):
    (tmp_path / "pid").mkdir()
    with pytest.raises(IsADirectoryError):
        write_pid_file(f"{tmp_path}/pid", 42)
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


@pytest.mark.root
def test_a_pid_file_of_the_root_directory(tmp_path):
    # A working directory of another file system: a part made there could not be renamed.
    path = f"/boxship-pid-{os.getpid()}"
    script = f"from boxship.runtime.oci.creation import write_pid_file as w; w({path!r}, 7)"
    try:
        subprocess.run([sys.executable, "-c", script], cwd="/proc", check=True)
        with open(path) as file:  # noqa: PTH123 - as it is written
            assert file.read() == "7"
    finally:
        os.unlink(path)  # noqa: PTH108 - as above
