"""An incident workspace in hand, and the command line on it: in this process or as a process, with a fixed clock."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollbackctl.cli.app import App
from rollbackctl.cli.main import main
from rollbackctl.engine.events import Event
from rollbackctl.engine.workspace import Workspace

TESTS = Path(__file__).parent
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
INCIDENT = "INC-2025-1117"
PLAN = "plans/plan.yaml"
SAVED = "plans/plan.json"
STORE = "var/rollbackctl"
ROLES = ("compliance", "risk", "data_governance")
STEPS = 18
PATIENCE_S = 60.0

_SPEC = f"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {{name: inc-2025-1117-drift, incident: {INCIDENT}, reason: data_drift_alert}}
spec: {{model: {{}}}}
"""
# What a rollback from v10 to v9 does not look at; without it a run takes half the time.
_SPARE = ("v5", "v6", "v8")


@dataclass(frozen=True)
class Done:
    """What one call of the command line came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Site:
    """One workspace, and how the command line is called on it.

    Attributes:
        root: The workspace.
        now: The time.
        host: The host; None: this one.
        signal_at: The step at whose end a signal comes, 0: before anything is planned; None: none does.
        stranger: The step at whose end somebody else does something, and what.
    """

    root: Path
    now: datetime = NOW
    host: str | None = None
    signal_at: int | None = None
    stranger: tuple[int, Callable[[], None]] | None = None

    def __call__(self, *args: str) -> Done:
        """Call the command line in this process."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            app = SomewhereApp(self)
            code = main(self.arguments(*args), app)
            app.close()
        return Done(code, out.getvalue(), err.getvalue())

    def apply(self) -> Done:
        """Apply the plan, or continue its run."""
        return self("apply", PLAN, "--yes")

    def interrupted(self, step: int | None, *args: str) -> Done:
        """Call a command, by default apply, in this process; a signal comes after a step, or (None) before all."""
        return replace(self, signal_at=step if step is not None else 0)(*(args or ("apply", PLAN, "--yes")))

    def disturbed(self, step: int, stranger: Callable[[], None], plan: str = PLAN) -> Done:
        """Apply a plan in this process; at the end of a step somebody else does something."""
        return replace(self, stranger=(step, stranger))("apply", plan, "--yes")

    def ok(self, *args: str) -> Done:
        """Call the command line; anything but success is this test's failure."""
        done = self(*args)
        assert done.code == 0, done
        return done

    def sign(self) -> None:
        """Give every sign-off that the plan waits for."""
        for role in ROLES:
            self.ok("sign-off", "--plan", PLAN, "--role", role, "--status", "approved", "--by", f"{role} lead")

    def save(self) -> None:
        """Save the plan, for review."""
        self.ok("plan", PLAN, "--out", str(self.root / SAVED))

    def arguments(self, *args: str) -> list[str]:
        """The whole command line; a plan is named by its place in the workspace, and that by `environment`."""
        placed = (str(self.root / arg) if arg in (PLAN, SAVED) else arg for arg in args)
        return ["--no-input", *placed]

    @property
    def environment(self) -> dict[str, str]:
        """What names the workspace."""
        return {"ROLLBACKCTL_WORKSPACE": str(self.root)}

    def at(self, now: datetime) -> "Site":
        """The same workspace at another time."""
        return replace(self, now=now)

    def on(self, host: str) -> "Site":
        """The same workspace, seen from another host."""
        return replace(self, host=host)

    def copy(self, root: Path) -> "Site":
        """The same workspace at another place."""
        shutil.copytree(self.root, root)
        return replace(self, root=root)

    def start(self, *args: str, **what: Any) -> subprocess.Popen[str]:
        """Call the command line as a process of its own; see `driver.py` for what can happen in it."""
        closed: list[int] = what.pop("closed", [])
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        streams |= {name: what.pop(name) for name in ("stdout", "stderr", "pass_fds") if name in what}
        order = json.dumps({"now": self.now.isoformat(), **what})
        command = [sys.executable, "-P", "-m", "tests.driver", order, *self.arguments(*args)]
        if closed:
            shut = " ".join(f"{number}>&-" for number in closed)
            command = ["/bin/sh", "-c", f'exec "$@" {shut}', "sh", *command]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(TESTS.parent)} | self.environment
        return subprocess.Popen(command, text=True, env=environment, **streams)

    def finish(self, process: subprocess.Popen[str]) -> Done:
        """Wait for a process."""
        out, err = process.communicate(timeout=PATIENCE_S)
        return Done(process.returncode, out or "", err or "")

    @contextmanager
    def paused(self, *args: str, event: str, step: int, **what: Any) -> Iterator[subprocess.Popen[str]]:
        """A process that stands still at a step, until `go` or the end of the block."""
        ready, told = os.pipe()
        waiting, go = os.pipe()
        process = self.start(*args, at=[event, step], ready=told, go=waiting, pass_fds=(told, waiting), **what)
        os.close(told)
        os.close(waiting)
        process.go = lambda: os.write(go, b".")  # type: ignore[attr-defined]
        try:
            came = os.read(ready, 1)
            assert came, self.finish(process)
            yield process
        finally:
            os.close(ready)
            os.close(go)
            if process.poll() is None:
                process.kill()
            self.finish(process)

    def files(self) -> dict[str, bytes]:
        """Every file of the workspace but the run store and the files that are only locked."""
        return {
            name: path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
            and not (name := path.relative_to(self.root).as_posix()).startswith(STORE)
            and not name.endswith(".lock")
        }

    def runs(self) -> list[Path]:
        """The folders of all runs that have begun, by name."""
        return sorted(path.parent for path in self.root.glob(f"{STORE}/runs/*/journal.jsonl") if path.stat().st_size)

    def journal(self, number: int = -1) -> list[dict[str, Any]]:
        """The entries of a run, by default of the latest."""
        return [json.loads(line) for line in (self.runs()[number] / "journal.jsonl").read_bytes().splitlines()]

    def entries(self, kind: str, number: int = -1) -> list[dict[str, Any]]:
        """A run's entries of one type."""
        return [entry for entry in self.journal(number) if entry["type"] == kind]

    def state(self, path: str) -> Any:
        """A JSON file of the workspace."""
        return json.loads((self.root / path).read_bytes())

    def events(self) -> list[dict[str, Any]]:
        """What the tool wrote to the decision journal."""
        path = self.root / "logs/decision_journal/rollback.log"
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if "rollback_key" in event]

    def keys(self) -> list[str]:
        """The keys of these events, in order; one that stands twice is a doubled event."""
        return [event["rollback_key"] for event in self.events()]


