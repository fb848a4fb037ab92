import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot_core.runtime.journal import TradingDecisionEvent, encode_event
from rollbackctl.core.plan import Phase
from rollbackctl.core.state import resolve
from rollbackctl.kinds import Binding
from rollbackctl.kinds.decision_event import DecisionEvent, EventState
from tests.examples import RUN, VALUES, aims, bind, make_facts, make_spec

JOURNAL = "logs/decision_journal/rollback.log"
REQUESTED = "ai_model_rollback_requested"
COMPLETED = "ai_model_rollback_completed"


@pytest.fixture
def kind(workspace: Path) -> DecisionEvent:
    return DecisionEvent(bind(workspace))


def event(name: str = REQUESTED, **values: str) -> EventState:
    wishes = {wish.name: wish for wish in DecisionEvent(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())}
    state = resolve(wishes[name].after(None), VALUES | values)
    assert isinstance(state, EventState)
    return state


def records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line_of(state: EventState) -> bytes:
    fields: dict[str, Any] = state.to_json() | {"timestamp": datetime.fromisoformat(state.timestamp)}
    return encode_event(TradingDecisionEvent(event_type=fields.pop("event"), **fields)) + b"\n"


def test_the_request_comes_before_everything_and_the_completion_after() -> None:
    wishes = list(DecisionEvent(bind(Path("/nonexistent"))).desire(make_spec(), make_facts()))

    assert [(wish.name, wish.phase, wish.lasting) for wish in wishes] == [
        (REQUESTED, Phase.SECURE, False),
        (COMPLETED, Phase.RECORD, False),
    ]


def test_the_event_has_the_runbooks_fields_and_the_runs_key(workspace: Path, kind: DecisionEvent) -> None:
    kind.move(COMPLETED, None, event(COMPLETED))

    facts = make_facts()
    assert records(workspace / JOURNAL) == [
        {
            "event": COMPLETED,
            "timestamp": "2025-11-18T08:00:00+00:00",
            "environment": "ai-monitoring",
            "portfolio": "ai-manager",
            "risk_profile": "ai-monitoring",
            "reason": "data_drift_alert",
            "incident": "INC-2025-1117",
            "run": RUN,
            "actor": "ops@host-1",
            "model_previous_version": "v10",
            "model_version": "v9",
            "model_artifact": "models/decision_engine/model-v9.json",
            "model_artifact_sha256": facts.target.sha256,
            "signed_by": "risk: J. Kowal",
            "engine": "none seen",
            "rollback_key": f"{RUN}/{COMPLETED}",
        }
    ]


def test_a_request_without_a_trigger_names_no_report() -> None:
    (wish, _) = DecisionEvent(bind(Path("/nonexistent"))).desire(make_spec(), make_facts(trigger=None))

    state = aims(wish, None)[1]

    assert isinstance(state, EventState)
    assert "report_path" not in state.metadata
    assert event().metadata["report_path"] == make_facts().trigger


def test_outside_a_run_nothing_of_it_exists(workspace: Path, kind: DecisionEvent) -> None:
    kind.move(REQUESTED, None, event())

    assert DecisionEvent(bind(workspace, run=None)).observe(REQUESTED) is None
    assert DecisionEvent(bind(workspace, run="another")).observe(REQUESTED) is None
    assert kind.observe(COMPLETED) is None
    assert kind.observe(REQUESTED) == event()


def test_it_is_written_once(workspace: Path, kind: DecisionEvent) -> None:
    for _ in range(3):
        kind.move(REQUESTED, None, event())

    assert len(records(workspace / JOURNAL)) == 1


def test_it_is_not_taken_back(workspace: Path, kind: DecisionEvent) -> None:
    kind.move(REQUESTED, None, event())

    kind.move(REQUESTED, event(), None)

    assert kind.observe(REQUESTED) == event()


def test_a_strangers_torn_last_line_is_ended_first(workspace: Path, kind: DecisionEvent) -> None:
    (workspace / JOURNAL).write_bytes(b'{"event":"whole"}\n{"event":"to')

    kind.move(REQUESTED, None, event())

    assert (workspace / JOURNAL).read_bytes() == b'{"event":"whole"}\n{"event":"to\n' + line_of(event())


def test_every_part_of_its_own_line_that_a_killed_run_left_is_completed(workspace: Path, kind: DecisionEvent) -> None:
    line = line_of(event())

    for length in range(len(line)):
        (workspace / JOURNAL).write_bytes(b'{"event":"whole"}\n' + line[:length])
        assert kind.observe(REQUESTED) is None, length
        kind.move(REQUESTED, None, event())
        assert (workspace / JOURNAL).read_bytes() == b'{"event":"whole"}\n' + line, length


def test_a_part_of_its_own_line_that_others_wrote_after_is_written_anew(workspace: Path, kind: DecisionEvent) -> None:
    line = line_of(event())
    (workspace / JOURNAL).write_bytes(line[:40] + b'{"event":"glued"}\n')

    kind.move(REQUESTED, None, event())

    assert (workspace / JOURNAL).read_bytes() == line[:40] + b'{"event":"glued"}\n' + line
    assert kind.observe(REQUESTED) == event()


def test_a_folder_of_the_journals_name_stays_a_folder(workspace: Path, kind: DecisionEvent) -> None:
    (workspace / JOURNAL).mkdir()

    kind.move(REQUESTED, None, event())

    path = f"{JOURNAL}/decisions-20251118.jsonl"
    assert len(records(workspace / path)) == 1
    assert kind.observe(REQUESTED) == event()
    assert kind.files(REQUESTED) == (path,)


def test_a_journal_without_a_suffix_is_a_folder(workspace: Path) -> None:
    kind = DecisionEvent(bind(workspace, make_spec(journal={"write": "logs/rollbacks"})))

    kind.move(REQUESTED, None, event())

    assert len(records(workspace / "logs/rollbacks/decisions-20251118.jsonl")) == 1


def test_in_a_folder_the_file_is_that_of_the_events_own_day(workspace: Path) -> None:
    (workspace / JOURNAL).mkdir()
    yesterday = event(time="2025-11-17T23:59:59+00:00")
    morning = datetime(2025, 11, 18, 0, 0, 1, tzinfo=UTC)
    kind = DecisionEvent(bind(workspace, now=morning))
    before = kind.files(REQUESTED)

    kind.move(REQUESTED, None, yesterday)

    assert before == (f"{JOURNAL}/decisions-20251118.jsonl",)
    assert kind.files(REQUESTED) == (f"{JOURNAL}/decisions-20251117.jsonl",)
    assert (workspace / JOURNAL / "decisions-20251117.jsonl").exists()


def test_labels_are_those_of_the_rollback_plan(workspace: Path) -> None:
    spec = make_spec(journal={"environment": "live", "portfolio": "p-1", "risk_profile": "balanced"})
    binding: Binding = bind(workspace, spec)
    (wish, _) = DecisionEvent(binding).desire(spec, make_facts())

    state = aims(wish, None)[1]

    assert isinstance(state, EventState)
    assert (state.environment, state.portfolio, state.risk_profile) == ("live", "p-1", "balanced")
