import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot_core.ai.acknowledgement import read_acks
from bot_core.ai.artifact import ModelScore
from bot_core.ai.drift.scan import Threads, scan
from bot_core.ai.drift.tally import EdgeSet
from bot_core.ai.drift.window import Window
from bot_core.ai.manager import AIManager
from bot_core.ai.serving import change_serving, read_serving
from bot_core.config.maintenance import MaintenanceWatch, change_maintenance
from bot_core.decision.candidate_lines import Line
from bot_core.decision.loop import DecisionLoop, Labels
from bot_core.runtime.journal import InMemoryTradingDecisionJournal, JsonlTradingDecisionJournal
from tests.harness import until

FIXTURES = Path(__file__).parents[2] / "fixtures"
SCORES = json.loads((FIXTURES / "expected_public.json").read_text())["scores"]
CANDIDATES = json.loads((FIXTURES / "ws_public/data/decision_engine/paper/candidates.json").read_text())
JOURNAL = "logs/new"


class Loop:
    """The loop as a process of its own, which gets its candidates through a pipe."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self._sent = 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot_core.decision.loop", "--journal", JOURNAL, *options],
            cwd=root,
            env={"PYTHONPATH": str(FIXTURES.parents[1])},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def send(self, *texts: str) -> dict[str, str]:
        """Send lines, by default one good candidate; give the event that comes of the last one."""
        assert self.process.stdin is not None
        for text in texts or (candidate(self._sent),):
            self.process.stdin.write(text.encode() + b"\n")
            self._sent += 1
        until(lambda: len(self.events()) >= self._sent)
        return self.events()[-1]

    def events(self) -> list[dict[str, str]]:
        return events(self.root)

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Exit code and last words, after a signal or the end of the candidates."""
        if number is not None:
            self.process.send_signal(number)
        _, err = self.process.communicate()
        return self.process.returncode, err.decode()


def candidate(number: int = 0, **fields: object) -> str:
    return json.dumps({"id": f"c-{number}", **CANDIDATES[number % 3], **fields})


def events(root: Path) -> list[dict[str, str]]:
    return [dict(record) for record in JsonlTradingDecisionJournal(root / JOURNAL).export()]


def serve(version: str) -> None:
    AIManager(model_dir="var/models").load_decision_artifact(
        "decision-core", f"models/decision_engine/model-{version}.json", set_default=True
    )


