"""Many processes that begin at the same moment on one workspace, round by round, and what must be found afterwards."""

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random

import numpy as np
import sklearn.linear_model  # noqa: F401 - so that not each child loads it

from bot_core.ai.dataset import FeatureTable
from bot_core.ai.manager import AIManager
from bot_core.ai.repository import ModelRepository
from bot_core.ai.schedule import ScheduleState
from bot_core.ai.scheduler import RetrainingScheduler, ScheduledTrainingJob, change_schedule
from bot_core.ai.training import EstimatorTrainer, TrainingSpec
from bot_core.ai.walk_forward_validation import WalkForwardPlan, WalkForwardValidator
from bot_core.config.auto_trader import read_maintenance
from bot_core.config.maintenance import MaintenanceWatch
from bot_core.decision.candidate_lines import Line
from bot_core.decision.loop import DecisionLoop, Labels
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import replace
from bot_core.foundation.strict_json import parse_object
from bot_core.runtime.journal import JsonlTradingDecisionJournal
from rollbackctl.engine.history import read_history
from rollbackctl.engine.runs import FileRunStore
from tests.harness import INCIDENT, NOW, PLAN, Done, Site
from tests.reliability.child import in_children

REPOSITORY = "models/decision_engine"
SCHEDULE = "audit/ai_decision/scheduler.json"
TRADER = "config/auto_trader.yaml"
JOURNAL = "logs/decision_journal"
REPORT = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
WALK_FORWARD = "audit/ai_decision/walk_forward"
DECISIONS = 20
_LATEST_S = 1.0
# Whoever comes second: by a name, by the number of a process that has not named itself, or by what has happened since.
_LOCKED = re.compile(
    r"locked by ((apply|hold|hold --release|abandon|undo) of \S+ on (\S+), pid (\d+), since \d{4}-.+"
    r"|pid (\d+) on (\S+), who has not begun a run yet)"
)
_OVERTAKEN = re.compile(r"was ended meanwhile|is unfinished, begun by|the holds belong to run|locked by somebody, who")

Act = Callable[[Site, str], Done]


def apply(site: Site, _: str) -> Done:
    """Apply the plan, or continue its run."""
    return site.apply()


def apply_in_turn(site: Site, _: str) -> Done:
    """Wait for whoever is at work, then apply the plan."""
    return site("apply", PLAN, "--yes", "--lock-timeout", "30")


def hold(site: Site, _: str) -> Done:
    """Hold everything; who works on the workspace stops."""
    return site("hold", "--incident", INCIDENT)


def release(site: Site, _: str) -> Done:
    """Let go of what is held."""
    return site("hold", "--release")


def sign(site: Site, who: str) -> Done:
    """Sign a report that others sign as well."""
    return site("sign-off", REPORT, "--role", "compliance", "--status", "approved", "--by", who)


def decide(site: Site, who: str) -> Done:
    """Be an engine for some candidates."""
    loop = DecisionLoop(
        AIManager(model_dir=site.root / "var/models"),
        MaintenanceWatch(site.root / "config/auto_trader.yaml"),
        JsonlTradingDecisionJournal(site.root / JOURNAL),
        Labels("test", "p", "balanced"),
    )
    known = json.loads((site.root / "data/decision_engine/paper/candidates.json").read_bytes())[0]
    loop.run(Line(number, known | {"id": f"{who}/{number}"}) for number in range(DECISIONS))
    assert sum(loop.counts.values()) == DECISIONS
    return Done(0, who, "")


