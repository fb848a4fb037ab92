"""A decision loop at full speed in one process while a rollback is applied in another: it obeys every single step."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot_core.ai.acknowledgement import this_host
from bot_core.ai.manager import AIManager
from bot_core.ai.serving import read_serving
from rollbackctl.cli.main import main
from rollbackctl.engine.events import Event
from tests.harness import PLAN, TESTS, Site, SomewhereApp, new_site, quick_folder, until

JOURNAL = "logs/decision_journal"
DETACH, RESTORE, ATTACH = "hold serving", "restore serving", "release serving"
MAINTENANCE_ON, MAINTENANCE_OFF = "hold maintenance", "release maintenance"
COMPLETE = "record decision_event"
# Long enough for a loop that nobody ends.
CANDIDATES = 200_000


class WatchingApp(SomewhereApp):
    """Notes how long the engine's journal is when a step begins and when it is done."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.begun: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def listen(self, event: Event) -> None:
        """Note it before anything is printed."""
        if event.type in ("apply_start", "apply_complete"):
            noted = self.begun if event.type == "apply_start" else self.done
            step = f"{event.fields['phase']} {str(event.fields['address']).partition('/')[0]}"
            noted[step] = len(journal(self._site.root))
        super().listen(event)


@dataclass
class Loop:
    """A decision loop at full speed, which scores with v10 when it begins."""

    root: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "bot_core.decision.loop", "../candidates.jsonl"]
        self.process = subprocess.Popen(
            command, cwd=self.root, env={"PYTHONPATH": str(TESTS.parent)}, stderr=subprocess.PIPE
        )

    @property
    def name(self) -> str:
        return f"{this_host()}-{self.process.pid}"

    def end(self) -> str:
        """What it says at its end, which comes well."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate()
        assert self.process.returncode == 0, err
        return err.decode()


@pytest.fixture(scope="module")
def prepared() -> Iterator[Site]:
    """A signed workspace that serves the bad model, and candidates beside it."""
    with quick_folder() as folder:
        site = new_site(folder / "prepared")
        manager = AIManager(model_dir=site.root / "var/models")
        artifact = site.root / "models/decision_engine/model-v10.json"
        manager.load_decision_artifact("decision-core", artifact, set_default=True)
        known = json.loads((site.root / "data/decision_engine/paper/candidates.json").read_text())
        lines = [json.dumps(candidate) + "\n" for candidate in known]
        (folder / "candidates.jsonl").write_text("".join(lines * (CANDIDATES // len(lines))))
        yield site


@contextmanager
def copied(prepared: Site) -> Iterator[Site]:
    site = prepared.copy(prepared.root.with_name("ws"))
    try:
        yield site
    finally:
        shutil.rmtree(site.root)


def journal(root: Path) -> bytes:
    """What the loop has written; the days of the workspace itself end in November 2025."""
    days = sorted((root / JOURNAL).glob("decisions-*.jsonl"))
    return b"".join(path.read_bytes() for path in days if path.name > "decisions-20251118.jsonl")


def digests(root: Path, start: int, end: int | None = None) -> set[str]:
    """The artifacts that decisions between two places of the journal were made with."""
    events = map(json.loads, journal(root)[start:end].splitlines())
    return {event["model_sha256"] for event in events if event["status"] == "scored"}


def obeys(prepared: Site) -> None:
    """Roll one workspace back beside a loop, and look at every decision that was made."""
    with copied(prepared) as site:
        loop = Loop(site.root)
        try:
            withdrawn = read_serving(site.root / "var/models").models["decision-core"].sha256
            until(lambda: withdrawn.encode() in journal(site.root))
            app = WatchingApp(site)
            code = main(site.arguments("apply", PLAN, "--yes"), app)
            app.close()
            assert code == 0
            until(lambda: len(journal(site.root)) > app.done[COMPLETE])
        finally:
            words = loop.end()
        target = read_serving(site.root / "var/models").models["decision-core"].sha256

        assert digests(site.root, 0, app.begun[DETACH]) == {withdrawn}
        assert digests(site.root, app.done[DETACH], app.begun[ATTACH]) == set()
        assert digests(site.root, app.done[MAINTENANCE_ON], app.begun[MAINTENANCE_OFF]) == set()
        assert digests(site.root, app.done[ATTACH]) == {target} != {withdrawn}
        assert digests(site.root, app.done[ATTACH], app.begun[COMPLETE]) == {target}
        assert site.events()[-1]["engine"].startswith(f"{loop.name}, first decision at ")
        assert_complete(journal(site.root), words)


def assert_complete(data: bytes, words: str) -> None:
    """Each candidate that the loop has taken has one event, in order; no line is torn or glued."""
    assert data.endswith(b"\n")
    events = [json.loads(line) for line in data.splitlines()]
    scored, skipped = (sum(event["status"] == status for event in events) for status in ("scored", "skipped"))
    assert [int(event["candidate_line"]) for event in events] == list(range(1, len(events) + 1))
    assert words == f"stopped: {scored} scored, {skipped} skipped, 0 rejected\n"
    assert skipped > 0


def test_a_loop_at_full_speed_obeys_every_step_of_a_rollback(prepared: Site) -> None:
    for _ in range(5):
        obeys(prepared)


@pytest.mark.reliability
def test_a_loop_at_full_speed_obeys_every_step_of_fifty_rollbacks(prepared: Site) -> None:
    for _ in range(50):
        obeys(prepared)
