import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.runtime.journal import (
    InMemoryTradingDecisionJournal,
    JsonlTradingDecisionJournal,
    TradingDecisionEvent,
    aggregate_decision_statistics,
    encode_event,
    log_decision_event,
    log_model_change_event,
)

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOON = datetime(2025, 11, 18, 12, tzinfo=UTC)


def event(**fields: object) -> TradingDecisionEvent:
    values = {"environment": "paper", "portfolio": "p", "risk_profile": "r", "timestamp": NOON} | fields
    return TradingDecisionEvent(event_type="ai_model_rollback_requested", **values)


def test_the_runbooks_event_is_one_line_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "decision_journal" / "rollback.log"
    journal = JsonlTradingDecisionJournal(str(path))

    journal.record(event(metadata={"reason": "data_drift_alert"}))

    assert path.read_bytes() == (
        b'{"event":"ai_model_rollback_requested","timestamp":"2025-11-18T12:00:00+00:00","environment":"paper",'
        b'"portfolio":"p","risk_profile":"r","reason":"data_drift_alert"}\n'
    )


def test_a_folder_gets_one_file_a_day_in_utc(tmp_path: Path) -> None:
    journal = JsonlTradingDecisionJournal(tmp_path / "journal")
    west = timezone(timedelta(hours=-5))

    journal.record(event(timestamp=datetime(2025, 11, 17, 23, tzinfo=west)))
    journal.record(event(timestamp=datetime(2025, 11, 17, 23)))  # noqa: DTZ001

    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == [
        "decisions-20251117.jsonl",
        "decisions-20251118.jsonl",
    ]


def test_an_existing_folder_with_a_suffix_stays_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rollback.log"
    folder.mkdir()

    JsonlTradingDecisionJournal(folder).record(event())

    assert [path.name for path in folder.iterdir()] == ["decisions-20251118.jsonl"]


def test_a_torn_last_line_costs_no_event(tmp_path: Path) -> None:
    path = tmp_path / "rollback.log"
    first, second = event(symbol="A"), event(symbol="B")
    path.write_bytes(encode_event(first) + b'\n{"event":"cut')
    journal = JsonlTradingDecisionJournal(path)

    journal.record(second)

    assert list(journal.export()) == [first.as_dict(), second.as_dict()]
    assert journal.malformed == (("rollback.log", 2),)


def test_the_same_event_again_completes_its_own_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "rollback.log"
    line = encode_event(event())
    path.write_bytes(line[:30])

    JsonlTradingDecisionJournal(path).record(event())

    assert path.read_bytes() == line + b"\n"


def test_old_files_are_never_removed(tmp_path: Path) -> None:
    old = tmp_path / "decisions-20010101.jsonl"
    old.write_bytes(encode_event(event()) + b"\n")

    JsonlTradingDecisionJournal(tmp_path, retention_days=1).record(event())

    assert old.exists()


def test_the_real_journal_is_read_with_its_cut_line_named() -> None:
    journal = JsonlTradingDecisionJournal(FIXTURES / "ws_public" / "logs" / "decision_journal")

    records = list(journal.export())

    assert len(records) == 475
    assert journal.malformed == (("decisions-20251118.jsonl", 59),)


def test_statistics_of_the_real_journal_are_the_engines() -> None:
    expected = json.loads((FIXTURES / "expected_public.json").read_text())["journal_statistics"]
    journal = JsonlTradingDecisionJournal(FIXTURES / "ws_public" / "logs" / "decision_journal")

    actual = aggregate_decision_statistics(journal)

    # The engine's figures are rounded to six decimals.
    assert {key: round(value, 6) if isinstance(value, float) else value for key, value in actual.items()} == expected


def test_statistics_take_the_time_asked_for() -> None:
    records = [event(timestamp=NOON + timedelta(hours=hours)).as_dict() for hours in range(5)]
    undated = [{"event": "x"}, {"event": "x", "timestamp": "noon"}]

    actual = aggregate_decision_statistics(
        [*records, *undated], start=NOON + timedelta(hours=1), end=NOON + timedelta(hours=3)
    )

    assert actual["total"] == 3
    assert actual["avg_latency_ms"] is None


def test_a_key_that_is_taken_gets_meta_in_front() -> None:
    record = event(status="alert", metadata={"status": "x", "meta_status": "y", "side": "z"}).as_dict()

    assert record["status"] == "alert"
    assert record["meta_status"] == "x"
    assert record["meta_meta_status"] == "y"
    assert record["side"] == "z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.0, "7"),
        (0.1252519942, "0.1252519942"),
        (90327.9144, "90327.9144"),
        (100.0, "100"),
        (True, "true"),
        (["net edge poniżej progu"], '["net edge poniżej progu"]'),
        ({"mae": 7.0}, '{"mae":7.0}'),
        (12, "12"),
    ],
)
def test_a_value_is_written_as_the_engine_writes_it(value: object, text: str) -> None:
    journal = InMemoryTradingDecisionJournal()

    log_decision_event(
        journal,
        event="x",
        environment="e",
        portfolio="p",
        risk_profile="r",
        timestamp=NOON,
        metadata={"value": value, "none": None, "empty": ""},
    )

    assert next(iter(journal.export())) == {
        "event": "x",
        "timestamp": "2025-11-18T12:00:00+00:00",
        "environment": "e",
        "portfolio": "p",
        "risk_profile": "r",
        "value": text,
    }


def test_a_model_change_is_the_line_that_the_engine_wrote() -> None:
    folder = FIXTURES / "ws_public" / "logs" / "decision_journal"
    lines = [line for path in folder.iterdir() for line in path.read_bytes().splitlines()]
    expected = next(line for line in lines if b'"model_change"' in line)
    journal = InMemoryTradingDecisionJournal()

    log_model_change_event(
        journal,
        environment="paper-trading",
        portfolio="paper-01",
        risk_profile="balanced",
        model_name="decision-core",
        new_version="v10",
        previous_version="v9",
        source="models/decision_engine/model-v10.json",
        fallback=False,
        decided_at="2025-11-15T00:00:30+00:00",
        metrics_current={"mae": 7.2, "directional_accuracy": 0.71},
        metrics_previous={"mae": 7.0, "directional_accuracy": 0.72},
    )

    assert list(journal.export()) == [json.loads(expected)]


def test_without_a_journal_nothing_is_logged() -> None:
    log_decision_event(None, event="x", environment="e", portfolio="p", risk_profile="r")
    log_model_change_event(None, environment="e", portfolio="p", risk_profile="r", model_name="m", new_version="v1")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None)
@given(metadata=st.dictionaries(TEXTS, TEXTS | st.booleans() | st.integers(), max_size=5), symbol=st.none() | TEXTS)
def test_an_events_line_reads_back_as_the_event(metadata: dict[str, object], symbol: str | None) -> None:
    given_event = event(metadata=metadata, symbol=symbol)

    line = encode_event(given_event)

    assert b"\n" not in line
    assert json.loads(line) == given_event.as_dict()
    assert all(isinstance(value, str) and value for value in json.loads(line).values())


@pytest.mark.parametrize("path", ["not/there", "not/there.log"])
def test_a_journal_that_nobody_has_begun_is_empty(tmp_path, path):
    assert list(JsonlTradingDecisionJournal(tmp_path / path).export()) == []
