"""Every view of a workspace whose files say what they can to steer, hide, or be markup: none of it arrives live."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollbackctl import VERSION
from rollbackctl.cli.show_plan import FORMATS
from rollbackctl.core.plain import plain
from tests.harness import PLAN, SAVED, Done, Site, edited, new_site, quick_folder
from tests.hostile import NAMES, unsafe
from tests.reliability.write_old_runs import OLD_RUNS, restore
from tests.rollbackctl.render.test_markdown import dangers

EVIL = "v9\x1b[2J\x9b31m\x00\u202e\u200b<script>alert(1)</script>[c](javascript:x)@everyone|`https://evil.example #1"
HOSTILE = Path(__file__).parent / "hostile"
AUDIT = "audit/ai_decision"
MODELS = "models/decision_engine"
TEXT = ("plan", "targets", "status", "runs", "report", "show")
"""Commands that only look, in words for a person."""


def mentions(text: str) -> list[str]:
    return re.findall(r"(?<![A-Za-z0-9])@\w+", text)


@pytest.fixture(scope="module", params=[EVIL, *(NAMES[name] for name in ("lines", "html", "blocks", "comment"))])
def evil(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def site(evil: str) -> Iterator[Site]:
    """A workspace in which a run waits, with a hostile text wherever a file may hold one; and a plan of it, saved."""
    with quick_folder() as folder:
        site = new_site(folder / "ws", signed=False)
        for change in PLACES:
            change(site.root, evil)
        site("plan", PLAN, "--out", str(site.root / SAVED))
        site.apply()
        yield site


@pytest.fixture
def waiting(tmp_path: Path) -> Site:
    """A workspace in which a run waits."""
    return restore(OLD_RUNS / VERSION / "waiting.json", tmp_path / "ws")


def say_in_reports(root: Path, text: str) -> None:
    block = {role: {"status": text, "signed_by": text, "notes": text} for role in ("risk", text)}
    for path in (root / AUDIT / "drift").glob("*_alert.json"):
        edited(path, lambda report: {**report, "sign_off": block, "model_name": text, "backend": text})
    name = re.sub(r"[/\0]", "", text)[:80]
    (root / AUDIT / f"drift/20251118T03{name}.json").write_text('{"drift_score": 9}')
    (root / AUDIT / f"data_quality/20251118T03{name}.json").write_text("{")


def say_in_the_manifest(root: Path, text: str) -> None:
    entry = {"file": "model-v9.json", "aliases": [text], "saved_at": text, "metadata": {"model_name": text}}
    edited(
        root / MODELS / "manifest.json",
        lambda found: {
            **found,
            "versions": {**found["versions"], text: entry},
            "aliases": {**found["aliases"], text: "v10"},
        },
    )


def say_in_logs_and_states(root: Path, text: str) -> None:
    change = {"event": "model_change", "timestamp": text, "model_version": "v9", "model_previous_version": text}
    (root / "logs/decision_journal/decisions-20251119.jsonl").write_text(json.dumps(change) + "\n")
    edited(root / AUDIT / "scheduler.json", lambda found: {**found, "paused_reason": text, "last_failure_reason": text})
    (root / "var/models/engines").mkdir(parents=True)
    ack = {"host": text, "pid": 1, "generation": 0, "time": "2025-11-18T08:00:00+00:00"}
    (root / "var/models/engines/host-1.json").write_text(json.dumps(ack))
    champion = root / "var/models/quality" / re.sub(r"[/\0]", "", text)[:80] / "champion.json"
    champion.parent.mkdir(parents=True)
    champion.write_text('{"version": "v10"}')


PLACES: tuple[Callable[[Path, str], None], ...] = (say_in_reports, say_in_the_manifest, say_in_logs_and_states)


def look(site: Site, command: str, *options: str) -> Done:
    """Call a command that only looks."""
    (run,) = site.runs()
    argument = {"plan": (PLAN,), "targets": (PLAN,), "show": (SAVED,), "report": (run.name,)}.get(command, ())
    done = site(command, *argument, *options)
    assert "Traceback" not in done.err
    assert done.code == 0, done
    return done


def test_what_a_file_says_is_shown_with_escapes(site: Site, evil: str) -> None:
    assert [plain(evil) in look(site, command).out for command in ("status", "targets")] == [True, True]


@pytest.mark.parametrize("policy", sorted((HOSTILE / "policy").iterdir()), ids=lambda path: path.stem)
def test_a_hostile_policy_steers_nothing_where_runs_are_shown(waiting: Site, policy: Path) -> None:
    (waiting.root / "config/rollbackctl.yaml").write_bytes(policy.read_bytes())

    shown = [look(waiting, command) for command in ("status", "runs", "report")]

    assert [unsafe(done.out + done.err) for done in shown] == [[], [], []]
    assert "the policy is not used" in shown[1].err


@pytest.mark.parametrize("command", TEXT)
def test_nothing_in_a_text_steers_a_terminal(site: Site, command: str) -> None:
    done = look(site, command)

    assert unsafe(done.out + done.err) == []
    assert "\nPlan: 0 to add" not in done.out + done.err


@pytest.mark.parametrize("command", ["plan", "targets", "show", "report"])
def test_json_is_printable_and_says_what_was_there(site: Site, command: str) -> None:
    done = look(site, command, "--format", "json")

    assert json.loads(done.out)
    assert unsafe(done.out) == []


@pytest.mark.parametrize("command", ["plan", "status", "runs"])
def test_events_are_one_printable_object_a_line(site: Site, command: str) -> None:
    done = look(site, command, "--json")

    assert all(isinstance(json.loads(line), dict) for line in done.out.splitlines())
    assert unsafe(done.out + done.err) == []


@pytest.mark.parametrize("command", ["plan", "targets", "show"])
def test_markdown_has_no_markup_but_our_own(site: Site, command: str) -> None:
    done = look(site, command, "--format", "markdown")

    assert [danger for danger in dangers(done.out) if command != "targets" or danger != "table_open"] == []
    assert unsafe(done.out) == []
    assert mentions(done.out) == []


def test_there_is_no_view_that_this_does_not_look_at() -> None:
    assert set(FORMATS) == {"text", "json", "markdown"}
