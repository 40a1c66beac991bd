"""Images: load, save, push, pull and remove a Debian userland, beside the peers.

    python bench/images.py [--rounds N] [--userland ROOT.tar] [--plot FILE.svg]

Each round has images that no engine has seen. Nothing is deleted before the last round is over:
ext4 does not use an inode again for minutes, and making files is slow meanwhile. Registries are
Debian's docker-registry on loopback, one for each engine.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from harness import Case, interleave, options, publish
from peers import Engines, engines, run, service, silent
from userland import CACHE, userland, variant

_REGISTRY = "127.0.0.1:5000"
_CONNECT = "import socket; socket.create_connection(('127.0.0.1', 5000))"
_PULLED = 1000
"""Numbers of the variants that are pulled begin here."""


class Rounds:
    """Makes what each round needs, outside of what is measured."""

    def __init__(self, found: Engines, root: Path) -> None:
        self._found = found
        self._root = root
        self._work = found.work / "images"
        self._work.mkdir()
        self._made: set[str] = set()
        self.number = 0

    def begin(self, number: int) -> None:
        self.number = number

    @property
    def archive(self) -> Path:
        return self._work / f"loaded-{self.number}.tar"

    def archived(self, number: int) -> None:
        """There is an archive of this round's image."""
        self.begin(number)
        if not self.archive.exists():
            variant(self._root, number, f"loaded:{number}", self.archive)

    def tagged(self, name: str, number: int) -> None:
        """The image has the name to push it by."""
        self.begin(number)
        target = f"{_REGISTRY}/loaded:{number}"
        run(*self._found.clients[name], "tag", f"loaded:{number}", target)

    def published(self, name: str, number: int) -> None:
        """The engine's registry has an image that is to be pulled."""
        self.begin(number)
        layout = self._work / f"pulled-{number}"
        copy = ("skopeo", "copy", "--insecure-policy")
        if not layout.exists():
            archive = self._work / f"pulled-{number}.tar"
            variant(self._root, _PULLED + number, "pulled:latest", archive)
            run(*copy, f"docker-archive:{archive}", f"oci:{layout}:latest")
        target = f"docker://{_REGISTRY}/pulled:{number}"
        prefix = self._found.prefixes[name]
        run(*prefix, *copy, "--dest-tls-verify=false", f"oci:{layout}:latest", target)

    def saved(self, name: str) -> Path:
        return self._work / f"saved-{name}-{self.number}.tar"


def serve_registries(found: Engines, stack: ExitStack) -> None:
    """A registry in each engine's network namespace."""
    for name, prefix in found.prefixes.items():
        config = found.work / f"registry-{name}.yml"
        directory = found.work / f"registry-{name}"
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory}}}}}\n"
            f"http: {{addr: '{_REGISTRY}'}}\n"
        )
        argv = [*prefix, "docker-registry", "serve", str(config)]
        probe = [*prefix, sys.executable, "-c", _CONNECT]
        stack.enter_context(service(argv, found.work / f"registry-{name}.log", probe))


def cases_of(found: Engines, rounds: Rounds) -> list[Case]:
    """Load, save, push and pull, in this order, each of them on all engines."""
    cases: list[Case] = []
    for make in (_load, _save, _push, _pull):
        cases += [make(name, client, rounds) for name, client in found.clients.items()]
    return cases


def _load(name: str, client: list[str], rounds: Rounds) -> Case:
    def once() -> None:
        silent([*client, "load", "-i", str(rounds.archive)])()

    return Case("load", f"{name} load", once, rounds.archived)


def _save(name: str, client: list[str], rounds: Rounds) -> Case:
    def once() -> None:
        image = f"loaded:{rounds.number}"
        silent([*client, "save", "-o", str(rounds.saved(name)), image])()

    return Case("save", f"{name} save", once, rounds.begin)


def _push(name: str, client: list[str], rounds: Rounds) -> Case:
    plain = ["--tls-verify=false"] if name == "podman" else []

    def once() -> None:
        silent([*client, "push", *plain, f"{_REGISTRY}/loaded:{rounds.number}"])()

    return Case("push", f"{name} push", once, lambda number: rounds.tagged(name, number))


def _pull(name: str, client: list[str], rounds: Rounds) -> Case:
    plain = ["--tls-verify=false"] if name == "podman" else []

    def once() -> None:
        silent([*client, "pull", *plain, f"{_REGISTRY}/pulled:{rounds.number}"])()

    return Case("pull", f"{name} pull", once, lambda number: rounds.published(name, number))


def _remove(name: str, client: list[str], rounds: Rounds) -> Case:
    def once() -> None:
        silent([*client, "rmi", f"{_REGISTRY}/pulled:{rounds.number}"])()

    return Case("rmi", f"{name} rmi", once, rounds.begin)


def main() -> None:
    parser = options(__doc__, 3)
    parser.add_argument("--userland", type=Path, default=CACHE, help=f"default {CACHE}")
    parsed = parser.parse_args()
    root = userland(parsed.userland)
    with ExitStack() as stack:
        found = stack.enter_context(engines())
        serve_registries(found, stack)
        rounds = Rounds(found, root)
        cases = cases_of(found, rounds)
        interleave(cases, parsed.rounds)
        removals = [_remove(name, client, rounds) for name, client in found.clients.items()]
        interleave(removals, parsed.rounds)
    title = f"A Debian userland of {root.stat().st_size >> 20} MB as an image, medians"
    publish("images", title, [*cases, *removals], parsed.plot)


if __name__ == "__main__":
    main()
