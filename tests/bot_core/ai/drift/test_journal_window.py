import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot_core.ai.drift.scan import scan
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.runtime.journal import JsonlTradingDecisionJournal, log_decision_event
from tests.bot_core.ai.drift.windows import POOL, START, cache_in, count, counts, edge_set

EDGES = edge_set("x", "y", segments=["symbol"])


def decide(folder: Path, second: int, metadata: Mapping[str, object], symbol: str = "BTC") -> None:
    log_decision_event(
        JsonlTradingDecisionJournal(folder),
        event="decision_evaluation",
        environment="paper",
        portfolio="p",
        risk_profile="r",
        symbol=symbol,
        timestamp=START + timedelta(seconds=second),
        metadata=metadata,
    )


def test_records_with_features_are_the_rows(tmp_path: Path) -> None:
    journal = tmp_path / "logs"
    decide(journal, 0, {"model_features": {"x": 0.25, "y": 1}})
    decide(journal, 1, {"features": {"x": "3.5"}}, "ETH")
    decide(journal, 2, {"reason": "no features here"})
    decide(journal, 3, {"model_features": {"x": None, "y": -2.0}})
    decide(journal, 86_400, {"model_features": {"x": 1.0}})

    found = count(tmp_path, EDGES, "logs", "journal")

    assert (found.rows, found.files, found.first, found.last) == (4, 2, START, START + timedelta(days=1))
    assert counts(found, "x") == ([0, 0, 1, 1, 1], 1)
    assert counts(found, "y") == ([1, 0, 0, 1, 0], 2)
    assert {name: part.rows for name, part in found.tally.segments["symbol"].items()} == {"BTC": 3, "ETH": 1}
    assert found.absent == ()
    assert count(tmp_path, EDGES, "logs", "journal", last=timedelta(hours=1)).rows == 1


def test_a_journal_without_features_has_no_rows_and_lacks_every_column() -> None:
    fixture = Path(__file__).parents[3] / "fixtures/ws_public"

    found = count(fixture, EDGES, "logs/decision_journal", "journal")

    assert (found.rows, found.absent) == (0, ("x", "y", "symbol"))


def test_a_torn_line_is_no_row(tmp_path: Path) -> None:
    decide(tmp_path / "logs", 0, {"features": {"x": 1.0}})
    [file] = (tmp_path / "logs").iterdir()
    file.write_bytes(file.read_bytes() + b'{"event":"decision_eval')

    assert count(tmp_path, EDGES, "logs", "journal").rows == 1


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"features": {"x": "high"}}, "x is 'high', not a number"),
        ({"features": {"x": [1]}}, "x is [1], not a number"),
        ({"features": "[1]"}, "features, line 1: the top level is not an object"),
        ({"features": [1]}, "features is [1], not an object"),
        ({"features": {"x": 1}, "symbol": 7}, "symbol is 7, not text"),
        ({"features": {"x": 1}, "timestamp": None}, "timestamp is missing; every row needs its time"),
        (
            {"features": {"x": 1}, "timestamp": "2025-01-01T00:00"},
            "timestamp is '2025-01-01T00:00', which says no time zone",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, record: Mapping[str, object], problem: str) -> None:
    (tmp_path / "logs").mkdir()
    lines = [
        {"event": "e", "timestamp": "2025-01-01T00:00:00Z"},
        {"event": "e", "timestamp": "2025-01-01T00:00:00Z", **record},
    ]
    (tmp_path / "logs/a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(FileFormatError) as caught:
        count(tmp_path, EDGES, "logs", "journal")

    assert (caught.value.problem, caught.value.line) == (f"logs/a.jsonl, line 2: {problem}", 2)


def test_an_engine_may_go_on_writing_and_what_it_adds_is_not_taken_for_counted(tmp_path: Path) -> None:
    decide(tmp_path / "logs", 0, {"features": {"x": 1.0}})
    cache = cache_in(tmp_path)

    class Engine:
        def map(self, function, tasks):
            yield from map(function, tasks)
            decide(tmp_path / "logs", 1, {"features": {"x": 2.0}})

    scan(Window("logs", "journal"), tmp_path, EDGES, pool=Engine(), cache=cache)

    assert scan(Window("logs", "journal"), tmp_path, EDGES, pool=POOL, cache=cache).last > START


def test_another_time_column_is_read_where_it_is_named(tmp_path: Path) -> None:
    decide(tmp_path / "logs", 0, {"features": {"x": 1.0}, "decided_at": "2024-01-01T00:00:00+00:00"})

    found = count(tmp_path, EDGES, "logs", "journal", time_column="decided_at")

    assert found.first == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_journal_is_not_read_from_a_url(tmp_path: Path) -> None:
    with pytest.raises(BotCoreError, match="read below the workspace, not from a URL"):
        count(tmp_path, EDGES, f"file://{tmp_path}", "journal")
