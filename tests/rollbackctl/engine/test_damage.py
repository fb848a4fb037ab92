"""A run store that was torn, damaged, forged or edited: what is torn is forgotten, all else is refused by its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollbackctl.engine.runs import chain
from tests.harness import PLAN, Site, edited, names, new_site

COMMANDS = (("apply", PLAN, "--yes"), ("status",), ("runs",), ("plan", PLAN), ("hold", "--release"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A workspace whose run was interrupted after step 9."""
    site = new_site(tmp_path / "ws")
    assert site.interrupted(9).code == 130
    return site


@pytest.fixture
def clean(tmp_path: Path) -> Site:
    site = new_site(tmp_path / "clean")
    site.ok("apply", PLAN, "--yes")
    return site


def journal(site: Site) -> Path:
    return site.runs()[0] / "journal.jsonl"


def shown(site: Site, name: str = "journal.jsonl") -> str:
    return (site.runs()[0] / name).relative_to(site.root).as_posix()


def append(site: Site, **fields: Any) -> int:
    """Append an entry that follows the last one; return its line's number."""
    lines = journal(site).read_bytes().splitlines()
    last = json.loads(lines[-1])
    entry = {**last, "seq": last["seq"] + 1, "type": "begun", "prev": chain(lines[-1]), **fields}
    journal(site).write_bytes(b"\n".join([*lines, json.dumps(entry).encode()]) + b"\n")
    return len(lines) + 1


@pytest.mark.parametrize("left", [0.0, 0.5, 1.0])
def test_a_torn_last_line_is_forgotten_and_the_run_ends_as_ever(left: float, site: Site, clean: Site) -> None:
    data = journal(site).read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    torn = data[: start + int((len(data) - start - 1) * left)]
    journal(site).write_bytes(torn)

    assert site.ok("status")
    assert journal(site).read_bytes() == torn
    assert site.apply().code == 0
    assert site.files() == clean.files()
    assert len(site.entries("finished")) == 1


@pytest.mark.parametrize("zeros", [1, 200, None], ids=["one", "many", "all"])
def test_a_last_line_whose_beginning_never_reached_the_disk_is_forgotten(
    zeros: int | None, site: Site, clean: Site
) -> None:
    lines = journal(site).read_bytes().splitlines(keepends=True)
    lines[-1] = b"\0" * (zeros or len(lines[-1]) - 1) + lines[-1][zeros or -1 :]
    journal(site).write_bytes(b"".join(lines))

    assert site.ok("status")
    assert site.apply().code == 0
    assert site.files() == clean.files()
    assert b"\0" not in journal(site).read_bytes()


def test_every_line_may_be_the_torn_one(site: Site, clean: Site, tmp_path: Path) -> None:
    """Whatever a power loss left of the journal, the run ends as ever: the resources tell what was moved."""
    lines = journal(site).read_bytes().splitlines(keepends=True)
    begins = [n for n, line in enumerate(lines) if b'"type":"begun"' in line]

    for number in (begins[-1], begins[-1] + 1):
        copy = site.copy(tmp_path / f"copy{number}")
        journal(copy).write_bytes(b"".join(lines[:number]) + lines[number][:20])

        assert copy.apply().code == 0
        assert (copy.files(), copy.keys()) == (clean.files(), clean.keys())


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("number", [1, 4, 9])
def test_damage_elsewhere_is_an_error_that_names_file_and_line(
    number: int, command: tuple[str, ...], site: Site
) -> None:
    lines = journal(site).read_bytes().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1][:-9] + b"\n"
    journal(site).write_bytes(b"".join(lines))
    before = site.files()

    refused = site(*command)

    assert refused.code == 8
    assert names(refused.err, [f"{shown(site)}:{number}", "damaged", "rollbackctl hold"]) == []
    assert site.files() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:3], *lines[4:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:3], lines[3], lines[3], *lines[4:]],
        lambda lines: [*lines[:3], lines[3].replace(b'"at":"2025', b'"at":"2024'), *lines[4:]],
        lambda lines: [*lines[:3], b"\0" * 40 + b"\n", *lines[4:]],
        lambda lines: lines[1:],
    ],
    ids=["missing", "swapped", "doubled", "edited", "zeros", "beheaded"],
)
def test_lines_that_do_not_follow_each_other_are_an_error(
    change: Callable[[list[bytes]], list[bytes]], site: Site
) -> None:
    journal(site).write_bytes(b"".join(change(journal(site).read_bytes().splitlines(keepends=True))))
    before = site.files()

    refused = site.apply()

    assert refused.code == 8
    assert f"{shown(site)}:" in refused.err
    assert site.files() == before


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"plan": "f" * 64}, "belongs to run"),
        ({"run": "20250101T000000Z-ffffffff"}, "belongs to run 20250101T000000Z-ffffffff"),
        (
            {"body": {"step": "f" * 16, "phase": "hold", "address": "serving/x", "pins": {}}},
            "about step ffffffffffffffff, which the plan does not have",
        ),
        ({"type": "done", "body": {"step": "f" * 16}}, "about step ffffffffffffffff"),
        ({"body": {"step": "f" * 16}}, "entry"),
        ({"type": "done", "body": {}}, "entry"),
        ({"seq": 99}, "stands where entry"),
        ({"type": "phase", "body": {}}, "entry"),
        ({"type": "phase", "body": {"phase": "party", "verdicts": []}}, "entry"),
        ({"type": "invocation", "body": {"order": "x"}}, "entry"),
        ({"type": "check", "body": {"check": "probe_score", "result": "maybe", "summary": ""}}, "entry"),
        ({"type": "waiting", "body": {"verdicts": 7}}, "entry"),
        ({"type": "unheard-of"}, "damaged"),
    ],
    ids=str,
)
def test_a_foreign_or_unknown_entry_is_an_error_and_nothing_moves(
    fields: dict[str, Any], problem: str, site: Site
) -> None:
    number = append(site, **fields)
    before = site.files()

    refused = site.apply()

    assert refused.code == 8, refused.err
    assert names(refused.err, [f"{shown(site)}:{number}", problem, "rollbackctl hold"]) == []
    assert site.files() == before


