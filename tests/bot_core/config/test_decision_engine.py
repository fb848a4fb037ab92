import pytest

from bot_core.config.decision_engine import MAX_BYTES, RUNBOOK_THRESHOLDS, parse_decision_engine, runbook_config
from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds, DecisionStressTestConfig
from bot_core.foundation.errors import FileFormatError

THRESHOLDS = """\
max_cost_bps: 12
min_net_edge_bps: 3.5
max_daily_loss_pct: 0.02
max_drawdown_pct: 0.09
max_position_ratio: 0.32
max_open_positions: 6
"""
BALANCED = DecisionOrchestratorThresholds(12.0, 3.5, 0.02, 0.09, 0.32, 6)


def indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines())


def parse(text: str) -> DecisionEngineConfig:
    return parse_decision_engine(text.encode(), "core.yaml")


def test_thresholds_alone_go_with_the_runbooks_other_values() -> None:
    assert parse(THRESHOLDS) == runbook_config(BALANCED)
    assert runbook_config() == DecisionEngineConfig(orchestrator=RUNBOOK_THRESHOLDS, min_probability=0.4)


def test_a_section_is_read_alone_or_out_of_the_whole_configuration() -> None:
    section = f"orchestrator:\n{indented(THRESHOLDS, 2)}min_probability: 0.55\nrequire_cost_data: true\n"
    expected = DecisionEngineConfig(orchestrator=BALANCED, min_probability=0.55, require_cost_data=True)

    assert parse(section) == expected
    assert parse(f"exchanges: [binance]\ndecision_engine:\n{indented(section, 2)}") == expected


def test_an_override_takes_what_it_leaves_out_from_the_others() -> None:
    overrides = "profile_overrides: {careful: {max_cost_bps: 5, max_latency_ms: 80}}\n"

    found = parse(f"orchestrator:\n{indented(THRESHOLDS, 2)}{overrides}")

    assert found.profile_overrides == {
        "careful": DecisionOrchestratorThresholds(5.0, 3.5, 0.02, 0.09, 0.32, 6, max_latency_ms=80.0)
    }


def test_stress_tests_are_there_only_where_they_are_written() -> None:
    section = f"orchestrator:\n{indented(THRESHOLDS, 2)}"

    assert parse(section).stress_tests is None
    assert parse(f"{section}stress_tests: {{}}\n").stress_tests is None
    assert parse(f"{section}stress_tests: {{cost_shock_bps: 2.5}}\n").stress_tests == DecisionStressTestConfig(2.5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (THRESHOLDS.replace("12", "many"), "core.yaml: max_cost_bps is 'many', not a finite number"),
        (THRESHOLDS.replace("12", ".nan"), "core.yaml: max_cost_bps is nan, not a finite number"),
        (THRESHOLDS.replace("12", "true"), "core.yaml: max_cost_bps is True, not a finite number"),
        (THRESHOLDS.replace("max_cost_bps: 12\n", ""), "core.yaml: max_cost_bps is missing"),
        (THRESHOLDS.replace(": 6", ": 6.5"), "core.yaml: max_open_positions is 6.5, not a whole number"),
        (f"{THRESHOLDS}max_fun: 3\n", "core.yaml: max_fun is not a threshold"),
        ("decision_engine: 3\n", "core.yaml: decision_engine is 3, not a mapping"),
        (
            f"orchestrator:\n{indented(THRESHOLDS, 2)}profile_overrides: {{careful: {{max_cost: 1}}}}\n",
            "core.yaml: profile_overrides.careful.max_cost is not a threshold",
        ),
        (
            f"orchestrator:\n{indented(THRESHOLDS, 2)}stress_tests: {{shock: 1}}\n",
            "core.yaml: stress_tests.shock is not a stress test",
        ),
        (
            f"orchestrator:\n{indented(THRESHOLDS, 2)}min_probability: high\n",
            "core.yaml: min_probability is 'high', not a finite number",
        ),
        ("- 1\n", "core.yaml: the top level is not a mapping"),
        ("", "core.yaml: the top level is not a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_place(text: str, fault: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse(text)

    assert caught.value.problem == fault


@pytest.mark.parametrize(
    "data", [b"a: [", b"a: 1\na: 2\n", b"\xff", b"a: \x00", b"a: !!python/object:os.system x", b"[" * 5000]
)
def test_what_is_no_plain_yaml_is_refused(data: bytes) -> None:
    with pytest.raises(FileFormatError, match=r"core\.yaml"):
        parse_decision_engine(data, "core.yaml")


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(FileFormatError, match="larger than"):
        parse_decision_engine(b"#" * (MAX_BYTES + 1), "core.yaml")
