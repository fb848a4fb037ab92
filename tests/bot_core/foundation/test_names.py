"""What is said of names that are no text, and how long a hidden name may be."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.atomic_file import write_atomic
from bot_core.foundation.names import hidden_beside, legible

NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name).map(os.fsdecode)


@given(NAMES)
def test_a_legible_name_is_text_and_a_text_is_its_own(name: str) -> None:
    found = legible(name)

    assert found.encode().decode() == found
    assert legible(found) == found


@given(NAMES)
def test_a_hidden_name_leaves_room_for_what_follows(name: str) -> None:
    assert hidden_beside(name).startswith(".")
    assert len(os.fsencode(f"{hidden_beside(name)}.4194304.tmp")) <= 255


def test_hidden_names_beside_different_files_differ() -> None:
    long = ["a" * length for length in range(1, 256)]

    assert len({hidden_beside(name) for name in long}) == len(long)


@pytest.mark.parametrize("name", ["x" * 255, os.fsdecode(b"\xff\xfe")])
def test_a_file_of_any_name_is_written_and_what_a_killed_writer_left_is_removed(tmp_path: Path, name: str) -> None:
    stale = tmp_path / f"{hidden_beside(name)}.1.tmp"
    stale.touch()

    for data in (b"old", b"new"):
        write_atomic(tmp_path / name, data)

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"new")]
