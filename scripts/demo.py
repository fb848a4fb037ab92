"""A whole incident in a folder of its own: planned, signed, applied, killed half-way, continued, applied again.

Every command is printed as it can be typed; the folder stays, to be looked at.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "ws_public"
TOOL = Path(sys.executable).parent / "rollbackctl"
MARK = ".made-by-demo"
PLAN = "plans/inc-2025-1117.yaml"
PEOPLE = {"compliance": "M. Zielinska", "data_governance": "P. Wrona", "risk": "J. Kowal"}


class DemoError(Exception):
    """The demo did not go as it should."""


def main(folder: Path) -> int:
    """Tell the whole story in `folder`; 0 when every command did what the story says."""
    try:
        make_workspace(folder)
        tell_story(folder)
    except DemoError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    return 0


def make_workspace(folder: Path) -> None:
    """Copy the workspace; an earlier demo is replaced, anything else is left alone.

    Raises:
        DemoError: The folder holds something that no demo has made.
    """
    if os.path.lexists(folder):
        if folder.is_symlink() or not (folder / MARK).is_file():
            raise DemoError(f"{folder.name}/ was not made by the demo; move it away, then: make demo")
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARK).write_text("Made by `make demo`, which replaces this folder.\n")
    shutil.copytree(FIXTURE, folder, dirs_exist_ok=True)


def tell_story(folder: Path) -> None:
    """Run every command of the story.

    Raises:
        DemoError: A command did something else.
    """
    said(
        "A workspace as a running decision engine left it. Its model decision-core v10 has drifted: the alert of\n"
        "2025-11-17 scores 5.12 against a limit of 3.00, and Risk has rejected it, which is the order to roll back."
    )
    print(f"$ cp -r tests/fixtures/ws_public {folder.name}\n$ cd {folder.name}")
    print(f'$ export PATH="{_shown_bin(folder)}:$PATH"')
    said("A starter plan. It names the incident; everything else has a default.")
    run(folder, "init")
    shown(folder, f"cat {PLAN}", ["cat", PLAN])
    said(
        "What would happen, and what it waits for. Nothing is written. Gates first: the release waits for three roles\n"
        "to decide about seven reports. Then why v9 and no other version, and each step by phase."
    )
    run(folder, "plan", PLAN)
    said("The three roles decide. Each decision is kept in the reports themselves.")
    for role, person in PEOPLE.items():
        run(folder, "sign-off", "--plan", PLAN, "--role", role, "--status", "approved", "--by", person)
    said("Applied, and killed half-way: SIGKILL, which no program can catch.")
    kill_half_way(folder)
    said("Where that left things: held, and nothing in between two states.")
    run(folder, "status")
    said("The same command again goes on where the killed one stopped; no step is made twice.")
    run(folder, "apply", PLAN, "--yes")
    said("And once more: there is nothing left to do, and nothing is written.")
    if "No changes." not in run(folder, "apply", PLAN, "--yes"):
        raise DemoError("the second apply found something to do")
    said("What serves now. (The v10 of var/models/decision_core is another model that bears the same number.)")
    run(folder, "status")
    tell_what_to_look_at(folder)


def tell_what_to_look_at(folder: Path) -> None:
    """Say what the folder holds now."""
    run_id = next((folder / "var/rollbackctl/runs").iterdir()).name
    rows = {
        f"rollbackctl report {run_id}": "gates, steps, checks and people of the run",
        "rollbackctl status": "what serves now",
        f"rollbackctl undo {run_id}": "what could be led back; it asks first",
        "cat logs/decision_journal/rollback.log": "the two events: requested, completed",
        "cat models/decision_engine/quarantine/v10.json": "why nobody gets v10 any more",
        "tail -18 audit/ai_decision/incident_journal.md": "the incident's entry",
        f"diff -r ../{FIXTURE.relative_to(ROOT)} . | less": "every byte that differs from the beginning",
    }
    width = max(map(len, rows))
    said(f"The folder {folder.name}/ stays as it is. Look at it:")
    print(f"$ cd {folder.name}")
    print(f'$ export PATH="{_shown_bin(folder)}:$PATH"')
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


def kill_half_way(folder: Path) -> None:
    """Begin to apply, and kill the process once its own journal says that half of the steps are done.

    Raises:
        DemoError: It ended in another way.
    """
    print(f"$ {_typed(('apply', PLAN, '--yes'))} &", flush=True)
    command = [str(TOOL), "apply", PLAN, "--yes"]
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


def _shown_bin(folder: Path) -> str:
    """The folder of the tool, as seen from within the demo's folder."""
    inside = TOOL.parent.is_relative_to(ROOT) and folder.resolve().parent == ROOT
    return f"$PWD/../{TOOL.parent.relative_to(ROOT)}" if inside else str(TOOL.parent)


def _environment() -> dict[str, str]:
    """The reader's environment without what would steer the tool elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROLLBACKCTL_")}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "demo"))
