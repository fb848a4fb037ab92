"""Reading a tally from JSON: whatever is not exactly the counts of an edge set is refused."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from bot_core.ai.drift.tally import MOST_PARTS, NAMED_NEW, WIDTHS, CategoryTally, EdgeSet, FeatureTally, Tally
from bot_core.ai.model_state import whole
from bot_core.foundation.errors import FileFormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_ROWS = 1 << 44  # so that no sum of counts is too large for an integer of 64 bits


def tally_from_json(value: object, edge_set: EdgeSet) -> Tally:
    """The tally of this edge set that `to_json` wrote.

    Raises:
        FileFormatError: It is anything else: other columns, another number of counts, counts that do not add up.
    """
    raw = _object(value, "tally")
    rows = whole(raw.get("rows"), "rows", 0, _MOST_ROWS)
    segments = _exactly(raw, "segments", edge_set.segments)
    return Tally(
        rows,
        _features_from(raw, edge_set, rows),
        {
            name: _category_from(item, known, rows, name)
            for (name, item), known in zip(
                _exactly(raw, "categories", edge_set.categories), edge_set.categories.values(), strict=True
            )
        },
        {column: _parts_from(_object(parts, column), edge_set, rows, column) for column, parts in segments},
    )


def _features_from(raw: Mapping[str, object], edge_set: EdgeSet, rows: int) -> dict[str, FeatureTally]:
    import numpy as np

    found = {}
    for (name, item), edges in zip(
        _exactly(raw, "features", edge_set.features), edge_set.features.values(), strict=True
    ):
        packed, missing = _items(item, 2, name)
        counts = _counts_from(packed, len(edges) + 1, name)
        _require(bool((counts <= rows).all()), name)
        tally = FeatureTally(counts.astype(np.int64), whole(missing, name, 0, rows))
        _require(int(tally.counts.sum()) + tally.missing == rows and tally.packed() == packed, name)
        found[name] = tally
    return found


def _counts_from(packed: object, number: int, name: str) -> "NDArray[np.unsignedinteger]":
    import numpy as np

    try:
        data = base64.b64decode(cast("str", packed), validate=True)
    except (TypeError, ValueError):
        data = b""
    kind = WIDTHS.get(len(data) // number)
    _require(kind is not None and len(data) % number == 0, name)
    counts: NDArray[np.unsignedinteger] = np.frombuffer(data, kind)
    return counts


def _category_from(value: object, known: Sequence[str], rows: int, name: str) -> CategoryTally:
    counts, new, new_names, missing = _items(value, 4, name)
    there = {key: whole(count, name, 0, rows) for key, count in _object(counts, name).items()}
    _require(there.keys() == {*known}, name)
    names = tuple(text for text in _items(new_names, None, name) if isinstance(text, str) and text not in there)
    _require(new_names == sorted({*names}) and len(names) <= NAMED_NEW, name)
    tally = CategoryTally(
        {key: there[key] for key in known}, whole(new, name, 0, rows), names, whole(missing, name, 0, rows)
    )
    _require(sum(there.values()) + tally.new + tally.missing == rows and len(names) <= tally.new, name)
    return tally


def _parts_from(parts: Mapping[str, object], edge_set: EdgeSet, rows: int, column: str) -> dict[str, Tally]:
    found = {}
    for value, item in parts.items():
        raw = _object(item, column)
        count = whole(raw.get("rows"), column, 1, rows)
        _require(not raw.get("categories") and not raw.get("segments"), column)
        found[value] = Tally(count, _features_from(raw, edge_set, count), {}, {})
    _require(sum(part.rows for part in found.values()) <= rows and len(found) <= MOST_PARTS, column)
    return found


def _exactly(raw: Mapping[str, object], name: str, keys: Iterable[str]) -> list[tuple[str, object]]:
    """What stands under each of the keys, in their order; there are no others."""
    found = _object(raw.get(name), name)
    wanted = tuple(keys)
    _require(found.keys() == {*wanted}, name)
    return [(key, found[key]) for key in wanted]


def _object(value: object, name: str) -> Mapping[str, object]:
    _require(isinstance(value, dict), name)
    return cast("Mapping[str, object]", value)


def _items(value: object, number: int | None, name: str) -> list[object]:
    _require(isinstance(value, list) and number in (None, len(value)), name)
    return cast("list[object]", value)


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise FileFormatError(f"{name}: not the counts of this edge set")
