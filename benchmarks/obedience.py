"""What it costs an engine to obey, and how soon it does: a decision loop at full speed, and changes beside it."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.measure import ENVIRONMENT, PYTHON, BenchmarkError, Row, interleaved
from benchmarks.workspace import make_workspace
from bot_core.ai.manager import AIManager
from bot_core.ai.serving import change_serving
from bot_core.config.maintenance import change_maintenance

_MODELS = "var/models"
_TRADER = "config/auto_trader.yaml"
_CHANGES = 30  # an even number: the last one lets the loop go on
_PATIENCE_S = 30.0
_SCORES = 2_000
_ROUNDS = 15


def measure(folder: Path) -> Iterator[Row]:
    """Measure the cost by itself, then the time from the commit of a change to the first event that obeys it."""
    root = make_workspace(folder / "obedience")
    manager = AIManager(model_dir=root / _MODELS)
    artifact = root / "models/decision_engine/model-v9.json"
    manager.load_decision_artifact("decision-core", artifact, set_default=True)
    yield from _cost(manager)
    with _Loop(root) as loop:
        for what, change in _changes(root).items():
            delays, waits = zip(*(loop.delay(change, number % 2 == 0) for number in range(_CHANGES)), strict=True)
            yield Row(f"{what}: commit to the first decision that obeys", statistics.median(delays))
            yield Row(f"{what}: the same, longest of {_CHANGES}", max(delays))
            yield Row(f"{what}: waiting for the loop's turn to end, and the write, longest", max(waits))


def _cost(manager: AIManager) -> Iterator[Row]:
    """Permissions by themselves, and scores that ask for one against scores under one that is held."""
    permission, features = manager.engine.permitted(None), {"momentum": 0.0, "volume_ratio": 1.0}

    def ask() -> None:
        for _ in range(_SCORES):
            with permission:
                pass

    def score() -> None:
        for _ in range(_SCORES):
            manager.score_decision_features(features)

    times = interleaved({"ask": ask, "score": score}, _ROUNDS)
    yield Row("obeying serving.json, for each score", times["ask"] / _SCORES, "a whole score", times["score"] / _SCORES)


def _changes(root: Path) -> dict[str, Callable[[bool], object]]:
    """What stops a loop, and lets it go on."""

    def serving(is_stopped: bool) -> None:
        change_serving(root / _MODELS, lambda now: now.next(attached=not is_stopped))

    def maintenance(is_stopped: bool) -> None:
        change_maintenance(root, _TRADER, "true" if is_stopped else "false")

    return {"serving": serving, "maintenance": maintenance}


class _Loop:
    """A decision loop at full speed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._journal = root / "logs/engine.jsonl"

    def __enter__(self) -> "_Loop":
        known = json.loads((self._root / "data/decision_engine/paper/candidates.json").read_text())
        line = json.dumps(known[0]) + "\n"
        (self._root / "candidates.jsonl").write_text(line * 200_000)
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bot_core.decision.loop", "candidates.jsonl", "--journal", "logs/engine.jsonl"],
            cwd=self._root,
            env={**ENVIRONMENT, "PYTHONPATH": str(Path.cwd())},
            stderr=subprocess.DEVNULL,
        )
        self._journal.touch()
        self._file = self._journal.open()
        self._first(lambda _: True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._file.close()

    def delay(self, change: Callable[[bool], object], is_stopped: bool) -> tuple[float, float]:
        """Milliseconds from the end of a change to the first event that obeys it, and how long the change took."""
        self._file.seek(0, 2)
        begun = time.time()
        change(is_stopped)
        done = time.time()
        event = self._first(lambda event: event["status"] == ("skipped" if is_stopped else "scored"))
        return (datetime.fromisoformat(event["timestamp"]).timestamp() - done) * 1e3, (done - begun) * 1e3

    def _first(self, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        end, part = time.monotonic() + _PATIENCE_S, ""
        while time.monotonic() < end and self._process.poll() is None:
            part += self._file.readline()
            if part.endswith("\n"):
                event, part = json.loads(part), ""
                if wanted(event):
                    return dict(event)
        raise BenchmarkError("the decision loop did not obey, or ended")
