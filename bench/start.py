"""Start: `run --rm IMAGE true` by command line, by API, and by OCI runtime, beside the peers.

python bench/start.py [--rounds N] [--plot FILE.svg]
"""

import json
import shutil
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

from api import Api
from harness import Case, interleave, options, publish
from launcher import Warm
from peers import IMAGE, Engines, PeerError, engines, limits, make_root, note, own_tool, run, silent


def command_line(found: Engines) -> list[Case]:
    """`run --rm IMAGE true` from the command's start to its exit."""
    return [
        Case(
            f"run --rm IMAGE true, {network}",
            f"{name} run",
            silent([*client, "run", "--rm", *limits(name), "--network", network, IMAGE, "true"]),
        )
        for network in ("bridge", "none")
        for name, client in found.clients.items()
    ]


def api(found: Engines) -> list[Case]:
    """Create, start, wait and remove over one kept connection."""
    apis = [Api(name, socket) for name, socket in found.sockets.items()]
    return [
        Case(
            f"API create, start, wait, remove, {network}",
            f"{one.name} API",
            partial(one.life_cycle, network),
        )
        for network in ("bridge", "none")
        for one in apis
    ]


RUNTIMES = "OCI runtime run of true"


def runtimes(work: Path) -> list[Case]:
    """`RUNTIME run` of true on a plain bundle, each runtime cold."""
    bundle = work / "bundle"
    make_root(bundle / "rootfs")
    run("runc", "spec", "--bundle", str(bundle))
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/bin/true"]
    # Raising a limit needs CAP_SYS_RESOURCE, which a container host may not have.
    spec["process"]["rlimits"] = []
    (bundle / "config.json").write_text(json.dumps(spec))
    cases = []
    for name in ("boxship-runtime", "crun", "runc"):
        tool = own_tool(name) if name.startswith("boxship") else shutil.which(name)
        if tool is None:
            continue
        argv = [tool, "--root", str(work / name), "run", "--bundle", str(bundle), f"bench-{name}"]
        try:
            run(*argv)
        except PeerError as reason:
            note(f"not measured: {reason}")
            continue
        cases.append(Case(RUNTIMES, name, silent(argv)))
    return cases


def through_launcher(warm: Warm, bundle: Path, cases: list[Case]) -> list[Case]:
    """The same container by the launcher that the daemon uses, beside the runtimes from cold."""
    group = f"{RUNTIMES}, boxship by its launcher"
    peers = [case for case in cases if case.group == RUNTIMES and case.name in ("crun", "runc")]
    ours = Case(group, "boxship launcher", partial(warm.life_cycle, bundle))
    return [ours, *(Case(group, case.name, case.run) for case in peers)]


def main() -> None:
    parsed = options(__doc__, 15).parse_args()
    with (
        engines() as found,
        tempfile.TemporaryDirectory(prefix="boxship-bench-") as work,
        closing(Warm(Path(work) / "keeper")) as warm,
    ):
        cases = command_line(found) + api(found) + runtimes(Path(work))
        cases += through_launcher(warm, Path(work) / "bundle", cases)
        interleave(cases, parsed.rounds)
    publish("start", "Time to start, medians", cases, parsed.plot)


if __name__ == "__main__":
    main()
