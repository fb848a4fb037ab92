"""What every command shares: options, output, colours, events, and the way errors are shown."""

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rollbackctl import VERSION
from rollbackctl.core.commands import quote
from rollbackctl.core.errors import RollbackError, UsageError
from rollbackctl.core.plain import plain

if TYPE_CHECKING:
    from rollbackctl.engine.events import Event
    from rollbackctl.engine.session import Session
    from rollbackctl.engine.workspace import Workspace
    from rollbackctl.spec.document import Spec

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "bold": "1"}
_LEVELS = ("debug", "info", "warning", "error")
_QUIET = ("apply_start", "run_summary")  # said otherwise on a screen
_FORBIDDEN = ("--yes", "--role", "--status", "--by")  # what answers a question, or signs for somebody


class App:
    """One call of the command line."""

    def __init__(self, clock: Callable[[], datetime], environment: Mapping[str, str]) -> None:
        _open_standard_streams()
        self.clock = clock
        self.environment = environment
        self.options: dict[str, Any] = {}
        self.stop_reason: str | None = None
        self._announced = False
        self._workspace: Workspace | None = None

    def configure(self, options: Mapping[str, Any]) -> None:
        """Take global options, wherever they stood; a later one beats an earlier one."""
        self.options |= {name: value for name, value in options.items() if value is not None}

    @property
    def as_json(self) -> bool:
        """Whether stdout carries events instead of text."""
        return bool(self.options.get("as_json"))

    @property
    def may_ask(self) -> bool:
        """Whether a question can be asked."""
        quiet = self.options.get("no_input") or "CI" in self.environment or self.environment.get("TERM") == "dumb"
        return not quiet and sys.stdin.isatty()

    def out(self, text: str) -> None:
        """Print a result for a person; where stdout carries events, it goes to stderr."""
        self._write(sys.stderr if self.as_json else sys.stdout, self._here(text))

    def document(self, text: str) -> None:
        """Print a result for a machine, always on stdout; a dead stdout does not stop a run."""
        self._write(sys.stdout, text)

    def say(self, text: str) -> None:
        """Print one line of what is not a result; it may hold anything that a file says."""
        self._write(sys.stderr, plain(self._here(text)))

    def paint(self, text: str, colour: str) -> str:
        """Colour a text of a result where colours are wanted."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if colour and self._has_colour() else text

    def progress(self, what: str) -> Callable[[int, int], None] | None:
        """Something to be told how far a long work has come, for a person who looks on; None where nobody does."""
        if self.as_json or "CI" in self.environment or self.environment.get("TERM") == "dumb":
            return None
        return _Bar(what) if sys.stderr.isatty() else None

    def fail(self, error: RollbackError, usage: str = "") -> None:
        """Show what went wrong, what there is to say of it, and what to do next."""
        local = self._workspace.local if self._workspace else str
        problem, details = local(error.problem), [plain(local(str(item))) for item in error.problems]
        hints = self._here(self._named(error.hint)).splitlines() or ["rollbackctl status"]
        if self.as_json:
            self._emit("diagnostic", "error", "\n".join([problem, *details]), {"hints": list(hints)})
        for line in (*usage.splitlines(), f"{error.label}: {problem}", *(f"  {line}" for line in details)):
            self.say(line)
        lead_on(self, *hints)

    def _here(self, text: str) -> str:
        """Name the workspace in each command of a text, where it had to be named for this one."""
        named = self.options.get("workspace")
        if not named:
            return text
        from rollbackctl.cli.main import COMMANDS

        command = rf"\brollbackctl (?=(?:{'|'.join(COMMANDS)})\b)"
        return re.sub(command, lambda _: f"rollbackctl --workspace {quote(named)} ", text)

    def _named(self, hint: str) -> str:
        """Name the plan that the command was given, where a hint says PLAN."""
        plan = self.options.get("plan")
        return re.sub(r"\bPLAN\b", lambda _: quote(str(plan)), hint) if plan else hint

    def listen(self, event: "Event") -> None:
        """Show what happens in a run: as an event on stdout, or as a line on stderr."""
        if self.as_json:
            self._emit(event.type, event.level, event.message, event.fields)
        elif _LEVELS.index(event.level) >= _LEVELS.index(self._log_level()) and event.type not in _QUIET:
            self.say(event.message)

    def workspace(self) -> "Workspace":
        """Find the workspace."""
        from rollbackctl.engine.workspace import Workspace, find_workspace, this_actor

        root = find_workspace(self.options.get("workspace"), self.environment, Path.cwd())
        self._workspace = Workspace(root, self.clock, this_actor(), cluster=self.options.get("cluster"))
        return self._workspace

    def session(self, workspace: "Workspace | None" = None) -> "Session":
        """Open a workspace's run store."""
        from rollbackctl.engine.session import Session

        timeout_s = float(self.options.get("lock_timeout") or 0.0)
        return Session.open(workspace or self.workspace(), self.listen, lambda: self.stop_reason, timeout_s)

    def spec(self, path: str, workspace: "Workspace") -> "Spec":
        """Read a rollback plan, or the one that a saved plan was made from."""
        from rollbackctl.engine.saved import is_saved_plan, load_document
        from rollbackctl.engine.workspace import read_spec

        file = located(path, workspace)
        if is_saved_plan(file):
            from rollbackctl.engine.rollback import stored_spec  # brings all that carries a plan out

            return stored_spec(load_document(file, shown_path(path), workspace.policy).plan)
        return read_spec(file, workspace.registry, shown_path(path))

    def close(self) -> None:
        """Flush; a reader that has gone is no error."""
        for stream in (sys.stdout, sys.stderr):
            self._write(stream, "")

    def _emit(self, kind: str, level: str, message: str, fields: Mapping[str, Any]) -> None:
        if not self._announced:
            self._announced = True
            self._emit("version", "info", f"rollbackctl {VERSION}", {"version": VERSION, "format_version": "1.0"})
        stamp = self.clock().astimezone(UTC).isoformat()
        line = {"@level": level, "@message": message, "@module": "rollbackctl", "@timestamp": stamp, "type": kind}
        self.document(json.dumps({**line, **fields}, ensure_ascii=True))

    def _log_level(self) -> str:
        named = self.options.get("log_level") or self.environment.get("ROLLBACKCTL_LOG", "info")
        return named if named in _LEVELS else "info"

    def _has_colour(self) -> bool:
        if self.options.get("no_color") or self.environment.get("NO_COLOR"):
            return False
        if self.environment.get("CLICOLOR_FORCE", "0") != "0":
            return True
        if self.environment.get("CLICOLOR") == "0" or self.environment.get("TERM") == "dumb":
            return False
        return sys.stdout.isatty()

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        try:
            if text:
                stream.write(text if text.endswith("\n") else text + "\n")
            stream.flush()
        except (OSError, ValueError):
            # The reader has gone. Later writes, and the interpreter's own flush, must not fail either.
            with open(os.devnull, "w", encoding="utf-8") as nothing:
                os.dup2(nothing.fileno(), stream.fileno())


