"""A plan together with what is shown of it: verdicts, candidates, what is left alone; as JSON and back."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from bot_core.foundation.frozen import frozen
from rollbackctl.core.address import Address
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Action, Change, Phase, Plan, Step
from rollbackctl.core.state import PLACEHOLDER, State, state_json
from rollbackctl.core.target import Candidate

FORMAT_VERSION = "1.0"


@frozen
class PlanDocument:
    """A plan as it is shown, saved and applied.

    Attributes:
        plan: What is done; its id names it.
        timestamp: When it was made, ISO 8601; the only value that depends on the clock.
        verdicts: Every gate's answer at that time.
        candidates: Every version's verdict.
        trigger: The report that triggers it, for people: path, summary, who decided what.
        left_alone: What names the withdrawn version and stays.
        undo: Addresses that an undo leads back, and why each other one stays.
        diagnostics: What else a reader should know.
        settled_by: The finished run after which nothing is left to do; None unless there are no changes.
        obstacles: Commands without which `apply` refuses the plan; the diagnostics say why.
        continues: The unfinished run that `apply` continues instead of beginning one; None when there is none.
        data_drift: The window and how each version lies to it; None where the plan does not ask.
        replay: What the target would have decided; None where the plan does not ask.
    """

    plan: Plan
    timestamp: str
    verdicts: tuple[Verdict, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trigger: Mapping[str, JsonValue] | None = None
    left_alone: Mapping[str, str] = field(default_factory=dict)
    undo: tuple[tuple[str, str], ...] = ()
    diagnostics: tuple[str, ...] = ()
    settled_by: str | None = None
    obstacles: tuple[str, ...] = ()
    continues: str | None = None
    data_drift: Mapping[str, JsonValue] | None = None
    replay: Mapping[str, JsonValue] | None = None

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.plan.steps)

    @property
    def blocking(self) -> tuple[Verdict, ...]:
        """The verdicts that stop a phase."""
        return tuple(verdict for verdict in self.verdicts if verdict.answer is not Answer.PASS)

    def counts(self) -> dict[Action, int]:
        """Count the resources to add, to change and to destroy."""
        actions = [change.action for change in self.plan.changes] if self.has_changes else []
        return {action: actions.count(action) for action in (Action.CREATE, Action.UPDATE, Action.DELETE)}

    def to_json(self) -> dict[str, Any]:
        """Return the document as JSON; without `timestamp` it is the same on every machine."""
        plan = self.plan
        asked = {"data_drift": self.data_drift, "replay": self.replay}
        return {
            **{name: dict(told) for name, told in asked.items() if told is not None},
            "format_version": FORMAT_VERSION,
            "timestamp": self.timestamp,
            "id": plan.id,
            "operation": plan.operation,
            "name": plan.name,
            "incident": plan.incident,
            "spec": dict(plan.spec),
            "policy": plan.policy,
            "facts": dict(plan.facts),
            "inputs": dict(plan.inputs),
            "prior_state": {str(address): state_json(state) for address, state in sorted(plan.base.items())},
            "resource_changes": [_change_json(change) for change in plan.changes],
            "steps": [_step_json(step) for step in plan.steps],
            "guards": [[phase.value, name] for phase, name in plan.gates],
            "gates": [verdict.to_json() for verdict in self.verdicts],
            "checks": list(plan.checks),
            "expires_after": plan.expires_after,
            "candidates": [
                {"version": item.version, "verdict": item.verdict, "reasons": list(item.reasons)}
                for item in self.candidates
            ],
            "trigger": dict(self.trigger) if self.trigger is not None else None,
            "left_alone": dict(self.left_alone),
            "undo": [{"address": address, "stays": reason} for address, reason in self.undo],
            "diagnostics": list(self.diagnostics),
            "settled_by": self.settled_by,
            "obstacles": list(self.obstacles),
            "continues": self.continues,
        }


def read_document(value: Mapping[str, Any], states: Mapping[str, type[State]]) -> PlanDocument:
    """Read a saved plan; unknown keys are ignored within the major version.

    Args:
        value: The parsed JSON.
        states: The state class of each kind.

    Raises:
        ValueError: The format is a later one, a field is missing or wrong, or the id is not that of the content.
    """
    version = str(value.get("format_version"))
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise ValueError(f"format_version is {version}, this version reads {FORMAT_VERSION}")
    try:
        _Shape.model_validate(value)
        document = _document(value, states)
        is_whole = document.plan.id == value["id"]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"a field is missing or wrong: {place}: {first['msg']}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is missing or wrong: {error}") from error
    if not is_whole:
        raise ValueError(
            "its content does not have the id it states: it was edited, or another version of this tool wrote it"
        )
    return document


class _Part(BaseModel):
    """Base of what a document's JSON must hold besides states; other keys are another's to judge."""

    model_config = ConfigDict(strict=True, defer_build=True)


class _Change(_Part):
    address: str
    lasting: bool
    reversible: bool


class _Step(_Part):
    index: int
    address: str
    note: str


class _Verdict(_Part):
    gate: str
    summary: str
    reasons: list[str]
    waits_for: dict[str, int]


class _Candidate(_Part):
    version: str
    verdict: str
    reasons: list[str]


class _Undo(_Part):
    address: str
    stays: str


class _Shape(_Part):
    timestamp: str
    operation: Literal["rollback", "hold", "undo", "release"]
    name: str
    incident: str | None
    spec: dict[str, JsonValue]
    policy: str
    facts: dict[str, JsonValue]
    inputs: dict[str, str]
    prior_state: dict[str, dict[str, JsonValue] | None]
    resource_changes: list[_Change]
    steps: list[_Step]
    guards: list[list[str]]
    gates: list[_Verdict]
    checks: list[str]
    candidates: list[_Candidate]
    trigger: dict[str, JsonValue] | None
    left_alone: dict[str, str]
    undo: list[_Undo]
    diagnostics: list[str]
    settled_by: str | None
    obstacles: list[str]
    continues: str | None
    data_drift: dict[str, JsonValue] | None = None
    replay: dict[str, JsonValue] | None = None
    expires_after: str


def _document(value: Mapping[str, Any], states: Mapping[str, type[State]]) -> PlanDocument:
    def state(address: Address, fields: Any) -> State | None:
        if address.kind not in states:
            raise ValueError(f"there is no resource kind {address.kind}")
        return None if fields is None else states[address.kind].model_validate(fields)

    base = {Address.parse(key): state(Address.parse(key), fields) for key, fields in value["prior_state"].items()}
    plan = Plan(
        name=value["name"],
        incident=value["incident"],
        spec=value["spec"],
        policy=value["policy"],
        facts=value["facts"],
        base=base,
        inputs=value["inputs"],
        changes=tuple(_read_change(item, state) for item in value["resource_changes"]),
        steps=tuple(_read_step(item, state) for item in value["steps"]),
        gates=tuple((Phase(phase), name) for phase, name in value["guards"]),
        checks=tuple(value["checks"]),
        expires_after=value["expires_after"],
        operation=value["operation"],
    )
    return PlanDocument(
        plan=plan,
        timestamp=value["timestamp"],
        verdicts=tuple(map(Verdict.from_json, value["gates"])),
        candidates=tuple(Candidate(i["version"], i["verdict"], tuple(i["reasons"])) for i in value["candidates"]),
        trigger=value["trigger"],
        left_alone=value["left_alone"],
        undo=tuple((item["address"], item["stays"]) for item in value["undo"]),
        diagnostics=tuple(value["diagnostics"]),
        settled_by=value["settled_by"],
        obstacles=tuple(value["obstacles"]),
        continues=value["continues"],
        data_drift=value.get("data_drift"),
        replay=value.get("replay"),
    )


def _read_change(item: Mapping[str, Any], state: Any) -> Change:
    address = Address.parse(item["address"])
    before, after = state(address, item["before"]), state(address, item["after"])
    return Change(address, before, after, item["lasting"], item["reversible"])


def _read_step(item: Mapping[str, Any], state: Any) -> Step:
    address = Address.parse(item["address"])
    before, after = state(address, item["before"]), state(address, item["after"])
    return Step(item["index"], Phase(item["phase"]), address, before, after, item["note"])


def _change_json(change: Change) -> dict[str, Any]:
    before, after = state_json(change.before), state_json(change.after)
    return {
        "address": str(change.address),
        "kind": change.address.kind,
        "action": change.action.value,
        "before": before,
        "after": after,
        "after_unknown": sorted(_unknown(after)),
        "lasting": change.lasting,
        "reversible": change.reversible,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "index": step.index,
        "id": step.id,
        "phase": step.phase.value,
        "address": str(step.address),
        "action": step.action.value,
        "before": state_json(step.before),
        "after": state_json(step.after),
        "note": step.note,
    }


def _unknown(after: Mapping[str, JsonValue] | None) -> Iterable[str]:
    """The fields that hold a value which only the run can know."""
    return (name for name, value in (after or {}).items() if PLACEHOLDER.search(repr(value)))
