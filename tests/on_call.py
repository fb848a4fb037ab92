"""An operator at the command line, in-process, with a clock of their own."""

import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

from rollbackctl.cli.app import App
from rollbackctl.cli.main import main

FIXTURE = Path(__file__).parent / "fixtures" / "ws_public"
PLAN = """\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: inc-2025-1117-drift, incident: INC-2025-1117}
spec:
  model:
    target: {select: last-stable}
"""
ROLES = {"risk": "J. Kowal", "compliance": "M. Zielinska", "data_governance": "Q. Lab"}


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it exited."""

    code: int
    out: str
    err: str


@dataclass
class Operator:
    """Calls commands on one workspace, from its root or from `folder`, relative to that."""

    root: Path
    now: datetime = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "."

    @classmethod
    def at(cls, root: Path, plan: str = PLAN) -> "Operator":
        """A fresh copy of the public workspace with a rollback plan in it."""
        shutil.copytree(FIXTURE, root)
        (root / "plans").mkdir()
        (root / "plans" / "inc.yaml").write_text(plan, encoding="utf-8")
        return cls(root)

    def call(self, *argv: str) -> Answer:
        """Run one command."""
        out, err = StringIO(), StringIO()
        before = Path.cwd()
        os.chdir(self.root / self.folder)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main(list(argv), App(lambda: self.now, self.environment))
        finally:
            os.chdir(before)
        return Answer(code, out.getvalue(), err.getvalue())

    def sign_all(self, plan: str = "plans/inc.yaml") -> None:
        """Every role decides."""
        for role, name in ROLES.items():
            answer = self.call("sign-off", "--plan", plan, "--role", role, "--status", "approved", "--by", name)
            assert answer.code == 0, answer.err

    def roll_back(self, plan: str = "plans/inc.yaml") -> Answer:
        """Sign and apply."""
        self.sign_all(plan)
        answer = self.call("apply", plan, "--yes")
        assert answer.code == 0, answer.err
        return answer

    def later(self, **delta: float) -> None:
        """Let time pass."""
        self.now += timedelta(**delta)

    def tree(self, *, times: bool = False) -> dict[str, object]:
        """Every file's bytes, and its modification time where asked."""
        found: dict[str, object] = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.root).as_posix()
                found[name] = (path.read_bytes(), path.stat().st_mtime_ns) if times else path.read_bytes()
        return found

    def changed(self, before: dict[str, object]) -> set[str]:
        """Names of the files that differ from a tree taken before; the run store and locks apart."""
        after = self.tree()
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        return {name for name in names if not name.startswith("var/rollbackctl/") and not name.endswith(".lock")}

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file by hand."""
        file = self.root / path
        file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
