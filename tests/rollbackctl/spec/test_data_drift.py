from typing import Any

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.spec.data_drift import DataDriftSettings, data_drift_settings, limits_of
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.load import load_spec

PLAN = """\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: plan, incident: INC-1}
spec:
  model: {}
  gates:
    data_drift:
"""


def load(section: str) -> Spec:
    text = PLAN + "".join(f"      {line}\n" for line in section.splitlines())
    return load_spec(text.encode(), "plan.yaml", kinds=(), gates={"data_drift": DataDriftSettings}, checks={})


def settings(section: str) -> DataDriftSettings:
    found = data_drift_settings(load(section))
    assert found is not None
    return found


def test_a_window_alone_is_enough() -> None:
    found = settings("window: {path: data/features}")

    assert (found.window.read_as, found.min_rows, found.tolerance.rows) == ("parquet", 1000, 0.25)
    assert limits_of(found, {}).measures["psi"] == 0.25


@pytest.mark.parametrize(
    ("path", "read_as"),
    [
        ("a.csv", "csv"),
        ("a/*.parquet", "parquet"),
        ("logs/x.jsonl", "journal"),
        ("s3://bucket/a.CSV", "csv"),
        ("a", "parquet"),
    ],
)
def test_the_format_is_told_by_the_suffix(path: str, read_as: str) -> None:
    assert settings(f"window: {{path: '{path}'}}").window.read_as == read_as


def test_a_stated_format_beats_the_suffix() -> None:
    assert settings("window: {path: logs/decision_journal, format: journal}").window.read_as == "journal"


@pytest.mark.parametrize(
    ("section", "line", "problem"),
    [
        ("window: {path: ../other}", 8, "must be a path below the workspace"),
        ("window: {path: /etc}", 8, "must be a path below the workspace"),
        ("window: {path: a, since: yesterday, time_column: t}", 8, "must be an instant"),
        ("window: {path: a, since: '2025-11-17T00:00:00', time_column: t}", 8, "must name its zone"),
        ("window: {path: a, last: P0D, time_column: t}", 8, "must be longer than nothing"),
        ("window: {path: a, last: P1D}", 8, "since and last need a time_column"),
        ("window: {path: a, format: xml}", 8, "'parquet', 'csv' or 'journal'"),
        ("window: {path: a}\nlimits: {psy: 1}", 9, "there is no measure psy; the measures: psi, ks"),
        ("window: {path: a}\nlimits: {psi: 0}", 9, "the limit of psi must be above 0"),
        ("window: {path: a}\nlimits: {stdev_ratio: 1}", 9, "the limit of stdev_ratio must be above 1"),
        ("window: {path: a}\nmin_rows: 0", 9, "greater than or equal to 1"),
        ("window: {path: a}\nmin_row: 5", 9, "is not a known field"),
        ("limits: {psi: 1}", 7, "window is missing"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused_with_its_line(section: str, line: int, problem: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load(section)

    assert [(found.line, problem in found.text) for found in caught.value.problems] == [(line, True)]


def test_where_a_plan_has_no_such_section_nothing_is_measured() -> None:
    text = PLAN.replace("  gates:\n    data_drift:\n", "")
    spec = load_spec(text.encode(), "plan.yaml", kinds=(), gates={"data_drift": DataDriftSettings}, checks={})

    assert data_drift_settings(spec) is None


@pytest.mark.parametrize(
    ("firm", "name", "limit"),
    [
        ({"data_drift.psi": 0.1}, "psi", 0.1),
        ({"data_drift.psi": 0.9}, "psi", 0.25),
        ({"data_drift.ks": 0.2}, "ks", 0.2),
        ({"psi": 0.1}, "psi", 0.25),
    ],
)
def test_the_tighter_limit_counts(firm: dict[str, Any], name: str, limit: float) -> None:
    assert limits_of(settings("window: {path: a}"), Policy(limits=firm).limits).measures[name] == limit


@pytest.mark.parametrize(
    ("name", "limit", "problem"),
    [
        ("psy", 0.1, "there is no measure psy; the measures: psi, ks"),
        ("psi", 0.0, "the limit of psi must be above 0"),
        ("stdev_ratio", 1.0, "the limit of stdev_ratio must be above 1"),
    ],
)
def test_a_limit_of_the_policy_that_cannot_be_meant_is_refused(name: str, limit: float, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=f"the firm's policy: limits.data_drift.{name}: {problem}"):
        limits_of(settings("window: {path: a}"), {f"data_drift.{name}": limit})
