"""The engines of a benchmark: Docker, Podman and ours, each private, each on the same root files.

Every engine gets its own data root and its own network namespace, so that none meets another's
bridges or rules. `ip netns exec` is not used: it mounts a new /sys that hides the control groups.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from disk import own_disk
from memory import processes

IMAGE = "busybox:latest"
# Podman raises limits that only CAP_SYS_RESOURCE may raise.
PODMAN_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")


class PeerError(RuntimeError):
    """A contender cannot be measured here."""


def run(*argv: str, stdin: IO[Any] | int = subprocess.DEVNULL) -> str:
    """Run to success and give the output."""
    done = subprocess.run(argv, stdin=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"{' '.join(argv[:6])}: {done.stderr.strip()[-300:]}")
    return done.stdout


def note(text: str) -> None:
    """Say something that is not a result."""
    sys.stderr.write(f"{text}\n")


def silent(argv: Sequence[str]) -> Callable[[], object]:
    """A command to be timed: no input, its output thrown away, its failure raised."""
    quiet = subprocess.DEVNULL
    return lambda: subprocess.run(argv, stdin=quiet, stdout=quiet, stderr=quiet, check=True)


def limits(name: str) -> tuple[str, ...]:
    """Flags that an engine's `run` needs here."""
    return PODMAN_LIMITS if name == "podman" else ()


@contextmanager
def network_namespace(name: str) -> Iterator[list[str]]:
    """A network namespace with loopback; gives the words that run a command in it."""
    run("ip", "netns", "add", name)
    prefix = ["nsenter", f"--net=/run/netns/{name}"]
    try:
        run(*prefix, "ip", "link", "set", "lo", "up")
        yield prefix
    finally:
        run("ip", "netns", "del", name)


@contextmanager
def service(argv: Sequence[str], log: Path, probe: Sequence[str]) -> Iterator[int]:
    """A daemon for the time of a benchmark; gives its process id once `probe` succeeds."""
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 30
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"{argv[-1]}: {log.read_text()[-300:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def make_root(directory: Path) -> Path:
    """A root file system of Debian's static busybox."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "run"):
        (directory / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", directory / "bin/busybox")
    for applet in run(str(directory / "bin/busybox"), "--list").split():
        if applet != "busybox":
            (directory / "bin" / applet).symlink_to("busybox")
    (directory / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (directory / "etc/group").write_text("root:x:0:\n")
    return directory


def own_tool(name: str) -> str:
    """A command of the environment that runs the benchmark."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


