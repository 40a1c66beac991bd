"""Density: idle containers started one after another, and what the engine takes for them.

    python bench/density.py [--rounds CONTAINERS] [--idle SECONDS] [--plot FILE.svg]

Memory is the proportional set size of the engine's own processes (daemon, keeper, launcher;
dockerd, containerd, shims; podman's service, conmon), without the containers' processes.
"""

import time
from functools import partial

from api import Api
from harness import Case, Quantity, interleave, options, publish
from memory import cpu, processes, pss
from peers import IMAGE, Engines, engines, limits, silent

_IDLE = ["sleep", "1000000"]


def starts(found: Engines) -> list[Case]:
    """One idle container more, by command line and over the API."""
    cases = [
        Case("start an idle container, command line", f"{name} run -d", silent(_run(found, name)))
        for name in found.clients
    ]
    for name, socket in found.sockets.items():
        run = partial(_start, Api(name, socket))
        cases.append(Case("start an idle container, API", f"{name} API", run))
    return cases


def _run(found: Engines, name: str) -> list[str]:
    return [*found.clients[name], "run", "-d", *limits(name), IMAGE, *_IDLE]


def _start(api: Api) -> None:
    api.start(api.create(_IDLE, "bridge"))


def idle_cpu(found: Engines, seconds: float) -> dict[str, float]:
    """Milliseconds of processor a second that each engine uses while nothing happens."""
    pids = {name: processes(found.work / name) for name in found.clients}
    before = {name: cpu(pids[name]) for name in pids}
    time.sleep(seconds)
    return {name: (cpu(pids[name]) - before[name]) / seconds * 1000 for name in pids}


def memory(found: Engines) -> dict[str, float]:
    return {name: pss(processes(found.work / name)) for name in found.clients}


def measure(found: Engines, containers: int, seconds: float) -> list[Case | Quantity]:
    for name, socket in found.sockets.items():
        # Idle is an engine that has run a container, not one that has just been started.
        Api(name, socket).life_cycle("bridge")
    idle = memory(found)
    # Half of them by each way; the warm-up round counts as containers too.
    cases = starts(found)
    interleave(cases, containers // 2 - 1)
    full = memory(found)
    busy = idle_cpu(found, seconds)
    figures: list[Case | Quantity] = [*cases]
    for name in idle:
        figures.append(Quantity("engine memory, no container", name, idle[name], "MB"))
        each = (full[name] - idle[name]) / containers
        figures.append(Quantity("engine memory, each container", name, each, "MB"))
        title = f"processor while {containers} containers idle"
        figures.append(Quantity(title, name, busy[name], "ms/s"))
    return figures


def main() -> None:
    parser = options(__doc__, 50)
    parser.add_argument("--idle", type=float, default=10, help="seconds to measure idling for")
    parsed = parser.parse_args()
    with engines() as found:
        figures = measure(found, parsed.rounds, parsed.idle)
    publish("density", "Many idle containers", figures, parsed.plot)


if __name__ == "__main__":
    main()
