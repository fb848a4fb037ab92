"""`rollbackctl drift`: one version against the rows of now, as a report that the engine's own loaders read."""

import pytest

from bot_core.ai.data_monitoring import load_recent_drift_reports
from tests.harness import PLAN, Site
from tests.measured import LIVE, STORMY, write_plan

REPORT = "audit/ai_decision/drift/20251118T080000Z.json"


def test_a_report_that_has_triggered_is_an_alert_for_the_engines_loaders_and_for_the_next_plan(site: Site) -> None:
    write_plan(site, window=STORMY, target="{version: v9}", checks="{}")

    done = site.ok("drift", PLAN)

    newest = load_recent_drift_reports(limit=1, audit_root=site.root / "audit/ai_decision")[0]
    assert newest["generated_at"] == "2025-11-18T08:00:00+00:00"
    assert newest["metrics"]["triggered"]["value"] is True
    assert newest["metrics"]["distribution_summary"]["triggered_features"] == ["momentum", "spread_bps"]
    assert newest["production_window"]["rows"] == 1200
    assert done.out.endswith(f"written to {REPORT}\n")
    plan = site.ok("plan", PLAN).out
    assert "release waits     report_signoff" in plan
    assert "drift/20251118T080000Z.json   compliance missing, risk missing" in plan


def test_a_report_that_has_not_triggered_is_no_alert(site: Site) -> None:
    site.ok("drift", PLAN, "--version", "v7")

    assert site.state(REPORT)["metrics"]["triggered"]["value"] is False
    assert site.state(REPORT)["job_name"] == "rollbackctl:v7"
    assert "pass              report_signoff" in site.ok("plan", PLAN).out


def test_a_dry_run_shows_the_same_and_writes_nothing(site: Site) -> None:
    before = site.files()

    dry = site.ok("drift", PLAN, "--dry-run")

    assert site.files() == before
    assert site.ok("drift", PLAN).out == f"{dry.out}written to {REPORT}\n"


def test_too_few_rows_make_no_report(site: Site) -> None:
    lines = (site.root / LIVE).read_text().splitlines(keepends=True)
    (site.root / LIVE).write_text("".join(lines[:900]))
    before = site.files()

    refused = site("drift", PLAN)

    assert (refused.code, site.files()) == (8, before)
    assert f"the window {LIVE} has 899 rows, at least 1,000 make a report" in refused.err
    assert site.ok("drift", PLAN, "--dry-run").out


def test_every_feature_is_shown_the_one_that_has_moved_furthest_first(site: Site) -> None:
    write_plan(site, window=STORMY)

    lines = site.ok("drift", PLAN, "--version", "v9", "--dry-run").out.splitlines()

    assert lines[0].startswith("Data drift   v9   against the mean, stdev, min and max of its training (140 rows)")
    assert lines[1] == f"Window       {STORMY}   1,200 rows in 1 file, 2025-11-15 00:00Z to 2025-11-15 19:59Z"
    assert lines[3].split("  ")[1] == "feature"
    assert [line.split()[0] for line in lines[4:]] == ["spread_bps", "momentum", "atr_pct", "volume_ratio", "rsi_norm"]
    assert lines[4].endswith("1,200   beyond mean shift 0.5, stdev ratio 2, outside range 0.1")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--version", "v11"), "models/decision_engine has no version v11"),
        (("--version", "v9"), "v9: the window has no column momentum"),
    ],
)
def test_what_cannot_be_measured_is_an_error_and_no_report(
    site: Site, arguments: tuple[str, ...], problem: str
) -> None:
    (site.root / LIVE).write_text((site.root / LIVE).read_text().replace("momentum", "impulse", 1))
    before = site.files()

    done = site("drift", PLAN, *arguments)

    assert (done.code, site.files()) == (8, before)
    assert problem in done.err


def test_a_plan_without_a_window_is_refused_with_the_section_to_add(site: Site) -> None:
    text = (site.root / PLAN).read_text()
    (site.root / PLAN).write_text(text[: text.index("  gates:")])

    done = site("drift", PLAN)

    assert done.code == 8
    assert "add spec.gates.data_drift: {window: {path: …, time_column: …}}" in done.err
