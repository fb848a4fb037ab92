"""A resource kind of one's own is one file and one line, and it counts only where the firm's policy says so."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.planner import simulate
from rollbackctl.engine.history import History
from rollbackctl.engine.observe import observe
from rollbackctl.engine.planning import Planner
from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.workspace import Actor, Workspace, read_spec
from rollbackctl.kinds import Binding
from rollbackctl.kinds.maintenance import Maintenance
from rollbackctl.spec.document import Policy, Spec
from tests.examples import NOW

ADDRESS = Address("dashboard_banner", "var/dashboard/banner.txt")

KIND = '''
"""The banner of the dashboard: says that a rollback is under way."""

from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from bot_core.foundation.atomic_file import remove_durable


class Banner(State):
    text: str


class DashboardBanner:
    name = "dashboard_banner"
    requires = ("maintenance",)
    state = Banner

    def __init__(self, binding):
        self._binding = binding

    def desire(self, spec, facts):
        section = spec.spec.resources.get(self.name)
        if section is not None:
            held = Banner(text=f"{facts.incident}: {section['text']}")
            yield Desired(section["file"], Phase.RELEASE, lambda base: base, hold=lambda base: held)

    def observe(self, name):
        data = self._binding.read(name)
        return None if data is None else Banner(text=data.decode())

    def move(self, name, before, after):
        if after is None:
            remove_durable(self._binding.root / name, root=self._binding.root)
        elif self.observe(name) != after:
            self._binding.write(name, after.text.encode())

    def files(self, name):
        return (name,)
'''

PLAN = """
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {name: inc-2025-1117-drift, incident: INC-2025-1117}
spec:
  model: {}
  resources:
    dashboard_banner: {file: var/dashboard/banner.txt, text: decision-core is being rolled back}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One module and one entry-point line, as `pip install firm-kinds` leaves them."""
    site = tmp_path / "site"
    about = site / "firm_kinds-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "firm_kinds.py").write_text(KIND)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: firm-kinds\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[rollbackctl.kinds]\ndashboard_banner = firm_kinds:DashboardBanner\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    yield
    sys.modules.pop("firm_kinds", None)


def allow(root: Path, text: str = "plugins: [firm-kinds]\n") -> None:
    (root / "config" / "rollbackctl.yaml").write_text(text)


def opened(root: Path) -> Workspace:
    return Workspace(root, lambda: NOW, Actor("ops", 1000, "host-1", 1))


def read_plan(root: Path, workspace: Workspace) -> Spec:
    path = root.parent / "plan.yaml"
    path.write_text(dedent(PLAN))
    return read_spec(path, workspace.registry, "plan.yaml")


def planned(workspace: Workspace, spec: Spec) -> PlanDocument:
    found = observe(workspace, spec, History())
    return Planner(workspace.registry, workspace.policy).make(spec, found, workspace.now())


@pytest.mark.usefixtures("installed")
def test_a_kind_of_ones_own_is_found_planned_and_moved(workspace: Path) -> None:
    allow(workspace)
    opened_workspace = opened(workspace)
    spec = read_plan(workspace, opened_workspace)

    document = planned(opened_workspace, spec)
    steps = [step for step in document.plan.steps if step.address == ADDRESS]
    kinds = opened_workspace.registry.bind(
        Binding(root=workspace, spec=spec, fetch=lambda _: b"", now=lambda: NOW, run={"id": "r1"})
    )
    texts = []
    for step in steps:
        kinds[ADDRESS.kind].move(ADDRESS.name, step.before, step.after)
        path = workspace / ADDRESS.name
        texts.append(path.read_text() if path.exists() else None)

    assert [step.phase.value for step in steps] == ["hold", "release"]
    assert texts == ["INC-2025-1117: decision-core is being rolled back", None]
    assert simulate(document.plan.steps, document.plan.base)[ADDRESS] is None


@pytest.mark.usefixtures("installed")
def test_its_moves_come_after_those_of_the_kinds_it_requires(workspace: Path) -> None:
    allow(workspace)
    opened_workspace = opened(workspace)

    steps = planned(opened_workspace, read_plan(workspace, opened_workspace)).plan.steps
    held = [step.address.kind for step in steps if step.phase.value == "hold"]

    assert held.index("dashboard_banner") > held.index("maintenance")


@pytest.mark.usefixtures("installed")
def test_the_plan_names_the_plug_in(workspace: Path) -> None:
    allow(workspace)
    opened_workspace = opened(workspace)

    document = planned(opened_workspace, read_plan(workspace, opened_workspace))

    assert "plug-ins loaded: firm-kinds" in document.diagnostics


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("policy", [None, "plugins: []\n"])
def test_without_the_policys_word_it_is_not_even_imported(workspace: Path, policy: str | None) -> None:
    if policy is not None:
        allow(workspace, policy)
    opened_workspace = opened(workspace)

    with pytest.raises(InvalidInputError) as refused:
        read_plan(workspace, opened_workspace)

    assert "dashboard_banner" not in opened_workspace.registry.kinds
    assert "firm_kinds" not in sys.modules
    assert [problem.text for problem in refused.value.problems] == [
        "spec.resources.dashboard_banner: there is no such resource"
    ]


def test_a_plug_in_that_the_policy_allows_must_be_installed() -> None:
    with pytest.raises(InvalidInputError) as refused:
        load_registry(Policy(plugins=("firm-kinds",)))

    assert refused.value.problem == "config/rollbackctl.yaml: plugins: firm-kinds is not installed"


@pytest.mark.usefixtures("installed")
def test_a_plug_in_never_takes_the_name_of_a_kind_of_the_tool(tmp_path: Path) -> None:
    points = tmp_path / "site" / "firm_kinds-1.0.dist-info" / "entry_points.txt"
    points.write_text("[rollbackctl.kinds]\nmaintenance = firm_kinds:DashboardBanner\n")

    registry = load_registry(Policy(plugins=("firm-kinds",)))

    assert registry.kinds["maintenance"] is Maintenance
