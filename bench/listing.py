"""Listing: `ps` of many running containers, by command line and over the API, beside the peers.

python bench/listing.py [--rounds N] [--containers N] [--plot FILE.svg]
"""

from functools import partial

from api import Api
from harness import Case, interleave, options, publish
from peers import Engines, engines, silent


def cases_of(found: Engines, containers: int) -> list[Case]:
    cases = []
    for name, socket in found.sockets.items():
        api = Api(name, socket)
        for _ in range(containers):
            api.start(api.create(["sleep", "1000000"], "bridge"))
        ask = partial(api.list, containers)
        cases.append(Case(f"list {containers} containers, API", f"{name} API", ask))
    for name, client in found.clients.items():
        group = f"list {containers} containers, command line"
        cases.append(Case(group, f"{name} ps", silent([*client, "ps"])))
    return cases


def main() -> None:
    parser = options(__doc__, 20)
    parser.add_argument("--containers", type=int, default=100, help="default 100")
    parsed = parser.parse_args()
    with engines() as found:
        cases = cases_of(found, parsed.containers)
        interleave(cases, parsed.rounds)
    publish("listing", "Listing running containers, medians", cases, parsed.plot)


if __name__ == "__main__":
    main()
