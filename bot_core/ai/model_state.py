"""What a model state computes, and how its fields are read: every fault names its place."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = Callable[[Sequence[float]], float]
Batch = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]


@frozen
class Predictor:
    """A prediction from raw feature values, in plain Python for one row and with numpy for many.

    Attributes:
        feature_names: The order of the values.
        row: From one value per feature to the prediction.
        batch: From a matrix of shape (rows, features) to predictions of shape (rows,), bit for bit those of `row`.
            None: row by row.
        may_miss: The features that may be NaN.
    """

    feature_names: tuple[str, ...]
    row: Row
    batch: Batch | None = None
    may_miss: frozenset[str] = frozenset()


def mapping_at(holder: Mapping[str, object], name: str, place: str) -> Mapping[str, object]:
    """The object under a name; empty when it is absent or null."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise FileFormatError(f"{place}.{name} is not an object")
    return value


def sequence_at(holder: Mapping[str, object], name: str, place: str) -> Sequence[object]:
    """The list under a name."""
    value = holder.get(name)
    if not isinstance(value, list | tuple):
        raise FileFormatError(f"{place}.{name} is {'missing' if value is None else 'not a list'}")
    return value


def numbers_at(holder: Mapping[str, object], name: str, place: str) -> tuple[float, ...]:
    """The list of finite numbers under a name."""
    return tuple(
        finite(value, f"{place}.{name}[{number}]") for number, value in enumerate(sequence_at(holder, name, place))
    )


def number_at(holder: Mapping[str, object], name: str, place: str, default: float | None = None) -> float:
    """The finite number under a name; `default` where there is none, which for None is a fault."""
    value = holder.get(name, default)
    if value is None:
        raise FileFormatError(f"{place}.{name} is missing")
    return finite(value, f"{place}.{name}")


def finite(value: object, place: str) -> float:
    """A value as the finite number that it must be."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FileFormatError(f"{place} is {value!r}, not a finite number")
    return float(value)


def whole(value: object, place: str, low: int, high: int | None) -> int:
    """A value as the whole number from `low` to `high` (None: any) that it must be."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        raise FileFormatError(
            f"{place} is {value!r}, not a number from {low}" + (" on" if high is None else f" to {high}")
        )
    return value


def sigmoid(value: float) -> float:
    """1 / (1 + exp(-value)), without the overflow of exp for large negative values."""
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    power = math.exp(value)
    return power / (1.0 + power)
