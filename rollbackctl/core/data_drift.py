"""Data drift as observed and judged: each version's training rows against the window of production rows of now."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.fact import Fact

# What a limit may be set on, in the order in which it is shown, each with the words for a person.
MEASURES: Mapping[str, str] = {
    "psi": "PSI",
    "ks": "KS",
    "wasserstein": "W1",
    "jensen_shannon": "JS",
    "mean_shift": "mean shift",
    "stdev_ratio": "stdev ratio",
    "outside": "outside range",
    "missing": "missing",
    "new_categories": "new values",
}
_SHOWN = 3
_DIGITS = 4
WILL_NOT_HELP = "rollback will not help"


class MovedFeature(Fact):
    """How far a feature has moved since training.

    `measures` are effect sizes by name, `values` how many values there are now, `certain` whether it is no chance among
    so many features, `drifted` whether it is certain and worth a look.
    """

    feature: str
    measures: dict[str, float]
    values: int
    certain: bool
    drifted: bool
    approximate: bool = False
    new_names: tuple[str, ...] = ()

    def beyond(self, limits: Mapping[str, float]) -> tuple[str, ...]:
        """Name each measure that has reached its limit, in words."""
        if not self.certain:
            return ()
        return tuple(
            f"{words} of {self.feature} is {self.measures[name]:.3f}, limit {limits[name]:g}"
            for name, words in MEASURES.items()
            if name in limits and self.measures.get(name, 0.0) >= limits[name]
        )


class MovedSegment(Fact):
    """The feature that has moved furthest among the rows of one segment.

    `own` says whether they were held against the training rows of the same segment, not against all of them.
    """

    segment: str
    value: str
    rows: int
    worst: MovedFeature | None = None
    own: bool = False


class VersionDrift(Fact):
    """A version's training rows against the window; `problem` says why that cannot be told.

    `features` are all of the model's, the largest effect first. `inputs` are the digests of the files that tell what
    the training rows looked like, `approximate` whether they tell moments only, `unsigned` whether they were made after
    training, so that no signature of the artifact's covers them.
    """

    version: str
    source: str = ""
    approximate: bool = False
    unsigned: bool = False
    features: tuple[MovedFeature, ...] = ()
    segments: tuple[MovedSegment, ...] = ()
    inputs: dict[str, str] = {}
    problem: str | None = None

    @property
    def caveat(self) -> str:
        """What a reader must know of the measures; "" where they are against the baseline of the training."""
        if self.approximate:
            return "approximate"
        return "baseline not signed" if self.unsigned else ""


class WindowFact(Fact):
    """The window that was measured; `digest` is that of everything counted in it."""

    path: str
    rows: int = 0
    files: int = 0
    first: str | None = None
    last: str | None = None
    digest: str = ""


class DataDriftFact(Fact):
    """Every version against one window; `problem` says why it could not be read, `hint` what to do about that."""

    window: WindowFact
    versions: tuple[VersionDrift, ...] = ()
    problem: str | None = None
    hint: str = ""

    def of(self, version: str) -> VersionDrift | None:
        """Return what was found of a version; None where it was not measured."""
        return next((found for found in self.versions if found.version == version), None)


@frozen
class Limits:
    """What a target must keep to.

    Attributes:
        measures: The limit of each measure by name; at or above it a feature is beyond.
        min_rows: With fewer rows in the window there is no answer.
    """

    measures: Mapping[str, float]
    min_rows: int


@frozen
class Finding:
    """A version's answer: within its limits, beyond them, or no data; the reasons in words, what to know of them."""

    answer: Literal["within", "beyond", "no data"]
    reasons: tuple[str, ...]
    caveat: str = ""

    @property
    def note(self) -> str:
        """The caveat in brackets, after a blank; "" where there is none."""
        return f" ({self.caveat})" if self.caveat else ""


def find(fact: DataDriftFact, version: str, limits: Limits) -> Finding:
    """Hold what was found of a version against the limits; what cannot be told is never within."""
    found, rows = fact.of(version), fact.window.rows
    if fact.problem is not None:
        return Finding("no data", (fact.problem,))
    if rows < limits.min_rows:
        return Finding("no data", (f"the window {fact.window.path} has {rows:,} rows, at least {limits.min_rows:,}",))
    if found is None:
        return Finding("no data", (f"{version} was not measured",))
    if found.problem is not None:
        return Finding("no data", (found.problem,))
    if empty := [item.feature for item in found.features if not item.values]:
        return Finding("no data", (f"the window has no value of {listed(empty, ', ')}: see what feeds it",))
    few = [item.feature for item in found.features if item.values < limits.min_rows]
    beyond = [text for item in found.features for text in item.beyond(limits.measures)]
    if beyond:
        return Finding("beyond", tuple(beyond), found.caveat)
    if few:
        return Finding("no data", (f"fewer than {limits.min_rows:,} values of {listed(few, ', ')}",))
    return Finding("within", (worst_words(found),), found.caveat)


