#!/usr/bin/env python3
"""Run crun's own tests against OCI runtimes and print a table: a row a file, a column a runtime.

    sudo tests/conformance/crun_suite.py CHECKOUT .venv/bin/boxship-runtime /usr/bin/crun

CHECKOUT is a clone of github.com/containers/crun. Needs root, a C compiler and, for the tests of
seccomp, the headers of libseccomp (Debian: gcc, libc6-dev, libseccomp-dev). A cell reads
passed/failed/skipped. What each test printed is kept below --logs.
"""

import argparse
import importlib.util
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

# Without seccomp.h the init that the tests copy into each root is built without its cases.
_FEATURES = {"seccomp.h": "HAVE_SECCOMP", "linux/ioprio.h": "HAVE_LINUX_IOPRIO_H"}
_ERROR = "HAVE_ERROR_H"
_RESULT = re.compile(r"^(ok|not ok) \d+ - ([^#]+?) ?(#.*)?$")
_NAME = re.compile(r"^ *[\"']([^\"']+)[\"'] *: *test_", re.MULTILINE)
# A test that prints nothing for so long waits for something that does not come.
_SILENT_SECONDS = 60.0

_ADAPTER = """#!/bin/bash
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --cgroup-manager | --config) shift ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
exec {runtime} "${{arguments[@]}}"
"""

Results = dict[str, str]


def build_init(checkout: Path, directory: Path) -> Path:
    """Compile the program that the tests run in their containers, static: their roots are empty."""
    found = [name for header, name in _FEATURES.items() if _has(header)]
    lines = [f"#define {name} 1" for name in (*found, _ERROR)]
    (directory / "config.h").write_text("\n".join(lines) + "\n")
    init = directory / "init"
    libraries = ["-lseccomp"] if "HAVE_SECCOMP" in found else []
    source = checkout / "tests" / "init.c"
    argv = ["gcc", "-O1", "-static", f"-I{directory}", "-o", str(init), str(source), *libraries]
    subprocess.run(argv, check=True)
    return init


def _has(header: str) -> bool:
    text = f"#include <linux/types.h>\n#include <{header}>\n"
    argv = ["gcc", "-E", "-xc", "-"]
    done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False)
    return done.returncode == 0


def adapter(runtime: Path, directory: Path) -> Path:
    """The runtime itself, or a script that leaves out the options of crun that it does not know.

    In all but a few tests they name what is the case anyway: cgroupfs, the bundle's config.json.
    """
    done = subprocess.run([runtime, "--help"], text=True, capture_output=True, check=False)
    if "cgroup-manager" in done.stdout:
        return runtime
    script = directory / f"{runtime.name}.sh"
    script.write_text(_ADAPTER.format(runtime=runtime))
    script.chmod(0o755)
    return script


def run_file(
    test: Path, runtime: Path, init: Path, directory: Path, only: str
) -> tuple[Results, str]:
    """Run one file of the suite with a terminal, which some of its tests want.

    A test that hangs has failed, and the rest is run without it.

    Returns:
        What became of each test (`pass`, `fail`, `skip`), and all that was printed.
    """
    environment = {**os.environ, "OCI_RUNTIME": str(runtime), "INIT": str(init)}
    if only:
        environment["RUN_TESTS"] = only
    if importlib.util.find_spec("libmount") is None:
        environment["PYTHONPATH"] = str(Path(__file__).parent / "substitutes")
    # argv[0] and the directory are what the suite finds its helper module and its scratch by.
    argv = [sys.executable, "-u", str(test)]
    results: Results = {}
    printed = ""
    while True:
        with _terminal(argv, environment, directory) as (child, master):
            output, hangs = _read(child, master)
        results.update(parse(output))
        printed += output
        left = [name for name in _names(test, only) if name not in results] if hangs else []
        if not left:
            return results, printed
        results[left[0]] = "fail"
        printed += f"# {left[0]} hangs\n"
        if len(left) == 1:
            return results, printed
        environment["RUN_TESTS"] = " ".join(left[1:])


