"""Windows in a real object store: OpenStack Swift, by its S3 API."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bot_core.ai.drift.cluster import Cluster
from bot_core.ai.drift.scan import Pool, Scanned, count_task, scan
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError, MissingFileError
from tests.bot_core.ai.drift.windows import POOL, cache_in, edge_set, times, write_parquet
from tests.cluster import running as cluster
from tests.harness import PLAN, new_site
from tests.measurements import rows_like
from tests.object_store import swift

pytestmark = pytest.mark.object_store

BUCKET = "features"


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What names the store and who asks, as in an operator's environment."""
    with swift.running(tmp_path_factory.mktemp("swift")) as url, pytest.MonkeyPatch.context() as environment:
        variables = {
            "AWS_ACCESS_KEY_ID": swift.USER,
            "AWS_SECRET_ACCESS_KEY": swift.SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        yield variables


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, credentials: Mapping[str, str]) -> Path:
    """A workspace whose folder `w` is also in a bucket."""
    root = tmp_path_factory.mktemp("ws")
    for number in range(3):
        random = np.random.default_rng(number)
        columns = {
            "x": pa.array([None, *random.standard_normal(999)]),
            "symbol": random.choice(["BTC", "ETH", "DOGE"], 1000),
            "t": times(1000, number * 1000),
        }
        write_parquet(root / f"w/day={number}/{number}.parquet", columns, row_group_size=300)
    (root / "w/rows.csv").write_text("x,symbol,t\n0.25,BTC,2025-11-17T00:00:00Z\n,ETH,2025-11-17T00:00:01Z\n")
    store = _store()
    store.mkdir(BUCKET)
    store.put(str(root / "w"), f"{BUCKET}/w", recursive=True)
    return root


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    """No connection of another test, which may have had other credentials."""
    _store().clear_instance_cache()


def _store() -> Any:
    import s3fs

    return s3fs.S3FileSystem()


def put_row(path: str, folder: Path, value: float) -> None:
    """Put an object of one row."""
    write_parquet(folder / "row.parquet", {"x": [value], "symbol": ["BTC"], "t": times(1)})
    _store().put(str(folder / "row.parquet"), f"{BUCKET}/{path}")


def scanned(root: Path, path: str, form: str = "parquet", pool: Pool = POOL, **more: Any) -> Scanned:
    edges = edge_set("x", texts=["symbol"], segments=["symbol"])
    keyed = {name: more.pop(name) for name in ("cache", "progress") if name in more}
    return scan(Window(path, form, "t", **more), root, edges, pool=pool, **keyed)


@pytest.mark.parametrize(
    ("path", "form", "more"),
    [
        ("w", "parquet", {}),
        ("w", "parquet", {"last": timedelta(seconds=1500)}),
        ("w/**/*.parquet", "parquet", {}),
        ("w/day=[01]/*.parquet", "parquet", {}),
        ("w/day=2/2.parquet", "parquet", {}),
        ("w/rows.csv", "csv", {}),
    ],
)
def test_a_bucket_has_the_counts_of_the_same_files_in_the_workspace(
    window: Path, path: str, form: str, more: Mapping[str, Any]
) -> None:
    here, there = (scanned(window, place, form, **more) for place in (path, f"s3://{BUCKET}/{path}"))

    assert there.rows > 0
    assert (there.digest, there.files) == (here.digest, here.files)


def test_only_objects_that_are_new_or_have_changed_are_counted_again(window: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def again() -> int:
        told.clear()
        cache = cache_in(tmp_path)
        return scanned(window, f"s3://{BUCKET}/new", cache=cache, progress=lambda *now: told.append(now)).rows

    put_row("new/a.parquet", tmp_path, 0.5)
    put_row("new/b.parquet", tmp_path, 0.5)
    assert (again(), told[-1]) == (2, (2, 2))
    assert (again(), told) == (2, [(0, 0)])
    put_row("new/b.parquet", tmp_path, 0.7)
    put_row("new/c.parquet", tmp_path, 0.5)
    assert (again(), told[-1]) == (3, (2, 2))


def test_an_object_that_changes_while_it_is_counted_is_an_error(window: Path, tmp_path: Path) -> None:
    class Meddler:
        def map(self, function: Callable[[Any], Any], tasks: Any) -> Iterator[Any]:
            yield from POOL.map(function, tasks)
            if getattr(function, "func", None) is count_task:
                put_row("changing.parquet", tmp_path, 0.7)

    put_row("changing.parquet", tmp_path, 0.5)

    with pytest.raises(BotCoreError, match=r"changing\.parquet changed while it was read"):
        scanned(window, f"s3://{BUCKET}/changing.parquet", pool=Meddler())


def test_the_workers_of_a_cluster_read_it_themselves(
    window: Path, tmp_path: Path, credentials: Mapping[str, str]
) -> None:
    expected = scanned(window, "w")

    with cluster(tmp_path, workers=2, environment=credentials) as members:
        found = scanned(window, f"s3://{BUCKET}/w", pool=Cluster(members.url))

    assert found.digest == expected.digest


@pytest.mark.parametrize("path", ["nothing.parquet", "nowhere/*.parquet", "nowhere"])
def test_what_is_not_there_is_missing(window: Path, path: str) -> None:
    with pytest.raises(MissingFileError, match=r"s3://features/no(thing|where)"):
        scanned(window, f"s3://{BUCKET}/{path}")


@pytest.mark.parametrize("wrong", [{"AWS_SECRET_ACCESS_KEY": "c0ffee-wrong"}, {"AWS_ACCESS_KEY_ID": "c0ffee-wrong"}])
def test_who_may_not_read_is_told_so_without_the_credentials(
    window: Path, wrong: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(BotCoreError, match="cannot be read") as caught:
        scanned(window, f"s3://{BUCKET}/w")

    text = f"{caught.value.problem} {caught.value.hint} {caught.value.path}"
    assert "credentials" in caught.value.hint
    assert not any(secret in text for secret in ("c0ffee", swift.SECRET, swift.USER))


def test_neither_a_plan_nor_what_is_cached_holds_credentials(
    window: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = new_site(tmp_path / "site")
    write_parquet(tmp_path / "0.parquet", rows_like(site.root / "models/decision_engine/model-v9.json", seed=0))
    _store().put(str(tmp_path / "0.parquet"), f"{BUCKET}/plan/0.parquet")
    gates = f"{{data_drift: {{window: {{path: 's3://{BUCKET}/plan'}}}}}}"
    plan = site.root / PLAN
    plan.write_text(plan.read_text().replace("{model: {}}", f"{{model: {{}}, gates: {gates}}}"))

    done = site("plan", PLAN, "--out", str(tmp_path / "plan.json"), "--format", "json")

    assert done.code == 0, done
    cached = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    saved = (tmp_path / "plan.json").read_bytes()
    assert f"s3://{BUCKET}/plan".encode() in saved
    assert any(f"s3://{BUCKET}/plan".encode() in data for data in cached)
    for data in (saved, *cached, done.out.encode(), done.err.encode()):
        assert swift.SECRET.encode() not in data
        assert swift.USER.encode() not in data
