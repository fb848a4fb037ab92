"""What the run store makes lasting, and in which order."""

import grp
import os
from pathlib import Path

import pytest

from rollbackctl.core.checkpoint import Entry
from rollbackctl.core.errors import LockedError
from rollbackctl.engine.runs import STORE, FileRunStore, group_of_store
from tests.faults import crashing
from tests.harness import PLAN, Site, new_site

RUN = "20251118T080000Z-64a7160f"


@pytest.fixture
def store(tmp_path: Path) -> FileRunStore:
    return FileRunStore(tmp_path)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all that is synced, in order."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def entry(seq: int) -> Entry:
    return Entry(seq=seq, plan="p", run=RUN, at="2025-11-18T08:00:00+00:00", type="invocation")


def test_a_torn_line_is_durably_gone_before_the_next_one_takes_its_place(store: FileRunStore, tmp_path: Path) -> None:
    store.create(RUN, {})
    store.append(RUN, entry(1))
    path = tmp_path / f"var/rollbackctl/runs/{RUN}/journal.jsonl"
    path.write_bytes(path.read_bytes() + b"\0\0\0" + b'"type":"begun"}\n')

    with crashing() as acts:
        store.append(RUN, entry(2))

    assert acts.names[-4:] == ["ftruncate", "fdatasync", "pwrite", "fdatasync"]
    assert store.entries(RUN) == (entry(1), entry(2))


def test_a_document_that_is_seen_already_is_synced_all_the_same(
    store: FileRunStore, synced: list[str], tmp_path: Path
) -> None:
    store.put(RUN, "evidence/before.json", b"{}")
    synced.clear()

    store.put(RUN, "evidence/before.json", b"{}")

    folder = tmp_path / f"var/rollbackctl/runs/{RUN}/evidence"
    assert synced[-2:] == [str(folder / "before.json"), str(folder)]


def test_the_end_of_a_run_is_synced_before_it_is_said_that_there_is_nothing_to_do(
    tmp_path: Path, synced: list[str]
) -> None:
    site: Site = new_site(tmp_path / "ws")
    site.ok("apply", PLAN, "--yes")
    synced.clear()

    done = site.ok("apply", PLAN, "--yes")

    assert "No changes" in done.out
    assert str(site.runs()[0] / "journal.jsonl") in synced


def test_an_entry_that_somebody_else_has_written_is_refused_and_the_journal_stays_whole(
    store: FileRunStore,
) -> None:
    store.create(RUN, {})
    store.append(RUN, entry(1))
    store.append(RUN, entry(2))

    with pytest.raises(LockedError, match="somebody else has continued run"):
        store.append(RUN, entry(2))

    assert store.entries(RUN) == (entry(1), entry(2))


def test_nothing_is_written_once_the_lock_file_is_gone(store: FileRunStore, tmp_path: Path) -> None:
    store.create(RUN, {})

    with store.lock({"operation": "apply"}, 0.0):
        store.append(RUN, entry(1))
        (tmp_path / "var/rollbackctl/lock").unlink()
        for write in (lambda: store.append(RUN, entry(2)), lambda: store.put(RUN, "report.json", b"{}")):
            with pytest.raises(LockedError, match="deleted or replaced"):
                write()

    assert store.entries(RUN) == (entry(1),)
    assert store.get(RUN, "report.json") is None


@pytest.mark.parametrize(("mode", "is_shared"), [(0o700, False), (0o755, False), (0o711, False), (0o2770, True)])
def test_the_group_of_a_store_is_the_one_that_may_write_it(mode: int, is_shared: bool, tmp_path: Path) -> None:
    folder = tmp_path / STORE
    assert group_of_store(tmp_path) is None
    folder.mkdir(parents=True)
    folder.chmod(mode)

    assert group_of_store(tmp_path) == (grp.getgrgid(folder.stat().st_gid).gr_name if is_shared else None)
