import os
import pickle
import sqlite3
from pathlib import Path

import pytest

from bot_core.foundation.cache import DerivedCache, user_cache_folder


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def database(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "cache.db", isolation_level=None)


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "ą"]}, "text", 0, [], False])
def test_what_is_put_is_got_by_the_next_process_too(tmp_path: Path, value: object) -> None:
    DerivedCache(tmp_path / "cache").put("key", value)

    assert DerivedCache(tmp_path / "cache").get("key") == value
    assert DerivedCache(tmp_path / "cache").get("other") is None


def test_a_pickled_row_is_a_miss_and_never_loaded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cache"
    DerivedCache(folder).put("key", 1)
    with database(folder) as connection:
        connection.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(Bomb()),))

    assert DerivedCache(folder).get("key") is None
    assert not (tmp_path / "exploded").exists()


def test_a_row_that_names_a_file_neither_reads_nor_removes_it(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    DerivedCache(folder).put("key", 1)
    (tmp_path / "victim").write_text('"secret"')
    with database(folder) as connection:
        connection.execute("UPDATE Cache SET filename = '../victim', expire_time = 1 WHERE key = 'key'")

    assert DerivedCache(folder).get("key") is None
    DerivedCache(folder).put("key", 2)
    assert DerivedCache(folder).get("key") == 2
    assert (tmp_path / "victim").exists()


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000])
def test_a_damaged_row_is_a_miss(tmp_path: Path, text: str) -> None:
    DerivedCache(tmp_path).put("key", 1)
    with database(tmp_path) as connection:
        connection.execute("UPDATE Cache SET value = ?", (text,))

    assert DerivedCache(tmp_path).get("key") in (None, pytest.approx(float("nan"), nan_ok=True))


def test_a_damaged_file_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"not a database" * 1000)
    cache = DerivedCache(tmp_path)

    cache.put("key", 1)

    assert cache.get("key") is None


def test_a_locked_file_is_a_miss_at_once(tmp_path: Path) -> None:
    DerivedCache(tmp_path).put("key", 1)
    with database(tmp_path) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        cache = DerivedCache(tmp_path)

        cache.put("key", 2)

        assert cache.get("key") is None


def test_a_folder_that_cannot_be_made_is_a_miss(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = DerivedCache(tmp_path / "file" / "cache")

    cache.put("key", 1)

    assert cache.get("key") is None


def test_a_value_that_is_not_json_is_not_kept(tmp_path: Path) -> None:
    cache = DerivedCache(tmp_path)

    cache.put("key", float("nan"))

    assert cache.get("key") is None


def test_the_key_of_a_file_changes_when_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = DerivedCache.file_key((tmp_path / "a").stat())
    (tmp_path / "b").write_bytes(b"1")
    os.replace(tmp_path / "b", tmp_path / "a")

    assert DerivedCache.file_key((tmp_path / "a").stat()) != first


def test_the_folder_is_the_users_own_cache() -> None:
    assert user_cache_folder({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/rollbackctl")
    assert user_cache_folder({"XDG_CACHE_HOME": "", "HOME": "/h"}) == Path("/h/.cache/rollbackctl")
    assert user_cache_folder({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/rollbackctl")
