"""Who holds the workspace freezes, dies, or loses the lock's file: others learn what is documented, nothing is lost."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollbackctl import VERSION
from tests.harness import INCIDENT, PLAN, STEPS, STORE, Site, names, new_site, quick_folder, until
from tests.reliability.same_end import require_none, unlike

LOCK = f"{STORE}/lock"
APPLY = ("apply", PLAN, "--yes")
HOLD = ("hold", "--incident", INCIDENT)
Breaking = Callable[[Path], None]


@pytest.fixture(scope="module")
def prepared() -> Iterator[Site]:
    """A workspace as each test finds it."""
    with quick_folder() as folder:
        yield new_site(folder / "prepared")


@pytest.fixture(scope="module")
def clean(prepared: Site) -> Site:
    """The same workspace after a run that nothing disturbed."""
    done = prepared.copy(prepared.root.with_name("clean"))
    done.ok(*APPLY)
    return done


@pytest.fixture
def site(prepared: Site) -> Iterator[Site]:
    with quick_folder() as folder:
        yield prepared.copy(folder / "ws")


@pytest.fixture
def frozen(site: Site, clean: Site) -> Iterator[subprocess.Popen[str]]:
    """An `apply` that was stopped by SIGSTOP within its ninth step."""
    process = site.start(*APPLY, at=["apply_start", 9], send=["SIGSTOP"])
    try:
        until(lambda: b") T " in Path(f"/proc/{process.pid}/stat").read_bytes())
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            site.finish(process)


def delete(lock: Path) -> None:
    lock.unlink()


def replace(lock: Path) -> None:
    lock.rename(lock.parents[2].with_name("old-lock"))
    lock.touch(mode=0o600)


def exchange(lock: Path) -> None:
    other = lock.with_name("new-lock")
    other.write_bytes(lock.read_bytes())
    other.replace(lock)


def everything(site: Site) -> dict[str, bytes]:
    return {
        path.relative_to(site.root).as_posix(): path.read_bytes() for path in site.root.rglob("*") if path.is_file()
    }


def named(err: str) -> tuple[str | None, ...]:
    """Who holds the workspace, by what a refused command says: operation, host, process, version, day."""
    told = re.search(r"locked by (\S+) of \S+ on (\S+), pid (\d+), since (\S+?)T\S+, version (\S+)", err)
    return told.group(1, 2, 3, 5, 4) if told else ()


def test_who_meets_a_frozen_holder_is_told_who_it_is_and_changes_nothing(
    site: Site, clean: Site, frozen: "subprocess.Popen[str]"
) -> None:
    before = everything(site)
    refused = [site(*APPLY), site("hold", "--release"), site("undo", site.runs()[0].name, "--yes")]
    after = everything(site)
    frozen.send_signal(signal.SIGCONT)
    done = site.finish(frozen)

    holder = "apply", socket.gethostname(), str(frozen.pid), VERSION, "2025-11-18"
    assert [(answer.code, named(answer.err)) for answer in refused] == [(7, holder)] * 3
    assert before == after
    assert done.code == 0, done
    require_none(unlike(site, clean))


def test_a_hold_asks_a_frozen_holder_in_vain_and_is_heard_once_that_goes_on(
    site: Site, frozen: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rollbackctl.engine.hold._STOP_WAIT_S", 0.2)
    before = site.files()
    refused = site(*HOLD)
    after = site.files()
    frozen.send_signal(signal.SIGCONT)
    stopped = site.finish(frozen)

    assert (refused.code, named(refused.err)[:3]) == (7, ("apply", socket.gethostname(), str(frozen.pid)))
    assert names(refused.err, ["kill -KILL PID", "rollbackctl hold"]) == []
    assert before == after
    assert (stopped.code, len(site.entries("done"))) == (130, 9)
    assert names(stopped.err, ["asks for a hold", "rollbackctl apply"]) == []
    assert site(*HOLD).code == 0
    assert site.apply().code == 0
    assert len(site.entries("done", 0)) == STEPS


def test_a_holder_that_is_killed_leaves_the_lock_free_at_once_and_the_next_one_goes_on(
    site: Site, clean: Site, frozen: "subprocess.Popen[str]"
) -> None:
    frozen.kill()
    site.finish(frozen)

    done = site.apply()

    assert (done.code, "continuing run" in done.err) == (0, True)
    require_none(unlike(site, clean))


@pytest.mark.parametrize("breaking", [delete, replace, exchange])
def test_a_holder_whose_lock_was_broken_leaves_all_to_the_one_that_has_taken_the_new_one(
    breaking: Breaking, site: Site, clean: Site, frozen: "subprocess.Popen[str]"
) -> None:
    breaking(site.root / LOCK)
    done = site.apply()
    ended = everything(site)
    frozen.send_signal(signal.SIGCONT)
    old = site.finish(frozen)

    assert (done.code, "continuing run" in done.err) == (0, True)
    assert old.code == 7
    assert names(old.err, [LOCK, "deleted or replaced", "next: ", "rollbackctl status"]) == []
    assert "Traceback" not in old.err
    assert everything(site) == ended
    require_none(unlike(site, clean))
    assert site.apply().out.startswith("No changes.")


@pytest.mark.parametrize(("event", "step"), [("apply_start", 1), ("apply_complete", 5), ("apply_start", STEPS)])
def test_a_holder_notices_a_broken_lock_before_its_next_write_also_when_nobody_has_taken_the_new_one(
    event: str, step: int, site: Site, clean: Site
) -> None:
    with site.paused(*APPLY, event=event, step=step) as process:
        (site.root / LOCK).unlink()
        before = everything(site)
        process.go()  # type: ignore[attr-defined]
        stopped = site.finish(process)
        after = everything(site)

    assert stopped.code == 7
    assert "deleted or replaced" in stopped.err
    assert before == after
    assert site.apply().code == 0
    require_none(unlike(site, clean))


def test_a_begun_step_is_not_moved_by_a_continuation_whose_lock_was_broken(site: Site, clean: Site) -> None:
    site.finish(site.start(*APPLY, at=["apply_start", 9], send=["SIGKILL"]))
    lines = (clean.runs()[0] / "journal.jsonl").read_bytes().splitlines(keepends=True)
    ninth = [number for number, line in enumerate(lines) if b'"type":"begun"' in line][8]
    (site.runs()[0] / "journal.jsonl").write_bytes(b"".join(lines[: ninth + 1]))

    with site.paused(*APPLY, event="apply_start", step=9) as process:
        (site.root / LOCK).unlink()
        before = everything(site)
        process.go()  # type: ignore[attr-defined]
        stopped = site.finish(process)

    assert (stopped.code, len(site.entries("begun")), len(site.entries("done"))) == (7, 9, 8)
    assert everything(site) == before
    assert site.apply().code == 0
    require_none(unlike(site, clean))


def test_a_frozen_hold_whose_lock_was_broken_stops_too(site: Site) -> None:
    with site.paused(*HOLD, event="apply_start", step=2) as process:
        (site.root / LOCK).unlink()
        held = site(*HOLD)
        ended = everything(site)
        process.go()  # type: ignore[attr-defined]
        old = site.finish(process)

    assert (held.code, old.code) == (0, 7)
    assert everything(site) == ended
    assert [event["event"] for event in site.events()] == ["ai_model_hold_placed"]
    assert os.listdir(site.root / STORE / "runs") == [site.runs()[0].name]
