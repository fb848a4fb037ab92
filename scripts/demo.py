"""A whole incident in a folder of its own: planned, signed, applied, killed half-way, continued, applied again.

Every command is printed as it can be typed; the folder stays, to be looked at. The incident is made by
`rollbackctl demo`, or, with `--real`, a copy of the files that a running engine has left.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rollbackctl.cli.demo import MARK

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "ws_public"
TOOL = Path(sys.executable).parent / "rollbackctl"
PLANS = {"made": "plans/inc-demo-1.yaml", "real": "plans/inc-2025-1117.yaml"}
PEOPLE = {"compliance": "M. Zielinska", "risk": "J. Kowal"}
MORE_PEOPLE = {"data_governance": "P. Wrona"}


class DemoError(Exception):
    """The demo did not go as it should."""


def main(folder: Path, source: str) -> int:
    """Tell the whole story in `folder`, on the incident from `source`; 0 when every command did what the story says."""
    try:
        begin_made(folder) if source == "made" else begin_real(folder)
        tell_story(folder, PLANS[source], PEOPLE if source == "made" else PEOPLE | MORE_PEOPLE)
        tell_what_to_look_at(folder, source)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def begin_made(folder: Path) -> None:
    """Have the tool make an incident.

    Raises:
        DemoError: The folder holds something that no demo has made.
    """
    said(
        "An incident to practise on. Five versions of a model are trained on a market; the newest one serves, and a\n"
        "decision loop scores with it, when the market becomes another one."
    )
    print(f'$ export PATH="{_shown_bin(folder, ".")}:$PATH"')
    shown(folder.parent, f"rollbackctl demo {folder.name}", [str(TOOL), "demo", folder.name])
    print(f"$ cd {folder.name}")
    said("The rollback plan. Everything that it does not say has a default.")
    shown(folder, f"cat {PLANS['made']}", ["cat", PLANS["made"]])


def begin_real(folder: Path) -> None:
    """Copy the workspace of a running engine, and have the tool write a starter plan.

    Raises:
        DemoError: The folder holds something that no demo has made.
    """
    copy_workspace(folder)
    said(
        "A workspace as a running decision engine left it. Its model decision-core v10 has drifted: the alert of\n"
        "2025-11-17 scores 5.12 against a limit of 3.00, and Risk has rejected it, which is the order to roll back."
    )
    print(f"$ cp -r tests/fixtures/ws_public {folder.name}\n$ cd {folder.name}")
    print(f'$ export PATH="{_shown_bin(folder, "..")}:$PATH"')
    said("A starter plan. It names the incident; everything else has a default.")
    run(folder, "init")
    shown(folder, f"cat {PLANS['real']}", ["cat", PLANS["real"]])


def copy_workspace(folder: Path) -> None:
    """Copy the workspace; an earlier demo is replaced, anything else is left alone.

    Raises:
        DemoError: The folder holds something that no demo has made.
    """
    if os.path.lexists(folder):
        if folder.is_symlink() or not (folder / MARK).is_file():
            raise DemoError(f"{folder.name}/ was not made by the demo; move it away, then: make demo-real")
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARK).write_text("Made by `make demo-real`, which replaces this folder.\n")
    shutil.copytree(FIXTURE, folder, dirs_exist_ok=True)


def tell_story(folder: Path, plan: str, people: Mapping[str, str]) -> None:
    """Run every command of the story.

    Raises:
        DemoError: A command did something else.
    """
    said(
        "What would happen, and what it waits for. Nothing is written. Gates first: the release waits for the roles\n"
        "that must decide about the reports. Then why this version and no other one, and each step by phase."
    )
    run(folder, "plan", plan)
    said("The roles decide. Each decision is kept in the reports themselves.")
    for role, person in people.items():
        run(folder, "sign-off", "--plan", plan, "--role", role, "--status", "approved", "--by", person)
    said("Applied, and killed half-way: SIGKILL, which no program can catch.")
    kill_half_way(folder, plan)
    said("Where that left things: held, and nothing in between two states.")
    run(folder, "status")
    said("The same command again goes on where the killed one stopped; no step is made twice.")
    run(folder, "apply", plan, "--yes")
    said("And once more: there is nothing left to do, and nothing is written.")
    if "No changes." not in run(folder, "apply", plan, "--yes"):
        raise DemoError("the second apply found something to do")
    said("What serves now.")
    run(folder, "status")


def tell_what_to_look_at(folder: Path, source: str) -> None:
    """Say what the folder holds now."""
    run_id = next((folder / "var/rollbackctl/runs").iterdir()).name
    rows = {
        f"rollbackctl report {run_id}": "gates, steps, checks and people of the run",
        "rollbackctl status": "what serves now",
        f"rollbackctl undo {run_id}": "what could be led back; it asks first",
        "cat logs/decision_journal/rollback.log": "the two events: requested, completed",
        "cat models/decision_engine/quarantine/*.json": "why nobody gets the bad version any more",
        "tail -18 audit/ai_decision/incident_journal.md": "the incident's entry",
    }
    if source == "real":
        rows[f"diff -r ../{FIXTURE.relative_to(ROOT)} . | less"] = "every byte that differs from the beginning"
    width = max(map(len, rows))
    said(f"The folder {folder.name}/ stays as it is. Look at it:")
    print(f"$ cd {folder.name}")
    print(f'$ export PATH="{_shown_bin(folder, "..")}:$PATH"')
    for command, what in rows.items():
        print(f"$ {command:<{width}}   # {what}")


def said(text: str) -> None:
    """Print what the reader is about to see."""
    print("\n" + "\n".join(f"# {line}" for line in text.splitlines()))


def run(folder: Path, *arguments: str) -> str:
    """Run the tool, show what it says, and return it."""
    return shown(folder, _typed(arguments), [str(TOOL), *arguments])


def shown(folder: Path, typed: str, command: list[str]) -> str:
    """Run a command, show it and what it says.

    Raises:
        DemoError: It failed.
    """
    print(f"$ {typed}", flush=True)
    done = subprocess.run(
        command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise DemoError(f"{typed!r} ended with exit code {done.returncode}")
    return done.stdout


def kill_half_way(folder: Path, plan: str) -> None:
    """Begin to apply, and kill the process once its own journal says that half of the steps are done.

    Raises:
        DemoError: It ended in another way.
    """
    print(f"$ {_typed(('apply', plan, '--yes'))} &", flush=True)
    command = [str(TOOL), "apply", plan, "--yes"]
    process = subprocess.Popen(
        command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while process.poll() is None and not is_half_done(folder):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    said_by_it, _ = process.communicate()
    print(said_by_it, end="")
    print("$ kill -9 $!", flush=True)
    if process.returncode != -signal.SIGKILL:
        raise DemoError(f"the run was to be killed half-way, but it ended with exit code {process.returncode}")


def is_half_done(folder: Path) -> bool:
    """Tell whether a run has done half of its plan's steps."""
    for journal in folder.glob("var/rollbackctl/runs/*/journal.jsonl"):
        steps = len(json.loads((journal.parent / "plan.json").read_bytes())["steps"])
        return journal.read_bytes().count(b'"type":"done"') >= steps // 2
    return False


def _typed(arguments: tuple[str, ...]) -> str:
    quoted = (f'"{argument}"' if " " in argument else argument for argument in arguments)
    return " ".join(("rollbackctl", *quoted))


def _shown_bin(folder: Path, upward: str) -> str:
    """The folder of the tool, as a reader beside the demo's folder (`.`) or within it (`..`) writes it."""
    inside = TOOL.parent.is_relative_to(ROOT) and folder.resolve().parent == ROOT
    return f"$PWD/{upward}/{TOOL.parent.relative_to(ROOT)}".replace("/./", "/") if inside else str(TOOL.parent)


def _environment() -> dict[str, str]:
    """The reader's environment without what would steer the tool elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROLLBACKCTL_")}


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if argument != "--real"]
    sys.exit(main(Path(named[0]) if named else ROOT / "demo", "real" if "--real" in sys.argv else "made"))
