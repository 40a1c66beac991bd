"""Diagnostics: what is kept of them."""

import os
import subprocess
import sys
from pathlib import Path

WRITE = """
from boxship import log
log.bound(10_000)
for number in range(1000):
    log.info(f"{number:05} " + "x" * 50)
"""


def test_a_bounded_log_keeps_the_latest(tmp_path: Path):
    path = tmp_path / "keeper.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    subprocess.run([sys.executable, "-c", WRITE], stderr=descriptor, check=True)
    assert path.stat().st_size < 10_200
    assert (tmp_path / "keeper.log.1").stat().st_size < 10_200
    kept = ((tmp_path / "keeper.log.1").read_text() + path.read_text()).splitlines()
    assert kept[-1].split()[-2] == "00999"
    assert [int(line.split()[-2]) for line in kept] == list(range(1000 - len(kept), 1000))
    assert len(kept) > 100
    # Whoever shares the descriptor goes on at the file's end.
    before = path.stat().st_size
    os.write(descriptor, b"another\n")
    os.close(descriptor)
    assert path.stat().st_size == before + 8
