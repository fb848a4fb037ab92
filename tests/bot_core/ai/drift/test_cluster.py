import operator
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pyarrow as pa
import pytest
from distributed import Security

from bot_core.ai.drift.cluster import Cluster
from bot_core.ai.drift.part import Task
from bot_core.ai.drift.scan import Pool, Scanned, count_task, scan
from bot_core.ai.drift.source import find_sources
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError, FileFormatError
from bot_core.foundation.frozen import replace
from tests.bot_core.ai.drift.windows import POOL, edge_set, times, write_parquet
from tests.cluster import Members, OneDies, running


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    """A cluster that outlives its tests, which do it no harm."""
    with running(tmp_path_factory.mktemp("cluster"), workers=2) as found:
        yield found


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Members]:
    """A cluster for one test, which gives a part of a window up once two workers have died of it."""
    with running(tmp_path, workers=2, environment={"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}) as found:
        yield found


@pytest.fixture
def window(tmp_path: Path) -> Path:
    """A workspace with a window of eight files."""
    for number in range(8):
        random = np.random.default_rng(number)
        columns = {
            "x": pa.array([None, *random.standard_normal(999)]),
            "y": random.exponential(size=1000),
            "symbol": random.choice(["BTC", "ETH", "DOGE"], 1000),
            "t": times(1000, number * 1000),
        }
        write_parquet(tmp_path / f"ws/w/{number}.parquet", columns, row_group_size=300)
    return tmp_path / "ws"


def scanned(root: Path, pool: Pool) -> Scanned:
    """What is found, with the counts as JSON, which can be compared."""
    edges = edge_set("x", "y", texts=["symbol"], segments=["symbol"])
    found = scan(Window("w", "parquet", "t"), root, edges, pool=pool)
    return replace(found, tally=found.tally.to_json())


def test_a_cluster_counts_what_threads_count(members: Members, window: Path) -> None:
    expected = scanned(window, POOL)

    found = scanned(window, Cluster(members.url))

    assert found == expected
    assert found.rows == 8000


def test_what_a_dead_worker_had_is_counted_by_another_one(mortal: Members, window: Path) -> None:
    pool = OneDies(mortal)

    found = scanned(window, pool)

    assert pool.lost
    assert found == scanned(window, POOL)


@pytest.mark.parametrize(
    ("columns", "kind"),
    [({"x": ["one"]}, FileFormatError), ({"x": [1.0], "t": pa.array([0], pa.timestamp("us"))}, FileFormatError)],
)
def test_what_is_wrong_with_a_file_is_the_same_error_on_a_cluster(
    members: Members, tmp_path: Path, columns: Mapping[str, Any], kind: type[BotCoreError]
) -> None:
    write_parquet(tmp_path / "w/a.parquet", columns)
    window = Window("w", "parquet", "t" if "t" in columns else None)
    errors = []

    for pool in (POOL, Cluster(members.url)):
        with pytest.raises(kind) as caught:
            scan(window, tmp_path, edge_set("x"), pool=pool)
        errors.append((caught.type, caught.value.problem, caught.value.hint, caught.value.path, caught.value.line))

    assert errors[0] == errors[1]


@pytest.mark.parametrize(("format", "more"), [("parquet", -1), ("parquet", 1), ("journal", 1)])
def test_another_file_under_the_same_path_is_not_counted(window: Path, format: str, more: int) -> None:  # noqa: A002
    [source, *_] = find_sources(Window("w", "parquet"), window)
    task = Task(replace(source, size=source.size + more), format)

    with pytest.raises(BotCoreError, match=r"w/0\.parquet .* is another file where it is counted: \d+ bytes") as caught:
        count_task(task, edge_set("x"))

    assert "the workers of a cluster must see the workspace's own files" in caught.value.hint


def test_a_bug_is_the_same_exception_on_a_cluster(members: Members) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(Cluster(members.url).map(partial(divmod, 1), [0]))

    assert "return function(task)" in caught.value.__notes__[0]


def test_a_large_function_is_sent_without_a_word(members: Members) -> None:
    assert list(Cluster(members.url).map(partial(operator.contains, bytes(12 << 20)), [b"\0", b"1"])) in (
        [True, False],
        [False, True],
    )


def test_a_worker_that_takes_its_time_is_waited_for(members: Members) -> None:
    cluster = Cluster(members.url)
    found = cluster.map(time.sleep, [0, 0.3])
    next(found)

    cluster._patience_s = 0.05

    assert list(found) == [None]


def test_no_task_needs_no_cluster() -> None:
    assert list(Cluster("tcp://127.0.0.1:1").map(abs, [])) == []


def test_a_part_that_workers_die_of_is_given_up(mortal: Members) -> None:
    with pytest.raises(BotCoreError, match="all those workers died") as caught:
        list(Cluster(mortal.url).map(os._exit, [1]))

    assert caught.value.problem.startswith(f"{mortal.url}: ")
    assert "logs of the workers" in caught.value.hint


def test_a_cluster_without_workers_is_an_error_and_not_a_wait_for_ever(mortal: Members) -> None:
    cluster = Cluster(mortal.url)
    found = cluster.map(time.sleep, [0, 60])
    next(found)

    cluster._patience_s = 0.2
    for number in mortal.workers:
        os.kill(number, signal.SIGKILL)

    with pytest.raises(BotCoreError, match="has no worker") as caught:
        next(found)

    assert f"dask worker {mortal.url}" in caught.value.hint


def test_a_scheduler_that_is_lost_in_the_middle_is_an_error(mortal: Members) -> None:
    found = Cluster(mortal.url).map(time.sleep, [0, 60])
    next(found)

    os.kill(mortal.scheduler, signal.SIGKILL)

    with pytest.raises(BotCoreError, match="was lost while it counted"):
        next(found)


def test_a_scheduler_that_does_not_run_is_an_error_that_says_what_else_there_is() -> None:
    with pytest.raises(BotCoreError, match=r"tcp://127\.0\.0\.1:1 cannot be reached") as caught:
        list(Cluster("tcp://127.0.0.1:1", patience_s=0.2).map(abs, [1]))

    assert "name no scheduler, and this machine counts" in caught.value.hint


def test_without_distributed_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(BotCoreError, match="distributed is not installed") as caught:
        list(Cluster("tcp://127.0.0.1:1").map(abs, [1]))

    assert "rollbackctl[cluster]" in caught.value.hint


def certificates(folder: Path) -> dict[str, str]:
    """A new authority with one certificate for all; Dask's settings that name its files."""
    made = Security.temporary()
    folder.mkdir()
    (folder / "cert.pem").write_text(made.tls_ca_file)
    (folder / "key.pem").write_text(made.tls_client_key)
    roles = {
        f"{role}.{part}": str(folder / f"{part}.pem")
        for role in ("client", "scheduler", "worker")
        for part in ("cert", "key")
    }
    return {"ca-file": str(folder / "cert.pem"), **roles}


def test_over_tls_only_those_with_a_certificate_of_the_same_authority_meet(tmp_path: Path, window: Path) -> None:
    ours, others = certificates(tmp_path / "ours"), certificates(tmp_path / "others")
    prefix = "distributed.comm.tls."
    names = {name: name.replace(".", "__").replace("-", "_").upper() for name in ours}
    environment = {f"DASK_DISTRIBUTED__COMM__TLS__{names[name]}": value for name, value in ours.items()}

    with running(tmp_path, workers=1, environment=environment) as members:
        assert members.url.startswith("tls://")
        cluster, hasty = (Cluster(members.url, patience_s) for patience_s in (20.0, 1.0))
        with pytest.raises(BotCoreError, match="names none") as without:
            scanned(window, cluster)
        with (
            dask.config.set({prefix + name: value for name, value in others.items()}),
            pytest.raises(BotCoreError, match="cannot be reached") as stranger,
        ):
            scanned(window, hasty)
        with pytest.raises(BotCoreError, match="cannot be reached"):
            scanned(window, Cluster(members.url.replace("tls", "tcp"), patience_s=1))
        with dask.config.set({prefix + name: value for name, value in ours.items()}):
            found = scanned(window, cluster)

    assert found == scanned(window, POOL)
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in without.value.hint
    assert "which certificates it trusts" in stranger.value.hint


@pytest.mark.parametrize(
    "url", ["tls://scheduler.internal:8786", "tcp://127.0.0.1:8786", "tcp://127.8.9.1:1", "tcp://[::1]:8786"]
)
def test_tls_to_anywhere_and_tcp_to_this_machine_are_addresses(url: str) -> None:
    Cluster(url)


@pytest.mark.parametrize("url", ["tcp://10.0.0.1:8786", "tcp://0.0.0.0:8786", "tcp://[fe80::1]:8786"])
def test_tcp_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(BotCoreError, match="not on this machine") as caught:
        Cluster(url)

    assert caught.value.hint.endswith(url.replace("tcp", "tls"))


def test_a_name_of_this_machine_is_resolved_once() -> None:
    with pytest.raises(BotCoreError, match=r"tcp://127\.0\.0\.1:1 cannot be reached"):
        list(Cluster("tcp://localhost:1", patience_s=0.1).map(abs, [1]))


@pytest.mark.parametrize(
    "url",
    [
        "tls://ops:secret@scheduler:8786",
        "tcp://ops:secret@127.0.0.1:8786",
        "tcp://127.0.0.1",
        "tls://scheduler:8786/?token=secret",
        "inproc://127.0.0.1:8786",
        "ws://127.0.0.1:8786",
        "127.0.0.1:8786",
        "tls://scheduler:8786\nsecret",
        "tls://scheduler:65536",
        "",
    ],
)
def test_anything_else_is_no_address_and_is_not_repeated(url: str) -> None:
    with pytest.raises(BotCoreError, match="not tls://host:port") as caught:
        Cluster(url)

    assert "secret" not in f"{caught.value.problem} {caught.value.hint}"
