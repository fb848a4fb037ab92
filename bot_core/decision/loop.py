"""A running engine: scores candidate after candidate by what serves, and writes each decision to the decision journal.

Usage: python -m bot_core.decision.loop --help
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from bot_core.ai.acknowledgement import forget_dead, this_engine
from bot_core.ai.engine import Permitted
from bot_core.ai.instant import utc_now
from bot_core.ai.manager import AIManager
from bot_core.config.maintenance import MaintenanceWatch
from bot_core.decision.candidate_lines import MAX_LINE, Line, document_items, followed_lines, piped_lines
from bot_core.decision.models import DecisionCandidate
from bot_core.foundation.errors import BotCoreError, FileFormatError, LockBrokenError
from bot_core.foundation.fields import Fields
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue, parse_object
from bot_core.runtime.journal import JsonlTradingDecisionJournal, TradingDecisionEvent, TradingDecisionJournal

EVALUATION = "decision_evaluation"
SKIPPED = "decision_skipped"
REJECTED = "decision_rejected"
_STATUS = {EVALUATION: "scored", SKIPPED: "skipped", REJECTED: "rejected"}


@frozen
class Labels:
    """What stands in every event; the risk profile only where the candidate has none."""

    environment: str
    portfolio: str
    risk_profile: str


class DecisionLoop:
    """Decides about one candidate at a time.

    Between the look at `serving.json` and the maintenance flag and the decision's line in the journal nobody can
    change either: both locks are shared for that long. So a decision is never younger than a change that it disobeys.
    """

    def __init__(
        self,
        manager: AIManager,
        maintenance: MaintenanceWatch,
        journal: TradingDecisionJournal,
        labels: Labels,
        *,
        model_name: str | None = None,
    ) -> None:
        """Begin; nothing is read or written yet.

        Args:
            manager: Scores.
            maintenance: The trader's flag.
            journal: Where decisions are kept.
            labels: What stands in every event.
            model_name: The name to score under; None: whichever is the default.
        """
        self.counts: Counter[str] = Counter()
        self._manager = manager
        self._maintenance = maintenance
        self._journal = journal
        self._labels = labels
        self._model_name = model_name
        self._engine = this_engine()
        self._permission = manager.engine.permitted(model_name)

    def run(self, lines: Iterable[Line | None]) -> None:
        """Decide about each candidate; where there is none at the moment, only obey.

        When a candidate's turn is over its one event is in the journal for good, whatever happens then.

        Raises:
            OSError: The journal cannot be written. The candidate is not decided about.
        """
        self.obey()
        for line in lines:
            if line is None:
                self.obey()
            else:
                self.decide(line)

    def obey(self) -> None:
        """Acknowledge the serving state without a score; where it cannot be read, the next decision is skipped."""
        with suppress(BotCoreError, OSError):
            self._manager.engine.acknowledge()

    def decide(self, line: Line) -> None:
        """Record one event: the decision, or that the candidate was skipped or is none, and why."""
        told: dict[str, object] = {"engine": self._engine, "candidate_line": line.number}
        try:
            raw = _object(line)
            told["candidate_id"] = raw.get("id")
            candidate = DecisionCandidate.from_fields(Fields(raw, f"candidate {line.number}"))
            features = candidate.model_features()
            if not features:
                raise FileFormatError(f"candidate {line.number} has no features")
        except FileFormatError as error:
            self._record(REJECTED, None, {**told, "reason": str(error)})
            return
        with ExitStack() as shares:
            try:
                permitted = shares.enter_context(self._permission)  # first: it acknowledges, in maintenance too
                shares.enter_context(self._maintenance.off())
            except (BotCoreError, OSError) as error:
                self._record(SKIPPED, candidate, {**told, "reason": str(error)})
                return
            self._score(candidate, features, told, permitted)

    def _score(
        self, candidate: DecisionCandidate, features: Mapping[str, float], of: Mapping[str, object], by: Permitted
    ) -> None:
        model = by.model
        told = {**of, "model_name": by.name, "model_version": model.version, "model_sha256": model.sha256}
        told["serving_generation"] = by.generation
        begun = time.perf_counter()
        try:
            score = self._manager.score_decision_features(features, model_name=self._model_name)
            self._permission.require_held()
            self._maintenance.require_held()
        except LockBrokenError as error:
            self._record(SKIPPED, candidate, {**of, "reason": str(error)})
            return
        except BotCoreError as error:
            self._record(REJECTED, candidate, {**told, "reason": str(error)})
            return
        latency_ms = (time.perf_counter() - begun) * 1e3
        told["expected_return_bps"] = score.expected_return_bps
        told["model_success_probability"] = score.success_probability
        told["model_features"] = features
        told["imputed_features"] = self._manager.engine.inference(self._model_name).last_imputed_features or None
        self._record(EVALUATION, candidate, told, confidence=score.success_probability, latency_ms=latency_ms)

    def _record(
        self,
        event: str,
        candidate: DecisionCandidate | None,
        told: Mapping[str, object],
        *,
        confidence: float | None = None,
        latency_ms: float | None = None,
    ) -> None:
        self._journal.record(
            TradingDecisionEvent(
                event_type=event,
                timestamp=utc_now(),
                environment=self._labels.environment,
                portfolio=self._labels.portfolio,
                risk_profile=candidate.risk_profile if candidate else self._labels.risk_profile,
                symbol=candidate.symbol if candidate else None,
                strategy=candidate.strategy if candidate else None,
                status=_STATUS[event],
                confidence=confidence,
                latency_ms=latency_ms,
                metadata=told,
            )
        )
        self.counts[_STATUS[event]] += 1


class StopSignal:
    """Whether SIGTERM or SIGINT has come."""

    def __init__(self) -> None:
        self._has_come = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._come)

    def __call__(self) -> bool:
        """Tell it."""
        return self._has_come

    def _come(self, *_: object) -> None:
        self._has_come = True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the loop until its candidates end or a signal comes; 0 when it ended well, 1 when it could not go on."""
    options = _options().parse_args(argv)
    stopped = StopSignal()
    manager = AIManager(model_dir=options.model_dir)
    loop = DecisionLoop(
        manager,
        MaintenanceWatch(options.auto_trader),
        JsonlTradingDecisionJournal(options.journal),
        Labels(options.environment, options.portfolio, options.risk_profile),
        model_name=options.model,
    )
    code = 0
    try:
        forget_dead(options.model_dir)
        loop.run(_until(stopped, options))
    except (BotCoreError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        code = 1
    counts = ", ".join(f"{loop.counts[status]} {status}" for status in _STATUS.values())
    sys.stderr.write(f"{'stopped' if stopped() else 'ended'}: {counts}\n")
    return code


def _until(stopped: StopSignal, options: argparse.Namespace) -> Iterator[Line | None]:
    path = options.candidates
    if str(path) == "-":
        yield from piped_lines(sys.stdin.fileno(), stopped)
    elif options.follow:
        yield from followed_lines(path, stopped)
    elif path.suffix == ".jsonl":
        with path.open("rb") as file:
            yield from piped_lines(file.fileno(), stopped)
    else:
        for item in document_items(path):
            if stopped():
                return
            yield item


def _object(line: Line) -> dict[str, JsonValue]:
    source = f"candidate {line.number}"
    if isinstance(line.value, dict):
        return line.value
    if not isinstance(line.value, bytes):
        raise FileFormatError(f"{source} is {line.value!r}, not an object")
    if len(line.value) > MAX_LINE:
        raise FileFormatError(f"{source} is longer than {MAX_LINE} bytes")
    return parse_object(line.value, source)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot_core.decision.loop",
        description="Score candidate after candidate with the model that serves, and write each decision to the "
        "decision journal. serving.json and the trader's maintenance flag are obeyed before every single score: while "
        "serving is detached or maintenance is on, candidates are recorded as skipped. SIGTERM and SIGINT end it "
        "after the candidates that it has taken.",
    )
    parser.add_argument(
        "candidates",
        nargs="?",
        default=Path("-"),
        type=Path,
        help="FILE.jsonl with one candidate a line, any other FILE with a JSON list or an object with the list "
        "`candidates`, or - for lines on stdin (default)",
    )
    parser.add_argument("--follow", action="store_true", help="wait for further lines of the file, for ever")
    parser.add_argument("--model", metavar="NAME", help="score with the model of this name (default: the default one)")
    parser.add_argument("--model-dir", metavar="DIR", type=Path, default=Path("var/models"), help="%(default)s")
    parser.add_argument(
        "--auto-trader", metavar="FILE", type=Path, default=Path("config/auto_trader.yaml"), help="%(default)s"
    )
    parser.add_argument(
        "--journal", metavar="PATH", type=Path, default=Path("logs/decision_journal"), help="%(default)s"
    )
    parser.add_argument("--environment", metavar="TEXT", default="paper-trading", help="%(default)s")
    parser.add_argument("--portfolio", metavar="TEXT", default="paper-01", help="%(default)s")
    parser.add_argument(
        "--risk-profile", metavar="TEXT", default="balanced", help="of lines that are no candidate; %(default)s"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
