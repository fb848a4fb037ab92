from pathlib import Path

import pytest

from bot_core.foundation.errors import UnsafePathError
from rollbackctl.core.plan import Phase
from rollbackctl.kinds.target_file import TargetFile, TargetFileState
from tests.examples import REPOSITORY, aims, bind, make_facts, make_spec, pin

NAME = f"{REPOSITORY}/rollback_target.json"
V9 = TargetFileState(sha256=pin("v9").sha256)


@pytest.fixture
def kind(workspace: Path) -> TargetFile:
    return TargetFile(bind(workspace))


def test_the_target_is_copied_before_the_checks() -> None:
    (wish,) = TargetFile(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())

    assert (wish.name, wish.phase, *aims(wish, None)) == (NAME, Phase.RESTORE, None, V9)


def test_it_is_a_byte_copy(workspace: Path, kind: TargetFile) -> None:
    kind.move(NAME, None, V9)

    assert (workspace / NAME).read_bytes() == (workspace / pin("v9").source).read_bytes()


def test_one_of_an_earlier_rollback_is_replaced_and_comes_back(workspace: Path, kind: TargetFile) -> None:
    (workspace / NAME).write_bytes((workspace / pin("v10").source).read_bytes())
    before = kind.observe(NAME)

    kind.move(NAME, before, V9)
    there = kind.observe(NAME)
    kind.move(NAME, V9, before)

    assert there == V9
    assert (workspace / NAME).read_bytes() == (workspace / pin("v10").source).read_bytes()


def test_it_is_removed_where_there_was_none(workspace: Path, kind: TargetFile) -> None:
    kind.move(NAME, None, V9)

    kind.move(NAME, V9, None)

    assert kind.observe(NAME) is None
    assert not (workspace / NAME).exists()


def test_a_link_in_its_place_is_refused(workspace: Path, kind: TargetFile) -> None:
    (workspace / NAME).symlink_to(workspace / pin("v10").source)

    with pytest.raises(UnsafePathError):
        kind.move(NAME, None, V9)

    assert (workspace / NAME).is_symlink()
