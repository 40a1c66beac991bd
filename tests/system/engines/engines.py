"""Docker and Podman as tests drive them: private daemons, roots and namespaces."""

import os
import select
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.system.api.clients import PATIENCE, Terminal, until

_GROUPS = Path("/sys/fs/cgroup")


class World:
    """Where one engine lives: a directory, a parent of control groups, namespaces.

    Mounts of the engine go with the process that holds the namespaces, whatever becomes of it.
    """

    def __init__(self, root: Path, group: str) -> None:
        self.root = root
        self.group = group
        script = "ip link set lo up; echo ready; exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "--net", "--mount", "--target", str(self._holder.pid), *command]

    def mounts(self) -> str:
        return Path(f"/proc/{self._holder.pid}/mountinfo").read_text(encoding="utf-8")

    def groups(self) -> list[Path]:
        """Groups of containers; Podman's monitors have one of their own, which stays."""
        found = [path for top in self._tops() for path in top.glob("*/")]
        return [path for path in found if path.name != "conmon"]

    def processes(self) -> list[int]:
        """Ids of processes that name our directory: daemons, shims, monitors."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.fsencode(self.root) in (path / "cmdline").read_bytes():
                    found.append(int(path.name))
        return found

    def close(self) -> None:
        until(lambda: not self._kill(), "processes of the engine are gone")
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()
        for top in self._tops():
            for path in sorted((p for p in top.rglob("*/") if p.is_dir()), reverse=True):
                until(lambda path=path: _removed(path), f"removal of {path}")
            top.rmdir()
        shutil.rmtree(self.root, ignore_errors=True)

    def _tops(self) -> list[Path]:
        tops = [parent / self.group[1:] for parent in (_GROUPS, *_GROUPS.glob("*/"))]
        return [top for top in tops if top.is_dir()]

    def _kill(self) -> list[int]:
        for pid in (doomed := self.processes()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for group in self.groups():
            for pid in (group / "cgroup.procs").read_text(encoding="ascii").split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        return doomed


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


class Engine:
    """Commands of an engine's client."""

    image = ""

    def __init__(self, world: World) -> None:
        self.world = world

    def command(self, *words: str) -> list[str]:
        raise NotImplementedError

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command that ends with this exit code; what it printed."""
        done = self.run(*words)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout.strip()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def terminal(self, *words: str, size: tuple[int, int] = (24, 80)) -> Terminal:
        command = self.command(*words)
        command[0] = shutil.which(command[0]) or command[0]
        return Terminal(command, os.environ, size)

    def box(self, *words: str, flags: tuple[str, ...] = (), code: int = 0) -> str:
        """What a container prints that is removed afterwards."""
        return self("run", "--rm", *self.options(flags), *flags, self.image, *words, code=code)

    def start(self, name: str, *words: str, flags: tuple[str, ...] = ()) -> None:
        options = self.options(flags)
        self("run", "--detach", "--name", name, *options, *flags, self.image, *words)

    def options(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        """What every container needs that does not say otherwise."""
        alone = any(flag.startswith(("--net", "--pod")) for flag in flags)
        return () if alone else ("--network", "none")

    def state(self, name: str, field: str = "Status") -> str:
        return self("inspect", "--format", f"{{{{.State.{field}}}}}", name)

    def pid(self, name: str) -> int:
        return int(self.state(name, "Pid"))

    def until_status(self, name: str, status: str) -> None:
        until(lambda: self.state(name) == status, f"{name} is {status}")

    def until_logged(self, name: str, text: str) -> None:
        until(lambda: text in self("logs", name), f"{text!r} from {name}")

    def remove_all(self) -> None:
        """All containers, without grace."""
        raise NotImplementedError

    def traces(self) -> list[str]:
        """What is left of containers: groups, mounts of roots, the runtime's own state."""
        root = f"{self.world.root}/"
        lines = self.world.mounts().splitlines()
        roots = [line for line in lines if root in line and "/merged" in line]
        return [*map(str, self.world.groups()), *roots, *map(str, self.records())]

    def delete_records(self) -> None:
        """Have the runtime forget what the engine did not."""

    def records(self) -> list[Path]:
        raise NotImplementedError


