"""The measured workspace, made once for each module that uses it, and a copy of it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Site, quick_folder
from tests.measured import measured_site


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def made(folder: Path) -> Site:
    return measured_site(folder / "made")


@pytest.fixture
def site(made: Site, folder: Path, request: pytest.FixtureRequest) -> Site:
    return made.copy(folder / str(abs(hash(request.node.nodeid))))
