import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import Crash, count_acts, crashing, every_crash


def written(path: Path) -> Callable[[], None]:
    def act() -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(descriptor, b"four")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return act


def test_only_what_leaves_a_trace_is_counted(tmp_path: Path) -> None:
    written(tmp_path / "a")()

    assert count_acts(written(tmp_path / "b")) == 3
    assert count_acts((tmp_path / "a").read_bytes) == 0
    assert count_acts(lambda: os.close(os.open(tmp_path / "a", os.O_RDONLY))) == 0


@pytest.mark.parametrize(
    ("at", "when", "left"),
    [
        (1, "before", None),
        (1, "after", b""),
        (2, "before", b""),
        (2, "midway", b"fo"),
        (2, "after", b"four"),
        (3, "before", b"four"),
    ],
)
def test_a_crash_leaves_what_was_done_before_it(tmp_path: Path, at: int, when: str, left: bytes | None) -> None:
    path = tmp_path / "a"

    with pytest.raises(Crash), crashing(at=at, when=when) as acts:  # type: ignore[arg-type]
        written(path)()

    assert acts.crashed
    assert len(acts.names) == at
    assert (path.read_bytes() if path.exists() else None) == left


def test_after_the_crash_nothing_more_reaches_the_disk(tmp_path: Path) -> None:
    def act() -> None:
        try:
            written(tmp_path / "a")()
        finally:
            os.unlink(tmp_path / "a")

    with pytest.raises(Crash), crashing(at=2):
        act()

    assert (tmp_path / "a").exists()


def test_a_fault_that_does_not_come_is_told(tmp_path: Path) -> None:
    with crashing(at=4) as acts:
        written(tmp_path / "a")()

    assert not acts.crashed


def test_the_functions_are_as_before_when_it_is_over(tmp_path: Path) -> None:
    before = os.open, os.write

    with pytest.raises(Crash), crashing(at=1):
        written(tmp_path / "a")()

    assert (os.open, os.write) == before


def test_every_crash_is_before_and_after_each_act_and_midway_in_each_write(tmp_path: Path) -> None:
    with crashing() as acts:
        written(tmp_path / "a")()

    places = list(every_crash(acts))

    assert places == [
        *((1, "before"), (1, "after")),
        *((2, "before"), (2, "midway"), (2, "after")),
        *((3, "before"), (3, "after")),
    ]
