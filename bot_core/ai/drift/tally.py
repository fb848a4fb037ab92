"""Counting a window: one pass over its rows for every model that it is to be held against.

What is counted are integers, and sums of integers do not depend on how the rows were divided: any number of files,
threads or machines gives the same tally.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bot_core.ai.drift.grid import Grid
from bot_core.ai.drift.ruler import Profile, edges_of, inner_range
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of values that no model knows, so many are named, the first ones by name; all are counted.
NAMED_NEW = 20


@frozen
class TextColumn:
    """A column of text: `codes` into `values`, -1 where it is missing, shape (rows,)."""

    codes: "NDArray[np.int64]"
    values: Sequence[str]


@frozen
class Batch:
    """Some rows of a window, each number a float, NaN where it is missing, shape (rows,)."""

    rows: int
    numbers: Mapping[str, "NDArray[np.float64]"]
    texts: Mapping[str, TextColumn]


@frozen
class EdgeSet:
    """Everything that has to be counted.

    Attributes:
        features: The edges of all models together, ascending, by feature.
        inner: Where most values are to be expected, by feature.
        categories: The values that any model knows, by column of text.
        segments: Columns of text; the features are counted for each of their values as well.
    """

    features: Mapping[str, tuple[float, ...]]
    inner: Mapping[str, tuple[float, float]]
    categories: Mapping[str, tuple[str, ...]]
    segments: tuple[str, ...] = ()

    @classmethod
    def of(cls, profiles: Iterable[Profile], segments: Sequence[str] = ()) -> "EdgeSet":
        """What has to be counted for these models."""
        import numpy as np

        edges: dict[str, list[NDArray[np.float64]]] = {}
        inner: dict[str, tuple[float, float]] = {}
        categories: dict[str, set[str]] = {}
        for profile in profiles:
            for name, feature in profile.features.items():
                edges.setdefault(name, []).append(edges_of(feature))
                low, high = inner_range(feature)
                known = inner.get(name, (low, high))
                inner[name] = (min(low, known[0]), max(high, known[1]))
            for name, (counts, _) in profile.categories.items():
                categories.setdefault(name, set()).update(counts)
        return cls(
            {name: tuple(np.unique(np.concatenate(edges[name])).tolist()) for name in sorted(edges)},
            {name: inner[name] for name in sorted(inner)},
            {name: tuple(sorted(values)) for name, values in sorted(categories.items())},
            tuple(segments),
        )

    def __getstate__(self) -> dict[str, object]:
        """What is sent to another process: the fields alone, not what was computed from them."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @cached_property
    def arrays(self) -> "Mapping[str, NDArray[np.float64]]":
        """The edges as arrays, by feature."""
        import numpy as np

        return {name: np.array(edges) for name, edges in self.features.items()}

    @cached_property
    def counter(self) -> "Counter":
        """What counts; made at the first use, and used by everybody who counts for this value."""
        return Counter(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is counted: tallies with the same digest can be added."""
        whole = {"features": self.features, "categories": self.categories, "segments": self.segments}
        return sha256_hex(canonical_json(whole))

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers that have to be read."""
        return tuple(self.features)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns of text that have to be read."""
        return tuple(sorted({*self.categories, *self.segments}))


@frozen
class FeatureTally:
    """A feature's counts between the edges of its set, shape (edges + 1,), and how many values are missing."""

    counts: "NDArray[np.int64]"
    missing: int

    def __add__(self, other: "FeatureTally") -> "FeatureTally":
        return FeatureTally(self.counts + other.counts, self.missing + other.missing)


@frozen
class CategoryTally:
    """How often each known value is there; how often any other, with the names of some; how many are missing."""

    counts: Mapping[str, int]
    new: int
    new_names: tuple[str, ...]
    missing: int

    def __add__(self, other: "CategoryTally") -> "CategoryTally":
        counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        names = tuple(sorted({*self.new_names, *other.new_names})[:NAMED_NEW])
        return CategoryTally(counts, self.new + other.new, names, self.missing + other.missing)


@frozen
class Tally:
    """The counts of some rows.

    Attributes:
        segments: The features' counts by column and value; rows without a value are in the whole only.
    """

    rows: int
    features: Mapping[str, FeatureTally]
    categories: Mapping[str, CategoryTally]
    segments: Mapping[str, Mapping[str, "Tally"]]

    def __add__(self, other: "Tally") -> "Tally":
        segments = {column: _merged(parts, other.segments[column]) for column, parts in self.segments.items()}
        return Tally(
            self.rows + other.rows,
            {name: tally + other.features[name] for name, tally in self.features.items()},
            {name: tally + other.categories[name] for name, tally in self.categories.items()},
            segments,
        )

    def to_json(self) -> dict[str, JsonValue]:
        """The tally as JSON."""
        return {
            "rows": self.rows,
            "features": {name: [item.counts.tolist(), item.missing] for name, item in self.features.items()},
            "categories": {
                name: [dict(item.counts), item.new, list(item.new_names), item.missing]
                for name, item in self.categories.items()
            },
            "segments": {
                column: {value: part.to_json() for value, part in parts.items()}
                for column, parts in self.segments.items()
            },
        }


class Counter:
    """Counts batches for one edge set; may be used by several threads at once."""

    def __init__(self, edge_set: EdgeSet) -> None:
        """Lay the grids."""
        self._set = edge_set
        self._grids = {name: Grid(edges, edge_set.inner[name]) for name, edges in edge_set.arrays.items()}

    def nothing(self) -> Tally:
        """The tally of no rows."""
        import numpy as np

        return Tally(
            0,
            {name: FeatureTally(np.zeros(len(grid.edges) + 1, np.int64), 0) for name, grid in self._grids.items()},
            {name: CategoryTally(dict.fromkeys(known, 0), 0, (), 0) for name, known in self._set.categories.items()},
            {column: {} for column in self._set.segments},
        )

    def count(self, batch: Batch) -> Tally:
        """Count one batch, which holds every column of the edge set."""
        categories = {name: _count_text(batch.texts[name], known) for name, known in self._set.categories.items()}
        segments = {column: self._count_parts(batch, batch.texts[column]) for column in self._set.segments}
        return Tally(batch.rows, self._count_numbers(batch.numbers), categories, segments)

    def _count_numbers(self, numbers: Mapping[str, "NDArray[np.float64]"]) -> dict[str, FeatureTally]:
        return {name: FeatureTally(*grid.count(numbers[name])) for name, grid in self._grids.items()}

    def _count_parts(self, batch: Batch, column: TextColumn) -> dict[str, Tally]:
        import numpy as np

        order = np.argsort(column.codes, kind="stable")
        ends = np.searchsorted(column.codes[order], np.arange(-1, len(column.values)), side="right")
        parts = {}
        for value, start, end in zip(column.values, ends[:-1], ends[1:], strict=True):
            if start < end:
                rows = order[start:end]
                numbers = {name: batch.numbers[name][rows] for name in self._grids}
                parts[value] = Tally(int(end - start), self._count_numbers(numbers), {}, {})
        return parts


def collapsed(
    counts: "NDArray[np.int64]", edges: "NDArray[np.float64]", onto: "NDArray[np.float64]"
) -> "NDArray[np.int64]":
    """The counts between some of the edges: exactly what counting between those alone would have given.

    Args:
        counts: Shape (edges + 1,).
        edges: Ascending, shape (edges,).
        onto: Ascending, each of them among `edges`, shape (onto,).

    Returns:
        Shape (onto + 1,).
    """
    import numpy as np

    up_to = np.cumsum(counts)
    whole: NDArray[np.int64] = np.concatenate((up_to[np.searchsorted(edges, onto)], up_to[-1:]))
    whole[1:] -= whole[:-1].copy()
    return whole


def _count_text(column: TextColumn, known: Sequence[str]) -> CategoryTally:
    import numpy as np

    there = np.bincount(column.codes + 1, minlength=len(column.values) + 1).tolist()
    found = {value: count for value, count in zip(column.values, there[1:], strict=True) if count}
    new = {value: found[value] for value in found.keys() - set(known)}
    return CategoryTally(
        {value: found.get(value, 0) for value in known},
        sum(new.values()),
        tuple(sorted(new)[:NAMED_NEW]),
        there[0],
    )


def _merged(one: Mapping[str, Tally], other: Mapping[str, Tally]) -> dict[str, Tally]:
    sums = {value: part + other[value] for value, part in one.items() if value in other}
    return {**one, **other, **sums}
