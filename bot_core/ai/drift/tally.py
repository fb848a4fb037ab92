"""Counting a window: one pass over its rows for every model that it is to be held against.

What is counted are integers, and sums of integers do not depend on how the rows were divided: any number of files,
threads or machines gives the same tally.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bot_core.ai.drift.grid import Grid
from bot_core.ai.drift.ruler import Profile, inner_range
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import JsonValue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of values that no model knows, so many are named, the first ones by name; all are counted.
NAMED_NEW = 20
# A column of text with more values than this is no segment: each of them has the counts of every feature.
MOST_PARTS = 1000
# The types that counts are written in, by their bytes.
WIDTHS: Mapping[int, str] = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}


class TooManyPartsError(Exception):
    """A column of text is no segment; the text says which."""


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
        features: The edges of all models together, ascending, by feature, each of shape (edges,).
        inner: Where most values are to be expected, by feature.
        categories: The values that any model knows, by column of text.
        segments: Columns of text; the features are counted for each of their values as well.
    """

    features: "Mapping[str, NDArray[np.float64]]"
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
                edges.setdefault(name, []).append(profile.edges[name])
                low, high = inner_range(feature)
                known = inner.get(name, (low, high))
                inner[name] = (min(low, known[0]), max(high, known[1]))
            for name, (counts, _) in profile.categories.items():
                categories.setdefault(name, set()).update(counts)
        return cls(
            {name: np.unique(np.concatenate(edges[name])) for name in sorted(edges)},
            {name: inner[name] for name in sorted(inner)},
            {name: tuple(sorted(values)) for name, values in sorted(categories.items())},
            tuple(segments),
        )

    def __getstate__(self) -> dict[str, object]:
        """What is sent to another process: the fields alone, not what was computed from them."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    @cached_property
    def counter(self) -> "Counter":
        """What counts; made at the first use, and used by everybody who counts for this value."""
        return Counter(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is counted: tallies with the same digest can be added."""
        features = {name: _text_of(edges + 0.0, "<f8") for name, edges in self.features.items()}
        whole = {"features": features, "categories": self.categories, "segments": self.segments}
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

    @cached_property
    def up_to(self) -> "NDArray[np.int64]":
        """How many values are not above each edge, and at last how many there are, shape (edges + 1,)."""
        import numpy as np

        return np.cumsum(self.counts)

    def packed(self) -> str:
        """The counts as text: base64 of the narrowest unsigned integers that hold them, lowest byte first."""
        largest = int(self.counts.max())
        return _text_of(self.counts, next(kind for kind in WIDTHS.values() if largest >> (8 * int(kind[2])) == 0))


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
        segments: The features' counts by column and value; rows without a value are in the whole only. Of more than
            1000 values there are none: counting or adding them raises TooManyPartsError.
    """

    rows: int
    features: Mapping[str, FeatureTally]
    categories: Mapping[str, CategoryTally]
    segments: Mapping[str, Mapping[str, "Tally"]]

    def __add__(self, other: "Tally") -> "Tally":
        segments = {column: _merged(column, parts, other.segments[column]) for column, parts in self.segments.items()}
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
            "features": {name: [item.packed(), item.missing] for name, item in self.features.items()},
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
        self._grids = {name: Grid(edges, edge_set.inner[name]) for name, edges in edge_set.features.items()}

    def sums(self) -> "Sums":
        """What batches are added to, one after the other; it belongs to one thread."""
        return Sums(self._grids, self._set.categories, self._set.segments)

    def nothing(self) -> Tally:
        """The tally of no rows."""
        return self.sums().tally()

    def count(self, batch: Batch) -> Tally:
        """Count one batch, which holds every column of the edge set."""
        sums = self.sums()
        sums.add(batch)
        return sums.tally()


class Sums:
    """A tally in the making: the memory of one, however many batches are added."""

    def __init__(
        self, grids: Mapping[str, Grid], categories: Mapping[str, Sequence[str]], segments: Sequence[str]
    ) -> None:
        """Begin with no rows."""
        import numpy as np

        self._grids, self._known = grids, categories
        self._rows = 0
        self._counts = {name: np.zeros(len(grid.edges) + 1, np.int64) for name, grid in grids.items()}
        self._missing = dict.fromkeys(grids, 0)
        self._texts = {name: CategoryTally(dict.fromkeys(known, 0), 0, (), 0) for name, known in self._known.items()}
        self._parts: dict[str, dict[str, Sums]] = {column: {} for column in segments}

    def add(self, batch: Batch) -> None:
        """Count one batch, which holds every column of the edge set."""
        self._rows += batch.rows
        for name, grid in self._grids.items():
            self._missing[name] += grid.add(batch.numbers[name], self._counts[name])
        for name, known in self._known.items():
            self._texts[name] += _count_text(batch.texts[name], known)
        for column, parts in self._parts.items():
            for value, part in _parted(batch, batch.texts[column], self._grids):
                if value not in parts:
                    parts[value] = Sums(self._grids, {}, ())
                    _require_few(column, parts)
                parts[value].add(part)

    def tally(self) -> Tally:
        """What was counted; nothing more may be added then."""
        return Tally(
            self._rows,
            {name: FeatureTally(counts, self._missing[name]) for name, counts in self._counts.items()},
            self._texts,
            {column: {value: part.tally() for value, part in parts.items()} for column, parts in self._parts.items()},
        )


def _parted(batch: Batch, column: TextColumn, names: Iterable[str]) -> Iterator[tuple[str, Batch]]:
    """The rows of each value of a column of text, with these columns of numbers."""
    import numpy as np

    order = np.argsort(column.codes, kind="stable")
    ends = np.searchsorted(column.codes[order], np.arange(-1, len(column.values)), side="right")
    for value, start, end in zip(column.values, ends[:-1], ends[1:], strict=True):
        if start < end:
            rows = order[start:end]
            yield value, Batch(len(rows), {name: batch.numbers[name][rows] for name in names}, {})


def collapsed(
    up_to: "NDArray[np.int64]", edges: "NDArray[np.float64]", onto: "NDArray[np.float64]"
) -> "NDArray[np.int64]":
    """The counts between some of the edges: exactly what counting between those alone would have given.

    Args:
        up_to: How many values are not above each edge, and at last how many there are, shape (edges + 1,).
        edges: Ascending, shape (edges,).
        onto: Ascending, each of them among `edges`, shape (onto,).

    Returns:
        Shape (onto + 1,).
    """
    import numpy as np

    whole: NDArray[np.int64] = np.append(up_to[np.searchsorted(edges, onto)], up_to[-1])
    whole[1:] -= whole[:-1].copy()
    return whole


def _text_of(numbers: "NDArray[np.float64 | np.int64]", kind: str) -> str:
    return base64.b64encode(numbers.astype(kind).tobytes()).decode("ascii")


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


def _merged(column: str, one: Mapping[str, Tally], other: Mapping[str, Tally]) -> dict[str, Tally]:
    sums = {value: part + other[value] for value, part in one.items() if value in other}
    parts = {**one, **other, **sums}
    _require_few(column, parts)
    return parts


def _require_few(column: str, parts: Mapping[str, object]) -> None:
    if len(parts) > MOST_PARTS:
        raise TooManyPartsError(f"column {column!r} has more than {MOST_PARTS:,} different values: it is no segment")
