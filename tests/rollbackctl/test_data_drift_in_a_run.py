"""Targets held against the rows of now: what is chosen, refused, checked again, and told to whoever decides."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance import differences, snapshot
from tests.harness import PLAN, SAVED, STORE, Site, names
from tests.hostile import NAMES, unsafe
from tests.measured import LIVE, STORMY, TRAINING, V9, with_baselines, write_plan
from tests.rollbackctl.render.test_markdown import dangers
from tests.windows import CALM, STORM, write_window

LAST_OF_RESTORE = 7
APPROXIMATE = "mean, stdev, min and max of its training"
FALLBACKS = (
    "keep holding, and decide by rules meanwhile: rollbackctl hold --incident INC-2025-1117",
    "train a version on the rows of now, have it signed, and make it the champion",
    "escalate: Platform Ops, docs/runbooks/rollback_multi_strategy.md",
)


def active(site: Site) -> str:
    return str(site.state("models/decision_engine/manifest.json")["active"])


# Choosing


def test_a_target_that_keeps_to_its_limits_goes_to_work_and_is_measured_again_before(site: Site) -> None:
    done = site.apply()

    assert (done.code, active(site)) == (0, "v9")
    assert names(done.err, ["check data_drift: pass, v9 (approximate) against 1,200 rows of data/live.csv: "]) == []


def test_a_named_target_that_has_drifted_is_restored_under_holds_and_never_released(site: Site) -> None:
    write_plan(site, window=STORMY, target="{version: v9}", checks="{}")

    done = site.apply()

    assert (done.code, active(site)) == (3, "v10")
    assert site.state("var/models/serving.json")["attached"] is False
    assert "data_drift: v9: has drifted too (approximate); rollback will not help" in done.err
    assert "mean shift of spread_bps is 5.896, limit 0.5" in done.err


def test_last_stable_passes_over_a_version_that_has_drifted_and_says_so(site: Site) -> None:
    with_baselines(site)

    plan = site.ok("plan", PLAN)
    done = site.apply()

    assert "v9   rejected   data drift (baseline not signed): PSI of spread_bps is " in plan.out
    assert "data_drift: v7 within its limits (baseline not signed): " in plan.out
    assert (done.code, active(site)) == (0, "v7")


@pytest.mark.parametrize(
    "command", [("targets", PLAN), ("plan", PLAN), ("plan", PLAN, "--check"), ("apply", PLAN, "--yes")]
)
def test_where_every_version_has_drifted_each_command_says_that_a_rollback_will_not_help(
    site: Site, command: tuple[str, ...]
) -> None:
    write_plan(site, window=STORMY)
    before = snapshot(site.root)

    done = site(*command)

    assert done.code == 3
    assert done.err.startswith("error: rollback will not help: every version to go back to has drifted too")
    assert names(done.err, FALLBACKS) == []
    assert differences(before, snapshot(site.root)) == []
    assert not (site.root / STORE).exists()


def test_a_saved_plan_is_refused_when_the_market_has_left_every_version_behind_since(site: Site) -> None:
    site.save()
    write_window(site.root / LIVE, STORM)
    before = site.files()

    done = site("apply", SAVED)

    assert (done.code, site.files()) == (3, before)
    assert done.err.startswith("error: rollback will not help")


# What cannot be told


def _few(site: Site) -> None:
    write_window(site.root / LIVE, rows=999)


def _narrow(site: Site) -> None:
    write_window(site.root / LIVE, {name: told for name, told in CALM.items() if name != "momentum"})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_few, "the window data/live.csv has 999 rows, at least 1,000"),
        (_narrow, "the window has no column momentum"),
    ],
)
def test_what_cannot_be_told_passes_nowhere(site: Site, spoil: Callable[[Site], None], reason: str) -> None:
    spoil(site)
    write_plan(site, target="{version: v9}")
    named = site.ok("plan", PLAN)
    write_plan(site)

    ranked, planned = site("targets", PLAN), site("plan", PLAN)

    assert (ranked.code, planned.code) == (3, 3)
    assert f"release blocked   data_drift: v9: no data\n      {reason}" in named.out
    assert names(planned.err, ["error: no version can be the target", f"v9: data drift cannot be told: {reason}"]) == []
    assert "no version can be the target" in ranked.out
    assert ranked.out.count(" no data ") == 3
    assert "will not help" not in ranked.out + planned.err


def test_a_feature_without_any_value_is_no_data_and_no_reason_to_say_that_rollback_will_not_help(site: Site) -> None:
    rows = [line.split(",") for line in (site.root / LIVE).read_text().splitlines()]
    for row in rows[1:]:
        row[rows[0].index("rsi_norm")] = ""
    (site.root / LIVE).write_text("\n".join(map(",".join, rows)))

    ranked = site("targets", PLAN)

    assert ranked.code == 3
    assert "the window has no value of rsi_norm: see what feeds it" in ranked.out
    assert "will not help" not in ranked.out


def test_a_version_of_whose_training_nothing_is_known_cannot_be_measured_and_is_told_how_it_can(site: Site) -> None:
    artifact = site.state(V9)
    del artifact["metadata"]["feature_stats"]
    (site.root / V9).write_text(json.dumps(artifact | {"feature_scalers": {}}))

    ranked = json.loads(site.ok("targets", PLAN, "--format", "json").out)
    drift = site("drift", PLAN, "--version", "v9")

    v9 = next(item for item in ranked["versions"] if item["version"] == "v9")
    assert (v9["data_drift"], v9["verdict"], v9["used"]) == ("no data", "rejected", 0)
    assert drift.code == 8
    assert "v9: nothing tells what it was trained on" in drift.err
    assert "make a baseline: rollbackctl baseline v9 --from DATA" in drift.err


def test_a_window_that_is_not_there_is_an_error_that_names_it(site: Site) -> None:
    write_plan(site, window="data/gone.csv")

    for command in (("targets", PLAN), ("plan", PLAN), ("apply", PLAN, "--yes")):
        done = site(*command)
        assert done.code == 8
        assert done.err.startswith("error: data/gone.csv")


def test_a_plan_that_was_carried_out_needs_its_window_no_more(site: Site) -> None:
    site.apply()
    (site.root / LIVE).unlink()
    before = site.files()

    done = site.apply()

    assert (done.code, site.files()) == (0, before)
    assert done.out.startswith("No changes. v9 is restored")


def test_a_run_whose_window_is_gone_when_it_may_release_waits_with_the_reason_and_goes_on_when_it_is_back(
    site: Site,
) -> None:
    write_plan(site, checks="{}")
    site.interrupted(LAST_OF_RESTORE)
    (site.root / LIVE).unlink()

    waiting = site.apply()
    write_window(site.root / LIVE)
    done = site.apply()

    assert (waiting.code, done.code, active(site)) == (3, 0, "v9")
    assert "data_drift: v9: no data\n    data/live.csv" in waiting.err


def test_a_plan_without_the_gate_ranks_by_everything_else(site: Site) -> None:
    text = (site.root / PLAN).read_text()
    (site.root / PLAN).write_text(text[: text.index("  gates:")])

    out = site.ok("targets", PLAN).out

    assert [line.split()[-2:] for line in out.splitlines()[3:6]] == [["not", "asked"]] * 3
    assert "> v9        chosen      not asked" in out


# What is approximate is called so


def test_what_is_measured_by_moments_is_called_approximate_wherever_it_is_shown(site: Site) -> None:
    text, markdown, value = (site.ok("targets", PLAN, "--format", form).out for form in ("text", "markdown", "json"))
    plan, document, comment = (site.ok("plan", PLAN, "--format", form).out for form in ("text", "json", "markdown"))
    drift = site.ok("drift", PLAN, "--version", "v9")
    report = site.state(drift.out.rpartition("written to ")[2].strip())

    assert text.count("within (approximate)") == markdown.count("within (approximate)") == 3
    assert f"Against   each version's own {APPROXIMATE}" in text
    assert f"**Against:** each version's own {APPROXIMATE}" in markdown
    assert [item["measured"]["approximate"] for item in json.loads(value)["versions"]] == [True] * 3
    assert "data_drift: v9 within its limits (approximate): atr_pct mean shift 0.123" in plan
    assert "data drift within the limits (approximate): atr_pct mean shift 0.123" in plan
    assert [item["caveat"] for item in json.loads(document)["data_drift"]["versions"]] == ["approximate"] * 3
    assert comment.count("(approximate)") == 2
    assert f"against the {APPROXIMATE} (140 rows)   approximate" in drift.out
    assert report["metrics"]["distribution_summary"]["approximate"] is True
    assert report["baseline_window"]["source"] == APPROXIMATE


def test_the_plan_as_json_tells_the_window_and_how_each_version_lies_to_it(site: Site) -> None:
    write_plan(site, gates=f"replay: {{window: {{path: {LIVE}}}}}")

    plan = json.loads(site.ok("plan", PLAN, "--format", "json").out)

    told = plan["data_drift"]
    assert (told["window"]["path"], told["window"]["rows"]) == (LIVE, 1200)
    assert (told["limits"]["psi"], told["min_rows"]) == (0.25, 1000)
    assert [(item["version"], item["answer"]) for item in told["versions"]] == [
        ("v7", "within"),
        ("v9", "within"),
        ("v10", "within"),
    ]
    assert [item["feature"] for item in told["versions"][1]["furthest"]] == ["atr_pct", "spread_bps", "volume_ratio"]
    assert plan["facts"]["data_drift"]["rows"] == 1200
    assert (plan["replay"]["before"], plan["replay"]["after"], plan["replay"]["whole"]["rows"]) == ("v10", "v9", 1200)


# The check after the restore


def _storm(site: Site) -> None:
    write_window(site.root / LIVE, STORM)


@pytest.mark.parametrize(
    ("spoil", "told", "is_passed_over"),
    [
        (_storm, "check data_drift: fail, v9 (approximate) against 1,200 rows of data/live.csv: ", True),
        (_few, "check data_drift: no data, v9 against 999 rows of data/live.csv: ", False),
        (lambda site: (site.root / LIVE).unlink(), "check data_drift: inconclusive, ", False),
    ],
)
def test_a_window_that_went_bad_stops_the_run_and_only_a_failure_is_held_against_the_version(
    site: Site, spoil: Callable[[Site], None], told: str, is_passed_over: bool
) -> None:
    done = site.disturbed(LAST_OF_RESTORE, lambda: spoil(site))

    assert (done.code, active(site)) == (6, "v10")
    assert told in done.err
    assert site.state("var/models/serving.json")["attached"] is False
    write_window(site.root / LIVE)
    site.ok("abandon", site.runs()[-1].name, "--reason", "the window")
    plan = site.ok("plan", PLAN).out
    assert ("v9   rejected   failed a check of this incident" in plan) is is_passed_over
    assert f"v10 -> {'v7' if is_passed_over else 'v9'}" in plan


def test_a_check_without_the_gates_section_is_refused(site: Site) -> None:
    text = (site.root / PLAN).read_text().splitlines(keepends=True)
    (site.root / PLAN).write_text(
        "".join(line for line in text if "data_drift: {window" not in line).replace("  gates:\n", "  gates: {}\n")
    )

    done = site("plan", PLAN)

    assert done.code == 8
    assert "spec.checks.data_drift measures what spec.gates.data_drift names, and there is no such section" in done.err


# Staleness


def test_a_window_that_has_grown_within_its_tolerance_leaves_a_saved_plan_as_it_is(site: Site) -> None:
    site.save()
    write_window(site.root / LIVE, rows=1500)

    done = site("apply", SAVED)

    assert (done.code, active(site)) == (0, "v9")


def test_a_window_beyond_its_tolerance_makes_a_saved_plan_stale_and_what_has_moved_is_named(site: Site) -> None:
    site.save()
    write_window(site.root / LIVE, {**CALM, "momentum": (0.3, 1.0)}, rows=1600)
    before = site.files()

    done = site("apply", SAVED)

    assert (done.code, site.files()) == (4, before)
    assert done.err.splitlines()[:3] == [
        "error: the world has changed since the plan was made",
        "  the window data/live.csv: 1,200 rows, now 1,600; tolerance 25%",
        "  mean shift of momentum: 0.01, now 0.27",
    ]


def test_a_baseline_that_came_since_makes_a_saved_plan_stale_and_is_named(site: Site) -> None:
    site.save()
    site.ok("baseline", "v9", "--from", LIVE)

    done = site("apply", SAVED)

    assert done.code == 4
    assert "the training rows of the target: baselines/of-290247a8" in done.err


# Nothing is written by looking


@pytest.mark.parametrize(
    "command", [("targets", PLAN), ("plan", PLAN), ("drift", PLAN, "--dry-run"), ("observe", PLAN)]
)
def test_looking_writes_nothing_in_the_workspace(site: Site, command: tuple[str, ...]) -> None:
    write_plan(site, gates=f"replay: {{window: {{path: {LIVE}}}}}", section=", segments: [symbol]")
    before = snapshot(site.root)

    done = site(*command)

    assert done.code == 0
    assert differences(before, snapshot(site.root)) == []


# Planning elsewhere


def test_an_observation_gives_the_same_plan_without_the_workspace_and_without_numpy(site: Site, tmp_path: Path) -> None:
    write_plan(site, gates=f"replay: {{window: {{path: {LIVE}}}}}", section=", segments: [symbol]")
    site.ok("observe", PLAN, "--out", str(tmp_path / "world.json"))
    here = json.loads(site.ok("plan", PLAN, "--format", "json").out)
    shutil.copy(site.root / PLAN, tmp_path / "plan.yaml")

    driver = (
        "import json, sys; from rollbackctl.cli.main import main; from rollbackctl.cli.app import App\n"
        "from datetime import datetime\n"
        "app = App(lambda: datetime.fromisoformat(sys.argv[1]), {}); code = main(sys.argv[2:], app); app.close()\n"
        "print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    arguments = [site.now.isoformat(), "plan", "plan.yaml", "--world", "world.json", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", driver, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    assert {"numpy", "pyarrow", "sklearn"}.isdisjoint(modules)
    assert json.loads(done.stdout) == here


def test_an_observation_that_was_made_for_another_window_is_refused(site: Site, tmp_path: Path) -> None:
    world = str(tmp_path / "world.json")
    site.ok("observe", PLAN, "--out", world)
    others = (
        {"window": TRAINING},
        {"section": ", segments: [symbol]"},
        {"gates": f"replay: {{window: {{path: {LIVE}}}}}"},
    )

    for other in others:
        write_plan(site, **other)
        done = site("plan", PLAN, "--world", world)
        assert done.code == 8
        assert "error: the observation was made for " in done.err

    # What is measured is the same: limits are judged from it.
    write_plan(site, section=", limits: {mean_shift: 2}, min_rows: 1300, tolerance: {rows: 1}")
    assert "1,200 rows, at least 1,300" in site("plan", PLAN, "--world", world).err


def test_a_plan_that_was_made_elsewhere_is_applied_where_the_window_is(site: Site, tmp_path: Path) -> None:
    world = str(tmp_path / "world.json")
    site.ok("observe", PLAN, "--out", world)
    site.ok("plan", PLAN, "--world", world, "--out", str(site.root / SAVED))

    assert (site("apply", SAVED).code, active(site)) == (0, "v9")


def test_no_symbol_and_no_file_name_steers_a_terminal_or_is_read_as_markup(site: Site) -> None:
    symbols = [NAMES[name] for name in ("ansi", "c1", "bidi", "zero width", "spaces", "mentions", "details")]
    symbols = [symbol.replace("\n", " ").replace(",", ";") for symbol in symbols]
    path = "data/@everyone <b>#1 live.csv"
    write_window(site.root / path, rows=2100, texts={"symbol": symbols, "side": symbols})
    replay = f"replay: {{window: {{path: '{path}'}}}}"
    write_plan(site, window=path, section=", segments: [symbol]", gates=replay, checks="{}")

    said = [
        site.ok(*command)
        for command in (
            ("targets", PLAN),
            ("targets", PLAN, "--format", "markdown"),
            ("targets", PLAN, "--format", "json"),
            ("plan", PLAN),
            ("plan", PLAN, "--format", "markdown"),
            ("plan", PLAN, "--format", "json"),
            ("drift", PLAN),
        )
    ]

    assert [unsafe(done.out + done.err) for done in said] == [[]] * len(said)
    for done in (said[1], said[4]):
        assert [danger for danger in dangers(done.out) if danger != "table_open"] == []
