import json
import subprocess
import sys
from pathlib import Path

import pytest

from rollbackctl.cli.demo import MARK
from scripts.demo import FIXTURE, DemoError, copy_workspace

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


@pytest.mark.parametrize(
    ("options", "roles", "target"), [([], "The release waits for 2 roles", "v3"), (["--real"], "for 3 roles", "v9")]
)
def test_the_demo_tells_the_whole_story(options: list[str], roles: str, target: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"

    done = subprocess.run([sys.executable, DEMO, folder, *options], capture_output=True, text=True, check=False)

    assert (done.stderr, done.returncode) == ("", 0)
    moments = (
        roles,
        "$ kill -9 $!",
        "continuing run",
        ": verified.",
        "No changes.",
        "Look at it",
    )
    places = [done.stdout.find(moment) for moment in moments]
    assert -1 not in places
    assert places == sorted(places)
    (run,) = (folder / "var/rollbackctl/runs").iterdir()
    entries = [json.loads(line) for line in (run / "journal.jsonl").read_bytes().splitlines()]
    assert [entry["type"] for entry in entries].count("invocation") == 2
    steps = [entry["body"]["step"] for entry in entries if entry["type"] == "done"]
    assert len(steps) == len(set(steps))
    assert json.loads((folder / "models/decision_engine/manifest.json").read_bytes())["active"] == target


def test_the_demo_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    copy_workspace(folder)
    (folder / "left.txt").write_text("of an earlier demo")

    copy_workspace(folder)

    kept = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert kept == {Path(MARK), *(path.relative_to(FIXTURE) for path in FIXTURE.rglob("*") if path.is_file())}


def test_the_demo_leaves_alone_what_it_did_not_make(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("three years of work")
    link = tmp_path / "link"
    link.symlink_to(mine)

    for folder in (mine, link):
        with pytest.raises(DemoError, match="was not made by the demo"):
            copy_workspace(folder)

    assert (mine / "thesis.txt").read_text() == "three years of work"