@pytest.fixture
def root(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(workspace)
    (workspace / JOURNAL).mkdir()
    serve("v10")
    return workspace


@pytest.fixture
def loop(root: Path) -> Iterator[Loop]:
    loop = Loop(root)
    yield loop
    loop.end(signal.SIGKILL)


def run(root: Path, *arguments: str) -> tuple[int, str]:
    """Run the loop to its end."""
    loop = Loop(root, *arguments)
    return loop.end()


def test_a_decision_says_which_model_expects_what_of_which_candidate(root: Path) -> None:
    path = root / "candidates.json"
    path.write_text(json.dumps([json.loads(candidate(1))]))

    code, words = run(root, str(path))

    (event,) = events(root)
    served = read_serving(Path("var/models"))
    score = AIManager(model_dir="var/models").score_decision_features(CANDIDATES[1]["metadata"]["model_features"])
    assert (code, words) == (0, "ended: 1 scored, 0 skipped, 0 rejected\n")
    assert {name: event[name] for name in ("event", "status", "symbol", "strategy", "risk_profile")} == {
        "event": "decision_evaluation",
        "status": "scored",
        "symbol": "BTCUSDT",
        "strategy": "trend_follow",
        "risk_profile": "balanced",
    }
    assert (event["candidate_id"], event["candidate_line"]) == ("c-1", "1")
    assert (event["model_name"], event["model_version"]) == ("decision-core", "v10")
    assert event["model_sha256"] == served.models["decision-core"].sha256
    assert event["serving_generation"] == str(served.generation)
    assert float(event["expected_return_bps"]) == pytest.approx(score.expected_return_bps, abs=1e-9)
    assert float(event["model_success_probability"]) == pytest.approx(score.success_probability, abs=1e-9)
    assert event["confidence"] == event["model_success_probability"]
    assert json.loads(event["model_features"]) == CANDIDATES[1]["metadata"]["model_features"]


def test_a_journal_of_decisions_is_a_window_of_their_features(root: Path) -> None:
    path = root / "candidates.json"
    path.write_text(json.dumps([json.loads(candidate(number)) for number in range(3)]))
    run(root, str(path))
    name = min(CANDIDATES[0]["metadata"]["model_features"])
    value = CANDIDATES[0]["metadata"]["model_features"][name]
    edges = EdgeSet({name: np.array([value])}, {name: (value, value)}, {}, ("symbol",))

    found = scan(Window(JOURNAL, "journal"), root, edges, pool=Threads(1))

    values = [item["metadata"]["model_features"][name] for item in CANDIDATES[:3]]
    assert found.rows == 3
    assert found.tally.features[name].counts.tolist() == [
        sum(v <= value for v in values),
        sum(v > value for v in values),
    ]


def test_every_value_of_an_event_is_a_text(root: Path, loop: Loop) -> None:
    loop.send(candidate(), "{")
    serve("v9")
    change_serving(Path("var/models"), lambda now: now.next(attached=False))
    loop.send()

    lines = [line for path in (root / JOURNAL).iterdir() for line in path.read_text().splitlines()]

    assert [event["status"] for event in loop.events()] == ["scored", "rejected", "skipped"]
    assert all(isinstance(value, str) for line in lines for value in json.loads(line).values())
    assert not any(" " in line.split('"reason"')[0] for line in lines)


def test_what_is_loaded_elsewhere_scores_the_very_next_candidate(loop: Loop) -> None:
    for version in ("v9", "v10", "v5"):
        serve(version)

        assert loop.send()["model_version"] == version


def test_a_detach_skips_the_very_next_candidate_and_says_why(loop: Loop) -> None:
    assert loop.send()["status"] == "scored"
    change_serving(Path("var/models"), lambda now: now.next(attached=False, held_by="held by run 7"))

    event = loop.send()

    assert (event["event"], event["status"], event["candidate_id"]) == ("decision_skipped", "skipped", "c-1")
    assert "detached" in event["reason"]
    assert "held by run 7" in event["reason"]
    assert "expected_return_bps" not in event


def test_maintenance_skips_the_very_next_candidate_and_its_end_scores_the_one_after(root: Path, loop: Loop) -> None:
    found = [loop.send()["status"]]
    change_maintenance(root, "config/auto_trader.yaml", "true")
    skipped = loop.send()
    change_maintenance(root, "config/auto_trader.yaml", "false")
    found.append(loop.send()["status"])

    assert found == ["scored", "scored"]
    assert (skipped["event"], skipped["reason"]) == (
        "decision_skipped",
        "maintenance is on in config/auto_trader.yaml",
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("var/models/serving.json", "{"),
        ("config/auto_trader.yaml", "auto_trader:\n  maintenance: perhaps\n"),
        ("var/models/serving.json", '{"attached": true, "default_model": "a", "generation": 9, "models": {}}'),
    ],
)
def test_where_nobody_knows_whether_it_may_score_it_does_not(root: Path, loop: Loop, path: str, text: str) -> None:
    before = (root / path).read_text()
    loop.send()

    (root / path).write_text(text)
    skipped = loop.send()
    (root / path).write_text(before)

    assert skipped["status"] == "skipped"
    assert skipped["reason"]
    assert loop.send()["status"] == "scored"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "candidate 1"),
        ("[1]", "not an object"),
        ('{"id": 1, "id": 2}', "candidate 1"),
        (candidate(notional="much"), "notional is 'much'"),
        (candidate(metadata={}), "candidate 1 has no features"),
        (candidate(metadata={"features": {"momentum": "up"}}), "momentum is 'up'"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "longer than"),
    ],
)
def test_a_line_that_is_no_candidate_is_recorded_with_its_number_and_the_next_one_is_scored(
    loop: Loop, text: str, reason: str
) -> None:
    rejected = loop.send(text)

    assert (rejected["event"], rejected["status"], rejected["candidate_line"]) == ("decision_rejected", "rejected", "1")
    assert reason in rejected["reason"]
    assert loop.send()["candidate_line"] == "2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_candidates_that_it_has_taken(root: Path, number: int) -> None:
    loop = Loop(root)
    loop.send(*(candidate(number) for number in range(20)))

    code, words = loop.end(number)

    assert (code, words) == (0, "stopped: 20 scored, 0 skipped, 0 rejected\n")
    assert [event["candidate_id"] for event in loop.events()] == [f"c-{number}" for number in range(20)]


def test_a_signal_in_the_middle_of_a_long_file_loses_nothing_that_was_begun(root: Path) -> None:
    path = root / "candidates.jsonl"
    path.write_text("".join(f"{candidate(number)}\n" for number in range(20_000)))
    loop = Loop(root, str(path))
    until(loop.events)

    code, words = loop.end(signal.SIGTERM)

    found = [event["candidate_id"] for event in loop.events()]
    assert code == 0
    assert words == f"stopped: {len(found)} scored, 0 skipped, 0 rejected\n"
    assert found == [f"c-{number}" for number in range(len(found))]
    assert len(found) < 20_000


