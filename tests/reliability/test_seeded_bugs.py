"""Planted faults: with each of them in a copy of the sources, the tests of `make test` that it names must fail."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import quick_folder
from tests.reliability.seeded_bugs import ROOT, Seed, copied, planted, seeds, table, tried
from tests.reliability.verdicts import CAUGHT, PASSED

SEEDS = seeds()
SAMPLE = 6
PAGE = ROOT / "docs" / "reliability.md"
_BEGIN, _END = "<!-- planted faults -->\n", "\n<!-- end of planted faults -->"


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    with quick_folder() as folder:
        yield copied(folder)


def sample() -> list[Seed]:
    """Some of the faults, spread over all of them."""
    return [SEEDS[place * (len(SEEDS) - 1) // (SAMPLE - 1)] for place in range(SAMPLE)]


def missed(seed: Seed, copy: Path) -> Iterator[str]:
    """Plant a fault, and name the tests that do not catch it by what they assert."""
    with planted(seed, copy):
        found = tried(seed.tests, copy)
    if not all(Path(package).is_relative_to(copy) for package in found.packages):
        yield f"the tests have tried {found.packages}, not the copy"
    for test in seed.tests:
        verdicts = found.of(test)
        if not verdicts:
            yield f"{test} is no test of make test"
        elif CAUGHT not in verdicts or verdicts - {PASSED, CAUGHT}:
            yield f"{test} does not catch it: {verdicts}"


def some_missed(chosen: list[Seed], copy: Path, figures) -> str:
    begun = time.monotonic()
    problems = [f"{seed.name}: {problem}" for seed in chosen for problem in missed(seed, copy)]
    figures("planted faults", {"trials": len(chosen), "ms": round((time.monotonic() - begun) * 1000)})
    return "\n".join(problems)


def not_passed(chosen: list[Seed], copy: Path) -> dict[str, set[str]]:
    tests = {test for seed in chosen for test in seed.tests}
    found = tried(sorted(tests), copy)
    return {test: found.of(test) for test in sorted(tests) if found.of(test) != {PASSED}}


def test_some_planted_faults_are_caught(copy: Path, figures) -> None:
    assert some_missed(sample(), copy, figures) == ""


def test_without_a_fault_the_same_tests_pass(copy: Path) -> None:
    assert not_passed(sample(), copy) == {}


@pytest.mark.reliability
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_every_planted_fault_is_caught(seed: Seed, copy: Path, figures) -> None:
    assert some_missed([seed], copy, figures) == ""


@pytest.mark.reliability
def test_without_a_fault_the_tests_that_catch_one_pass(copy: Path) -> None:
    assert not_passed(SEEDS, copy) == {}


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_every_planted_fault_can_be_planted(seed: Seed, copy: Path) -> None:
    clean = [(copy / name).read_bytes() for name in seed.files]

    with planted(seed, copy):
        faulty = [(copy / name).read_bytes() for name in seed.files]

    assert seed.files
    assert all(now != was for now, was in zip(faulty, clean, strict=True))
    assert all(name.startswith(("rollbackctl/", "bot_core/")) for name in seed.files)


def test_a_patch_that_does_not_apply_is_named_with_the_way_to_mend_it(copy: Path) -> None:
    with planted(SEEDS[0], copy), pytest.raises(AssertionError) as told, planted(SEEDS[0], copy):
        pass

    assert f"{SEEDS[0].name}.patch does not apply any more" in str(told.value)
    assert "git diff -U1" in str(told.value)


def test_the_documented_table_is_that_of_the_patches(request: pytest.FixtureRequest) -> None:
    """`pytest tests/reliability/test_seeded_bugs.py --update` writes it."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    found, _, after = rest.partition(_END)
    if request.config.getoption("--update"):
        PAGE.write_text(before + _BEGIN + table() + _END + after, encoding="utf-8")
        return

    assert found == table()
