"""What the features looked like in training, finely enough to measure data drift against.

For each feature the counts between fixed edges: the inner percentiles, and on both sides quantiles that halve down to
about 2e-6, because a shift of the tails is what a few equal bins hide. An edge is a value of the sample; a bin holds
what lies above its lower and not above its upper edge, so that the counts up to an edge are exactly the sample's
distribution function there. No bin is empty in training. Of a feature with few different values each is an edge.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.ai.model_state import finite, mapping_at, numbers_at, sequence_at, whole
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError
from bot_core.foundation.frozen import frozen, replace
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import JsonValue, parse_object

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot_core.ai.dataset import FeatureTable

BASELINE_FOLDER = "baselines"
MAX_CATEGORIES = 1000
_MAX_SEGMENTS = 50
_FEW = 256  # different values
_SQUARABLE = (1e-140, 1e140)
_VERSION = 1
_TAILS = tuple(0.01 / 2**power for power in range(12, 0, -1))  # from 2.4e-6 up
_LEVELS = (*_TAILS, *(percent / 100 for percent in range(1, 100)), *(1 - level for level in reversed(_TAILS)))


@frozen
class FeatureBaseline:
    """A feature of numbers.

    Attributes:
        edges: Ascending, all below `maximum`.
        counts: One more than edges: values up to the first edge, between the edges, above the last one.
        n: How many values are there; the sum of the counts.
        mean, stdev: Of these; the standard deviation is the population's.
        missing: How many are not there.
        distinct: How many different values there are.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    n: int
    minimum: float
    maximum: float
    mean: float
    stdev: float
    missing: int
    distinct: int

    @property
    def rows(self) -> int:
        """How many rows there were, with a value or without."""
        return self.n + self.missing


@frozen
class CategoryBaseline:
    """A column of text: how often each value is there, and how many are missing."""

    counts: Mapping[str, int]
    missing: int


