"""Training rows, windows and what is found between them, for the tests of data drift."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bot_core.ai.baseline import make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.assess import FeatureDrift, assess
from bot_core.ai.drift.ruler import Moments, Profile
from bot_core.ai.drift.tally import Batch, Counter, EdgeSet, TextColumn

Texts = Mapping[str, Sequence[str | None]]


def profile_of(numbers: Mapping[str, Any], texts: Texts | None = None) -> Profile:
    """The profile of these training rows."""
    matrix = np.column_stack([*numbers.values()])
    rows = len(matrix)
    table = FeatureTable(tuple(numbers), matrix, np.zeros(rows), np.arange(rows, dtype=float), texts or {})
    return Profile.of_baseline(make_baseline(table), "test")


def moments_of(numbers: Mapping[str, Any]) -> Profile:
    """The profile of these training rows where no more than moments are known."""
    features = {
        name: Moments(float(column.mean()), float(column.std()), float(column.min()), float(column.max()))
        for name, column in numbers.items()
    }
    return Profile(len(next(iter(numbers.values()))), features, {}, "test")


def batch_of(numbers: Mapping[str, Any], texts: Texts | None = None) -> Batch:
    """These rows as a batch."""
    columns = {name: _text_column(values) for name, values in (texts or {}).items()}
    return Batch(len(next(iter((numbers or texts or {}).values()))), numbers, columns)


def found(profile: Profile, numbers: Mapping[str, Any], texts: Texts | None = None) -> dict[str, FeatureDrift]:
    """What is found between a profile and a window, by feature, in the order of `assess`."""
    edge_set = EdgeSet.of([profile])
    tally = Counter(edge_set).count(batch_of(numbers, texts))
    return {item.feature: item for item in assess(profile, edge_set, tally)}


def measured(training: Any, window: Any) -> Mapping[str, float]:
    """The measures of one feature of numbers."""
    return found(profile_of({"x": np.asarray(training, float)}), {"x": np.asarray(window, float)})["x"].measures


def _text_column(values: Sequence[str | None]) -> TextColumn:
    names = sorted({value for value in values if value is not None})
    place: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    return TextColumn(np.array([place.get(value, -1) for value in values], np.int64), names)
