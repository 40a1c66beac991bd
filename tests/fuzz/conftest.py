"""How much is tried: the same in every run; with --fuzz N other documents and N times as many."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@pytest.fixture
def try_all(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Call a function with many values, as many as a short run allows."""
    factor = request.config.getoption("--fuzz")

    def run(strategy: st.SearchStrategy[Any], count: int, trial: Callable[[Any], None]) -> None:
        how = settings(
            max_examples=count * max(factor, 1),
            derandomize=not factor,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            print_blob=False,
        )
        how(given(strategy)(trial))()

    return run
