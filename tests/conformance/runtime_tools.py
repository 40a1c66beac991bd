#!/usr/bin/env python3
"""Runs the validation programs of opencontainers/runtime-tools on OCI runtimes, and compares.

In a checkout of runtime-tools, with a Go that its go.mod accepts (everything it needs is vendored):

    make runtimetest validation-executables

Then, as root: tests/conformance/runtime_tools.py CHECKOUT [--runtime PATH]... [--only PART]

Prints one row of Markdown for each program, and what did not pass. Every runtime gets a --root of
its own; what a program left there is deleted. Each program runs in a mount namespace of its own:
peers leave the mounts of a container that shares the host's.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The slowest program (delete) waits for three containers, 10 s each at most.
LIMIT = 120
WIDTH = 300
# Some programs report by a diagnosis alone, without counting a check.
TROUBLE = re.compile(r'^ +"error": "[^"]', re.MULTILINE)
RESULT = re.compile(r"^(not )?ok\b[^#]*(#\s*SKIP\b)?", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Outcome:
    """What one program said of one runtime.

    Attributes:
        passed: How many checks passed.
        failed: The lines of those that did not.
        skipped: How many were skipped.
        code: The program's exit code, None when its time was up.
        text: All it wrote.
    """

    passed: int
    failed: tuple[str, ...]
    skipped: int
    code: int | None
    text: str

    @property
    def word(self) -> str:
        """One word for the table, and how many checks failed."""
        if self.code is None:
            return "no end"
        if self.failed:
            return f"{len(self.failed)} of {self.passed + len(self.failed)} fail"
        if self.code or (not self.passed and TROUBLE.search(self.text)):
            return "fails"
        return "skipped" if self.skipped and not self.passed else "passes"


def read(code: int | None, text: str) -> Outcome:
    """Count the results of a program's output (TAP)."""
    passed = skipped = 0
    failed = []
    for line in text.splitlines():
        found = RESULT.match(line)
        if found is None:
            continue
        if found[2]:
            skipped += 1
        elif found[1]:
            failed.append(line)
        else:
            passed += 1
    return Outcome(passed, tuple(failed), skipped, code, text)


def judge(program: Path, checkout: Path, runtime: Path) -> Outcome:
    """Run one program, for a limited time."""
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            ("unshare", "--mount", program),
            cwd=checkout,
            env={**os.environ, "RUNTIME": str(runtime), "TMPDIR": str(runtime.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as running:
            code: int | None
            try:
                code = running.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                code = None
        output.seek(0)
        return read(code, output.read().decode(errors="replace"))


def wrapper(runtime: str, place: Path) -> Path:
    """Make a command of its own for a runtime: its containers are apart from the machine's."""
    command = place / Path(runtime).name
    command.write_text(f'#!/bin/sh\nexec {runtime} --root {place}/state "$@"\n')
    command.chmod(0o755)
    return command


def leavings(command: Path) -> list[str]:
    """Delete what is left of containers; their names."""
    state = command.parent / "state"
    names = sorted(path.name for path in state.glob("[!.]*")) if state.is_dir() else []
    for name in names:
        subprocess.run((command, "delete", "--force", name), capture_output=True, check=False)
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--runtime", action="append", default=[])
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--verbose", action="store_true", help="all output of what does not pass")
    options = parser.parse_args()
    runtimes = options.runtime or [str(Path(sys.executable).with_name("boxship-runtime"))]
    programs = sorted(options.checkout.glob("validation/*/*.t"))
    if not programs or not (options.checkout / "runtimetest").exists():
        parser.error(f"nothing is built in {options.checkout}: see the text of this file")
    with tempfile.TemporaryDirectory(prefix="runtime-tools-") as place:
        commands = []
        for number, runtime in enumerate(runtimes):
            own = Path(place, str(number))
            own.mkdir()
            commands.append(wrapper(runtime, own))
        compare([p for p in programs if options.only in p.stem], options, commands)
    return 0


def compare(programs: list[Path], options: argparse.Namespace, commands: list[Path]) -> None:
    """Print the table, then what did not pass."""
    print("| program | " + " | ".join(command.name for command in commands) + " |")
    print("|---" * (len(commands) + 1) + "|")
    totals = [0] * len(commands)
    details = []
    for program in programs:
        words = []
        for number, command in enumerate(commands):
            outcome = judge(program.resolve(), options.checkout, command)
            words.append(outcome.word)
            totals[number] += outcome.word == "passes"
            left = leavings(command)
            if outcome.word != "passes" or left:
                details.append((program.stem, command.name, outcome, left))
        print(f"| {program.stem} | " + " | ".join(words) + " |", flush=True)
    print("| programs passing | " + " | ".join(map(str, totals)) + " |")
    for name, runtime, outcome, left in details:
        print(f"\n## {name}: {runtime}: {outcome.word}" + (f" left {left}" if left else ""))
        lines = outcome.text.splitlines()
        if not options.verbose:
            lines = [
                line[:WIDTH] for line in lines if not line.startswith(("ok", "TAP", "1..", "  "))
            ]
        print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
