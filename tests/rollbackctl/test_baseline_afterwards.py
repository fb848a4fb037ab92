"""`rollbackctl baseline`: the training rows of a version that has no baseline, measured afterwards."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot_core.ai.baseline import make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.profiles import add_baseline
from bot_core.foundation.digest import sha256_hex
from tests.harness import PLAN, Site
from tests.measured import REPOSITORY, STORMY, TRAINING, V7, V9, write_plan
from tests.windows import CALM, SYMBOLS, write_window

BASELINES = f"{REPOSITORY}/baselines"


def digest(site: Site, path: str) -> str:
    return sha256_hex((site.root / path).read_bytes())


def sidecar(site: Site, path: str = V9) -> Path:
    return site.root / BASELINES / f"of-{digest(site, path)}.json"


def ranked(site: Site, version: str = "v9") -> dict[str, Any]:
    versions = json.loads(site("targets", PLAN, "--format", "json").out)["versions"]
    found: dict[str, Any] = next(item for item in versions if item["version"] == version)
    return found


def test_it_leaves_the_artifact_as_it_is_and_names_its_digest(site: Site) -> None:
    before = site.files()

    done = site.ok("baseline", "v9", "--from", TRAINING)

    added = sorted(set(site.files()) - set(before))
    assert {path: data for path, data in site.files().items() if path not in added} == before
    told = json.loads(sidecar(site).read_bytes())
    baseline = f"{BASELINES}/{told['baseline_sha256']}.json"
    assert added == sorted([baseline, sidecar(site).relative_to(site.root).as_posix()])
    assert told == {
        "version": 1,
        "artifact_sha256": digest(site, V9),
        "baseline_sha256": digest(site, baseline),
        "source": TRAINING,
    }
    assert done.out == f"v9: 5 features in 1,200 rows, named in {BASELINES}/of-{digest(site, V9)}.json\n"


def test_rows_too_few_to_be_held_against_are_refused(site: Site) -> None:
    lines = (site.root / TRAINING).read_text().splitlines(keepends=True)
    (site.root / "few.csv").write_text("".join(lines[:100]))
    before = site.files()

    refused = site("baseline", "v9", "--from", "few.csv")

    assert (refused.code, site.files()) == (8, before)
    assert "few.csv has 99 rows: nothing is certain against so few, at least 100" in refused.err


def test_the_same_rows_give_the_same_files(site: Site) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    once = site.files()

    site.ok("baseline", "v9", "--from", TRAINING)

    assert site.files() == once


def test_other_rows_replace_what_the_version_is_held_against(site: Site) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    assert ranked(site)["data_drift"] == "within"

    site.ok("baseline", "v9", "--from", STORMY)

    assert ranked(site)["data_drift"] == "beyond"


def test_with_it_a_version_is_measured_in_full_and_it_is_told_that_nobody_has_signed_it(site: Site) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)

    found, text = ranked(site), site.ok("targets", PLAN).out
    markdown, plan = site.ok("targets", PLAN, "--format", "markdown").out, site.ok("plan", PLAN).out
    drift = site.ok("drift", PLAN, "--version", "v9", "--dry-run").out

    assert (found["measured"]["approximate"], found["measured"]["unsigned"]) == (False, True)
    assert {"psi", "ks", "wasserstein", "jensen_shannon"} <= found["measured"]["features"][0]["measures"].keys()
    assert "within (baseline not signed)" in text
    assert "within (baseline not signed)" in markdown
    assert "data_drift: v9 within its limits (baseline not signed): " in plan
    assert "against the baseline made afterwards, which nobody has signed (1,200 rows)" in drift


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"artifact_sha256": "0" * 64}, "is not a baseline of this artifact"),
        ({"version": 2}, "is not a baseline of this artifact"),
        ({"baseline_sha256": None}, "is not a baseline of this artifact"),
        ({"baseline_sha256": "../../manifest"}, "is not a baseline of this artifact"),
        (
            {"baseline_sha256": "f" * 64},
            f"its training rows, in models/decision_engine: {'f' * 64}.json does not exist",
        ),
    ],
)
def test_a_sidecar_that_cannot_be_meant_is_refused_and_the_version_has_no_data(
    site: Site, told: dict[str, object], reason: str
) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    sidecar(site).write_text(json.dumps(json.loads(sidecar(site).read_bytes()) | told))

    found = ranked(site)

    assert (found["verdict"], found["data_drift"]) == ("rejected", "no data")
    assert reason in found["measured"]["problem"]
    assert str(site.root) not in json.dumps(found)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[" * 100, b'{"version": NaN}', b'{"version": 1, "version": 1}', b"\xff"]
)
def test_a_damaged_sidecar_is_refused(site: Site, damage: bytes) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    sidecar(site).write_bytes(damage)

    found = ranked(site)

    assert found["data_drift"] == "no data"
    assert f"baselines/{sidecar(site).name}" in found["measured"]["problem"]


def test_a_baseline_of_other_bytes_than_the_sidecar_names_is_refused(site: Site) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    path = site.root / BASELINES / f"{json.loads(sidecar(site).read_bytes())['baseline_sha256']}.json"
    path.write_bytes(path.read_bytes() + b" ")

    found = ranked(site)

    assert found["data_drift"] == "no data"
    assert "has the digest" in found["measured"]["problem"]
    assert site("plan", PLAN).out.startswith("Rollback INC-2025-1117   v10 -> v7   ")


def test_a_baseline_counts_no_longer_when_the_artifact_has_changed(site: Site) -> None:
    site.ok("baseline", "v9", "--from", TRAINING)
    (site.root / V9).write_bytes((site.root / V9).read_bytes() + b"\n")

    assert ranked(site)["measured"]["approximate"] is True


def test_a_version_with_a_baseline_of_its_own_gets_no_other(site: Site) -> None:
    artifact = site.state(V7)
    artifact["metadata"]["feature_baseline"] = {"sha256": "0" * 64}
    (site.root / V7).write_text(json.dumps(artifact))
    before = site.files()

    done = site("baseline", "v7", "--from", TRAINING)

    assert (done.code, site.files()) == (8, before)
    assert "v7 names the baseline of its own training, which counts before any other" in done.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("v11", "--from", TRAINING), "models/decision_engine has no version v11"),
        (("v9", "--from", "data/gone.csv"), "data/gone.csv"),
        (("v9", "--from", "../elsewhere.csv"), "../elsewhere.csv: must be a path below the workspace"),
        (("v9", "--from", "data/narrow.csv"), "data/narrow.csv has no column momentum"),
        (("v9", "--from", "data/empty.csv"), "data/empty.csv has no rows"),
        (("v9", "--from", "data/hollow.csv"), "momentum is missing in every row, so that it has no baseline"),
    ],
)
def test_rows_that_cannot_be_those_of_its_training_are_refused_and_nothing_is_written(
    site: Site, arguments: tuple[str, ...], problem: str
) -> None:
    write_window(site.root / "data/narrow.csv", {name: told for name, told in CALM.items() if name != "momentum"})
    write_window(site.root / "data/empty.csv", rows=0)
    hollow = (site.root / TRAINING).read_text().splitlines()
    place = hollow[0].split(",").index("momentum")
    cells = [line.split(",") for line in hollow]
    cells[1:] = [[*row[:place], "", *row[place + 1 :]] for row in cells[1:]]
    (site.root / "data/hollow.csv").write_text("\n".join(map(",".join, cells)))
    before = site.files()

    done = site("baseline", *arguments)

    assert (done.code, site.files()) == (8, before)
    assert problem in done.err


def test_a_segment_is_held_against_its_own_training_rows_where_they_are_known_and_else_against_all(site: Site) -> None:
    """One symbol was calm in training, the other one was not: against all of training both have moved."""
    rng = np.random.default_rng(5)
    matrix = np.column_stack([rng.normal(*told, 4000) for told in CALM.values()])
    matrix[::2, 1] += 3.0
    symbols = [SYMBOLS[row % 2] for row in range(4000)]
    table = FeatureTable(tuple(CALM), matrix, np.zeros(4000), np.arange(4000.0), {"symbol": symbols})
    add_baseline(site.root / REPOSITORY, make_baseline(table), artifact_sha256=digest(site, V9), source="test")
    write_plan(site, section=", segments: [symbol]")

    segments = {(item["value"], item["own"]): item["worst"] for item in ranked(site)["measured"]["segments"]}
    text = site("targets", PLAN).out

    assert set(segments) == {(symbol, True) for symbol in SYMBOLS}
    assert segments["BTCUSDT", True]["measures"]["psi"] > 2 > 0.2 > segments["ETHUSDT", True]["measures"]["psi"]
    assert "furthest by segment: symbol BTCUSDT momentum PSI " in text
    assert "symbol ETHUSDT" in text
    assert text.count("(600 rows)") == 2
    assert text.count("(600 rows, against all of training)") == 4
