"""Containers from start to end, on the real kernel."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.overlayfs]

Run = Callable[[Any], None]


def test_output_and_exit_code(scenario: Run) -> None:
    async def work(rig: Any) -> None:
        code, output = await rig.run("sh", "-c", "echo out; echo err >&2; exit 3")
        assert code == 3
        assert sorted(output.split()) == ["err", "out"]

    scenario(work)
