"""Using up what others need: processes, memory, descriptors, inodes, disk by way of logs."""

import resource
from pathlib import Path

import pytest

from tests.system.escapes.conftest import USER_NAMESPACES, Target, host_module

pytestmark = pytest.mark.root

# Bounded, so that it does no harm where nothing stops it.
FORKS = """
made = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            libc.pause()
    except OSError as failure:
        print(errno.errorcode[failure.errno])
        break
    made += 1
print(made, flush=True)
os.kill(-1, 9) if os.getpid() == 1 else None
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_processes_are_limited(target: Target, userns: str):
    bounded = target.python(FORKS, "--pids-limit", "20", userns=userns)
    assert bounded.out == "EAGAIN\n19\n", bounded.err
    assert target.python(FORKS, userns=userns).out == "200\n"


def test_a_container_full_of_processes_can_be_ended(target: Target):
    code = FORKS.replace("os.kill(-1, 9) if os.getpid() == 1 else None", "libc.pause()")
    container = target.start(*target.python_command(code, "--pids-limit", "20"))
    target.host.until_output(container, "19")
    entered = target.boxship("exec", container, "true")
    assert entered.code != 0
    assert "Traceback" not in entered.err
    neighbour = target.run("probe", "echo", "unharmed")
    assert neighbour.out == "unharmed\n"
    target.host.remove(container)


MEMORY = """
held = []
for _ in range(64):
    held.append(bytearray(os.urandom(1 << 20)))
print(len(held), flush=True)
"""


@pytest.mark.parametrize("userns", USER_NAMESPACES)
def test_memory_is_limited(target: Target, userns: str):
    limit = ("--memory", "32m", "--memory-swap", "32m")
    assert target.python(MEMORY, *limit, userns=userns).code == 137
    # What is written to file systems in memory counts as well, whoever mounted them.
    for place in ("/dev", "/mounted"):
        fill = f"head -c 60000000 /dev/zero > {place}/fill; echo wrote"
        full = target.run(
            *limit,
            "--tmpfs",
            "/mounted",
            "--tmpfs",
            "/dev/mounted",
            "probe",
            "sh",
            "-c",
            fill,
            userns=userns,
        )
        assert full.code == 137 or "No space" in full.err, (place, full)
    assert target.python(MEMORY, userns=userns).out == "64\n"


DESCRIPTORS = """
held = []
try:
    while len(held) < 3000:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as failure:
    print(errno.errorcode[failure.errno], end=" ")
print(len(held) + 3)
"""


def test_descriptors_are_limited(target: Target):
    assert target.python(DESCRIPTORS, "--ulimit", "nofile=100:100").out == "EMFILE 100\n"
    assert target.python(DESCRIPTORS, "--ulimit", "nofile=4000:4000").out == "3003\n"


def test_containers_cost_the_keeper_few_descriptors_and_give_them_back(target: Target):
    keeper = Path(f"/proc/{target.host.one('keeper')}/fd")
    before = len(list(keeper.iterdir()))
    containers = [target.start("probe", "sleep", "100") for _ in range(5)]
    for container in containers:
        assert target.boxship("exec", container, "nope").code == 127
        assert target.boxship("exec", container, "true").code == 0
    assert len(list(keeper.iterdir())) - before <= 5 * len(containers)
    for container in containers:
        target.host.remove(container)
    target.host.until(lambda: len(list(keeper.iterdir())) <= before, "descriptors are given back")
    soft, _ = resource.prlimit(int(keeper.parent.name), resource.RLIMIT_NOFILE)
    assert soft == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize(("options", "made"), [(":nr_inodes=10", 9), ("", 50)])
def test_inodes_of_memory_are_limited(target: Target, options: str, made: int):
    code = """
made = 0
while made < 50 and attempt(os.mkdir, f"/mounted/{made}") == "done":
    made += 1
print(made)
"""
    assert target.python(code, "--tmpfs", f"/mounted{options}").out == f"{made}\n"


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_logs_are_bounded(target: Target, stream: str):
    limits = ("--log-opt", "max-size=100k", "--log-opt", "max-file=3")
    flood = f"yes {'x' * 200} | head -c 2000000{stream}; head -c 500000 /dev/zero{stream}"
    made = target.boxship("run", "-d", *limits, "probe", "sh", "-c", flood)
    target.host.post(f"/containers/{made.out.strip()}/wait", condition="not-running")
    log = Path(target.host.inspect(made.out.strip())["LogPath"])
    assert len(list(log.parent.glob(f"{log.name}*"))) == 3
    # One record may begin before the bound: 16 KiB, six characters for a byte at worst.
    assert _size(log.parent) < 3 * (100_000 + 6 * 16_384) + 16_384
    unbounded = target.boxship("run", "-d", "probe", "sh", "-c", flood)
    target.host.post(f"/containers/{unbounded.out.strip()}/wait", condition="not-running")
    log = Path(target.host.inspect(unbounded.out.strip())["LogPath"])
    # Without an option: three files of 10 MB.
    assert 2_000_000 < _size(log.parent) < 30_000_000
    for container in (made, unbounded):
        target.host.remove(container.out.strip())


def test_the_keepers_own_log_is_bounded(target: Target):
    log = target.host.exec / "keeper.log"
    before = log.stat().st_size
    # What a container can do as often as it likes: fail, be killed, run out of memory.
    for options in ((), ("--memory", "8m"), ("--pids-limit", "1")):
        target.run("probe", "nope")
        target.python(MEMORY, *options)
        container = target.start(*options, "probe", "sleep", "100")
        target.boxship("exec", container, "nope")
        target.host.remove(container)
    assert log.stat().st_size == before, log.read_text()[-1000:]


def test_the_log_of_a_daemon_that_a_command_starts_is_bounded(tmp_path: Path):
    host = host_module.Host(tmp_path / "host")
    try:
        host.data.mkdir(mode=0o700)
        host.log = host.data / "daemon.log"
        host.log.write_bytes(b"x" * (5 << 20))
        host.start()
        host.get("/_ping")
        assert host.log.stat().st_size < 10_000
        assert host.log.with_suffix(".log.1").stat().st_size > 5 << 20
    finally:
        host.close()


def test_attach_does_not_load_the_log(target: Target):
    line = "x" * 1000
    container = target.start("probe", "sh", "-c", f"yes {line} | head -c 9000000")
    target.host.post(f"/containers/{container}/wait", condition="not-running")
    before = _memory(target)
    # Clients that ask for everything and do not read.
    place = f"/containers/{container}/attach"
    held = [target.host.open("POST", place, logs=1, stdout=1) for _ in range(10)]
    assert held[0].read(8 + 1001)[8:] == line.encode() + b"\n"
    grown = _memory(target) - before
    for one in held:
        one.close()
    assert grown < 20 << 20, grown
    answer = target.host.post(place, logs=1, stdout=1)
    assert len(answer) > 9_000_000
    target.host.remove(container)


def _memory(target: Target) -> int:
    assert target.host.daemon is not None
    return int(Path(f"/proc/{target.host.daemon.pid}/statm").read_text().split()[1]) * 4096


def test_the_keeper_is_last_to_be_ended_for_memory(target: Target):
    score = int(Path(f"/proc/{target.host.one('keeper')}/oom_score_adj").read_text())
    own = int(Path("/proc/self/oom_score_adj").read_text())
    inside = int(target.run("probe", "cat", "/proc/self/oom_score_adj").out)
    assert score <= own == inside