class SomewhereApp(App):
    """The command line's own app at a fixed time, and on the host that a test names."""

    def __init__(self, site: Site) -> None:
        super().__init__(lambda: site.now, site.environment)
        self._site = site

    def listen(self, event: Event) -> None:
        """Tell the event as usual; it may be the one at which the signal comes."""
        super().listen(event)
        if event.type == "apply_complete" and event.fields["step"] == self._site.signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        if event.type == "apply_complete" and self._site.stranger and event.fields["step"] == self._site.stranger[0]:
            self._site.stranger[1]()

    def workspace(self) -> Workspace:
        """The workspace, seen from the site's host."""
        here = super().workspace()
        if self._site.signal_at == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return here if self._site.host is None else replace(here, actor=replace(here.actor, host=self._site.host))


def new_site(root: Path, *, signed: bool = True) -> Site:
    """A small copy of the public workspace with a plan, and with the sign-offs given beforehand where asked."""
    shutil.copytree(TESTS / "fixtures" / "ws_public", root)
    manifest = root / "models/decision_engine/manifest.json"
    content = json.loads(manifest.read_bytes())
    for version in _SPARE:
        del content["versions"][version]
        (root / f"models/decision_engine/model-{version}.json").unlink()
    content["aliases"] = {alias: version for alias, version in content["aliases"].items() if version not in _SPARE}
    manifest.write_text(json.dumps(content, indent=2))
    for path in (root / "logs/decision_journal").iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if b'report"' in line))
    (root / PLAN).parent.mkdir()
    (root / PLAN).write_text(_SPEC)
    site = Site(root)
    if signed:
        site.sign()
    return site


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A temporary folder in memory where the system has one: a sync costs nothing there, and means nothing here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def until(is_true: Callable[[], object]) -> None:
    """Look until something has come true in another process; a test that waits in vain fails."""
    end = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < end, "it did not come true"
        os.sched_yield()


def unlike_once(site: Site, clean_site: Site) -> Iterator[str]:
    """Name what the run journals hold twice or lack: each step begun and done once, each run ended as it should."""
    for number, path in enumerate(site.runs()[: len(clean_site.runs())]):
        for kind in ("begun", "done"):
            found = Counter(str(entry["body"]["step"]) for entry in site.entries(kind, number))
            if found != Counter(str(entry["body"]["step"]) for entry in clean_site.entries(kind, number)):
                yield f"{path.name}: {kind} {found}"
        ends = [entry["type"] for entry in site.journal(number)][-1]
        if ends != [entry["type"] for entry in clean_site.journal(number)][-1]:
            yield f"{path.name} ends with {ends}"


def edited(path: Path, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
    """Change a JSON file, as a stranger does."""
    path.write_text(json.dumps(change(json.loads(path.read_bytes())), indent=2))


def names(text: str, words: Sequence[str]) -> list[str]:
    """Those of `words` that a text lacks: an empty list is what a test wants."""
    return [word for word in words if word not in text]
