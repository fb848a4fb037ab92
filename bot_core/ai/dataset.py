"""Training rows: features, the target and the time of each row, read strictly from CSV or Parquet."""

import csv
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MISSING = frozenset({"", "nan", "null"})


@frozen
class FeatureRow:
    """One row; a feature that is missing is NaN."""

    features: Mapping[str, float]
    target_bps: float


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Rows in the order of their time, as arrays; a `FeatureDataset` for whoever validates or reports.

    Attributes:
        feature_names: The columns of `matrix`.
        matrix: Shape (rows, features); NaN is a missing value.
        target: What the model shall expect, in basis points, shape (rows,); all finite.
        times: Seconds since 1970, UTC, ascending, shape (rows,).
        categories: Columns of text by name, one value per row, None where it is missing; no model input.
        source: Where the rows come from, in words.
    """

    feature_names: tuple[str, ...]
    matrix: "NDArray[np.float64]" = field(repr=False)
    target: "NDArray[np.float64]" = field(repr=False)
    times: "NDArray[np.float64]" = field(repr=False)
    categories: Mapping[str, Sequence[str | None]] = field(default_factory=dict, repr=False)
    source: str = ""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.target)

    @property
    def metadata(self) -> dict[str, object]:
        """What reports and artifacts say about the rows: names, count, first and last time, statistics."""
        return {
            "feature_names": list(self.feature_names),
            "feature_stats": self.feature_stats,
            "row_count": self.rows,
            "source": self.source,
            "start_timestamp": float(self.times[0]),
            "end_timestamp": float(self.times[-1]),
        }

    @property
    def feature_stats(self) -> dict[str, dict[str, float]]:
        """Mean, standard deviation (of the population), min and max of what is there; 0 where nothing is."""
        stats = {}
        for name, column in zip(self.feature_names, self.matrix.T, strict=True):
            there = column[column == column]
            figures = (there.mean(), there.std(), there.min(), there.max()) if len(there) else (0.0, 0.0, 0.0, 0.0)
            stats[name] = dict(zip(("mean", "stdev", "min", "max"), map(float, figures), strict=True))
        return stats

    @property
    def vectors(self) -> Sequence[FeatureRow]:
        """The rows one by one, each made when it is asked for."""
        return _Rows(self)

    def subset(self, indices: Sequence[int]) -> "FeatureTable":
        """These rows, which must be in the order of time."""
        chosen = slice(indices.start, indices.stop) if isinstance(indices, range) and indices.step == 1 else indices
        return replace(
            self,
            matrix=self.matrix[chosen],
            target=self.target[chosen],
            times=self.times[chosen],
            categories={name: [values[index] for index in indices] for name, values in self.categories.items()},
        )


class _Rows(Sequence[FeatureRow]):
    def __init__(self, table: FeatureTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.rows

    @overload
    def __getitem__(self, index: int) -> FeatureRow: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[FeatureRow]: ...

    def __getitem__(self, index: int | slice) -> FeatureRow | Sequence[FeatureRow]:
        if isinstance(index, slice):
            return _Rows(self._table.subset(range(self._table.rows)[index]))
        values = self._table.matrix[index].tolist()
        features = dict(zip(self._table.feature_names, values, strict=True))
        return FeatureRow(features, float(self._table.target[index]))


def load_dataset(
    path: str | Path,
    *,
    features: Sequence[str],
    target: str,
    time_column: str,
    categories: Sequence[str] = (),
) -> FeatureTable:
    """Read training rows; other columns are passed over.

    A feature that is empty, null or NaN is missing. Rows are put in the order of their time, those of one time in the
    order of the file.

    Args:
        path: A `.csv` file (UTF-8, a header), read row by row, or a `.parquet` file, which needs the extra `parquet`.
        features: Columns of numbers.
        target: Column of numbers in basis points; none may be missing.
        time_column: ISO 8601 with an offset, or seconds since 1970; in Parquet also timestamps with a time zone.
        categories: Columns of text that only the baseline counts.

    Raises:
        FileFormatError: A column is missing or given twice, a cell is not what its column needs (with its line in a CSV
            file, its row in a Parquet file), a feature is missing in every row, or there are no rows.
        BotCoreError: The columns asked for overlap, the file is of another sort, or pyarrow is not installed.
    """
    file = Path(path)
    wanted = (*features, target, time_column, *categories)
    if not features or len(set(wanted)) != len(wanted):
        raise BotCoreError("features, target, time_column and categories must be different columns, with a feature")
    columns = _Columns(file, (*features, target), frozenset(features), time_column, tuple(categories))
    match file.suffix.lower():
        case ".csv":
            _read_csv(file, columns)
        case ".parquet":
            _read_parquet(file, columns)
        case other:
            raise BotCoreError(f"{file} ends in {other!r}, not in .csv or .parquet", path=str(file))
    return columns.dataset(tuple(features), target)


class _Columns:
    """What has been read of a file so far."""

    def __init__(
        self, file: Path, numbers: tuple[str, ...], may_miss: frozenset[str], time: str, categories: tuple[str, ...]
    ) -> None:
        self.source, self._may_miss, self.time = str(file), may_miss, time
        self.is_text = file.suffix.lower() == ".csv"
        self.numbers = {name: array("d") for name in numbers}
        self.times = array("d")
        self.categories: dict[str, list[str | None]] = {name: [] for name in categories}

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is wanted."""
        return (*self.numbers, self.time, *self.categories)

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Where each column stands; FileFormatError where one does not, or stands twice."""
        problems = [f"column {name!r} is missing" for name in self.names if name not in header]
        problems += [f"column {name!r} is there twice" for name in self.names if header.count(name) > 1]
        if problems:
            raise FileFormatError(f"{self.source}: {'; '.join(problems)}", path=self.source, line=1)
        return {name: header.index(name) for name in self.names}

    def check(self, name: str, value: float, number: int) -> float:
        """A number that its column may hold, in the line or row with this number; NaN is missing."""
        if math.isinf(value) or (math.isnan(value) and name not in self._may_miss):
            raise self.fault(f"{name} is {'missing' if math.isnan(value) else value}", number)
        return value

    def fault(self, problem: str, number: int) -> FileFormatError:
        """The error for a cell in the line or row with this number."""
        place = f"{self.source}, {'line' if self.is_text else 'row'} {number}"
        return FileFormatError(f"{place}: {problem}", path=self.source, line=number if self.is_text else None)

    def dataset(self, features: tuple[str, ...], target: str) -> FeatureTable:
        """What was read, in the order of time."""
        import numpy as np

        times = np.array(self.times)
        if not len(times):
            raise FileFormatError(f"{self.source} has no rows", path=self.source)
        order = np.argsort(times, kind="stable")
        matrix = np.column_stack([np.array(self.numbers[name]) for name in features])[order]
        if empty := [name for name, column in zip(features, matrix.T, strict=True) if np.isnan(column).all()]:
            raise FileFormatError(f"{self.source}: {', '.join(empty)} is missing in every row", path=self.source)
        return FeatureTable(
            feature_names=features,
            matrix=matrix,
            target=np.array(self.numbers[target])[order],
            times=times[order],
            categories={name: [values[row] for row in order] for name, values in self.categories.items()},
            source=Path(self.source).name,
        )


def _read_csv(file: Path, columns: _Columns) -> None:
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            try:
                header = next(reader, [])
                _read_rows(reader, columns, columns.positions(header), len(header))
            except csv.Error as error:
                raise columns.fault(str(error), reader.line_num) from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{file} is not UTF-8", path=str(file)) from error
    except OSError as error:
        raise BotCoreError(f"{file} cannot be read: {error.strerror}", path=str(file)) from error


def _read_rows(reader: Any, columns: _Columns, positions: Mapping[str, int], width: int) -> None:
    numbers = [(name, positions[name], column) for name, column in columns.numbers.items()]
    categories = [(positions[name], values) for name, values in columns.categories.items()]
    for cells in reader:
        line: int = reader.line_num
        if len(cells) != width:
            raise columns.fault(f"{len(cells)} cells under {width} columns", line)
        for name, position, column in numbers:
            column.append(_number(name, cells[position], columns, line))
        columns.times.append(_instant(cells[positions[columns.time]], columns, line))
        for position, values in categories:
            values.append(cells[position] or None)


def _number(name: str, cell: str, columns: _Columns, number: int) -> float:
    text = cell.strip()
    if text.lower() in _MISSING:
        return columns.check(name, math.nan, number)
    try:
        # Python would read 1_000 as well.
        return columns.check(name, float(text if "_" not in text else "no number"), number)
    except ValueError:
        raise columns.fault(f"{name} is {cell!r}, not a number", number) from None


def _instant(cell: str, columns: _Columns, number: int) -> float:
    try:
        # A short run of digits is seconds, though ISO 8601 also knows dates like that.
        moment = datetime.fromisoformat("seconds" if cell.strip().isdigit() else cell.strip())
    except ValueError:
        return _number(columns.time, cell, columns, number)
    if moment.tzinfo is None:
        raise columns.fault(f"{columns.time} is {cell!r}, which says no time zone", number)
    return moment.timestamp()


def _read_parquet(file: Path, columns: _Columns) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BotCoreError("pyarrow is not installed", hint="pip install 'rollbackctl[parquet]'") from error
    try:
        with parquet.ParquetFile(file) as opened:
            positions = columns.positions(opened.schema_arrow.names)
            types = {name: opened.schema_arrow.types[position] for name, position in positions.items()}
            row = 1
            for batch in opened.iter_batches(columns=list(columns.names)):
                for name in columns.names:
                    _add_arrow(name, batch.column(name), types[name], columns, row)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{file} cannot be read as Parquet: {error}", path=str(file)) from error


def _add_arrow(name: str, values: Any, kind: Any, columns: _Columns, first_row: int) -> None:
    """Add one column of a batch whose first row has the number `first_row`."""
    import numpy as np
    from pyarrow import types

    if name in columns.categories:
        texts = values.dictionary_decode() if types.is_dictionary(kind) else values
        if not (types.is_string(texts.type) or types.is_large_string(texts.type)):
            raise _wrong_type(name, f"{kind}, not text", columns)
        columns.categories[name] += texts.to_pylist()
        return
    numbers = _arrow_instants(values, kind, columns, first_row) if name == columns.time else values
    if isinstance(numbers, np.ndarray):
        columns.times.frombytes(numbers.tobytes())
        return
    if not (types.is_integer(kind) or types.is_floating(kind)):
        raise _wrong_type(name, f"{kind}, not numbers", columns)
    found = numbers.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    for row in np.flatnonzero(~np.isfinite(found)).tolist():
        columns.check(name, found[row], first_row + row)
    (columns.times if name == columns.time else columns.numbers[name]).frombytes(found.tobytes())


def _arrow_instants(values: Any, kind: Any, columns: _Columns, first_row: int) -> Any:
    """Times and texts as an array of seconds; numbers as they are."""
    import numpy as np
    from pyarrow import types

    if types.is_string(kind) or types.is_large_string(kind):
        cells = enumerate(values.to_pylist(), first_row)
        return np.array([_instant(cell or "", columns, row) for row, cell in cells])
    if not types.is_timestamp(kind):
        return values
    if kind.tz is None:
        raise _wrong_type(columns.time, "times that say no time zone", columns)
    for row in np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist():
        columns.check(columns.time, math.nan, first_row + row)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    return values.cast("int64").to_numpy() / per_second


def _wrong_type(name: str, problem: str, columns: _Columns) -> FileFormatError:
    return FileFormatError(f"{columns.source}: column {name!r} holds {problem}", path=columns.source)
