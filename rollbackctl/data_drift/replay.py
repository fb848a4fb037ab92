"""The window's rows, decided by the version that goes and by the one that comes."""

from collections.abc import Iterator
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
    from bot_core.config.models import DecisionEngineConfig

_DIGITS = 4
_PARTS = 50


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
            _every(found_rows.batches, step), models[0], models[1], config, columns=parts, cost_bps=settings.cost_bps
        )
    except BotCoreError as error:
        return fact.model_copy(update={"problem": error.problem.replace(f"{root}/", "")})
    told = [_part(item, column, value) for column in parts for value, item in sorted(found.parts[column].items())]
    told.sort(key=lambda part: (settings.parts.index(part.column), -part.flips, part.value))
    return fact.model_copy(update={"sampled": step, "whole": _part(found.whole), "parts": tuple(told[:_PARTS])})


def _model(root: Path, decided: Decided) -> ModelArtifact:
    raw = parse_object(read_inside(root, decided.artifact), decided.artifact)
    return ModelArtifact.from_mapping(raw, decided.artifact)


def _config(root: Path, thresholds: str | None) -> "DecisionEngineConfig":
    return runbook_config() if thresholds is None else parse_decision_engine(read_inside(root, thresholds), thresholds)


def _every(found: Iterator[Batch], step: int) -> Iterator[Batch]:
    """Every so manieth row, counted over all batches."""
    seen = 0
    for batch in found:
        kept = slice(-seen % step, None, step)
        seen += batch.rows
        numbers = {name: values[kept] for name, values in batch.numbers.items()}
        texts = {name: TextColumn(text.codes[kept], text.values) for name, text in batch.texts.items()}
        rows = len(range(*kept.indices(batch.rows)))
        if rows:
            yield Batch(rows, numbers, texts)


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
