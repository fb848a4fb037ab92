"""How accurate each model has been lately, for a strategy and a risk profile: what a model is chosen by."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from bot_core.foundation.fields import Fields
from bot_core.foundation.frozen import frozen, replace

ANY = "__any__"
_LEAST_WEIGHT = 1e-6
_MAE_PER_ACCURACY_BPS = 100.0
_SPLITS = ("summary", "test", "validation", "train")


@frozen
class ModelPerformanceSummary:
    """The accuracy of one model.

    Attributes:
        mae: Mean absolute error in basis points.
        directional_accuracy: Share of cases whose sign it got right, 0 to 1.
        score: Directional accuracy less a hundredth of the mean absolute error.
        weight: How much of it is recent: 1 for each update, halved with each half-life since.
        updates: How often it was updated.
        updated_at: Last.
    """

    mae: float
    directional_accuracy: float
    score: float
    weight: float
    updates: int
    updated_at: datetime

    @property
    def effective_score(self) -> float:
        """The score, weighed by how recent it is."""
        return self.score * self.weight


class PerformanceHistory:
    """Summaries by strategy and risk profile (`ANY` for every one) and by model."""

    def __init__(self, *, half_life_hours: float | None, limit: int) -> None:
        """Begin without any.

        Args:
            half_life_hours: After how long a summary counts half; None or 0: it never fades.
            limit: The most that a summary can weigh.
        """
        self._half_life_hours = half_life_hours
        self._limit = float(max(1, limit))
        self._summaries: dict[tuple[str, str], dict[str, ModelPerformanceSummary]] = {}

    def update(self, key: tuple[str, str], name: str, metrics: Mapping[str, object], now: datetime) -> None:
        """Blend new measures into a model's summary, in proportion to their weights.

        Args:
            key: Strategy and risk profile.
            name: The model.
            metrics: `mae` and `directional_accuracy`, or blocks of them by split (the summary counts first).
            now: When they were measured.

        Raises:
            FileFormatError: They are no finite numbers.
        """
        found = _measures(metrics)
        mae, accuracy = found.number("mae", 0.0), found.number("directional_accuracy", 0.0)
        score = accuracy - mae / _MAE_PER_ACCURACY_BPS
        summaries = self._summaries.setdefault(key, {})
        new = ModelPerformanceSummary(mae, accuracy, score, 1.0, 1, now)
        before = summaries.get(name)
        summaries[name] = new if before is None else self._blended(self._faded(before, now), new)

    def summaries(self, key: tuple[str, str], now: datetime) -> dict[str, ModelPerformanceSummary]:
        """The summaries of a strategy and a risk profile as they count now; without those that have faded away."""
        faded = {name: self._faded(summary, now) for name, summary in self._summaries.get(key, {}).items()}
        return {name: summary for name, summary in sorted(faded.items()) if summary.weight > _LEAST_WEIGHT}

    def nearest(self, strategy: str, profile: str, now: datetime) -> Iterator[tuple[str, ModelPerformanceSummary]]:
        """Every model with a history, the best first, from what is nearest to the case.

        That is its strategy and profile, then its strategy, its profile, and anything.
        """
        seen: set[str] = set()
        for key in ((strategy, profile), (strategy, ANY), (ANY, profile), (ANY, ANY)):
            ranked = sorted(self.summaries(key, now).items(), key=lambda item: (-item[1].effective_score, item[0]))
            for name, summary in ranked:
                if name not in seen:
                    seen.add(name)
                    yield name, summary

    def prune(self, before: datetime) -> None:
        """Forget every summary that was last updated before an instant."""
        for summaries in self._summaries.values():
            for name in [name for name, summary in summaries.items() if summary.updated_at < before]:
                del summaries[name]

    def _faded(self, summary: ModelPerformanceSummary, now: datetime) -> ModelPerformanceSummary:
        hours = (now - summary.updated_at).total_seconds() / 3600.0
        if not self._half_life_hours or hours <= 0.0:
            return summary
        return replace(summary, weight=summary.weight * 0.5 ** (hours / self._half_life_hours))

    def _blended(self, old: ModelPerformanceSummary, new: ModelPerformanceSummary) -> ModelPerformanceSummary:
        weight = min(old.weight, self._limit) + 1.0
        share = 1.0 / weight

        def blend(before: float, after: float) -> float:
            return before + (after - before) * share

        return ModelPerformanceSummary(
            blend(old.mae, new.mae),
            blend(old.directional_accuracy, new.directional_accuracy),
            blend(old.score, new.score),
            min(weight, self._limit),
            old.updates + 1,
            new.updated_at,
        )


def _measures(metrics: Mapping[str, object]) -> Fields:
    """The first block that has something in it; the metrics themselves where they have no blocks."""
    blocks = (metrics.get(split) for split in _SPLITS)
    block = next((found for found in blocks if isinstance(found, Mapping) and found), metrics)
    return Fields(block, "the metrics")