def worst_words(found: VersionDrift) -> str:
    """Say which features of a version have moved furthest."""
    if not found.features:
        return "no feature"
    drifted = [item for item in found.features if item.drifted]
    return listed([f"{item.feature} {headline(item)}" for item in drifted or found.features[:1]], ", ")


def listed(items: Sequence[str], between: str) -> str:
    """Name the first three of some things, and say how many more there are."""
    more = len(items) - _SHOWN
    return between.join(items[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def headline(item: MovedFeature) -> str:
    """The one measure that says most of a feature: PSI, else the shift of the mean, else what there is."""
    for name in ("psi", "mean_shift", "missing", *MEASURES):
        if name in item.measures:
            return f"{MEASURES[name]} {item.measures[name]:.3f}"
    return "not measured"


def reach(found: VersionDrift, limits: Limits) -> tuple[float, str]:
    """How much of its limit the worst measure of a version has used, 1 being at the limit; and which measure that is.

    At 1 or more the version is beyond, unless the words say that it may be chance.
    """
    return max(
        (
            (
                _share(name, item.measures[name], limit),
                f"{MEASURES[name]} of {item.feature}{'' if item.certain else ', may be chance'}",
            )
            for item in found.features
            for name, limit in limits.measures.items()
            if name in item.measures
        ),
        key=lambda used: used[0],
        default=(0.0, ""),
    )


def _share(name: str, value: float, limit: float) -> float:
    """How much of a limit is used; a ratio of 1 uses none of it."""
    return math.log(max(value, 1.0)) / math.log(limit) if name == "stdev_ratio" else value / limit


def evidence(fact: DataDriftFact, limits: Limits) -> dict[str, JsonValue]:
    """What a reader of a plan needs to know of the measurement: the window, the limits, and each version's answer."""
    return {
        "window": fact.window.model_dump(mode="json"),
        "limits": dict(limits.measures),
        "min_rows": limits.min_rows,
        "versions": [_answer(found, find(fact, found.version, limits), limits) for found in fact.versions],
    }


def _answer(found: VersionDrift, finding: Finding, limits: Limits) -> dict[str, JsonValue]:
    used, used_by = reach(found, limits)
    return {
        "version": found.version,
        "answer": finding.answer,
        "reasons": list(finding.reasons),
        "caveat": found.caveat,
        "source": found.source,
        "used": round(used, _DIGITS),
        "used_by": used_by,
        "furthest": [{"feature": item.feature, "measures": dict(item.measures)} for item in found.features[:_SHOWN]],
    }


def pin(
    fact: DataDriftFact, version: str, tolerance: tuple[float, float], earlier: Mapping[str, Any] | None
) -> dict[str, JsonValue]:
    """What of the measurement belongs to a plan: the window and the target's measures.

    Args:
        fact: What was measured.
        version: The target.
        tolerance: By which share the rows may change and by how much a measure may, for the plan to stay the same.
        earlier: What an earlier plan has pinned; it is kept while the window is within the tolerance.
    """
    found = fact.of(version)
    features = found.features if found is not None else ()
    now: dict[str, JsonValue] = {
        "window": fact.window.path,
        "rows": fact.window.rows,
        "digest": fact.window.digest,
        "measures": {
            item.feature: {name: round(value, _DIGITS) for name, value in item.measures.items()} for item in features
        },
        "training": dict(found.inputs) if found is not None else {},
    }
    if earlier is None:
        return now
    return dict(earlier) if not any(moved(earlier, now, tolerance)) else now


def moved(then: Mapping[str, Any], now: Mapping[str, Any], tolerance: tuple[float, float]) -> list[str]:
    """Say what of a pinned measurement is beyond its tolerance now."""
    rows, measure = tolerance
    lines = []
    if then["window"] != now["window"]:
        lines.append(f"the window: {then['window']}, now {now['window']}")
    if abs(now["rows"] - then["rows"]) > rows * then["rows"]:
        lines.append(f"the window {now['window']}: {then['rows']:,} rows, now {now['rows']:,}; tolerance {rows:.0%}")
    lines += [
        f"the training rows of the target: {path} has changed"
        for path in sorted({*then["training"], *now["training"]})
        if then["training"].get(path) != now["training"].get(path)
    ]
    for feature in sorted({*then["measures"], *now["measures"]}):
        old, new = then["measures"].get(feature, {}), now["measures"].get(feature, {})
        for name in sorted({*old, *new}):
            if abs(new.get(name, 0.0) - old.get(name, 0.0)) > measure:
                words = MEASURES.get(name, name)
                lines.append(f"{words} of {feature}: {old.get(name, 0.0):.2f}, now {new.get(name, 0.0):.2f}")
    return lines
