"""What the footer of a Parquet file says of its row groups.

pyarrow says it as well, but ends the process where a footer contradicts itself. Source: `parquet.thrift` of the Parquet
format, in the compact protocol of Apache Thrift.
"""

import struct
from typing import Any

from bot_core.foundation.frozen import frozen

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_LONG = 15  # the size of a list follows
_SEVEN_BITS = 127
_INTEGER_BITS = 64
_MOST_LEVELS = 16
# Numbers of fields, and of physical types.
_ROW_GROUPS, _COLUMNS, _ROWS, _META_DATA, _TYPE, _PATH, _STATISTICS = 4, 1, 3, 3, 1, 3, 12
_NULLS, _MAX_VALUE, _MIN_VALUE, _OLD_MAX, _OLD_MIN = 3, 5, 6, 1, 2
_NUMBERS = {1: "<i", 2: "<q", 4: "<f", 5: "<d"}


class FooterError(Exception):
    """It is no footer."""


@frozen
class RowGroup:
    """A row group, and what its statistics say of one column.

    Attributes:
        missing: How many rows have no value; 0 where that is not said.
        ends: The smallest and the greatest number, as the file keeps them; None where they are not said, or no numbers.
    """

    rows: int
    missing: int
    ends: tuple[float, float] | None


def row_groups(footer: bytes, column: str | None) -> tuple[RowGroup, ...]:
    """The row groups of a file, with the statistics of a column that is not nested.

    Raises:
        FooterError: The bytes are no footer.
    """
    name = None if column is None else [column.encode()]
    try:
        groups = _fields(footer, 0)[0][_ROW_GROUPS]
        return tuple(_row_group(group, name) for group in groups)
    except (LookupError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise FooterError("the footer is damaged") from error


def _row_group(group: dict[int, Any], name: list[bytes] | None) -> RowGroup:
    rows = group[_ROWS]
    if not isinstance(rows, int) or rows < 0:
        raise FooterError(f"a row group of {rows} rows")
    columns = (column.get(_META_DATA, {}) for column in group[_COLUMNS])
    column: dict[int, Any] = next((column for column in columns if column.get(_PATH) == name), {})
    said = column.get(_STATISTICS, {})
    missing, form = int(said.get(_NULLS, 0)), _NUMBERS.get(column.get(_TYPE, 0))
    low, high = said.get(_MIN_VALUE, said.get(_OLD_MIN)), said.get(_MAX_VALUE, said.get(_OLD_MAX))
    if form is None or low is None or high is None:
        return RowGroup(rows, missing, None)
    return RowGroup(rows, missing, (struct.unpack(form, low)[0], struct.unpack(form, high)[0]))


def _fields(data: bytes, at: int, level: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of a structure by their numbers, and where it ends; no larger than a multiple of its bytes."""
    found: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if step := head >> 4:
            number += step
        else:
            number, at = _integer(data, at)
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            found[number] = kind == _TRUE
        else:
            found[number], at = _value(data, at, kind, level + 1)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, level: int) -> tuple[Any, int]:
    """A value, and where it ends."""
    if kind in (_I16, _I32, _I64):
        return _integer(data, at)
    if kind == _BINARY:
        size, at = _natural(data, at)
        return _bytes(data, at, size)
    if level > _MOST_LEVELS:
        raise FooterError("the footer is nested too deeply")
    if kind == _STRUCT:
        return _fields(data, at, level)
    if kind in (_LIST, _SET):
        return _values(data, at, level)
    if kind in (_TRUE, _FALSE, _BYTE):
        return data[at], at + 1
    if kind == _DOUBLE:
        return _bytes(data, at, 8)
    raise FooterError(f"the footer holds a value of kind {kind}")


def _values(data: bytes, at: int, level: int) -> tuple[list[Any], int]:
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == _LONG:
        size, at = _natural(data, at)
    found = []
    for _ in range(size):
        value, at = _value(data, at, kind, level + 1)
        found.append(value)
    return found, at


def _bytes(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise FooterError("the footer ends too soon")
    return data[at : at + size], at + size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    found, at = _natural(data, at)
    return (found >> 1) ^ -(found & 1), at


def _natural(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first; the eighth says whether there are more."""
    byte = data[at]
    found, shift = byte & _SEVEN_BITS, 7
    while byte > _SEVEN_BITS:
        at += 1
        byte = data[at]
        found |= (byte & _SEVEN_BITS) << shift
        shift += 7
        if shift > _INTEGER_BITS + 7:
            raise FooterError("the footer holds a number that is too large")
    return found, at + 1