class Engines:
    """Every engine that runs here; `docker` and `podman` are empty where they do not."""

    def __init__(self, stack: ExitStack, work: Path) -> None:
        self.work = work
        self.root = make_root(work / "root")
        self.archive = work / "root.tar"
        run("tar", "-C", str(self.root), "-cf", str(self.archive), ".")
        self.boxship_socket = work / "boxship" / "boxship.sock"
        self.docker_socket = work / "docker" / "docker.sock"
        self.boxship: list[str] = []
        self.podman_socket = work / "podman" / "podman.sock"
        self.docker: list[str] = []
        self.podman: list[str] = []
        self.prefixes: dict[str, list[str]] = {}
        self._start_boxship(stack)
        for start in (self._start_podman, self._start_docker):
            try:
                start(stack)
            except PeerError as reason:
                note(f"not measured: {reason}")

    def _base(self, stack: ExitStack, name: str) -> Path:
        """An engine's directory, on a file system of its own where that can be."""
        base = self.work / name
        if reason := own_disk(stack, base):
            note(f"{name} shares a file system with the others: {reason}")
        return base

    def _start_boxship(self, stack: ExitStack) -> None:
        prefix = stack.enter_context(network_namespace(f"bench-boxship-{os.getpid()}"))
        tool = own_tool("boxship")
        client = [tool, "-H", f"unix://{self.boxship_socket}"]
        base = self._base(stack, "boxship")
        flags = ["--data-root", str(base / "data"), "--exec-root", str(base)]
        argv = [*prefix, tool, "daemon", *flags]
        stack.callback(_end_strays, base)
        stack.enter_context(service(argv, base / "log", [*client, "system", "status"]))
        stack.callback(_remove_all, client)
        run(*client, "import", str(self.archive), IMAGE)
        self.boxship, self.prefixes["boxship"] = client, prefix

    def _start_docker(self, stack: ExitStack) -> None:
        if shutil.which("dockerd") is None:
            raise PeerError("dockerd is not installed")
        prefix = stack.enter_context(network_namespace(f"bench-docker-{os.getpid()}"))
        base = self._base(stack, "docker")
        client = ["/usr/bin/docker", "-H", f"unix://{self.docker_socket}"]
        argv = [*prefix, "dockerd", "--data-root", str(base / "data")]
        argv += ["--exec-root", str(base / "exec"), "--pidfile", str(base / "pid")]
        argv += ["-H", f"unix://{self.docker_socket}"]
        stack.enter_context(service(argv, base / "log", [*client, "version"]))
        stack.callback(_remove_all, client)
        with self.archive.open("rb") as archive:
            run(*client, "import", "-", IMAGE, stdin=archive)
        self.docker, self.prefixes["docker"] = client, prefix

    def _start_podman(self, stack: ExitStack) -> None:
        if shutil.which("podman") is None:
            raise PeerError("podman is not installed")
        prefix = stack.enter_context(network_namespace(f"bench-podman-{os.getpid()}"))
        base = self._base(stack, "podman")
        stack.callback(_end_strays, base)
        storage = ["--root", str(base / "data"), "--runroot", str(base / "run")]
        _spare_hugetlb(stack, self.work / "hugetlb")
        for runtime in ("crun", "runc"):
            client = [*prefix, "podman", "--runtime", shutil.which(runtime) or runtime, *storage]
            with self.archive.open("rb") as archive:
                run(*client, "import", "-", IMAGE, stdin=archive)
            try:
                run(*client, "run", "--rm", *PODMAN_LIMITS, "--network", "none", IMAGE, "true")
            except PeerError as reason:
                note(f"podman cannot use {runtime}: {reason}")
                continue
            self._serve_podman(stack, client)
            self.podman, self.prefixes["podman"] = client, prefix
            return
        raise PeerError("podman cannot run a container here")

    def _serve_podman(self, stack: ExitStack, client: list[str]) -> None:
        argv = [*client, "system", "service", "--time", "0", f"unix://{self.podman_socket}"]
        remote = ["podman", "--remote", "--url", f"unix://{self.podman_socket}", "version"]
        stack.enter_context(service(argv, self.work / "podman" / "log", remote))
        stack.callback(_remove_all, client)

    @property
    def clients(self) -> dict[str, list[str]]:
        """The command of each engine that runs, ours first."""
        every = {"boxship": self.boxship, "docker": self.docker, "podman": self.podman}
        return {name: client for name, client in every.items() if client}

    @property
    def sockets(self) -> dict[str, Path]:
        """The API socket of each engine that runs."""
        every = {
            "boxship": self.boxship_socket,
            "docker": self.docker_socket,
            "podman": self.podman_socket,
        }
        return {name: every[name] for name in self.clients}


def _spare_hugetlb(stack: ExitStack, directory: Path) -> None:
    """Take hugetlb off a hybrid host's v2 tree, on which crun refuses to run."""
    tree = Path("/sys/fs/cgroup/unified")
    if not tree.is_dir():
        return
    for left in ("docker", "libpod_parent"):
        # A controller cannot move while groups exist; rmdir refuses one that is in use.
        with contextlib.suppress(OSError):
            (tree / left).rmdir()
    directory.mkdir()
    # The kernel takes a moment to forget the groups.
    for _ in range(30):
        with contextlib.suppress(PeerError):
            run("mount", "-t", "cgroup", "-o", "hugetlb", "hugetlb", str(directory))
            stack.callback(_quiet, ["umount", str(directory)])
            return
        time.sleep(0.1)
    note("crun may refuse to run: hugetlb cannot be mounted apart from the v2 tree")


def _remove_all(client: list[str]) -> None:
    """Remove the containers that a benchmark left."""
    done = subprocess.run([*client, "ps", "-aq"], capture_output=True, text=True, check=False)
    if ids := done.stdout.split():
        _quiet([*client, "rm", "-f", *ids])


def _end_strays(base: Path) -> None:
    """End what outlives an engine by design: our keeper, podman's watchers of execs."""
    for pid in processes(base):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _quiet(argv: Sequence[str]) -> None:
    subprocess.run(argv, capture_output=True, check=False)


@contextmanager
def engines() -> Iterator[Engines]:
    """All engines, stopped and removed at the end."""
    with ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="boxship-bench-"))
        stack.callback(_remove, work)
        yield Engines(stack, work)


def _remove(work: Path) -> None:
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        target = line.split()[4]
        if target.startswith(f"{work}/"):
            _quiet(["umount", "-l", target])
    shutil.rmtree(work, ignore_errors=True)
