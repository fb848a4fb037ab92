"""Columns of Arrow as what is counted: numbers as floats, texts as codes, times as microseconds."""

from typing import TYPE_CHECKING, Any

from bot_core.ai.drift.instants import EARLIEST_US, LATEST_US, NO_ZONE, OUT_OF_RANGE, parse_us
from bot_core.ai.drift.tally import TextColumn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class ColumnError(Exception):
    """A column is not what it must be; the text goes on after its name."""


def numbers_of(column: Any) -> "NDArray[np.float64]":
    """A column of integers, floats, decimals or booleans, NaN where it is null; without a copy where that can be.

    Raises:
        ColumnError: It holds anything else.
    """
    import numpy as np
    import pyarrow as pa

    if column.type == pa.float64():
        plain: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
        return plain
    kind = pa.types
    values = column.dictionary_decode() if kind.is_dictionary(column.type) else column
    if kind.is_null(values.type):
        return np.full(len(values), np.nan)
    if not any(test(values.type) for test in (kind.is_integer, kind.is_floating, kind.is_decimal, kind.is_boolean)):
        raise ColumnError(f"holds {column.type}, not numbers")
    floats = values.cast(pa.float64(), safe=False)
    found: NDArray[np.float64] = floats.to_numpy(zero_copy_only=False)
    return found


def texts_of(column: Any) -> TextColumn:
    """A column of texts, dictionary-encoded or not.

    Raises:
        ColumnError: It holds anything else.
    """
    import numpy as np
    import pyarrow as pa

    kind = pa.types
    # Decoded first: a dictionary may hold a value twice, or null.
    values = column.dictionary_decode() if kind.is_dictionary(column.type) else column
    if kind.is_null(values.type):
        return TextColumn(np.full(len(values), -1, np.int64), ())
    if not (kind.is_string(values.type) or kind.is_large_string(values.type)):
        raise ColumnError(f"holds {column.type}, not text")
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return TextColumn(codes, encoded.dictionary.to_pylist())


def instants_of(column: Any) -> "NDArray[np.int64]":
    """A column of times with a zone, of texts in ISO 8601 with an offset, or of seconds since 1970.

    Raises:
        ColumnError: It holds anything else, says no zone, or a time is missing.
    """
    import numpy as np
    import pyarrow as pa

    kind = pa.types
    if column.null_count:
        raise ColumnError(f"is missing in {column.null_count} rows; every row needs its time")
    if kind.is_timestamp(column.type):
        if column.type.tz is None:
            raise ColumnError(f"holds {column.type}, {NO_ZONE}")
        return scaled(column.cast(pa.int64()).to_numpy(zero_copy_only=False), column.type.unit)
    values = column.dictionary_decode() if kind.is_dictionary(column.type) else column
    if kind.is_string(values.type) or kind.is_large_string(values.type):
        return np.array([_parsed(text) for text in values.to_pylist()], np.int64)
    if not (kind.is_integer(values.type) or kind.is_floating(values.type)):
        raise ColumnError(f"holds {column.type}, no times")
    return rounded(numbers_of(values))


def scaled(instants: "NDArray[np.int64]", unit: str) -> "NDArray[np.int64]":
    """Whole seconds, ms, us or ns as microseconds.

    Raises:
        ColumnError: One is beyond the years 1 to 9999.
    """
    import numpy as np

    per_second = _PER_SECOND[unit]
    if per_second > 10**6:
        return np.floor_divide(instants, per_second // 10**6)
    factor = 10**6 // per_second
    if len(instants) and not EARLIEST_US <= int(instants.min()) * factor <= int(instants.max()) * factor <= LATEST_US:
        raise ColumnError("holds a time beyond the year 9999")
    return instants * factor


def rounded(seconds: "NDArray[np.float64]") -> "NDArray[np.int64]":
    """Seconds since 1970 as microseconds.

    Raises:
        ColumnError: One is missing, or beyond the years 1 to 9999.
    """
    import numpy as np

    with np.errstate(over="ignore"):
        found = np.rint(seconds * 1e6)
    if np.isnan(found).any():
        raise ColumnError("is missing in a row; every row needs its time")
    if len(found) and not EARLIEST_US <= found.min() <= found.max() <= LATEST_US:
        raise ColumnError(f"holds {OUT_OF_RANGE}")
    return found.astype(np.int64)


def _parsed(text: str) -> int:
    try:
        return parse_us(text)
    except ValueError as error:
        raise ColumnError(f"holds {text!r}, {error}") from None