class Docker(Engine):
    """A dockerd of its own, whose default runtime is the one to be tested."""

    image = "busybox"

    def __init__(self, world: World, runtime: str) -> None:
        super().__init__(world)
        self._runtime = runtime
        self._daemon: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        return ["docker", "--host", f"unix://{self.world.root}/docker.sock", *words]

    def start_daemon_command(self) -> list[str]:
        root = self.world.root
        (root / "daemon.json").write_text("{}")
        return self.world.inside(
            "dockerd",
            *("--config-file", f"{root}/daemon.json", "--data-root", f"{root}/data"),
            *("--exec-root", f"{root}/exec", "--pidfile", f"{root}/pid"),
            *("--host", f"unix://{root}/docker.sock", "--cgroup-parent", self.world.group),
            *("--add-runtime", f"boxship={self._runtime}", "--default-runtime", "boxship"),
        )

    def begin(self) -> None:
        """Start the daemon and wait until it serves."""
        with (self.world.root / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                self.start_daemon_command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            until(lambda: self.run("version").returncode == 0, "dockerd serves")
        except AssertionError as error:
            error.add_note((self.world.root / "log").read_text()[-4000:])
            raise

    def kill_daemon(self) -> None:
        """SIGKILL dockerd, and wait for its containerd, which ends with it."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()
        _end([pid for pid in self.world.processes() if _name(pid) == "containerd"])
        # To dockerd it runs as long as nobody has reaped it, which is up to the host's init.
        (self.world.root / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def end(self) -> None:
        assert self._daemon is not None
        self._daemon.terminate()
        self._daemon.wait(PATIENCE)

    def remove_all(self) -> None:
        if names := self("ps", "--all", "--quiet").split():
            self("rm", "--force", *names)

    def records(self) -> list[Path]:
        return list((self.world.root / "exec").glob("runtime-*/moby/[!.]*"))


class Podman(Engine):
    """Podman with roots of its own."""

    image = "localhost/busybox"

    def __init__(self, world: World, runtime: str) -> None:
        super().__init__(world)
        root = world.root
        (root / "short").mkdir()
        # By an option of Podman's the clean-up at a container's end would not hear of it.
        wrapper = root / "runtime"
        wrapper.write_text(f'#!/bin/sh\nexec {runtime} --root {root}/state "$@"\n')
        wrapper.chmod(0o755)
        self._podman = self.world.inside(
            "podman",
            *("--root", f"{root}/root", "--runroot", f"{root}/run", "--tmpdir", f"{root}/short"),
            *("--runtime", str(wrapper)),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "file"),
        )

    def command(self, *words: str) -> list[str]:
        return [*self._podman, *words]

    def options(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        # Podman asks for the kernel's highest limits, which not every root may set.
        limits = () if "--ulimit" in flags else ("--ulimit", "nofile=1024:1024")
        limits = (*limits, "--ulimit", "nproc=1000:1000")
        pod = any(flag.startswith("--pod") for flag in flags)
        group = () if pod else ("--cgroup-parent", self.world.group)
        return (*super().options(flags), *limits, *group)

    def remove_all(self) -> None:
        self("rm", "--all", "--force", "--time", "0")

    def delete_records(self) -> None:
        for record in self.records():
            command = [str(self.world.root / "runtime"), "delete", "--force", record.name]
            subprocess.run(self.world.inside(*command), check=True)

    def records(self) -> list[Path]:
        return list((self.world.root / "state").glob("[!.]*"))


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    return ""


def _end(pids: list[int]) -> None:
    """SIGKILL, and wait until they are gone."""
    for pid in pids:
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], PATIENCE)
            os.close(pidfd)


def end_parent(pid: int) -> None:
    """SIGKILL the shim or the monitor of a container's process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("PPid:"):
            _end([int(line.split()[1])])
