from collections.abc import Callable

import pytest


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str, dict[str, int]], None]:
    """Tell a harness's figures; the end of the run adds them up, over all processes (tests/conftest.py)."""
    return lambda name, numbers: record_property("figures", [name, numbers])
