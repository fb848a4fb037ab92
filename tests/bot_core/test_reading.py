"""Whatever could be misread is refused, by every reader of every file, with the file and the place."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.audit import (
    load_recent_walk_forward_reports,
    load_scheduler_state,
    summarize_walk_forward_reports,
)
from bot_core.ai.data_monitoring import load_recent_data_quality_reports, load_recent_drift_reports
from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.quarantine import Quarantine, quarantine_file, read_quarantines
from bot_core.ai.reports import MAX_BYTES, judge_mapping, parse_report
from bot_core.ai.repository import ModelRepository
from bot_core.ai.scheduler import read_schedule
from bot_core.ai.serving import change_serving, read_serving
from bot_core.ai.signoff import update_sign_off
from bot_core.foundation.errors import BotCoreError
from bot_core.runtime.journal import JsonlTradingDecisionJournal

PUBLIC = Path(__file__).parents[1] / "fixtures" / "ws_public"
AUDIT = "audit/ai_decision"
MODELS = "models/decision_engine"
DRIFT = f"{AUDIT}/drift/20251117T224530Z_drift_alert.json"
QUALITY = f"{AUDIT}/data_quality/20251117T221000Z_completeness.json"
WALK = f"{AUDIT}/walk_forward/20251029T041045Z.json"
SCHEDULE = f"{AUDIT}/scheduler.json"
QUARANTINE = f"{MODELS}/{quarantine_file('v10')}"
SERVING = "var/models/serving.json"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    Path(QUARANTINE).parent.mkdir()
    Path(QUARANTINE).write_bytes(Quarantine("v10", "0" * 64, "INC-1", "drift").encode())
    change_serving(Path("var/models"), lambda serving: serving.next(attached=False))
    return tmp_path / "ws"


def shown_error(reports: Any) -> None:
    """Raise the error that a loader of reports shows in an entry, so that it can be held like the others."""
    for report in reports:
        if "error" in report:
            assert set(report) == {"report_path", "error"}
            raise BotCoreError(report["error"])


READERS: dict[str, tuple[str, Callable[[], object]]] = {
    "drift report": (DRIFT, lambda: shown_error(load_recent_drift_reports(limit=99))),
    "quality report": (QUALITY, lambda: shown_error(load_recent_data_quality_reports(limit=99))),
    "walk-forward report": (WALK, lambda: shown_error(load_recent_walk_forward_reports(limit=99))),
    "report to be signed": (
        DRIFT,
        lambda: update_sign_off({"report_path": DRIFT}, role="risk", status="approved"),
    ),
    "scheduler state": (SCHEDULE, load_scheduler_state),
    "schedule": (SCHEDULE, lambda: read_schedule(Path(SCHEDULE))),
    "manifest": (f"{MODELS}/manifest.json", lambda: ModelRepository(MODELS).list_versions()),
    "artifact": (f"{MODELS}/model-v9.json", lambda: ModelRepository(MODELS).load("v9")),
    "quarantine": (QUARANTINE, lambda: read_quarantines(Path(MODELS))),
    "serving": (SERVING, lambda: read_serving(Path("var/models"))),
}
SYNTAX = {
    "NaN": (b'{"x": NaN,', "not a finite number"),
    "an infinite number": (b'{"x": 1e999,', "1e999 is not a finite number"),
    "a huge integer": (b'{"x": ' + b"9" * 5000 + b",", "is not a finite number of at most 64 bits"),
    "a key given twice": (b'{"x": 1, "x": 2,', "key 'x' is given twice"),
    "a lone surrogate": (b'{"x": "\\ud800",', "lone surrogate"),
    "bytes that are not UTF-8": (b'{"x": "\xff",', "not UTF-8"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_as_it_was_written_is_read(workspace: Path, reader: str) -> None:
    READERS[reader][1]()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("fault", SYNTAX)
def test_what_could_be_misread_is_refused_with_file_and_line(workspace: Path, reader: str, fault: str) -> None:
    path, read = READERS[reader]
    beginning, problem = SYNTAX[fault]
    original = Path(path).read_bytes()
    Path(path).write_bytes(b"\n" + beginning + original.lstrip()[1:])

    with pytest.raises(BotCoreError) as caught:
        read()

    assert f"{Path(path).name}, line 2: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"[]", b'"text"', b"null", b"5"])
def test_anything_but_an_object_is_refused(workspace: Path, reader: str, content: bytes) -> None:
    path, read = READERS[reader]
    Path(path).write_bytes(content)

    with pytest.raises(BotCoreError, match=f"{Path(path).name}, line 1: the top level is not an object"):
        read()


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_far_too_large_is_refused_by_name_and_never_read(workspace: Path, reader: str) -> None:
    path, read = READERS[reader]
    with Path(path).open("r+b") as file:
        file.truncate(1 << 40)  # sparse: the disk holds next to nothing
    tracemalloc.start()

    with pytest.raises(BotCoreError, match=rf"{Path(path).name} is larger than \d+ bytes"):
        read()

    assert tracemalloc.get_traced_memory()[1] < MAX_BYTES
    tracemalloc.stop()


WRONG: tuple[tuple[str, dict[str, object], str], ...] = (
    ("drift", {"drift_score": "5"}, "drift_score is not a number"),
    ("drift", {"threshold": True}, "threshold is not a number"),
    ("drift", {"status": 5}, "status is not a text"),
    ("drift", {"timestamp": 1763418330}, "timestamp is not a text"),
    ("drift", {"metrics": []}, "metrics is not an object"),
    ("drift", {"extra": [1]}, "extra is not an object"),
    ("data_quality", {"status": ["alert"]}, "status is not a text"),
    ("data_quality", {"policy": "enforce"}, "policy is not an object"),
    ("data_quality", {"violations": {"feature": "a"}}, "violations is not a list"),
    ("data_quality", {"missing_features": "atr_pct"}, "missing_features is not a list"),
    ("data_quality", {"summary": "critical"}, "summary is not an object"),
    ("data_quality", {"issues": ["x"]}, "issues is not a list of objects"),
    ("data_quality", {"category": 1, "context": 2}, "category is not a text; context is not an object"),
)


@pytest.mark.parametrize(("kind", "changes", "problem"), WRONG)
def test_a_report_with_a_field_of_the_wrong_type_is_unreadable_and_never_passed_over(
    kind: Any, changes: dict[str, object], problem: str
) -> None:
    raw = {**json.loads((PUBLIC / (DRIFT if kind == "drift" else QUALITY)).read_bytes()), **changes}

    from_file = parse_report(json.dumps(raw).encode(), path="r.json", kind=kind)
    from_caller = judge_mapping({**raw, "report_path": "r.json"}, kind)

    assert from_file.error == from_caller.error == f"r.json: {problem}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_makes_a_report_of_a_caller_unreadable(value: float) -> None:
    report = judge_mapping({"drift_score": value, "threshold": 3.0, "report_path": "r.json"}, "drift")

    assert report.error == "r.json: drift_score is not a number"


@pytest.mark.parametrize("place", ["walk_forward", "model_artifact", "dataset", "sign_off"])
def test_a_walk_forward_report_with_a_field_of_the_wrong_type_is_unreadable(workspace: Path, place: str) -> None:
    raw = json.loads(Path(WALK).read_bytes())
    Path(WALK).write_text(json.dumps({**raw, place: [1]}))

    reports = load_recent_walk_forward_reports(limit=99)

    assert f"20251029T041045Z.json: {place} is not an object" in str(reports[0]["error"])
    assert summarize_walk_forward_reports(reports)["unreadable"] == 1


LINES = {
    "NaN": b'{"event":"x","confidence":NaN}',
    "a key given twice": b'{"event":"x","event":"y"}',
    "no event": b'{"timestamp":"2025-11-18T08:00:00+00:00"}',
    "an event that is no text": b'{"event":5}',
    "no object": b'["event"]',
    "a cut line": b'{"event":"x","st',
    "a line far too long": b'{"event":"x","y":"' + b"z" * (1 << 21) + b'"}',
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_of_the_journal_that_is_no_event_is_named_and_the_others_are_read(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"event":"a"}\n' + line + b'\n{"event":"b"}\n')
    journal = JsonlTradingDecisionJournal(tmp_path)

    assert [record["event"] for record in journal.export()] == ["a", "b"]
    assert journal.malformed == (("a.jsonl", 2),)


def test_the_journal_is_exported_line_by_line(tmp_path: Path) -> None:
    line = b'{"event":"x","y":"' + b"z" * 1000 + b'"}\n'
    (tmp_path / "a.jsonl").write_bytes(line * 5_000)
    tracemalloc.start()

    count = sum(1 for _ in JsonlTradingDecisionJournal(tmp_path).export())

    assert count == 5_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_artifact_with_a_part_of_the_wrong_type_is_refused_with_file_and_place(workspace: Path) -> None:
    path = Path(MODELS, "model-v9.json")
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps({**raw, "feature_scalers": {"momentum": {"mean": "0", "stdev": 1}}}))

    with pytest.raises(BotCoreError, match=r"model-v9\.json .*feature_scalers\.momentum\.mean is \"0\", not a number"):
        ModelRepository(MODELS).load("v9")


def test_a_model_that_cannot_score_is_refused_with_file_and_place(workspace: Path) -> None:
    path = Path(MODELS, "model-v9.json")
    raw = json.loads(path.read_bytes())
    raw["model_state"]["stumps"][3]["threshold"] = "0"
    path.write_text(json.dumps(raw))

    with pytest.raises(BotCoreError, match=r"^models/decision_engine/model-v9\.json: .*stumps\[3\]\.threshold is '0'"):
        DecisionModelInference(ModelRepository(MODELS)).load_weights(str(path))