class _Bar:
    """One line on a terminal, drawn again and again; it shows itself when a work takes longer than a moment."""

    _AFTER_S, _WIDTH = 0.5, 30

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._begun_s < self._AFTER_S or not total:
            return
        filled = self._WIDTH * done // total
        bar = f"{'#' * filled}{'.' * (self._WIDTH - filled)}"
        end = "\r\x1b[K" if done == total else ""
        sys.stderr.write(f"\r{self._what} [{bar}] {done} of {total}{end}")
        sys.stderr.flush()


def _open_standard_streams() -> None:
    """Open what the caller has closed, so that no file of the workspace gets the number of a standard stream."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of another alphabet must not cost the answer


def lead_on(app: App, *commands: str) -> None:
    """Print what leads on, the next one first."""
    for index, command in enumerate(commands):
        app.say(f"{'     ' if index else 'next:'} {command}")


def with_environment(argv: list[str], environment: Mapping[str, str], commands: Container[str]) -> list[str]:
    """Add the arguments of `ROLLBACKCTL_CLI_ARGS` and `ROLLBACKCTL_CLI_ARGS_<command>`.

    Raises:
        UsageError: They hold something that would pass a gate or a question.
    """
    command = next((arg for arg in argv if arg in commands), "")
    common = _variable("ROLLBACKCTL_CLI_ARGS", environment)
    own = _variable(f"ROLLBACKCTL_CLI_ARGS_{command.replace('-', '_')}", environment) if command else []
    at = argv.index(command) + 1 if command else 0
    return [*common, *argv[:at], *own, *argv[at:]]


def _variable(name: str, environment: Mapping[str, str]) -> list[str]:
    arguments = shlex.split(environment.get(name, ""))
    for forbidden in _FORBIDDEN:
        if any(argument.partition("=")[0] == forbidden for argument in arguments):
            raise UsageError(f"{name} may not hold {forbidden}", hint=f"take {forbidden} out of the variable")
    return arguments


def located(path: str, workspace: "Workspace") -> Path:
    """Return the file that a command names: from where the operator stands, else from the workspace."""
    here, there = Path(path), workspace.root / path
    return there if there.exists() and not os.path.lexists(here) else here


def shown_path(path: str) -> str:
    """Return a path as it may be shown: as typed, but never absolute."""
    return Path(path).name if Path(path).is_absolute() else path
