"""What a plan is refused for before anything is touched; a hold is never refused for any of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollbackctl.engine.versions import hmac_keys
from rollbackctl.spec.document import HmacKey, Policy
from tests.harness import edited
from tests.on_call import PLAN, Answer, Operator

MANIFEST = "models/decision_engine/manifest.json"
DEPLOYED = "var/models/decision_engine/manifest.json"
POLICY = "config/rollbackctl.yaml"
KEYED = "bundle: required\nhmac_keys: {demo-2025: {env: BUNDLE_KEY}}\n"
KEY = "ws-public-demo-signing-key-0123456789abcdef"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator.at(tmp_path / "ws")


def set_aliases(operator: Operator, manifest: str, **aliases: str) -> None:
    edited(operator.root / manifest, lambda value: value | {"aliases": value["aliases"] | aliases})


def plan(operator: Operator, lines: str = "", *options: str) -> Answer:
    """Plan with some more lines in the section `spec`; looking changes nothing."""
    (operator.root / "plans/inc.yaml").write_text(PLAN + lines, encoding="utf-8")
    before = operator.tree(times=True)
    answer = operator.call("plan", "plans/inc.yaml", *options)
    assert operator.tree(times=True) == before
    return answer


@pytest.mark.parametrize("manifest", [MANIFEST, DEPLOYED])
@pytest.mark.parametrize(
    ("aliases", "problems"),
    [
        ({"foo": "bar"}, ["there is no version or alias 'bar' (by foo -> bar)"]),
        (
            {"x": "y", "y": "x", "foo": "bar"},
            ["'bar' (by foo -> bar)", "alias 'x' is cyclic: x -> y -> x", "alias 'y' is cyclic: y -> x -> y"],
        ),
    ],
    ids=["dangling", "cyclic"],
)
def test_an_alias_that_leads_nowhere_is_refused_by_file_and_name_and_holds_all_the_same(
    manifest: str, aliases: dict[str, str], problems: list[str], operator: Operator
) -> None:
    set_aliases(operator, manifest, **aliases)

    refused = plan(operator)

    assert refused.code == 8
    assert [problem for problem in problems if f"{manifest}: " not in refused.err or problem not in refused.err] == []
    assert f"mend {manifest}" in refused.err
    assert str(operator.root) not in refused.err
    assert operator.call("observe", "plans/inc.yaml", "--out", "world.json").code == 8
    assert operator.call("hold", "--incident", "INC-2025-1117").code == 0


def test_an_alias_of_an_alias_is_none_of_them(operator: Operator) -> None:
    set_aliases(operator, MANIFEST, foo="bar", bar="stable")

    assert plan(operator).code == 0


@pytest.mark.parametrize("key", [None, ""])
def test_a_key_that_the_policy_configures_and_that_is_not_at_hand_is_refused(
    key: str | None, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    (operator.root / POLICY).write_text(KEYED, encoding="utf-8")
    monkeypatch.delenv("BUNDLE_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("BUNDLE_KEY", key)

    refused = plan(operator)

    assert refused.code == 8
    assert f"{POLICY}: hmac_keys.demo-2025: the environment variable BUNDLE_KEY" in refused.err
    assert "set BUNDLE_KEY" in refused.err
    assert operator.call("apply", "plans/inc.yaml", "--yes").code == 8
    assert operator.call("status").code == 0
    assert operator.call("hold", "--incident", "INC-2025-1117").code == 0


def test_a_run_goes_on_only_where_the_key_is_at_hand(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    (operator.root / POLICY).write_text(KEYED, encoding="utf-8")
    monkeypatch.setenv("BUNDLE_KEY", KEY)
    waits = operator.call("apply", "plans/inc.yaml", "--yes")
    operator.sign_all()
    monkeypatch.delenv("BUNDLE_KEY")

    refused = operator.call("apply", "plans/inc.yaml", "--yes")

    assert (waits.code, refused.code) == (3, 8)
    assert operator.call("status").code == 0
    monkeypatch.setenv("BUNDLE_KEY", KEY)
    assert operator.call("apply", "plans/inc.yaml", "--yes").code == 0


def test_an_empty_key_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "empty.key").write_text("\n", encoding="utf-8")

    with pytest.raises(Exception, match=r"hmac_keys\.k: empty\.key is empty"):
        hmac_keys(Policy(hmac_keys={"k": HmacKey(file="empty.key")}), tmp_path)


@pytest.mark.parametrize("file", ["../../x.json", "/etc/x.json"])
def test_a_version_whose_file_leaves_the_repository_is_rejected_without_an_absolute_path(
    file: str, operator: Operator
) -> None:
    def moved(value: dict[str, Any]) -> dict[str, Any]:
        value["versions"]["v9"]["file"] = file
        return value

    edited(operator.root / MANIFEST, moved)

    answer = plan(operator, "", "--format", "json")

    candidates = {item["version"]: item for item in json.loads(answer.out)["candidates"]}
    assert candidates["v9"]["verdict"] == "rejected"
    assert candidates["v9"]["reasons"][0] == "its file in the manifest is not a path below models/decision_engine"
    assert str(operator.root) not in answer.out
    assert "/etc/" not in answer.out


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("  autotrader: {config: config/auto_tradr.yaml}\n", "spec.autotrader.config: config/auto_tradr.yaml"),
        ("  scheduler: {state: audit/ai_decision/schedulr.json}\n", "spec.scheduler.state: audit/ai_decision/schedulr"),
        ("  serving: {model_dir: var/modelz}\n", "spec.serving.model_dir: var/modelz"),
        ("  journal: {read: logs/decisions}\n", "spec.journal.read: logs/decisions"),
        ("  compliance: {checklist: docs/signoff.md}\n", "spec.compliance.checklist: docs/signoff.md"),
    ],
)
def test_a_path_that_the_plan_names_and_that_does_not_exist_is_refused(
    lines: str, problem: str, operator: Operator
) -> None:
    refused = plan(operator, lines)

    assert refused.code == 8
    assert problem in refused.err
    assert "does not exist" in refused.err
    assert operator.call("hold", "plans/inc.yaml").code == 0


def test_the_usual_path_written_out_is_the_same_plan_as_the_one_left_out(operator: Operator) -> None:
    (operator.root / "config/auto_trader.yaml").unlink()

    left_out = plan(operator, "", "--format", "json")
    written = plan(operator, "  autotrader: {config: config/auto_trader.yaml}\n", "--format", "json")

    assert written == left_out


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ("config/auto_trader.yaml", "config/auto_trader.yaml does not exist: no trader is put into maintenance"),
        (
            "audit/ai_decision/scheduler.json",
            "audit/ai_decision/scheduler.json does not exist: it is created, and no scheduler of today is paused",
        ),
    ],
)
def test_a_usual_path_that_does_not_exist_is_noted_first(path: str, note: str, operator: Operator) -> None:
    (operator.root / path).unlink()

    answer = plan(operator, "", "--format", "json")

    assert answer.code == 0
    assert json.loads(answer.out)["diagnostics"][0] == note


def test_a_path_that_the_run_makes_need_not_exist(operator: Operator) -> None:
    lines = "  journal: {write: logs/new.log}\n  compliance: {incident_journal: docs/incidents.md}\n"

    assert plan(operator, lines).code == 0


def test_an_observation_carried_elsewhere_refuses_the_same(operator: Operator) -> None:
    lines = "  autotrader: {config: config/auto_tradr.yaml}\n"
    (operator.root / "plans/inc.yaml").write_text(PLAN + lines, encoding="utf-8")
    assert operator.call("observe", "plans/inc.yaml", "--out", "world.json").code == 0

    refused = operator.call("plan", "plans/inc.yaml", "--world", "world.json")

    assert refused.code == 8
    assert "spec.autotrader.config: config/auto_tradr.yaml does not exist" in refused.err


def test_a_probe_of_a_feature_that_the_target_lacks_is_refused_by_field(operator: Operator) -> None:
    refused = plan(operator, "  checks: {probe: {features: {momentum: 0.0, volume_ration: 1.0}}}\n")

    assert refused.code == 8
    assert "spec.checks.probe.features.volume_ration: v9 has no such feature; did you mean volume_ratio?" in refused.err
    assert "its features: atr_pct, momentum, rsi_norm, spread_bps, volume_ratio" in refused.err


def test_the_runbooks_probe_is_refused_for_a_target_without_its_features(operator: Operator) -> None:
    """Nobody wrote it, so the plan says what to write."""
    assert operator.call("observe", "plans/inc.yaml", "--out", "world.json").code == 0
    edited(operator.root / "world.json", without_volume_ratio)

    refused = operator.call("plan", "plans/inc.yaml", "--world", "world.json")

    assert refused.code == 8
    assert "spec.checks.probe.features.volume_ratio (the runbook's): v9 has no such feature" in refused.err
    assert "its features: atr_pct, momentum; name some in spec.checks.probe.features" in refused.err


def without_volume_ratio(world: dict[str, Any]) -> dict[str, Any]:
    for version in world["versions"]:
        version["features"] = ["atr_pct", "momentum"]
    return world


@pytest.mark.parametrize("features", ["[1.0]", "momentum", "{momentum: high}", "{momentum: true}", "{momentum: null}"])
def test_a_probe_of_what_is_no_number_is_refused_by_its_line(features: str, operator: Operator) -> None:
    refused = plan(operator, f"  checks:\n    probe: {{features: {features}}}\n")

    assert refused.code == 8
    assert "plans/inc.yaml:8:" in refused.err
    assert "spec.checks.probe.features" in refused.err
