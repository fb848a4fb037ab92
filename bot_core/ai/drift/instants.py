"""Instants of rows as whole microseconds since 1970: the one unit in which a window's times are compared."""

import math
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EARLIEST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
LATEST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
OUT_OF_RANGE = "no seconds since 1970 (are they milliseconds?)"
BEYOND_THE_YEARS = "beyond the years 1 to 9999"
NO_ZONE = "which says no time zone"


def to_us(moment: datetime) -> int:
    """The microseconds of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(instant_us: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=instant_us)


def parse_us(text: str) -> int:
    """The microseconds of a text: ISO 8601 with an offset, or seconds since 1970.

    Raises:
        ValueError: It is neither, or beyond the years 1 to 9999 in UTC; says why, as the end of a sentence.
    """
    stripped = text.strip()
    try:
        # A short run of digits is seconds, though ISO 8601 also knows dates like that.
        moment = datetime.fromisoformat("seconds" if stripped.isdigit() else stripped)
    except ValueError:
        return _seconds(stripped)
    if moment.tzinfo is None:
        raise ValueError(NO_ZONE)
    found = to_us(moment)
    if not EARLIEST_US <= found <= LATEST_US:
        raise ValueError(BEYOND_THE_YEARS)
    return found


def _seconds(text: str) -> int:
    try:
        seconds = float(text if "_" not in text else "no number")
    except ValueError:
        raise ValueError("no time") from None
    # As numpy does it for a whole column.
    found_us = seconds * 1e6
    found = round(found_us) if math.isfinite(found_us) else LATEST_US + 1
    if not EARLIEST_US <= found <= LATEST_US:
        raise ValueError(OUT_OF_RANGE)
    return found
