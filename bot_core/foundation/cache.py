"""A cache of what can be computed again; it changes speed, never an answer."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.foundation.strict_json import JsonValue

if TYPE_CHECKING:
    import diskcache

_WAIT_S = 0.05


class DerivedCache:
    """JSON values by key in a folder. Whatever is wrong with the folder is a miss; nothing is ever unpickled."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is opened at the first use and made when it is missing."""
        self._folder = folder
        self._cache: diskcache.Cache | None = None

    def get(self, key: str) -> JsonValue | None:
        """The value put under `key`, or None."""
        try:
            value: JsonValue | None = self._opened().get(key)
        except Exception:  # noqa: BLE001 - a damaged cache may fail in any way, and every one of them is a miss
            return None
        return value

    def put(self, key: str, value: JsonValue) -> None:
        """Keep `value`, if that is possible. After a crash it is there whole, or not."""
        try:
            self._opened().set(key, value)
        except Exception:  # noqa: BLE001 - see `get`
            return

    @staticmethod
    def file_key(status: os.stat_result) -> str:
        """A key that changes when a file is replaced or written."""
        return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"

    def _opened(self) -> "diskcache.Cache":
        if self._cache is None:
            self._cache = _open_cache(self._folder)
        return self._cache


def user_cache_folder(env: Mapping[str, str]) -> Path:
    """The folder for caches of the user whose environment this is."""
    base = env.get("XDG_CACHE_HOME", "")
    home = Path(env.get("HOME") or "~").expanduser()
    return (Path(base) if os.path.isabs(base) else home / ".cache") / "rollbackctl"


def _open_cache(folder: Path) -> "diskcache.Cache":
    """A diskcache of JSON texts. Built here because importing diskcache is slow."""
    import json
    import sqlite3
    from contextlib import closing

    import diskcache
    from diskcache.core import DBNAME, MODE_RAW

    class JsonText(diskcache.Disk):  # type: ignore[misc]
        """Stores JSON text in the row itself, and refuses a row of any other sort (CVE-2025-69872)."""

        def store(self, value: object, *_read_and_key: object, **_same: object) -> tuple[int, int, None, str]:
            return 0, MODE_RAW, None, json.dumps(value, allow_nan=False)

        def fetch(self, mode: int, filename: str | None, value: object, *_read: object) -> object:
            if mode != MODE_RAW or filename is not None or not isinstance(value, str):
                raise ValueError("not a row of ours")
            return json.loads(value)

        def get(self, *_key_and_raw: object) -> object:
            raise ValueError("keys are never read back")

        def remove(self, *_file_path: object) -> None:
            """Nothing: no row of ours has a file, and a foreign row must not name one to delete."""

    os.makedirs(folder, mode=0o700, exist_ok=True)
    with closing(sqlite3.connect(folder / DBNAME, timeout=_WAIT_S, isolation_level=None)) as connection:
        # diskcache waits a minute for a locked file when it opens it; this does not.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return diskcache.Cache(str(folder), disk=JsonText, timeout=_WAIT_S)
