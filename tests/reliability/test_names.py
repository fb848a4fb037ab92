"""Names, alphabets and modes of other machines: a rollback works with them, or says which name stands in its way."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import INCIDENT, PLAN, SAVED, STORE, Site, names, new_site, quick_folder

NOT_UTF_8 = os.fsdecode(b"\xff\xfe.json")
ALERT = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
MANIFEST = "models/decision_engine/manifest.json"
ROOTS = {
    "signs of all sorts": os.fsdecode(" a b\n\t'\"$(x)`;& \U0001f680 zażółć ".encode() + b"\xff\xfe"),
    "an option": "--yes",
    "255 bytes": "x" * 255,
}


@pytest.fixture(scope="module")
def signed() -> Iterator[Site]:
    """A workspace in which every role has decided."""
    with quick_folder() as folder:
        yield new_site(folder / "ws")


@pytest.fixture(scope="module")
def clean(signed: Site) -> Site:
    """The same after a rollback."""
    site = signed.copy(signed.root.parent / "clean")
    site.ok("apply", PLAN, "--yes")
    return site


@pytest.fixture
def site(signed: Site) -> Iterator[Site]:
    with quick_folder() as folder:
        yield signed.copy(folder / "ws")


def plan_id(site: Site) -> str:
    found: str = json.loads(site.ok("plan", PLAN, "--format", "json").out)["id"]
    return found


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}


@pytest.mark.parametrize("name", ROOTS.values(), ids=ROOTS)
def test_where_a_workspace_lies_changes_no_byte(signed: Site, clean: Site, name: str) -> None:
    with quick_folder() as folder:
        site = signed.copy(folder / name)

        done = site.apply()

        assert done.code == 0, done.err
        assert site.files() == clean.files()
        assert [run.name for run in site.runs()] == [run.name for run in clean.runs()]
        assert site.ok("status").out == clean.ok("status").out


def test_an_answer_is_whole_on_a_terminal_of_another_alphabet(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = site.ok("plan", PLAN).out
    assert not expected.isascii()
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    monkeypatch.setenv("LC_ALL", "C")

    done = site.finish(site.start("plan", PLAN))

    assert done.code == 0
    assert done.out == expected.encode("latin-1", "backslashreplace").decode("latin-1")


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_no_mode_depends_on_the_umask(site: Site, signed: Site, mask: int) -> None:
    with quick_folder() as folder:
        for path in (site.root, *site.root.rglob("*")):
            path.chmod(0o2775 if path.is_dir() else 0o664)  # a group that works together
        usual = site.copy(folder / "ws")
        usual.ok("apply", PLAN, "--yes")
        before = os.umask(mask)
        try:
            site.ok("apply", PLAN, "--yes")
        finally:
            os.umask(before)

        assert modes(site.root) == modes(usual.root)
        shared = {name: mode for name, mode in modes(site.root).items() if not name.startswith(STORE)}
        assert {name for name, mode in shared.items() if mode not in (0o2775, 0o664)} == set()


def test_stray_files_whose_names_are_no_text_change_nothing(site: Site, clean: Site) -> None:
    expected = plan_id(site)
    folders = ("", "models/decision_engine", "config", "logs/decision_journal", "audit/ai_decision/walk_forward")
    for folder in (*folders, "var/models", "audit/ai_decision/models/decision-core", "plans"):
        (site.root / folder / NOT_UTF_8).write_text("{}")

    assert plan_id(site) == expected
    site.ok("apply", PLAN, "--yes")
    strays = {f"{folder}/{NOT_UTF_8}".lstrip("/") for folder in (*folders, "plans")}
    assert {name: data for name, data in site.files().items() if NOT_UTF_8 not in name} == clean.files()
    assert strays <= site.files().keys()


def test_a_quality_record_in_a_folder_whose_name_is_no_text_is_shown_and_left_alone(site: Site) -> None:
    folder = site.root / os.fsdecode(b"var/models/quality/\xff")
    folder.mkdir()
    (folder / "champion.json").write_text('{"version": "v10"}')

    site.save()

    assert r"var/models/quality/\xff/champion.json names v10" in site.ok("show", SAVED).out


@pytest.mark.parametrize("kind", ["drift", "data_quality"])
def test_a_report_whose_name_is_no_text_blocks_the_release_until_it_is_renamed(site: Site, kind: str) -> None:
    report = site.root / f"audit/ai_decision/{kind}" / NOT_UTF_8
    report.write_bytes((site.root / ALERT).read_bytes())

    done = site.apply()

    assert done.code == 3
    assert re.search(rf"{kind}/\\xff\\xfe\.json\s+cannot be read.*: its name is not UTF-8: rename it", done.err)
    report.rename(report.with_name("20251117T224531Z_again.json"))
    site.ok("abandon", site.runs()[-1].name, "--reason", "the report is renamed")
    assert plan_id(site)


def test_models_in_a_folder_whose_name_is_no_text_are_refused_by_name(site: Site) -> None:
    folder = site.root / os.fsdecode(b"var/\xff")
    folder.mkdir()
    (folder / "manifest.json").write_bytes((site.root / MANIFEST).read_bytes())
    before = site.files()

    for command in (("plan", PLAN), ("apply", PLAN, "--yes")):
        done = site(*command)
        assert done.code == 8
        assert r"whose names are not UTF-8, so that no plan can name them: var/\xff" in done.err
    assert site.files() == before
    site.ok("hold", "--incident", INCIDENT)


def test_files_with_names_of_255_bytes_are_signed_held_moved_and_released(tmp_path: Path) -> None:
    site = new_site(tmp_path / "ws", signed=False)
    places = {
        "config/auto_trader.yaml": "config/" + "a" * 250 + ".yaml",
        "audit/ai_decision/scheduler.json": "audit/ai_decision/" + "s" * 250 + ".json",
        "audit/ai_decision/incident_journal.md": "audit/ai_decision/" + "i" * 252 + ".md",
        "audit/ai_decision/drift/20251117T223000Z_drift_alert.json": (
            "audit/ai_decision/drift/20251117T223000Z_" + "r" * 233 + ".json"
        ),
    }
    for old, new in places.items():
        (site.root / old).rename(site.root / new)
    trader, scheduler, incidents, _ = places.values()
    (site.root / PLAN).write_text(
        (site.root / PLAN).read_text().replace(
            "{model: {}}",
            f"{{model: {{}}, autotrader: {{config: {trader}}}, scheduler: {{state: {scheduler}}},"
            f" compliance: {{incident_journal: {incidents}}}}}",
        )
    )  # fmt: skip

    site.ok("hold", str(site.root / PLAN), "--incident", INCIDENT)
    site.sign()
    assert "verified" in site.apply().out

    assert site.apply().out.startswith("No changes.")
    assert not [name for name in site.files() if name.endswith(".tmp")]


def test_names_that_differ_in_case_are_different_names(site: Site) -> None:
    expected = plan_id(site)
    models = site.root / "models/decision_engine"
    (models / "Model-V9.json").write_text("{}")
    (models / "MANIFEST.JSON").write_text("{}")
    (site.root / "plans/PLAN.YAML").write_text("no plan")

    assert plan_id(site) == expected
    assert "verified" in site.apply().out
    assert (models / "Model-V9.json").read_text() == "{}"


def test_versions_that_differ_in_case_are_different_versions(site: Site) -> None:
    manifest = site.root / MANIFEST
    content = json.loads(manifest.read_bytes())
    content["versions"]["V10"] = {**content["versions"]["v9"], "aliases": []}
    manifest.write_text(json.dumps(content))

    done = site.apply()

    assert done.code == 0, done.err
    assert names(site.ok("status").out, ["v9"]) == []
    assert [path.name for path in (site.root / "models/decision_engine/quarantine").iterdir()] == ["v10.json"]
