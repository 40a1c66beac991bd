"""A virtual machine that QEMU emulates: no KVM is needed, and none is used."""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = "qemu-system-x86_64"
# Boots take 2 to 4 s; a busy machine gets more at each try.
_BOOT_SECONDS = (30.0, 60.0, 120.0)
# Between two reports: the slowest test, on a slow machine.
_SILENCE_SECONDS = 120.0
# All of a guest's life: what loops without falling silent ends as well.
_LIFE_SECONDS = 900.0
# An emulated clock often fails the kernel's calibration loops, which then hang: the frequencies
# are given in place of being measured, and the clock is the timer's, whose rate is right.
_PARAMETERS = "console=ttyS0 quiet panic=-1 reboot=t tsc_early_khz=2000000 tsc=unstable lpj=4000000"


class MachineError(Exception):
    """The guest did not start or fell silent; with the end of its console."""


class Parts(NamedTuple):
    """What a machine is made of; the disk is not changed."""

    kernel: Path
    initrd: Path
    disk: Path
    console: Path


def reports(parts: Parts) -> Iterator[dict[str, Any]]:
    """Boot, and pass on the documents that the guest writes to its port, a line each.

    Raises:
        MachineError: no boot succeeded, or the guest fell silent before `{"end": ...}`.
    """
    for seconds in _BOOT_SECONDS:
        machine = _start(parts)
        try:
            lines = _lines(machine, seconds)
            first = next(lines, None)
            if first is None:
                continue
            yield json.loads(first)
            for line in lines:
                yield json.loads(line)
            return
        finally:
            machine.kill()
            machine.wait()
            for stream in (machine.stdin, machine.stdout):
                assert stream is not None
                stream.close()
    raise MachineError(f"no boot in {len(_BOOT_SECONDS)} tries succeeded:\n{_tail(parts.console)}")


def _start(parts: Parts) -> "subprocess.Popen[bytes]":
    command = [
        *(PROGRAM, "-M", "microvm", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
        *("-m", "1024", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot"),
        *("-kernel", str(parts.kernel), "-initrd", str(parts.initrd), "-append", _PARAMETERS),
        *("-drive", f"file={parts.disk},format=raw,if=none,id=disk,snapshot=on"),
        *("-device", "virtio-blk-device,drive=disk", "-serial", f"file:{parts.console}"),
        *("-chardev", "stdio,id=reports,signal=off", "-device", "virtio-serial-device"),
        *("-device", "virtserialport,chardev=reports,name=reports"),
    ]
    # At the end of its input QEMU would hang up the port, and the guest's writes would block.
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _lines(machine: "subprocess.Popen[bytes]", boot_seconds: float) -> Iterator[bytes]:
    """Whole lines until the end or too long a silence."""
    assert machine.stdout is not None
    descriptor, rest, patience = machine.stdout.fileno(), b"", boot_seconds
    end = time.monotonic() + _LIFE_SECONDS
    while True:
        deadline = min(end, time.monotonic() + patience)
        while b"\n" not in rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return
            chunk = os.read(descriptor, 65536)
            if not chunk:
                return
            rest += chunk
        line, _, rest = rest.partition(b"\n")
        patience = _SILENCE_SECONDS
        yield line


def _tail(console: Path) -> str:
    text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
    return "\n".join(text.splitlines()[-60:])