def test_a_killed_loop_leaves_nothing_locked_and_no_line_that_the_next_one_could_spoil(root: Path) -> None:
    path = root / "candidates.jsonl"
    path.write_text("".join(f"{candidate(number)}\n" for number in range(20_000)))
    loop = Loop(root, str(path))
    until(loop.events)
    loop.end(signal.SIGKILL)

    change_serving(Path("var/models"), lambda now: now.next(attached=False))
    change_maintenance(root, "config/auto_trader.yaml", "true")
    before = len(events(root))
    path.write_text(candidate(1) + "\n")
    run(root, str(path))

    journal = JsonlTradingDecisionJournal(root / JOURNAL)
    assert len(list(journal.export())) == before + 1
    assert len(journal.malformed) <= 1


def test_a_followed_file_is_decided_about_as_it_grows(root: Path) -> None:
    path = root / "candidates.jsonl"
    path.write_text(candidate(0) + "\n")
    loop = Loop(root, str(path), "--follow")
    until(lambda: len(loop.events()) == 1)

    with path.open("a") as file:
        file.write(candidate(1) + "\n")
    until(lambda: len(loop.events()) == 2)

    assert loop.end(signal.SIGTERM) == (0, "stopped: 2 scored, 0 skipped, 0 rejected\n")


def test_an_engine_without_candidates_acknowledges_all_the_same(root: Path, loop: Loop) -> None:
    def acknowledged() -> dict[int, int]:
        return {ack.pid: ack.generation for ack in read_acks(root / "var/models")}

    until(lambda: acknowledged().get(loop.process.pid) == 1)
    change_serving(Path("var/models"), lambda now: now.next(attached=False))

    until(lambda: acknowledged().get(loop.process.pid) == 2)
    assert loop.events() == []


def test_a_candidate_that_is_skipped_in_maintenance_acknowledges_all_the_same(root: Path) -> None:
    change_maintenance(root, "config/auto_trader.yaml", "true")
    kept = InMemoryTradingDecisionJournal()
    loop = DecisionLoop(
        AIManager(model_dir="var/models"),
        MaintenanceWatch(root / "config/auto_trader.yaml"),
        kept,
        Labels("paper-trading", "paper-01", "balanced"),
    )

    loop.decide(Line(1, candidate().encode()))
    change_serving(Path("var/models"), lambda now: now.next(default_model="decision-core", attached=True))
    loop.decide(Line(2, candidate().encode()))

    assert [event["status"] for event in kept.export()] == ["skipped", "skipped"]
    assert [ack.generation for ack in read_acks(root / "var/models")] == [2]


@pytest.mark.parametrize("lock", ["var/models/.serving.lock", "config/.auto_trader.yaml.lock"])
def test_a_decision_whose_lock_was_deleted_in_the_middle_is_not_recorded_as_one(
    lock: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager, kept = AIManager(model_dir="var/models"), InMemoryTradingDecisionJournal()
    watch = MaintenanceWatch(root / "config/auto_trader.yaml")
    loop = DecisionLoop(manager, watch, kept, Labels("paper-trading", "paper-01", "balanced"))
    score = manager.score_decision_features

    def interrupted(*args: Any, **options: Any) -> ModelScore:
        (root / lock).unlink()
        return score(*args, **options)

    monkeypatch.setattr(manager, "score_decision_features", interrupted)
    loop.decide(Line(1, candidate().encode()))
    monkeypatch.undo()
    monkeypatch.chdir(root)
    loop.decide(Line(2, candidate().encode()))

    skipped, scored = kept.export()
    assert (skipped["status"], scored["status"]) == ("skipped", "scored")
    assert lock.rpartition("/")[2] in skipped["reason"]
    assert "model_sha256" not in skipped


def test_a_loop_that_begins_removes_what_dead_engines_of_this_host_said(root: Path) -> None:
    run(root, "/dev/null")
    ended = [ack.pid for ack in read_acks(root / "var/models")]
    run(root, "/dev/null")

    left = [ack.pid for ack in read_acks(root / "var/models")]

    assert len(ended) == len(left) == 1
    assert ended != left


def test_another_model_is_scored_where_its_name_is_given(root: Path) -> None:
    AIManager(model_dir="var/models").load_decision_artifact("other", "models/decision_engine/model-v9.json")
    path = root / "candidates.jsonl"
    path.write_text(candidate() + "\n")

    run(root, str(path), "--model", "other")

    assert [(event["model_name"], event["model_version"]) for event in events(root)] == [("other", "v9")]


@pytest.mark.parametrize("name", ["none.json", "none.jsonl"])
def test_candidates_that_do_not_exist_are_an_error_that_names_them(root: Path, name: str) -> None:
    code, words = run(root, name)

    assert code == 1
    assert name in words


def test_a_journal_that_cannot_be_written_ends_it(root: Path) -> None:
    path = root / "candidates.jsonl"
    path.write_text(candidate() + "\n")

    code, words = run(root, str(path), "--journal", str(path / "journal"))

    assert code == 1
    assert words.splitlines()[-1] == "ended: 0 scored, 0 skipped, 0 rejected"
