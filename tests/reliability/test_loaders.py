"""Every loader on what fuzzing has kept, and on its own documents changed by chance: see `loaders.py`."""

import itertools
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot_core.foundation.errors import FileFormatError
from tests.harness import Done, quick_folder
from tests.reliability.child import in_child, starve_of_memory
from tests.reliability.loaders import LOADERS, Loader, desk, judge, seeds
from tests.reliability.mutation import varied

of_every_loader = pytest.mark.parametrize("name", LOADERS)


@pytest.fixture
def root(monkeypatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    with quick_folder() as folder:
        yield desk(folder)


@pytest.fixture
def kept(name: str, root: Path) -> list[bytes]:
    return seeds(name, root)


@of_every_loader
def test_what_is_kept_gives_a_value_or_names_its_file_in_bounded_memory(name: str, root: Path, kept) -> None:
    def act() -> Done:
        starve_of_memory()
        try:
            return Done(len([judge(name, root, data) for data in kept]), "", "")
        except BaseException:  # noqa: BLE001 - the parent tells it
            return Done(-1, "", traceback.format_exc())

    assert kept
    assert in_child(act) == Done(len(kept), "", "")


@of_every_loader
@given(st.randoms(use_true_random=False), st.binary(max_size=64))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_document_with_anything_wrong_in_it_gives_a_value_or_names_its_file(
    name: str, root: Path, kept: list[bytes], random: Random, other: bytes
) -> None:
    judge(name, root, varied(random.choice(kept), random) or other)


def write_beside(root: Path) -> None:
    with suppress(OSError):
        (root / "config/new").write_bytes(b"")


def spin(_root: Path) -> None:
    end = time.process_time() + 1.1
    any(time.process_time() > end for _ in itertools.count())


def refuse_without_a_name(_root: Path) -> None:
    raise FileFormatError("something is wrong")


def fail(_root: Path) -> None:
    raise ValueError("a bug")


PLANTED = {
    "changes the disk": write_beside,
    "takes too long": spin,
    "does not name its file": refuse_without_a_name,
    "a bug": fail,
    "changes the disk: .*os.remove": lambda root: os.unlink(root / "config/planted.yaml"),
}


@pytest.mark.parametrize(("what", "read"), PLANTED.items())
def test_a_loader_that_does_what_none_may_do_fails(what: str, read, root: Path, monkeypatch) -> None:
    monkeypatch.setitem(LOADERS, "planted", Loader("config/planted.yaml", read))

    with pytest.raises((AssertionError, ValueError), match=what):
        judge("planted", root, b"")
