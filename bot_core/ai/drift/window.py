"""What a window is: the rows that models are held against, and where they are."""

import re
from datetime import datetime, timedelta

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen

FORMATS = ("parquet", "csv", "journal")
JOURNAL_TIME = "timestamp"
_LOGIN = re.compile(r"://[^/]*@")


def has_login(path: str) -> bool:
    """Whether a URL holds a user or a password, which do not belong where paths are kept and shown."""
    return _LOGIN.search(path) is not None


@frozen
class Window:
    """Rows of production features.

    Attributes:
        path: A file, a folder or a glob below the workspace; or a URL of those, like `s3://bucket/features/*.parquet`.
        format: parquet, csv, or journal: the decision journal, whose records with features are the rows.
        time_column: Instants: times with a zone, texts in ISO 8601 with an offset, or seconds since 1970. In a journal
            it is `timestamp` where none is named.
        since: Aware; rows before it are left out.
        last: Rows that are older than the newest row of the window by more than this are left out.
    """

    path: str
    format: str
    time_column: str | None = None
    since: datetime | None = None
    last: timedelta | None = None

    @property
    def time(self) -> str | None:
        """The column of the rows' times; None where the window has none."""
        return self.time_column or (JOURNAL_TIME if self.format == "journal" else None)

    def check(self) -> None:
        """BotCoreError where the fields do not go together, or the path must not be shown."""
        if has_login(self.path):
            raise BotCoreError(
                "the URL of the window holds a user or a password",
                hint="leave them out; the configuration of its store names them, as a profile does",
            )
        if self.format not in FORMATS:
            raise BotCoreError(f"the window's format is {self.format!r}, not one of {', '.join(FORMATS)}")
        if (self.since or self.last) and self.time is None:
            raise BotCoreError("the window has a since or a last, and no time column", hint="name its time column")
        if self.since and self.since.tzinfo is None:
            raise BotCoreError(f"since is {self.since}, which says no time zone", hint="write it with an offset")
        if self.last and self.last < timedelta(0):
            raise BotCoreError(f"last is {self.last}, less than nothing")
