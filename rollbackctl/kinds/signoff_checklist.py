"""The boxes of the incident's post-incident review that the run itself proves; never a person's own box."""

from collections.abc import Iterable
from typing import ClassVar

from bot_core.ai.checklist import Section, post_incident_section, set_ticks
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec

BOXES = {
    "entry_added": "Incident entry added",
    "reports_signed": "Drift and data-quality reports signed",
    "executed": "Rollback executed and verified",
}


class ChecklistState(State):
    """Whether each box is ticked; None: the section has no such box."""

    entry_added: bool | None = None
    reports_signed: bool | None = None
    executed: bool | None = None


class SignoffChecklist:
    """`signoff_checklist/<checklist>#<incident>`."""

    name: ClassVar[str] = "signoff_checklist"
    requires: ClassVar[tuple[str, ...]] = ("incident_entry",)
    state: ClassVar[type[State]] = ChecklistState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Tick the run's boxes where the checklist has them."""
        name = f"{spec.spec.compliance.checklist}#{facts.incident}"
        yield Desired(name, Phase.RECORD, _ticked, lasting=False, reversible=False)

    def observe(self, name: str) -> State | None:
        """Read the boxes; None when no section names the incident."""
        section = self._section(name)[1]
        if section is None:
            return None
        boxes = {field: section.box(start) for field, start in BOXES.items()}
        return ChecklistState(**{field: box.is_ticked for field, box in boxes.items() if box is not None})

    def move(self, name: str, before: State | None, after: State | None) -> None:  # noqa: ARG002
        """Tick or clear these boxes; no other line differs."""
        text, section = self._section(name)
        if section is None or not isinstance(after, ChecklistState):
            raise InvalidInputError(f"{name}: the section is gone", hint="restore it, then continue the run")
        if self.observe(name) == after:
            return
        note = f" - rollbackctl run {self._binding.run.get('id', '')}"
        ticks = {}
        for field, start in BOXES.items():
            box, wanted = section.box(start), getattr(after, field)
            if box is not None and wanted is not None and wanted != box.is_ticked:
                ticks[box.line] = (wanted, note)
        self._binding.write(name.rpartition("#")[0], set_ticks(text, ticks).encode())

    def files(self, name: str) -> tuple[str, ...]:
        """The checklist."""
        return (name.rpartition("#")[0],)

    def _section(self, name: str) -> tuple[str, Section | None]:
        path, _, incident = name.rpartition("#")
        data = self._binding.read(path)
        if data is None:
            return "", None
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{path} is not UTF-8", hint="save it as UTF-8") from error
        return text, post_incident_section(text, incident)


def _ticked(base: State | None) -> State | None:
    if not isinstance(base, ChecklistState):
        return base
    return ChecklistState(**{field: None if getattr(base, field) is None else True for field in BOXES})