@frozen
class Baseline:
    """The training rows of one model, feature by feature.

    Attributes:
        rows: How many training rows there were.
        segments: The features by column of categories and value, counted between the edges of the whole; extremes,
            mean, deviation and distinct are the whole's. Of a column with more than 50 values there are none.
    """

    rows: int
    features: Mapping[str, FeatureBaseline]
    categories: Mapping[str, CategoryBaseline]
    segments: Mapping[str, Mapping[str, Mapping[str, FeatureBaseline]]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The file's bytes: equal baselines give equal bytes."""
        segments: dict[str, JsonValue] = {
            column: {
                value: {name: [list(item.counts), item.missing] for name, item in features.items()}
                for value, features in parts.items()
            }
            for column, parts in self.segments.items()
        }
        return canonical_json(
            {
                "version": _VERSION,
                "rows": self.rows,
                "features": {
                    name: {
                        "edges": item.edges,
                        "counts": item.counts,
                        "n": item.n,
                        "min": item.minimum,
                        "max": item.maximum,
                        "mean": item.mean,
                        "stdev": item.stdev,
                        "missing": item.missing,
                        "distinct": item.distinct,
                    }
                    for name, item in self.features.items()
                },
                "categories": {
                    name: {"counts": dict(item.counts), "missing": item.missing}
                    for name, item in self.categories.items()
                },
                **({"segments": segments} if segments else {}),
            }
        )

    @property
    def sha256(self) -> str:
        """Digest of the file's bytes, by which an artifact's metadata name it."""
        return sha256_hex(self.encode())


def make_baseline(dataset: "FeatureTable") -> Baseline:
    """The baseline of these rows.

    Raises:
        BotCoreError: A feature has no value, or a column of categories more than 1000 different ones.
    """
    features = {
        name: _measure(name, column) for name, column in zip(dataset.feature_names, dataset.matrix.T, strict=True)
    }
    categories = {name: _count(name, values) for name, values in dataset.categories.items()}
    segments = {
        name: _parts(dataset, name, features)
        for name, category in categories.items()
        if len(category.counts) <= _MAX_SEGMENTS
    }
    return Baseline(dataset.rows, features, categories, segments)


def save_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write a baseline to `baselines/<its digest>.json` in the folder of its artifact.

    After a crash the file is there whole or not at all.
    """
    data = baseline.encode()
    path = baseline_path(folder, sha256_hex(data))
    make_folder(path.parent)
    write_atomic(path, data)
    return path


def baseline_path(folder: Path, sha256: str) -> Path:
    """Where the baseline with this digest is, beside the artifacts of a folder."""
    return folder / BASELINE_FOLDER / f"{sha256}.json"


def load_baseline(path: Path, expected_sha256: str) -> Baseline:
    """The baseline in a file.

    Args:
        path: The file.
        expected_sha256: What the artifact's `metadata.feature_baseline.sha256` says.

    Raises:
        MissingFileError: There is no such file.
        IntegrityError: The bytes are not those that training wrote.
        FileFormatError: The content is not a baseline; names the file and the place.
    """
    data = read_inside(path.parent, path.name)
    if (found := sha256_hex(data)) != expected_sha256:
        raise IntegrityError(
            f"{path} has the digest {found}; the artifact names {expected_sha256}",
            hint="put back the file that was written with the artifact",
            path=str(path),
        )
    try:
        return _parse(parse_object(data, str(path)))
    except FileFormatError as error:
        if error.path is not None:
            raise
        raise FileFormatError(f"{path}: {error.problem}", path=str(path)) from error


def _measure(name: str, column: "NDArray[np.float64]") -> FeatureBaseline:
    import numpy as np

    values = np.sort(column[~np.isnan(column)])
    if not len(values):
        raise BotCoreError(f"{name} is missing in every row, so that it has no baseline")
    different = values[np.concatenate(((True,), values[1:] != values[:-1]))]
    if len(different) <= _FEW:
        edges = different
    else:
        # The smallest value that at least this share of the sample does not exceed.
        ranks = np.ceil(np.array(_LEVELS) * len(values)).astype(np.int64) - 1
        edges = np.unique(values[ranks.clip(0)])
    edges = edges[edges < values[-1]]
    below = np.searchsorted(values, edges, side="right")
    mean, stdev = _mean_and_stdev(values)
    return FeatureBaseline(
        edges=tuple(edges.tolist()),
        counts=tuple(np.diff(below, prepend=0, append=len(values)).tolist()),
        n=len(values),
        minimum=float(values[0]),
        maximum=float(values[-1]),
        mean=mean,
        stdev=stdev,
        missing=len(column) - len(values),
        distinct=len(different),
    )


def _parts(
    dataset: "FeatureTable", column: str, features: Mapping[str, FeatureBaseline]
) -> dict[str, dict[str, FeatureBaseline]]:
    """The features of the rows of each value of a column of categories."""
    import numpy as np

    values = np.array([value if value is not None else "" for value in dataset.categories[column]])
    is_there = np.array([value is not None for value in dataset.categories[column]])
    parts: dict[str, dict[str, FeatureBaseline]] = {}
    for value in sorted({*values[is_there].tolist()}):
        rows = is_there & (values == value)
        parts[value] = {
            name: _part(features[name], dataset.matrix[rows, place]) for place, name in enumerate(dataset.feature_names)
        }
    return parts


def _part(whole_feature: FeatureBaseline, column: "NDArray[np.float64]") -> FeatureBaseline:
    import numpy as np

    values = np.sort(column[~np.isnan(column)])
    below = np.searchsorted(values, whole_feature.edges, side="right")
    counts = np.diff(below, prepend=0, append=len(values)).tolist()
    return replace(whole_feature, counts=tuple(counts), n=len(values), missing=len(column) - len(values))


def _mean_and_stdev(values: "NDArray[np.float64]") -> tuple[float, float]:
    """Of ascending values, at least one; exact for a constant, and no square runs over or vanishes."""
    if values[0] == values[-1]:
        return float(values[0]), 0.0
    largest = float(max(abs(values[0]), abs(values[-1])))
    unit = 1.0 if _SQUARABLE[0] < largest < _SQUARABLE[1] else largest
    scaled = values if unit == 1.0 else values / unit
    return float(scaled.mean()) * unit, float(scaled.std()) * unit


def _count(name: str, values: Sequence[str | None]) -> CategoryBaseline:
    counts = Counter(value for value in values if value is not None)
    if len(counts) > MAX_CATEGORIES:
        raise BotCoreError(f"{name} has {len(counts)} different values, more than {MAX_CATEGORIES}: it is no category")
    return CategoryBaseline(dict(sorted(counts.items())), len(values) - counts.total())


def _parse(raw: Mapping[str, object]) -> Baseline:
    if raw.get("version") != _VERSION:
        raise FileFormatError(f"version is {raw.get('version')!r}, not {_VERSION}")
    rows = whole(raw.get("rows"), "rows", 1, None)
    features = mapping_at(raw, "features", "the baseline")
    categories = mapping_at(raw, "categories", "the baseline")
    read = {name: _parse_feature(mapping_at(features, name, "features"), f"features.{name}", rows) for name in features}
    segments = mapping_at(raw, "segments", "the baseline") if "segments" in raw else {}
    return Baseline(
        rows=rows,
        features=read,
        categories={
            name: _parse_category(mapping_at(categories, name, "categories"), f"categories.{name}", rows)
            for name in categories
        },
        segments={
            name: _parse_parts(mapping_at(segments, name, "segments"), f"segments.{name}", read) for name in segments
        },
    )


def _parse_parts(
    raw: Mapping[str, object], place: str, features: Mapping[str, FeatureBaseline]
) -> dict[str, dict[str, FeatureBaseline]]:
    return {
        value: {
            name: _parse_part(mapping_at(raw, value, place), name, f"{place}.{value}", item)
            for name, item in features.items()
        }
        for value in raw
    }


def _parse_part(raw: Mapping[str, object], name: str, place: str, item: FeatureBaseline) -> FeatureBaseline:
    place = f"{place}.{name}"
    found = sequence_at(raw, name, place)
    counted = found[0] if len(found) == 2 else None
    if not isinstance(counted, list) or len(counted) != len(item.counts):
        raise FileFormatError(f"{place} is not {len(item.counts)} counts and the number of missing values")
    counts = tuple(
        whole(value, f"{place}[0][{number}]", 0, most)
        for number, (value, most) in enumerate(zip(counted, item.counts, strict=True))
    )
    return replace(item, counts=counts, n=sum(counts), missing=whole(found[1], f"{place}[1]", 0, item.missing))


def _parse_feature(raw: Mapping[str, object], place: str, rows: int) -> FeatureBaseline:
    edges = numbers_at(raw, "edges", place)
    counts = tuple(
        whole(value, f"{place}.counts[{number}]", 0, rows)
        for number, value in enumerate(sequence_at(raw, "counts", place))
    )
    n, missing, distinct = (whole(raw.get(name), f"{place}.{name}", 0, rows) for name in ("n", "missing", "distinct"))
    if len(counts) != len(edges) + 1 or sum(counts) != n or n + missing != rows:
        raise FileFormatError(
            f"{place} has {len(counts)} counts that add up to {sum(counts)}; {len(edges)} edges, n {n}, "
            f"{missing} missing and {rows} rows want others"
        )
    minimum, maximum, mean, stdev = (
        finite(raw.get(name), f"{place}.{name}") for name in ("min", "max", "mean", "stdev")
    )
    if any(lower >= upper for lower, upper in pairwise((*edges, maximum))):
        raise FileFormatError(f"{place}.edges do not ascend to below the max")
    if minimum > min(maximum, *edges) or stdev < 0 or not n:
        raise FileFormatError(f"{place} has no values, or a min that is not the least, or a stdev below 0")
    return FeatureBaseline(edges, counts, n, minimum, maximum, mean, stdev, missing, distinct)


def _parse_category(raw: Mapping[str, object], place: str, rows: int) -> CategoryBaseline:
    found = mapping_at(raw, "counts", place)
    counts = {name: whole(value, f"{place}.counts.{name}", 0, rows) for name, value in found.items()}
    missing = whole(raw.get("missing"), f"{place}.missing", 0, rows)
    if sum(counts.values()) + missing != rows:
        raise FileFormatError(f"{place}: {sum(counts.values())} values and {missing} missing are not {rows} rows")
    return CategoryBaseline(counts, missing)
