"""The window's rows, decided by the version that goes and by the one that comes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.drift.scan import Pool, read_window
from bot_core.ai.drift.tally import Batch, TextColumn
from bot_core.config.decision_engine import parse_decision_engine, runbook_config
from bot_core.decision.replay import Replayed, replay
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from rollbackctl.core.replay import ReplayFact, ReplayPart
from rollbackctl.data_drift.measure import window_of
from rollbackctl.spec.replay import ReplaySettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot_core.config.models import DecisionEngineConfig

_DIGITS = 4
_PARTS = 50  # of each column


@frozen
class Decided:
    """A version and its artifact, relative to the workspace."""

    version: str
    artifact: str


def replay_window(
    root: Path, settings: ReplaySettings, before: Decided, after: Decided, thresholds: str | None, pool: Pool
) -> ReplayFact:
    """Let both versions decide about rows of the window, evenly spread over it; writes nothing.

    A version that cannot score, or a window that lacks a feature, is a problem of the replay and not an error.

    Raises:
        BotCoreError: The window or the thresholds cannot be read.
    """
    window = window_of(settings.window)
    fact = ReplayFact(before=before.version, after=after.version, window=settings.window.path)
    try:
        models = [_model(root, version) for version in (before, after)]
    except BotCoreError as error:
        return fact.model_copy(update={"problem": error.problem.replace(f"{root}/", "")})
    names = sorted({name for model in models for name in model.feature_names})
    found_rows = read_window(window, root, names, settings.parts, pool=pool)
    if lacking := sorted({*names} & found_rows.absent):
        return fact.model_copy(update={"problem": f"the window has no column {', '.join(lacking)}"})
    parts = tuple(column for column in settings.parts if column not in found_rows.absent)
    step = max(1, -(-found_rows.rows // settings.rows))
    config = _config(root, thresholds)
    try:
        found = replay(
            _sampled(found_rows.batches, step), models[0], models[1], config, columns=parts, cost_bps=settings.cost_bps
        )
    except BotCoreError as error:
        return fact.model_copy(update={"problem": error.problem.replace(f"{root}/", "")})
    told = [part for column in parts for part in _parts(found.parts[column], column, settings.min_rows)]
    return fact.model_copy(update={"sampled": step, "whole": _part(found.whole), "parts": tuple(told)})


def _parts(found: Mapping[str, Replayed], column: str, min_rows: int) -> list[ReplayPart]:
    """Those of a column about which most decisions flip; before them none that has too few rows to be judged."""
    parts = [_part(item, column, value) for value, item in found.items()]
    return sorted(parts, key=lambda part: (part.rows < min_rows, -part.flips, part.value))[:_PARTS]


def _model(root: Path, decided: Decided) -> ModelArtifact:
    raw = parse_object(read_inside(root, decided.artifact), decided.artifact)
    return ModelArtifact.from_mapping(raw, decided.artifact)


def _config(root: Path, thresholds: str | None) -> "DecisionEngineConfig":
    return runbook_config() if thresholds is None else parse_decision_engine(read_inside(root, thresholds), thresholds)


def _sampled(found: Iterator[Batch], step: int) -> Iterator[Batch]:
    """One row out of each `step` in turn, counted over all batches; the same ones each time.

    Which one of them is mixed from their number: rows often come by turns, one for each symbol, and every `step`-th of
    those would be of a few symbols only.
    """
    import numpy as np

    seen = 0
    for batch in found:
        groups = np.arange(seen // step, (seen + batch.rows - 1) // step + 1)
        places = groups * step + (_mixed(groups) % np.uint64(step)).astype(np.int64) - seen
        kept = places[(places >= 0) & (places < batch.rows)]
        seen += batch.rows
        numbers = {name: values[kept] for name, values in batch.numbers.items()}
        texts = {name: TextColumn(text.codes[kept], text.values) for name, text in batch.texts.items()}
        if len(kept):
            yield Batch(len(kept), numbers, texts)


def _mixed(numbers: "NDArray[np.int64]") -> "NDArray[np.uint64]":
    """Numbers that look like chance (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""
    import numpy as np

    state = (numbers + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


def _part(found: Replayed, column: str = "", value: str = "") -> ReplayPart:
    return ReplayPart(
        column=column,
        value=value,
        rows=found.rows,
        flipped=found.flipped,
        taken_before=found.taken_before,
        taken_after=found.taken_after,
        change_bps=round(found.change_bps, _DIGITS),
    )
