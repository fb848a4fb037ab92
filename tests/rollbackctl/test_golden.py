"""Golden plans: one folder a case; `pytest --update` rewrites what is expected; the difference is reviewed like code.

A case holds `plan.yaml`, `case.json` and the expected `plan.txt`, `plan.json` and `plan.md`. `case.json` says which
workspace the plan meets and what happened there before: `files` lie in the case's folder `overlay`, `steps` are the
operator's acts, `set` changes single fields of JSON files afterwards. A case with `world.json` has no workspace; where
its plan asks for data drift, it holds the ranking of the targets as well, as `targets.txt`, `.json` and `.md`.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import GateBlockedError
from rollbackctl.core.observation import Observation
from rollbackctl.core.ranking import Ranking
from rollbackctl.engine.hold import place
from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.rollback import find_run, resume, start
from rollbackctl.engine.saved import plan_from_world
from rollbackctl.engine.session import Session
from rollbackctl.engine.signing import reports_of_plan, sign
from rollbackctl.engine.targets import rank
from rollbackctl.engine.workspace import Actor, Workspace, read_spec
from rollbackctl.render import json_text, markdown, targets, text
from rollbackctl.spec.document import Policy, Spec

TESTS = Path(__file__).parents[1]
CASES = sorted(path for path in (TESTS / "golden").iterdir() if path.is_dir())
EXPECTED = ("plan.json", "plan.md", "plan.txt")
TARGETS = ("targets.json", "targets.md", "targets.txt")
INPUTS = {"plan.yaml", "case.json", "world.json", "overlay"}
CLOCK = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_plan_is_rendered_as_the_case_expects(case: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = _document(case, tmp_path)

    found = {
        "plan.txt": text.render(document, plan_path="plan.yaml"),
        "plan.json": json_text.render(document),
        "plan.md": markdown.render(document),
    }
    if _asks_for_drift(case):
        ranking = _ranking(case)
        found["targets.txt"] = targets.render_text(ranking)
        found["targets.json"] = targets.render_json(ranking)
        found["targets.md"] = targets.render_markdown(ranking)

    if request.config.getoption("--update"):
        for name, content in found.items():
            (case / name).write_text(content, encoding="utf-8")
    assert found == {name: (case / name).read_text(encoding="utf-8") for name in _expected(case)}


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_file_of_a_case_is_claimed(case: Path) -> None:
    names = {path.name for path in case.iterdir()}

    assert names - INPUTS == set(_expected(case))
    assert {"plan.yaml", "case.json"} <= names or {"plan.yaml", "world.json"} <= names


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_no_golden_plan_names_a_machine(case: Path) -> None:
    for name in _expected(case):
        content = (case / name).read_text(encoding="utf-8")

        assert "/tmp/" not in content
        assert str(Path.home()) + "/" not in content


def test_the_ranking_has_a_case() -> None:
    assert any(map(_asks_for_drift, CASES))


def _asks_for_drift(case: Path) -> bool:
    return "data_drift" in (case / "plan.yaml").read_text(encoding="utf-8") and (case / "world.json").exists()


def _expected(case: Path) -> tuple[str, ...]:
    return (*EXPECTED, *TARGETS) if _asks_for_drift(case) else EXPECTED


def _ranking(case: Path) -> Ranking:
    observation = Observation.model_validate_json((case / "world.json").read_bytes())
    return rank(read_spec(case / "plan.yaml", load_registry(Policy()), "plan.yaml"), Policy(), observation)


def _document(case: Path, tmp_path: Path) -> PlanDocument:
    plan = case / "plan.yaml"
    if (case / "world.json").exists():
        return plan_from_world(plan, case / "world.json", lambda: CLOCK, "plan.yaml")
    told = json.loads((case / "case.json").read_text(encoding="utf-8"))
    root = tmp_path / "workspace"
    shutil.copytree(TESTS / "fixtures" / told["workspace"], root)
    if (case / "overlay").is_dir():
        shutil.copytree(case / "overlay", root, dirs_exist_ok=True)
    workspace = Workspace(root, lambda: CLOCK, Actor("j.kowal", 1000, "host-a", 4711))
    spec = read_spec(plan, workspace.registry, "plan.yaml")
    for step in told.get("steps", []):
        _act(_session(root), spec, step)
    for path, changes in told.get("set", {}).items():
        _set(root / path, changes)
    return _session(root).plan(spec)


def _session(root: Path) -> Session:
    workspace = Workspace(root, lambda: CLOCK, Actor("j.kowal", 1000, "host-a", 4711))
    return Session.open(workspace, lambda _: None, lambda: None)


def _act(session: Session, spec: Spec, step: dict[str, str]) -> None:
    match step["do"]:
        case "sign":
            paths = reports_of_plan(session, spec, step["role"])
            sign(session, paths, step["role"], step.get("status", "approved"), step["by"], step.get("notes"))
        case "hold":
            place(session, spec, step["incident"], step["reason"])
        case "apply":
            fact = find_run(session, spec)
            if fact is not None:
                resume(session, fact)
            else:
                start(session, spec, session.plan(spec), saved=False)
        case "apply until it waits":
            with pytest.raises(GateBlockedError):
                start(session, spec, session.plan(spec), saved=False)
        case other:
            raise AssertionError(f"no act {other}")


def _set(path: Path, changes: dict[str, object]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    for pointer, content in changes.items():
        *parents, last = pointer.split("/")
        holder = value
        for part in parents:
            holder = holder[part]
        holder[last] = content
    path.write_text(json.dumps(value, indent=2, sort_keys=True), encoding="utf-8")
