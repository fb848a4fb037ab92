"""Write the transcripts in README.md and docs/ from real commands; with `--check`, say which differ.

A fence after `<!-- transcript: NAME -->` holds what the command NAME says. START after a comma picks the paragraph that
begins with START, and PART after another comma the part of that paragraph which is headed by PART. The workspace is a
copy of the test fixture; clock, account and host are fixed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "ws_public"
PAGES = ("README.md", "docs/**/*.md")
FIRST = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
APART = timedelta(minutes=5)
PLAN = "plans/inc-2025-1117.yaml"
RUN = "20251118T081500Z"  # the fourth command begins it
_MARKER = re.compile(r"<!-- transcript: ([^>]+?) -->\n```text\n(.*?)```", re.DOTALL)

# name -> arguments; each story has a workspace of its own, and each command is called five minutes after the last one.
STORIES: tuple[dict[str, str], ...] = (
    {
        "init": "init",
        "validate": f"validate {PLAN}",
        "plan": f"plan {PLAN}",
        "apply-waits": f"apply {PLAN} --yes",
        "status-waiting": "status",
        "sign-off-risk": f'sign-off --plan {PLAN} --role risk --status approved --by "J. Kowal"',
        "sign-off-compliance": f'sign-off --plan {PLAN} --role compliance --status approved --by "M. Zielinska"',
        "sign-off-governance": f'sign-off --plan {PLAN} --role data_governance --status approved --by "P. Wrona"',
        "apply": f"apply {PLAN} --yes",
        "apply-again": f"apply {PLAN} --yes",
        "status-done": "status",
        "runs": "runs",
        "report": f"report {RUN}",
        "undo": f"undo {RUN} --yes",
    },
    {
        "hold": (
            'hold --incident INC-2025-1117 --reason "drift alert 5.12"'
            " --risk-snapshot data/decision_engine/paper/risk_snapshot.json"
        ),
        "status-held": "status",
        "hold-release": "hold --release",
    },
    {"events": f"--json apply {PLAN} --yes"},
    {"targets": f"targets {PLAN}"},
)
_PREPARE = {"events": "init", "targets": "init"}
_LIVE = "data/live.csv"
_APPENDED = {
    "targets": f"""\
  gates:
    data_drift:
      window: {{path: {_LIVE}, time_column: time}}
      segments: [symbol]
      min_rows: 200
"""
}

# The tool itself, with the clock and the host given from outside; the account is that of LOGNAME.
_DRIVER = """
import socket, sys
from datetime import datetime
socket.gethostname = lambda: "host-1"
from rollbackctl.cli.main import run
run(sys.argv[2:], lambda: datetime.fromisoformat(sys.argv[1]))
"""


def main(*, check: bool) -> int:
    """Write or compare every page; 1 where one differs and nothing may be written."""
    outputs = {name: text for story in STORIES for name, text in tell(story).items()}
    differing = 0
    for path in sorted({path for pattern in PAGES for path in ROOT.glob(pattern)}):
        text = path.read_text(encoding="utf-8")
        wanted = _MARKER.sub(lambda found: refreshed(found[1], outputs), text)
        if wanted == text:
            continue
        differing += 1
        name = path.relative_to(ROOT)
        if check:
            print(f"{name}: a transcript is not what the tool says; write it: scripts/make_transcripts.py")
        else:
            path.write_text(wanted, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and differing else 0


def tell(story: dict[str, str]) -> dict[str, str]:
    """Run the commands of a story in a workspace of its own; return what each one says, the command first."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(FIXTURE, Path(folder) / "workspace"))
        said = {}
        for number, (name, arguments) in enumerate(story.items()):
            if name in _PREPARE:
                call(root, _PREPARE[name], FIRST)
            if name in _APPENDED:
                shutil.copy(FIXTURE.parent / "live.csv", root / _LIVE)
                with (root / PLAN).open("a") as plan:
                    plan.write(_APPENDED[name])
            said[name] = f"$ rollbackctl {arguments}\n{call(root, arguments, FIRST + number * APART)}"
        return said


def call(root: Path, arguments: str, now: datetime) -> str:
    """Call the tool at an instant and return all that it prints."""
    command = [sys.executable, "-c", _DRIVER, now.isoformat(), *_split(arguments)]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONDONTWRITEBYTECODE")}
    env = {**kept, "LOGNAME": "ops", "TERM": "dumb", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", check=False,
    )  # fmt: skip
    return done.stdout + (f"[exit code {done.returncode}]\n" if done.returncode else "")


def refreshed(marker: str, outputs: dict[str, str]) -> str:
    """Return a marker with its fence."""
    name, *places = (part.strip() for part in marker.split(","))
    return f"<!-- transcript: {marker} -->\n```text\n{chosen(outputs[name], places)}```"


def chosen(text: str, places: list[str]) -> str:
    """Return a whole text, one paragraph of it, or a headed part of that paragraph.

    Raises:
        ValueError: There is no such place.
    """
    if not places:
        return text
    lines = next((p.splitlines() for p in text.partition("\n")[2].split("\n\n") if p.startswith(places[0])), None)
    if lines is not None and len(places) == 2:
        lines = _part(lines, places[1])
    if not lines:
        raise ValueError(f"no place {', '.join(places)} in the transcript")
    return "\n".join(lines) + "\n"


def _part(lines: list[str], head: str) -> list[str]:
    start = next((index for index, line in enumerate(lines) if line.strip() == head), len(lines))
    indent = len(lines[start]) - len(lines[start].lstrip()) if start < len(lines) else 0
    ends = (i for i, line in enumerate(lines[start + 1 :], start + 1) if len(line) - len(line.lstrip()) <= indent)
    return lines[start : next(ends, len(lines))]


def _split(arguments: str) -> list[str]:
    return [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', arguments)]


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
