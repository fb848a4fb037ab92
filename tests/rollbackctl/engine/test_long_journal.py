"""A run journal of any length, with lines of any length, is appended to without being read as a whole."""

from pathlib import Path

import pytest

from rollbackctl.core.checkpoint import Entry
from rollbackctl.engine.runs import FileRunStore


def entry(seq: int, size: int) -> Entry:
    at = "2025-11-18T08:00:00+00:00"
    return Entry(seq=seq, plan="p", run="r1", at=at, type="stopped", body={"reason": "x" * size})


@pytest.mark.parametrize("sizes", [[10] * 300, [20_000, 10, 40_000, 10], [16_384 - 200, 16_384, 1]])
@pytest.mark.parametrize("torn", [b"", b'{"at":"2025', b"\0\0\0\n", b"y" * 30_000])
def test_every_entry_follows_the_one_before_it(tmp_path: Path, sizes: list[int], torn: bytes) -> None:
    store = FileRunStore(tmp_path)
    store.create("r1", {})
    journal = tmp_path / "var/rollbackctl/runs/r1/journal.jsonl"
    wanted = [entry(seq, size) for seq, size in enumerate(sizes, 1)]

    for item in wanted:
        store.append("r1", item)
    with journal.open("ab") as file:
        file.write(torn)
    store.append("r1", entry(len(sizes) + 1, 5))

    assert store.entries("r1") == (*wanted, entry(len(sizes) + 1, 5))
