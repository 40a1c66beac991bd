"""Parallel: 100 containers that run `true`, eight at a time, beside the peers.

python bench/parallel.py [--rounds N] [--containers N] [--plot FILE.svg]
"""

import shlex
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from api import Api
from harness import Case, interleave, options, publish
from peers import IMAGE, Engines, engines, limits, silent

_AT_ONCE = 8


def by_api(apis: list[Api], containers: int, network: str) -> None:
    """Each of the APIs' connections runs its share, one container after another."""

    def share(api: Api, count: int) -> None:
        for _ in range(count):
            api.life_cycle(network)

    with ThreadPoolExecutor(len(apis)) as pool:
        parts = [len(range(index, containers, len(apis))) for index in range(len(apis))]
        for future in [pool.submit(share, *work) for work in zip(apis, parts, strict=True)]:
            future.result()


def by_hand(client: list[str], name: str, containers: int) -> list[str]:
    """A shell's way: xargs keeps eight of them running."""
    words = shlex.join([*client, "run", "--rm", *limits(name), IMAGE, "true"])
    loop = f"seq {containers} | xargs -P {_AT_ONCE} -I NUMBER {words}"
    return ["sh", "-c", loop]


def cases_of(found: Engines, containers: int) -> list[Case]:
    title = f"{containers} x true, {_AT_ONCE} at a time"
    cases = [
        Case(f"{title}, API, {network}", f"{name} API", _api(name, socket, containers, network))
        for network in ("bridge", "none")
        for name, socket in found.sockets.items()
    ]
    for name, client in found.clients.items():
        run = silent(by_hand(client, name, containers))
        cases.append(Case(f"{title}, command line, bridge", f"{name} run", run))
    return cases


def _api(name: str, socket: Path, containers: int, network: str) -> partial[None]:
    return partial(by_api, [Api(name, socket) for _ in range(_AT_ONCE)], containers, network)


def main() -> None:
    parser = options(__doc__, 3)
    parser.add_argument("--containers", type=int, default=100, help="default 100")
    parsed = parser.parse_args()
    with engines() as found:
        cases = cases_of(found, parsed.containers)
        interleave(cases, parsed.rounds, warm_up=0)
    publish("parallel", "Many short containers at once", cases, parsed.plot)


if __name__ == "__main__":
    main()
