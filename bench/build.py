"""Build: two stages over 5,000 files: cold, one file changed, everything cached, beside the peers.

    python bench/build.py [--rounds N] [--files N] [--plot FILE.svg]

Docker builds twice, with its classic builder and with BuildKit. Every round has a context that no
engine has seen.
"""

from collections.abc import Callable
from pathlib import Path

from harness import Case, interleave, options, publish
from peers import IMAGE, PODMAN_LIMITS, Engines, PeerError, engines, note, run

_DOCKERFILE = f"""\
FROM {IMAGE} AS build
WORKDIR /src
COPY . .
RUN find . -type f | sort | xargs cat | md5sum > /digest

FROM {IMAGE}
COPY --from=build /src /app
COPY --from=build /digest /app/digest
RUN test -s /app/digest
CMD ["cat", "/app/digest"]
"""
_IN_A_DIRECTORY = 50


class Contexts:
    """A new build context for each round; `current` is the one of the round that runs."""

    def __init__(self, directory: Path, files: int) -> None:
        self._directory = directory
        self._files = files
        self.current = directory

    def fresh(self, number: int) -> None:
        """This round's context, as it is at first."""
        self.current = self._directory / str(number)
        if self.current.exists():
            return
        for index in range(self._files):
            parent = self.current / f"package{index // _IN_A_DIRECTORY}"
            if index % _IN_A_DIRECTORY == 0:
                parent.mkdir(parents=True)
            text = f"# file {index} of round {number}\n" * 40
            (parent / f"module{index}.py").write_text(text)
        (self.current / "Dockerfile").write_text(_DOCKERFILE)

    def changed(self, number: int) -> None:
        """The same with one file changed."""
        self.fresh(number)
        (self.current / "package0/module0.py").write_text(f"changed in round {number}\n")


def builders(found: Engines) -> dict[str, Callable[[Path], object]]:
    """How each contender builds the context in a directory."""
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "boxship build": ([*found.boxship, "build"], {})
    }
    if found.docker:
        build = [*found.docker, "build"]
        commands["docker build, classic"] = (build, {"DOCKER_BUILDKIT": "0"})
        commands["docker build, BuildKit"] = (build, {"DOCKER_BUILDKIT": "1"})
    if found.podman:
        build = [*found.podman, "build", "--layers", *PODMAN_LIMITS]
        commands["podman build (buildah)"] = (build, {})
    return {name: _builder(*command) for name, command in commands.items()}


def _builder(command: list[str], environment: dict[str, str]) -> Callable[[Path], object]:
    words = ["env", *(f"{key}={value}" for key, value in environment.items()), *command]
    return lambda context: run(*words, "-t", "built:latest", str(context))


def usable(found: Engines, contexts: Contexts) -> dict[str, Callable[[Path], object]]:
    """The builders that can build here; this first build of each is its warm-up."""
    contexts.fresh(-1)
    good = {}
    for name, build in builders(found).items():
        try:
            build(contexts.current)
        except PeerError as reason:
            note(f"not measured: {reason}")
        else:
            good[name] = build
    return good


def cases_of(found: Engines, contexts: Contexts) -> list[Case]:
    """Each of the three situations, in this order, on all builders."""
    good = usable(found, contexts)
    situations = {
        "build, cold": contexts.fresh,
        "build, one file changed": contexts.changed,
        "build, everything cached": contexts.changed,
    }
    return [
        Case(group, name, _once(build, contexts), prepare)
        for group, prepare in situations.items()
        for name, build in good.items()
    ]


def _once(build: Callable[[Path], object], contexts: Contexts) -> Callable[[], object]:
    return lambda: build(contexts.current)


def main() -> None:
    parser = options(__doc__, 5)
    parser.add_argument("--files", type=int, default=5000, help="default 5000")
    parsed = parser.parse_args()
    with engines() as found:
        cases = cases_of(found, Contexts(found.work / "contexts", parsed.files))
        interleave(cases, parsed.rounds, warm_up=0)
    publish("build", f"Two stages over {parsed.files} files, medians", cases, parsed.plot)


if __name__ == "__main__":
    main()
