"""Instants as the engine's files write them: ISO 8601 in a field, a compact stamp in a file name; always aware UTC."""

import re
from datetime import UTC, datetime

_STAMP = re.compile(r"(\d{8}T\d{6}Z)(?:[._]|$)")


def utc_now() -> datetime:
    """The present instant in UTC."""
    return datetime.now(UTC)


def parse_instant(value: object) -> datetime | None:
    """An ISO 8601 text as aware UTC; one without an offset is read as UTC, anything that is no instant gives None."""
    if not isinstance(value, str):
        return None
    try:
        return as_utc(datetime.fromisoformat(value.strip()))
    except (ValueError, OverflowError):
        return None


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC; a naive one is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def format_instant(moment: datetime) -> str:
    """The instant as the engine writes it into fields, for example `2025-11-18T07:30:00+00:00`."""
    return as_utc(moment).isoformat()


def file_stamp(moment: datetime) -> str:
    """The instant as the engine writes it into file names, for example `20251118T073000Z`."""
    return as_utc(moment).strftime("%Y%m%dT%H%M%SZ")


def parse_file_stamp(name: str) -> datetime | None:
    """The instant a report's file name begins with; None when it begins with none."""
    found = _STAMP.match(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
