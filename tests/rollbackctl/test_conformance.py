from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import pytest

from rollbackctl.checks import Bench
from rollbackctl.core.gate import Answer, Outcome, Result, Verdict
from rollbackctl.core.plan import Phase
from rollbackctl.core.state import State
from rollbackctl.gates import Case
from rollbackctl.kinds.target_file import TargetFile, TargetFileState
from tests.conformance import (
    KIND_LAWS,
    KindLaw,
    Scene,
    a_crash_at_any_act_is_mended_by_moving_again,
    a_move_leads_to_after_and_a_second_one_changes_nothing,
    check_breaches,
    gate_breaches,
    its_files_are_named,
    observing_changes_nothing,
    points,
    set_scene,
    what_it_desires_is_pure,
)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return set_scene(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize("law", KIND_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("point", points("kinds"), ids=lambda point: point.name)
def test_every_kind_obeys_every_law(point: EntryPoint, law: KindLaw, scene: Scene, tmp_path: Path) -> None:
    assert list(law(point.load(), scene, tmp_path)) == []


@pytest.mark.parametrize("point", points("gates"), ids=lambda point: point.name)
def test_every_gate_is_pure_and_answers_under_its_own_name(point: EntryPoint, scene: Scene) -> None:
    assert list(gate_breaches(point.load(), scene)) == []


@pytest.mark.parametrize("point", points("checks"), ids=lambda point: point.name)
def test_every_check_changes_nothing_and_passes_the_target_only(
    point: EntryPoint, scene: Scene, tmp_path: Path
) -> None:
    assert list(check_breaches(point.load(), scene, tmp_path)) == []


@pytest.mark.parametrize("group", ["kinds", "gates", "checks"])
def test_every_entry_point_has_the_name_of_what_it_leads_to(group: str) -> None:
    found = points(group)

    assert found
    assert [point.load().name for point in found] == [point.name for point in found]


def test_every_kind_requires_only_kinds() -> None:
    kinds = {point.name: point.load() for point in points("kinds")}

    assert [name for kind in kinds.values() for name in kind.requires if name not in kinds] == []


class ReadsWhilePlanning(TargetFile):
    def desire(self, spec, facts):  # type: ignore[no-untyped-def]
        self.observe(f"{spec.spec.model.repository}/rollback_target.json")
        return super().desire(spec, facts)


class TouchesWhenItLooks(TargetFile):
    def observe(self, name: str) -> State | None:
        folder = self._binding.root / "models" / "decision_engine"
        (folder / "seen").touch()
        (folder / "seen").unlink()
        return super().observe(name)


class WritesAgain(TargetFile):
    def move(self, name: str, before: State | None, after: State | None) -> None:
        super().move(name, before, after)
        if isinstance(after, TargetFileState):
            self._binding.write(name, self._binding.fetch(after.sha256))


class WritesPastOs(TargetFile):
    def move(self, name: str, before: State | None, after: State | None) -> None:
        if isinstance(after, TargetFileState) and self.observe(name) != after:
            (self._binding.root / name).write_bytes(self._binding.fetch(after.sha256))
        else:
            super().move(name, before, after)


class WritesInTwoMoves(TargetFile):
    def move(self, name: str, before: State | None, after: State | None) -> None:
        if isinstance(after, TargetFileState) and self.observe(name) != after:
            self._binding.write(name, b"{}")
        super().move(name, before, after)


class LeavesMore(TargetFile):
    def move(self, name: str, before: State | None, after: State | None) -> None:
        super().move(name, before, after)
        if after is not None and self._binding.read(f"{name}.md5") is None:
            self._binding.write(f"{name}.md5", b"")


@pytest.mark.parametrize(
    ("law", "kind", "breach"),
    [
        (what_it_desires_is_pure, ReadsWhilePlanning, "calls os.open"),
        (observing_changes_nothing, TouchesWhenItLooks, "changes models/decision_engine"),
        (a_move_leads_to_after_and_a_second_one_changes_nothing, WritesAgain, "a second move changes"),
        (a_move_leads_to_after_and_a_second_one_changes_nothing, WritesPastOs, "past `os.open`"),
        (a_crash_at_any_act_is_mended_by_moving_again, WritesInTwoMoves, "leaves sha256="),
        (its_files_are_named, LeavesMore, "rollback_target.json.md5"),
    ],
)
def test_a_kind_that_breaks_a_law_is_told(
    law: KindLaw, kind: type[TargetFile], breach: str, scene: Scene, tmp_path: Path
) -> None:
    breaches = list(law(kind, scene, tmp_path))

    assert breaches
    assert breach in breaches[0]


class ReadsWhileJudging:
    name: ClassVar[str] = "reads"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        Path(case.facts.repository).exists()
        return Verdict("other", Phase.RESTORE, Answer.BLOCK, "no reason given")


class PassesAnything:
    name: ClassVar[str] = "anything"
    section: ClassVar[str] = "anything"
    always: ClassVar[bool] = True

    def run(self, bench: Bench) -> Outcome:
        return Outcome("anything", Result.PASS, f"{bench.artifact} is fine")


def test_a_gate_that_breaks_a_law_is_told(scene: Scene) -> None:
    assert list(gate_breaches(ReadsWhileJudging, scene)) == [
        *["calls os.stat"] * 2,
        "answers as other for restore",
        "answers block without a reason",
    ]


def test_a_check_that_passes_a_damaged_copy_is_told(scene: Scene, tmp_path: Path) -> None:
    artifact = f"var/models/artifacts/{scene.facts.target.sha256}.json"

    assert list(check_breaches(PassesAnything, scene, tmp_path)) == [
        f"a damaged copy: pass, {artifact} is fine",
        f"a copy that is gone: pass, {artifact} is fine",
    ]
