"""The decision journal's events, from small files and from large ones that the cache remembers."""

from pathlib import Path

import pytest

from rollbackctl.engine.journal_index import Journal, observe_journal, served_versions

PLACE = "logs/decision_journal"


def test_a_large_file_is_found_in_the_cache_as_it_was_on_the_disk(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = observe_journal(workspace, PLACE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("rollbackctl.engine.journal_index._LARGE", 1)

    first, again = observe_journal(workspace, PLACE), observe_journal(workspace, PLACE)

    assert small.fact.events
    assert first == again == small
    assert any((tmp_path / "cache").rglob("*.db"))


def test_a_version_has_served_from_one_change_to_the_next_in_the_order_of_their_times() -> None:
    changes = (
        {"timestamp": "2025-11-08", "model_version": "v3", "model_previous_version": "v2"},
        {"timestamp": "2025-10-01", "model_version": "v2"},
        {"timestamp": "2025-11-09", "model_previous_version": "v1"},
    )
    journal = Journal(observe_journal(Path("/nonexistent"), "nothing").fact, changes)

    assert served_versions(journal) == {
        "v2": "served since 2025-10-01 until 2025-11-08",
        "v3": "served since 2025-11-08",
        "v1": "served until 2025-11-09",
    }
