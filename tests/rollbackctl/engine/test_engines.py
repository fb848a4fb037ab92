"""Which engines the tool sees, what it waits for, and what it says of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_core.ai.acknowledgement import this_host
from bot_core.ai.manager import AIManager
from bot_core.ai.serving import change_serving, read_serving
from bot_core.foundation.shared_lock import SharedLock
from tests.harness import PLAN, TESTS, Site, names, new_site, until

MODELS = "var/models"
DAY = "logs/decision_journal/decisions-20251118.jsonl"
SERVES_V9 = 3  # the generation after the release: detached, loaded, attached


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("rollbackctl.engine.engines._DECISION_WAIT_S", 0.05)
    monkeypatch.setattr("rollbackctl.engine.engines._WAIT_S", 0.05)
    monkeypatch.setattr("rollbackctl.engine.engines._ELSEWHERE_WAIT_S", 0.05)
    return new_site(tmp_path / "ws")


@pytest.fixture
def live(site: Site) -> Iterator[int]:
    """A live process that acknowledges nothing by itself."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


@pytest.fixture
def idle(site: Site) -> Iterator["subprocess.Popen[bytes]"]:
    """A decision loop that nobody has sent a candidate."""
    with subprocess.Popen(
        [sys.executable, "-m", "bot_core.decision.loop"],
        cwd=site.root,
        env={"PYTHONPATH": str(TESTS.parent)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as loop:
        until(lambda: f"pid {loop.pid}: acknowledged" in site.ok("status").out)
        yield loop
        loop.communicate()


def acknowledge(site: Site, pid: int, generation: int, host: str = "", **others: object) -> None:
    """What an engine that knows the files' format only says of itself."""
    time = "2025-11-18T08:00:00+00:00"
    fields = {"host": host or this_host(), "pid": pid, "generation": generation, "time": time, **others}
    folder = site.root / MODELS / "engines"
    folder.mkdir(exist_ok=True)
    (folder / f"{fields['host']}-{fields['pid']}.json").write_text(json.dumps(fields))


def decide(site: Site, generation: int, sha256: str | None = None) -> None:
    """Write one decision, with the target where no artifact is named."""
    digest = sha256 or read_serving(site.root / MODELS).models["rollback"].sha256
    event = {
        "event": "decision_evaluation",
        "timestamp": "2025-11-18T08:00:01+00:00",
        "engine": "host-1",
        "model_sha256": digest,
        "serving_generation": str(generation),
    }
    with (site.root / DAY).open("a") as file:
        file.write(json.dumps(event, separators=(",", ":")) + "\n")


def completion(site: Site) -> str | None:
    """What the completion says of the engine; None while there is none."""
    return next((e["engine"] for e in site.events() if e["event"] == "ai_model_rollback_completed"), None)


def test_a_live_engine_that_does_not_acknowledge_stops_the_run_with_the_holds_in_place(site: Site, live: int) -> None:
    acknowledge(site, live, 0)

    done = site.apply()

    assert done.code == 6
    assert names(done.err, ["did not acknowledge", f"{this_host()} pid {live}: waiting", "holds are in place"]) == []
    assert site.state(f"{MODELS}/serving.json")["attached"] is False
    assert site("hold").code == 6
    assert f"pid {live}: waiting" in site.ok("status").out


def test_the_same_run_goes_on_when_the_engine_has_ended(site: Site, live: int) -> None:
    acknowledge(site, live, 0)
    assert site.apply().code == 6

    os.kill(live, signal.SIGKILL)
    os.waitid(os.P_PID, live, os.WEXITED | os.WNOWAIT)
    (site.root / MODELS / "engines").joinpath(f"{this_host()}-{live}.json").unlink()

    assert site.apply().code == 0
    assert completion(site) == "none seen"


def test_an_engine_of_another_time_with_a_number_that_is_in_use_is_gone(site: Site, live: int) -> None:
    acknowledge(site, live, 0, started=1)

    done = site.ok("apply", PLAN, "--yes")

    assert f"pid {live}: gone" in done.err
    assert completion(site) == "none seen"


def test_a_dead_engine_that_had_acknowledged_is_gone(site: Site) -> None:
    change_serving(site.root / MODELS, lambda now: now.next(attached=False))
    acknowledge(site, 1 << 30, 1)

    assert f"pid {1 << 30}: gone (generation 1)" in site.ok("status").out


def test_completion_waits_for_the_first_decision_with_the_target(site: Site, idle: "subprocess.Popen[bytes]") -> None:
    done = site.apply()
    waiting, early = completion(site), site.apply().code
    candidates = json.loads((site.root / "data/decision_engine/paper/candidates.json").read_text())
    assert idle.stdin is not None
    idle.stdin.write(json.dumps(candidates[0]).encode() + b"\n")
    engine = f"{this_host()}-{idle.pid}"
    until(lambda: any(engine in path.read_text() for path in (site.root / DAY).parent.iterdir()))

    assert (done.code, early, waiting) == (6, 6, None)
    assert names(done.err, ["no engine has decided", f"pid {idle.pid}", "logs/decision_journal"]) == []
    assert " give it a candidate, or stop that process, then run the command again\n" in done.err
    assert read_serving(site.root / MODELS).generation == SERVES_V9
    assert "verified" not in site.ok("status").out
    assert site.apply().code == 0
    assert (completion(site) or "").startswith(f"{engine}, first decision at ")


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(("generation", "digest"), [(SERVES_V9 - 1, None), (SERVES_V9, "0" * 64)])
def test_a_decision_by_another_generation_or_model_completes_nothing(
    site: Site, generation: int, digest: str | None
) -> None:
    site.apply()
    decide(site, generation, digest)

    assert site.apply().code == 6
    assert completion(site) is None


@pytest.mark.usefixtures("idle")
def test_completion_waits_for_no_engine_that_may_not_decide(site: Site) -> None:
    config = site.root / "config/auto_trader.yaml"
    config.write_text(config.read_text().replace("maintenance: false", "maintenance: true "))

    site.ok("apply", PLAN, "--yes")

    assert completion(site) == "1 seen, none may decide: maintenance is on in config/auto_trader.yaml"


def test_an_engine_elsewhere_that_says_nothing_more_is_not_waited_for(site: Site) -> None:
    acknowledge(site, 7, 0, host="elsewhere")

    done = site.ok("apply", PLAN, "--yes")

    assert "on another host, has not acknowledged" in done.err
    assert completion(site) == "none seen"


def test_an_engine_elsewhere_that_acknowledges_the_release_is_waited_for(site: Site) -> None:
    acknowledge(site, 7, SERVES_V9, host="elsewhere")

    assert site.apply().code == 6
    decide(site, SERVES_V9)

    site.ok("apply", PLAN, "--yes")


def test_a_decision_that_comes_during_the_wait_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbackctl.engine.engines._DECISION_WAIT_S", 60.0)
    monkeypatch.setattr("rollbackctl.engine.engines.time.sleep", lambda _: decide(site, SERVES_V9))
    acknowledge(site, 7, SERVES_V9, host="elsewhere")
    decide(site, SERVES_V9 - 1, "0" * 64)

    site.ok("apply", PLAN, "--yes")

    assert (completion(site) or "").startswith("host-1, first decision at ")


@pytest.mark.usefixtures("idle")
def test_a_wait_for_a_decision_ends_when_the_run_is_asked_to_stop(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollbackctl.engine.engines._DECISION_WAIT_S", 60.0)
    is_waiting = []

    def come(seconds: float) -> None:
        is_waiting.append(seconds)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("rollbackctl.engine.engines.time.sleep", come)

    done = site("apply", PLAN, "--yes")

    assert done.code == 130, done
    assert is_waiting
    assert completion(site) is None


def test_an_engine_that_never_ends_its_score_is_named_and_nothing_is_moved(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot_core.ai.serving._WAIT_S", 0.05)
    AIManager(model_dir=site.root / MODELS).load_decision_artifact(
        "decision-core", site.root / "models/decision_engine/model-v10.json"
    )
    before = (site.root / MODELS / "serving.json").read_bytes()

    with SharedLock(site.root / MODELS / ".serving.lock", timeout_s=0.0):
        done = site.apply()

    assert done.code == 7
    assert names(done.err, [".serving.lock is held by process", str(os.getpid()), "stop it"]) == []
    assert (site.root / MODELS / "serving.json").read_bytes() == before
    assert site.apply().code == 0


def test_a_loop_is_seen_by_status_and_is_gone_when_it_has_ended(site: Site, idle: "subprocess.Popen[bytes]") -> None:
    alive = site.ok("status").out

    idle.communicate()

    assert f"{this_host()} pid {idle.pid}: acknowledged" in alive
    assert f"{this_host()} pid {idle.pid}: gone" in site.ok("status").out
