"""Exec: run `true` in a running container, by command line and over the API, beside the peers.

python bench/exec.py [--rounds N] [--plot FILE.svg]
"""

from functools import partial

from api import Api
from harness import Case, interleave, options, publish
from peers import IMAGE, Engines, engines, limits, run, silent

_NAME = "busy"


def cases_of(found: Engines) -> list[Case]:
    cases = []
    for name, client in found.clients.items():
        run(*client, "run", "-d", "--name", _NAME, *limits(name), IMAGE, "sleep", "1000000")
        by_hand = silent([*client, "exec", _NAME, "true"])
        cases.append(Case("exec true, command line", f"{name} exec", by_hand))
    for name, socket in found.sockets.items():
        run_one = partial(Api(name, socket).exec, f"/containers/{_NAME}")
        cases.append(Case("exec true, API", f"{name} API", run_one))
    return cases


def main() -> None:
    parsed = options(__doc__, 30).parse_args()
    with engines() as found:
        cases = cases_of(found)
        interleave(cases, parsed.rounds)
    publish("exec", "Exec in a running container, medians", cases, parsed.plot)


if __name__ == "__main__":
    main()