def first_step(plan: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = plan["steps"][12]
    return step


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a step's target": lambda plan: first_step(plan)["after"].update(default_model="decision-core"),
    "a step is dropped": lambda plan: plan["steps"].pop(),
    "an alias leads elsewhere": lambda plan: plan["resource_changes"][0].update(after=None),
    "a gate is dropped": lambda plan: plan["guards"].pop(),
    "a check is dropped": lambda plan: plan["checks"].pop(),
    "the id": lambda plan: plan.update(id="0" * 64),
    "a longer life": lambda plan: plan.update(expires_after="P9D"),
    "no operation": lambda plan: plan.pop("operation"),
    "no steps": lambda plan: plan.pop("steps"),
    "no facts": lambda plan: plan.pop("facts"),
    "another format": lambda plan: plan.update(format_version="2.0"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_plan_of_a_run_is_refused(edit: str, site: Site) -> None:
    edited(site.runs()[0] / "plan.json", lambda plan: (EDITS[edit](plan), plan)[1])
    before = site.files()

    refused = site.apply()

    assert refused.code == 8, refused.err
    assert names(refused.err, [shown(site, "plan.json")]) == [] or shown(site) in refused.err
    assert site.files() == before


@pytest.mark.parametrize("damage", [b"", b"{", b"[]\n", b"\xff\n"], ids=repr)
def test_a_damaged_plan_of_a_run_is_refused(damage: bytes, site: Site) -> None:
    (site.runs()[0] / "plan.json").write_bytes(damage)

    refused = site.apply()

    assert refused.code == 8, refused.err
    assert shown(site, "plan.json") in refused.err


def test_a_lost_plan_of_a_run_is_refused(site: Site) -> None:
    (site.runs()[0] / "plan.json").unlink()

    refused = site.apply()

    assert refused.code == 8
    assert "has no plan.json" in refused.err


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_saved_plan_is_refused_and_nothing_moves(edit: str, tmp_path: Path) -> None:
    site = new_site(tmp_path / "ws")
    site.save()
    edited(site.root / "plans/plan.json", lambda plan: (EDITS[edit](plan), plan)[1])
    before = site.files()

    refused = site("apply", "plans/plan.json")

    assert refused.code == 8, refused.err
    assert "plan.json" in refused.err
    assert site.files() == before


@pytest.mark.parametrize("damage", ["journal.jsonl", "plan.json"])
def test_a_damaged_store_does_not_keep_anybody_from_holding(damage: str, site: Site) -> None:
    path = site.runs()[0] / damage
    path.write_bytes(b"\0\n" + path.read_bytes())

    held = site("hold", "--incident", "INC-2025-1117")

    assert held.code == 8
    assert shown(site, damage) in held.out + held.err
    assert site.state("var/models/serving.json")["attached"] is False


def test_evidence_that_was_lost_stops_the_run_only_where_it_is_needed(site: Site, clean: Site) -> None:
    for blob in (site.runs()[0] / "evidence" / "blobs").iterdir():
        blob.unlink()

    assert site.apply().code == 0
    assert site.files() == clean.files()
