"""The keeper alone: what it and the launcher take for idle containers, and what a start costs.

    python bench/keeper.py [--rounds CONTAINERS] [--idle SECONDS]

No daemon, no images, no network: the runtime's part of every figure of the whole engine, asked of
`Supervisor` directly. Needs root and a static busybox.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from memory import cpu, pss

from boxship.model.mount import Mount
from boxship.runtime.cgroups import detect, open_cgroup
from boxship.runtime.keeper.messages import LogTarget
from boxship.runtime.spec.generate import SpecOptions, generate_spec
from boxship.runtime.supervisor import CreateRequest, ExecRequest, Supervisor

_CGROUP = f"/boxship-bench-keeper-{os.getpid()}"
_USER_BASE = 1_000_000_000


class Bench:
    """One keeper, and what its requests took, in milliseconds by name."""

    def __init__(self, root: Path, supervisor: Supervisor) -> None:
        self._root = root
        self._supervisor = supervisor
        self.taken: dict[str, list[float]] = {}

    async def one(self, name: str) -> None:
        request = _request(self._root, name)
        await self._timed("create", self._supervisor.create(request))
        await self._timed("start", self._supervisor.start(name))

    async def session(self, name: str, number: int) -> None:
        process = {"args": ["/bin/busybox", "true"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
        request = ExecRequest(name, f"e{number}", process, terminal=False, open_stdin=False)
        await self._timed("exec", self._supervisor.exec(request))

    async def delete(self, name: str) -> None:
        await self._timed("delete", self._supervisor.delete(name))

    async def status(self) -> None:
        await self._timed("statuses", self._supervisor.statuses())

    async def _timed(self, name: str, work: object) -> None:
        begun = time.perf_counter()
        await work  # type: ignore[misc]
        self.taken.setdefault(name, []).append((time.perf_counter() - begun) * 1000)


def _image(root: Path) -> None:
    for name in ("bin", "proc", "sys", "dev", "etc", "tmp"):
        (root / "image" / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", root / "image" / "bin" / "busybox")


def _request(root: Path, name: str) -> CreateRequest:
    bundle = root / name
    for part in ("upper", "work", "rootfs"):
        (bundle / part).mkdir(parents=True)
    options = SpecOptions(
        argv=("/bin/busybox", "sleep", "1000000"),
        cgroup=f"{_CGROUP}/{name}",
        user_base=_USER_BASE,
    )
    (bundle / "config.json").write_text(json.dumps(generate_spec(options)))
    parts = (
        f"lowerdir={root / 'image'}",
        f"upperdir={bundle / 'upper'}",
        f"workdir={bundle / 'work'}",
    )
    return CreateRequest(
        id=name,
        bundle=str(bundle),
        rootfs=(Mount("overlay", "overlay", options=parts),),
        terminal=False,
        open_stdin=True,
        stdin_once=True,
        log=LogTarget(str(bundle / "log"), max_size=10_000_000, max_file=3),
    )


async def measure(root: Path, containers: int, seconds: float) -> list[str]:
    supervisor = await Supervisor.connect(root / "exec", on_exit=lambda _exit: None)
    bench = Bench(root, supervisor)
    await bench.one("warm")
    await bench.delete("warm")
    bench.taken.clear()
    keeper, launcher = [supervisor.keeper_pid], [supervisor.launcher_pid]
    idle = (pss(keeper), pss(launcher))
    names = [f"c{number}" for number in range(containers)]
    for name in names:
        await bench.one(name)
    full = (pss(keeper), pss(launcher))
    before = cpu(keeper + launcher)
    await asyncio.sleep(seconds)
    used = (cpu(keeper + launcher) - before) / seconds * 1000
    for number, name in enumerate(names):
        await bench.session(name, number)
        await bench.status()
    for name in names:
        await bench.delete(name)
    await supervisor.shutdown()
    each = (full[0] - idle[0]) / containers
    lines = [
        f"keeper, idle                  {idle[0]:8.2f} MB",
        f"launcher, idle                {idle[1]:8.2f} MB",
        f"keeper, each of {containers:<4}          {each:8.3f} MB",
        f"launcher, each of {containers:<4}        {(full[1] - idle[1]) / containers:8.3f} MB",
        f"processor while all idle      {used:8.2f} ms/s",
    ]
    for name, taken in bench.taken.items():
        lines.append(
            f"{name:<10} median of {len(taken):<4}      {statistics.median(taken):8.2f} ms"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="containers, default 50")
    parser.add_argument("--idle", type=float, default=5, help="seconds to measure idling for")
    parsed = parser.parse_args()
    # Not /tmp itself, which an id-mapped root could not be entered below.
    root = Path(tempfile.mkdtemp(prefix="boxship-bench-keeper-"))
    root.chmod(0o711)
    try:
        _image(root)
        lines = asyncio.run(measure(root, parsed.rounds, parsed.idle))
    finally:
        open_cgroup(detect(), _CGROUP).remove()
        shutil.rmtree(root)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