def train(site: Site, who: str) -> Done:
    """Retrain as a scheduled job does, and save the version."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(64, 2))
    table = FeatureTable(("a", "b"), matrix, 8.0 * matrix[:, 0] + matrix[:, 1], 1.7e9 + 900.0 * np.arange(64))
    spec = TrainingSpec("ridge", "decision-core", who, has_classifier=False)
    repository = ModelRepository(site.root / REPOSITORY)
    job = ScheduledTrainingJob(
        who,
        RetrainingScheduler(timedelta(hours=6), persistence_path=site.root / SCHEDULE, clock=lambda: NOW),
        trainer_factory=lambda: EstimatorTrainer(spec, trained_at=NOW),
        dataset_provider=lambda: table,
        validator_factory=lambda rows: WalkForwardValidator(rows, plan=WalkForwardPlan(40, 12)),
        on_completed=lambda artifact, _: repository.save_model(artifact, activate=False) and None,
        audit_root=site.root / "audit/ai_decision",
        decision_journal=JsonlTradingDecisionJournal(site.root / JOURNAL),
    )
    job.run(NOW)
    return Done(0, who, "")


def reschedule(site: Site, who: str) -> Done:
    """Change the schedule by what it holds."""

    def longer(found: ScheduleState | None) -> ScheduleState:
        assert found is not None
        return replace(found, interval_s=found.interval_s + 1, extra={**found.extra, who: 1})

    change_schedule(site.root / SCHEDULE, longer, now=NOW, root=site.root)
    return Done(0, who, "")


def late(act: Act) -> Act:
    """The same once somebody works on the workspace, or after a while."""

    def waiting(site: Site, who: str) -> Done:
        end = time.monotonic() + _LATEST_S
        while FileRunStore(site.root).holder() is None and time.monotonic() < end:
            time.sleep(0.002)
        return act(site, who)

    waiting.__name__ = act.__name__
    return waiting


ACTS: tuple[Act, ...] = (apply, apply_in_turn, hold, release, sign, decide, train, reschedule)
# What the eight processes of a round do.
DEALS: tuple[tuple[Act, ...], ...] = (
    (apply,) * 8,
    (apply, apply_in_turn, hold, release, sign, decide, train, reschedule),
    (apply, apply, apply, late(hold), late(hold), late(sign), decide, decide),
    (hold, hold, hold, hold, late(release), late(release), late(apply), late(apply)),
    (apply, apply, late(release), late(reschedule), late(reschedule), late(train), sign, sign),
    (sign, sign, reschedule, reschedule, train, train, decide, decide),
)
# The exit codes that the documentation gives to each command when others are at work.
CODES = {"apply": {0, 4, 5, 7, 130}, "apply_in_turn": {0, 4, 5, 7, 130}, "hold": {0}, "release": {0, 7}}


def deals(rounds: int) -> Iterator[tuple[Act, ...]]:
    """Who does what in each round: the deals above, and then by lot."""
    lot = Random(4)  # noqa: S311 - the same at each run
    for number in range(rounds):
        drawn = tuple(late(act) if lot.random() < 0.3 else act for act in lot.choices(ACTS, k=8))
        yield DEALS[number] if number < len(DEALS) else drawn


@dataclass
class Rounds:
    """The rounds on one workspace, and what was acknowledged in them.

    Attributes:
        written: By act, who was told that it is written.
        faults: What was wrong with an answer.
        before: The files at the beginning.
        interval_s: Of the schedule at the beginning.
        winners: Commands that worked on the workspace; each writes one entry *invocation*.
        waits: Commands that were told who else is at work.
    """

    site: Site
    written: dict[str, list[str]] = field(default_factory=lambda: {act.__name__: [] for act in ACTS})
    faults: list[str] = field(default_factory=list)
    before: dict[str, bytes] = field(init=False)
    interval_s: float = field(init=False)
    winners: int = 0
    waits: int = 0

    def __post_init__(self) -> None:
        self.before = self.site.files()
        self.interval_s = self.site.state(SCHEDULE)["interval"]

    def play(self, number: int, deal: Iterable[Act]) -> None:
        """Let a round happen; afterwards people do what the commands said."""
        self.activate_another()
        deal = tuple(deal)
        who = [f"r{number}-p{place}" for place in range(len(deal))]
        answers = in_children([partial(act, self.site, name) for act, name in zip(deal, who, strict=True)])
        for act, name, done in zip(deal, who, answers, strict=True):
            self._judge(act.__name__, name, done)
        if any(done.code == 5 for done in answers):
            self.close()

    def activate_another(self) -> None:
        """Between two runs somebody activates another version, so that there is something to roll back."""
        if read_history(FileRunStore(self.site.root)).unfinished is None:
            ModelRepository(self.site.root / REPOSITORY).promote_version("v7")

    def close(self) -> None:
        """Close a run that was stopped by somebody else's change; one that has moved everything is led back."""
        unfinished = read_history(FileRunStore(self.site.root)).unfinished
        if unfinished is None:
            return
        if self.site("abandon", unfinished.run, "--reason", "somebody changed it").code:
            way_out = ("undo", unfinished.run, "--yes") if unfinished.operation == "rollback" else ("hold",)
            self.site.ok(*way_out)

    def end(self) -> Done:
        """One apply at the end, when nobody else is at work; before it, what people do with a run that was stopped."""
        if self.site.apply().code == 5:
            self.close()
        self.activate_another()
        return self.site.apply()

    def _judge(self, act: str, who: str, done: Done) -> None:
        if done.code == 0:
            self.written[act].append(who)
        if done.code not in CODES.get(act, {0}):
            self.faults.append(f"{who} {act}: exit {done.code}: {done.err}")
        if done.code and "\nnext: " not in done.err:
            self.faults.append(f"{who} {act}: no next command: {done.err}")
        if done.code == 7:
            self.waits += 1
            told = _LOCKED.search(done.err)
            host = told and (told[3] or told[6])
            if (told and host != socket.gethostname()) or not (told or _OVERTAKEN.search(done.err)):
                self.faults.append(f"{who} {act}: does not say who is at work: {done.err}")

    def problems(self) -> Iterator[str]:
        """Name whatever is wrong with the workspace after the rounds."""
        yield from self.faults
        yield from self._unreadable()
        yield from self._runs()
        yield from self._lost_or_doubled()

    def _unreadable(self) -> Iterator[str]:
        """Files that were written and do not parse, lines that are none, and temporary files."""
        for name, data in self.site.files().items():
            if name.endswith(".tmp"):
                yield f"{name} was left"
            if self.before.get(name) == data:
                continue
            try:
                if name.endswith(".json"):
                    parse_object(data, name)
                elif name == TRADER:
                    read_maintenance(data, name)
                elif name.startswith(JOURNAL):
                    _read_log(data, name)
            except BotCoreError as error:
                yield str(error)

    def _runs(self) -> Iterator[str]:
        """Run journals that do not fold, invocations at the same time, steps made twice, events lost or doubled."""
        history = read_history(FileRunStore(self.site.root))
        if sum(fact.status == "unfinished" for fact in history.facts) > 1:
            yield "several runs are unfinished"
        orders, events = list[int](), list[str]()
        for number in range(len(self.site.runs())):
            orders += [entry["body"]["order"] for entry in self.site.entries("invocation", number)]
            begun = {entry["body"]["step"]: entry["body"] for entry in self.site.entries("begun", number)}
            done = [entry["body"]["step"] for entry in self.site.entries("done", number)]
            if len(set(done)) != len(done) or len(begun) != len(self.site.entries("begun", number)):
                yield f"{self.site.runs()[number].name} made a step twice"
            made = [begun[step]["after"] for step in done if begun[step]["address"].startswith("decision_event/")]
            events += [event["metadata"]["rollback_key"] for event in made]
        self.winners = len(orders)
        if sorted(orders) != list(range(1, len(orders) + 1)):
            yield f"the invocations are {sorted(orders)}: two had the workspace at once"
        if sorted(events) != sorted(self.site.keys()):
            yield f"events: {sorted(events)}, in the journal {sorted(self.site.keys())}"

    def _lost_or_doubled(self) -> Iterator[str]:
        """Whatever was acknowledged and is not found exactly once."""
        for act, found in self._found().items():
            wanted = self.written[act]
            if Counter(found) != Counter(wanted):
                lost, other = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
                yield f"{act}: lost {sorted(lost)}, doubled or not acknowledged {sorted(other)}"
        grown = self.site.state(SCHEDULE)["interval"] - self.interval_s
        if grown != len(self.written["reschedule"]):
            yield f"the interval grew by {grown}, {len(self.written['reschedule'])} times it was made longer by 1"

    def _found(self) -> dict[str, list[str]]:
        """By act, whose writes are there: in every place in which they must be, as often as in the first one."""
        report, schedule = self.site.state(REPORT), self.site.state(SCHEDULE)
        signed = [report["sign_off"]["compliance"], *report["sign_off_history"]]
        journal = list(JsonlTradingDecisionJournal(self.site.root / JOURNAL).export())
        decided = [event["candidate_id"] for event in journal if "candidate_id" in event]
        repository = ModelRepository(self.site.root / REPOSITORY)
        versions = [version for version in repository.list_versions() if version not in ("v7", "v9", "v10")]
        jobs = [event["schedule"] for event in journal if event["event"] == "ai_retraining"]
        reports = [json.loads(path.read_bytes()) for path in (self.site.root / WALK_FORWARD).glob("*.json")]
        validated = [report["job_name"] for report in reports]
        own = re.compile(r"r\d+-p\d+")
        return {
            "sign": [entry["signed_by"] for entry in signed if own.fullmatch(entry["signed_by"] or "")],
            "decide": [
                who
                for who, number in Counter(name.partition("/")[0] for name in decided).items()
                if own.fullmatch(who) and number == DECISIONS == len({n for n in decided if n.startswith(f"{who}/")})
            ],
            "train": [
                version
                for version in versions
                if repository.load(version).metadata["model_version"] == version
                and jobs.count(version) == validated.count(version) == 1
            ],
            "reschedule": [key for key in schedule if own.fullmatch(key)],
        }


def _read_log(data: bytes, name: str) -> None:
    for line in data.splitlines():
        parse_object(line, name)
    if not data.endswith(b"\n"):
        raise BotCoreError(f"{name} ends within a line")