def _names(test: Path, only: str) -> list[str]:
    names = list(dict.fromkeys(_NAME.findall(test.read_text())))
    return [name for name in names if not only or name in only.split()]


@contextmanager
def _terminal(
    argv: list[str], environment: dict[str, str], directory: Path
) -> Iterator[tuple[int, int]]:
    child, master = pty.fork()
    if child == 0:
        try:
            os.chdir(directory)
            os.execve(argv[0], argv, environment)  # noqa: S606 - no shell wanted
        finally:
            os._exit(127)
    try:
        yield child, master
    finally:
        with suppress(ProcessLookupError):
            # The whole session: a test that hangs has started others.
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(master)


def _read(child: int, master: int) -> tuple[str, bool]:
    """What a file of tests prints, and whether it stopped before its end."""
    heard = time.monotonic()
    parts: list[bytes] = []
    hangs = False
    while True:
        if not select.select([master], [], [], 1.0)[0]:
            # A container that was left behind may hold the terminal open.
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            if time.monotonic() - heard > _SILENT_SECONDS:
                hangs = True
                break
            continue
        heard = time.monotonic()
        try:
            parts.append(os.read(master, 1 << 16))
        except OSError:
            break
    return b"".join(parts).decode(errors="replace").replace("\r\n", "\n"), hangs


def parse(output: str) -> Results:
    """What became of each test of a TAP stream."""
    results: Results = {}
    for line in output.splitlines():
        found = _RESULT.match(line)
        if found:
            word, name, rest = found.groups()
            skipped = "#SKIP" in (rest or "")
            results[name] = "fail" if word == "not ok" else "skip" if skipped else "pass"
    return results


def cell(results: Results) -> str:
    """Counts of passed, failed and skipped tests."""
    words = list(results.values())
    return "/".join(str(words.count(word)) for word in ("pass", "fail", "skip"))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what the command line asks for; 1 when the first runtime failed a test."""
    arguments = _arguments()
    checkout: Path = arguments.checkout.resolve()
    runtimes: list[Path] = [runtime.absolute() for runtime in arguments.runtimes]
    tests = sorted((checkout / "tests").glob("test_*.py"))
    if arguments.files:
        tests = [test for test in tests if test.stem.removeprefix("test_") in arguments.files]
    arguments.logs.mkdir(parents=True, exist_ok=True)
    totals: dict[Path, Results] = {runtime: {} for runtime in runtimes}
    rows = []
    with tempfile.TemporaryDirectory(prefix="crun-suite.") as scratch:
        init = build_init(checkout, Path(scratch))
        for test in tests:
            row = [test.stem.removeprefix("test_")]
            for runtime in runtimes:
                program = adapter(runtime, Path(scratch))
                results, output = run_file(test, program, init, Path(scratch), arguments.only)
                (arguments.logs / f"{runtime.name}.{test.stem}.log").write_text(output)
                row.append(cell(results))
                totals[runtime].update({f"{test.stem}:{k}": v for k, v in results.items()})
            rows.append(row)
            sys.stderr.write("  ".join(row) + "\n")
    rows.append(["all", *(cell(totals[runtime]) for runtime in runtimes)])
    sys.stdout.write(table(["file", *(runtime.name for runtime in runtimes)], rows))
    for runtime in runtimes:
        failed = sorted(name for name, word in totals[runtime].items() if word == "fail")
        sys.stdout.write(f"\n{runtime.name} fails:\n" + "".join(f"- {name}\n" for name in failed))
    return int("fail" in totals[runtimes[0]].values())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path, help="clone of github.com/containers/crun")
    parser.add_argument("runtimes", type=Path, nargs="+", help="programs to judge")
    parser.add_argument("--files", nargs="*", metavar="NAME", help="e.g. exec hooks: these only")
    parser.add_argument("--only", default="", metavar="TESTS", help="names of tests to run")
    logs = Path(tempfile.gettempdir()) / "crun-suite-logs"
    parser.add_argument("--logs", type=Path, default=logs, help=f"directory ({logs})")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
