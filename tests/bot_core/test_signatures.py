"""A call that existing callers make can always be made: names, parameters, their kinds, order and defaults."""

import ast
import inspect
import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import bot_core

# By full name the parameters as existing callers know them. A default of ... is any default at all.
TABLE: dict[str, str] = json.loads((Path(__file__).parent / "signatures.json").read_text())
RUNBOOK = {
    "bot_core.ai.audit.load_scheduler_state",
    "bot_core.ai.data_monitoring.ensure_compliance_sign_offs",
    "bot_core.ai.data_monitoring.load_recent_data_quality_reports",
    "bot_core.ai.data_monitoring.load_recent_drift_reports",
    "bot_core.ai.inference.DecisionModelInference.is_ready",
    "bot_core.ai.manager.AIManager.attach_decision_orchestrator",
    "bot_core.ai.manager.AIManager.detach_decision_orchestrator",
    "bot_core.ai.manager.AIManager.load_decision_artifact",
    "bot_core.ai.manager.AIManager.score_decision_features",
    "bot_core.ai.scheduler.RetrainingScheduler.mark_executed",
    "bot_core.ai.scheduler.RetrainingScheduler.next_run",
    "bot_core.ai.validation.validate_model_artifact_schema",
    "bot_core.config.models.DecisionEngineConfig",
    "bot_core.config.models.DecisionOrchestratorThresholds",
    "bot_core.runtime.journal.JsonlTradingDecisionJournal.record",
    "bot_core.runtime.journal.TradingDecisionEvent",
}
ANY = object()


def find(name: str) -> object:
    """The function, class, method or property of a full name."""
    parts = name.split(".")
    depth = max(i for i in range(1, len(parts)) if is_module(parts[:i]))
    found: object = import_module(".".join(parts[:depth]))
    for part in parts[depth:]:
        found = getattr(found, part)
    return found


def is_module(parts: list[str]) -> bool:
    return ".".join(parts) in MODULES


def modules() -> Iterator[str]:
    yield "bot_core"
    for module in pkgutil.walk_packages(bot_core.__path__, "bot_core."):
        yield module.name


MODULES = frozenset(modules())


def defaults(given: list[ast.expr | None]) -> list[object]:
    return [ANY if isinstance(node, ast.Constant) and node.value is ... else value(node) for node in given]


def value(node: ast.expr | None) -> object:
    return inspect.Parameter.empty if node is None else ast.literal_eval(node)


@pytest.mark.parametrize("name", TABLE)
def test_every_parameter_that_callers_use_is_there(name: str) -> None:
    found = find(name)
    if TABLE[name] == "property":
        assert isinstance(found, property)
        return
    definition = ast.parse(f"def f{TABLE[name]}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    wanted = definition.args
    actual = inspect.signature(found).parameters  # type: ignore[arg-type]

    names = [argument.arg for argument in wanted.args]
    padded: list[ast.expr | None] = [None] * (len(names) - len(wanted.defaults))
    assert [n for n, p in actual.items() if p.kind is p.POSITIONAL_OR_KEYWORD][: len(names)] == names
    expected = dict(zip(names, defaults([*padded, *wanted.defaults]), strict=True))
    by_name = {argument.arg: argument for argument in wanted.kwonlyargs}
    expected |= dict(zip(by_name, defaults(wanted.kw_defaults), strict=True))
    for parameter, default in expected.items():
        assert (actual[parameter].default is inspect.Parameter.empty) is (default is inspect.Parameter.empty)
        assert default is ANY or actual[parameter].default == default
    assert all(
        actual[n].kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in by_name
    )
    assert [n for n, p in actual.items() if n not in expected and p.default is inspect.Parameter.empty] == []


def test_the_table_holds_every_name_that_the_runbook_uses() -> None:
    assert sorted(RUNBOOK - set(TABLE)) == []


def public(name: str) -> Iterator[tuple[str, object]]:
    """Every public function, class, method and property that a module defines."""
    module = import_module(name)
    for attribute, found in vars(module).items():
        if attribute.startswith("_") or getattr(found, "__module__", None) != name:
            continue
        if inspect.isfunction(found) or inspect.isclass(found):
            yield f"{name}.{attribute}", found
        for member, inner in vars(found).items() if inspect.isclass(found) else ():
            if not member.startswith("_") and (inspect.isfunction(inner) or isinstance(inner, (property, classmethod))):
                yield f"{name}.{attribute}.{member}", inner


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_and_every_public_name_in_it_has_a_docstring(name: str) -> None:
    assert (import_module(name).__doc__ or "").strip()
    assert [full for full, found in public(name) if not own_words(found)] == []


def own_words(found: object) -> str:
    """The docstring, unless it is the signature that a dataclass makes up."""
    words = (found.__doc__ or "").strip()
    return "" if inspect.isclass(found) and words.startswith(f"{found.__name__}(") else words
