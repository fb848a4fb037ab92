"""What a run keeps of the files that it may touch, before it touches one."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.observation import ChecklistFact, JournalFact, Observation
from rollbackctl.engine.evidence import secure_evidence
from rollbackctl.engine.runs import FileRunStore

NAMES = ("small", "large", "gone", "folder/gone")


def observation(repository: str = "models") -> Observation:
    return Observation(
        scope={},
        policy={},
        policy_digest="none",
        repository=repository,
        versions=(),
        repositories=(),
        reports=(),
        journal=JournalFact(),
        checklist=ChecklistFact(path=""),
        quality_records={},
    )


@pytest.fixture
def store(tmp_path: Path) -> FileRunStore:
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(b"x" * 100)
    store = FileRunStore(tmp_path)
    store.create("r1", {})
    return store


def before(store: FileRunStore) -> Any:
    return json.loads(store.get("r1", "evidence/before.json") or b"")


def test_a_small_file_is_kept_whole_and_a_large_one_by_its_digest(
    store: FileRunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbackctl.engine.evidence._LARGE", 99)

    secure_evidence(tmp_path, store, "r1", NAMES, observation())

    assert before(store) == {
        "small": {"sha256": sha256_hex(b"small"), "size": 5},
        "large": {"sha256": sha256_hex(b"x" * 100), "size": 100},
        "gone": None,
        "folder/gone": None,
    }
    assert store.get("r1", f"evidence/blobs/{sha256_hex(b'small')}") == b"small"
    assert store.get("r1", f"evidence/blobs/{sha256_hex(b'x' * 100)}") is None


def test_what_was_there_is_kept_once_and_what_was_seen_each_time(store: FileRunStore, tmp_path: Path) -> None:
    first = secure_evidence(tmp_path, store, "r1", NAMES, observation())
    (tmp_path / "small").write_bytes(b"changed")

    second = secure_evidence(tmp_path, store, "r1", NAMES, observation("others"))

    assert before(store)["small"]["sha256"] == sha256_hex(b"small")
    assert first != second
    seen = json.loads(store.get("r1", f"evidence/seen-{second[:16]}.json") or b"")
    assert seen["repository"] == "others"
    assert store.get("r1", f"evidence/seen-{first[:16]}.json") is not None


def test_a_file_that_cannot_be_read_stops_a_rollback_and_not_a_hold(store: FileRunStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("small")

    with pytest.raises(BotCoreError) as refused:
        secure_evidence(tmp_path, store, "r1", ["link"], observation())
    secure_evidence(tmp_path, store, "r1", ["link"], observation(), lenient=True)

    assert before(store) == {"link": {"unreadable": refused.value.problem}}
