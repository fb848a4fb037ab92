"""`kill -9` of a real process at moments drawn from a seed, then apply: always the same end, never a doubled event."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import PLAN, Site, new_site, quick_folder, unlike_once

SEED = 20251117
# Most of a process's calls come before the run begins; half of the moments are drawn from the run alone.
FIRST = ("main", "carry_out")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def before(folder: Path) -> Site:
    return new_site(folder / "before")


@pytest.fixture(scope="module")
def clean(before: Site, folder: Path) -> Site:
    site = before.copy(folder / "clean")
    site.ok("apply", PLAN, "--yes")
    return site


@pytest.fixture(scope="module")
def calls(before: Site, folder: Path) -> dict[str, int]:
    """How many calls a whole process makes, from each of the two beginnings on."""
    found = {}
    for first in FIRST:
        reader, writer = os.pipe()
        site = before.copy(folder / f"counted_{first}")
        process = site.start("apply", PLAN, "--yes", count_to=writer, pass_fds=(writer,), **{"from": first})
        os.close(writer)
        assert site.finish(process).code == 0
        with open(reader) as pipe:
            found[first] = int(pipe.read())
    return found


def kills(number: int, calls: dict[str, int]) -> tuple[str, int, int]:
    """Draw where calls are counted from, and at which of them one process and the next are killed."""
    draw = random.Random(SEED + number)  # noqa: S311 - a moment, no secret
    first = FIRST[number % 2]
    return first, draw.randrange(1, calls[first] * 95 // 100), draw.randrange(1, calls["main"] // 2)


def one_kill(number: int, before: Site, clean: Site, calls: dict[str, int], root: Path) -> None:
    site = before.copy(root)
    first, call, second_call = kills(number, calls)

    killed = site.finish(site.start("apply", PLAN, "--yes", kill_at=call, **{"from": first}))
    # Every third is killed again while it continues.
    if number % 3 == 0:
        site.finish(site.start("apply", PLAN, "--yes", kill_at=second_call, **{"from": "main"}))
    done = site.apply()

    assert killed.code == -9, killed
    assert done.code == 0, done
    assert (site.files(), site.keys()) == (clean.files(), clean.keys())
    assert list(unlike_once(site, clean)) == []


@pytest.mark.parametrize("number", range(6))
def test_a_killed_run_ends_as_an_undisturbed_one(
    number: int, before: Site, clean: Site, calls: dict[str, int], folder: Path
) -> None:
    one_kill(number, before, clean, calls, folder / f"killed_{number}")


@pytest.mark.reliability
@pytest.mark.parametrize("number", range(6, 50))
def test_a_killed_run_ends_as_an_undisturbed_one_at_many_more_moments(
    number: int, before: Site, clean: Site, calls: dict[str, int], folder: Path
) -> None:
    one_kill(number, before, clean, calls, folder / f"killed_{number}")
