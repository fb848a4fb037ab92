"""The JSON Schemas of what people write and programs read: rollback plan, policy, plan, observation."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from rollbackctl.core.document import FORMAT_VERSION
from rollbackctl.core.gate import Answer
from rollbackctl.core.observation import Observation
from rollbackctl.core.plan import Action, Phase
from rollbackctl.spec.document import HmacKey, Policy, Spec, TargetChoice

Schema: TypeAlias = dict[str, Any]
Sections: TypeAlias = Mapping[str, type[BaseModel] | None]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_OBJECT: Schema = {"type": "object"}


def schemas(gates: Sections, checks: Sections) -> dict[str, Schema]:
    """Return every schema by its name; its file is `schemas/<name>.schema.json`.

    Args:
        gates: The sections of `spec.gates` by name, each with its settings; None: what is in it is the gate's business.
        checks: Those of `spec.checks`.
    """
    return {
        "rollback-plan": rollback_plan_schema(gates, checks),
        "policy": policy_schema(),
        "plan": plan_schema(),
        "observation": observation_schema(),
    }


def encode(schema: Schema) -> bytes:
    """Return the bytes of a schema's file."""
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def rollback_plan_schema(gates: Sections, checks: Sections) -> Schema:
    """The schema of `plans/*.yaml`, for editors; loading also checks paths, versions and names."""
    schema = _derived(Spec, "Rollback plan")
    _demand_exactly_one(schema, TargetChoice, ("select", "version", "sha256", "alias"))
    for group, sections in (("gates", gates), ("checks", checks)):
        described: Schema = {}
        for name, settings in sections.items():
            if settings is not None:
                body = _readable(settings.model_json_schema())
                schema["$defs"] |= body.pop("$defs", {}) | {settings.__name__: body}
                described[name] = _ref(settings.__name__)
        schema["$defs"]["Body"]["properties"][group]["properties"] = described
    return schema


def policy_schema() -> Schema:
    """The schema of `config/rollbackctl.yaml`."""
    schema = _derived(Policy, "Rollback policy")
    _demand_exactly_one(schema, HmacKey, ("env", "file"))
    return schema


def observation_schema() -> Schema:
    """The schema of what `observe --out` writes."""
    return _derived(Observation, "Observation")


def plan_schema() -> Schema:
    """The schema of a saved plan and of `plan --format json`; unknown keys are allowed, as readers ignore them."""
    major = FORMAT_VERSION.partition(".")[0]
    change = {"address": _ref("address"), "kind": _TEXT, "action": _ref("action"), **_before_and_after()}
    change |= {"after_unknown": _list(_TEXT), "lasting": {"type": "boolean"}, "reversible": {"type": "boolean"}}
    step = {
        "index": {"type": "integer", "minimum": 1},
        "id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "phase": _ref("phase"),
        "address": _ref("address"),
        "action": _ref("action"),
        **_before_and_after(),
        "note": _TEXT,
    }
    properties = {
        "format_version": {"type": "string", "pattern": rf"^{major}\.[0-9]+$"},
        "timestamp": {"type": "string", "format": "date-time", "description": "The only value that the clock decides."},
        "id": {**_DIGEST, "description": "Content id of the plan; approvals and runs name it."},
        "operation": {"enum": ["rollback", "hold", "undo"]},
        "name": _TEXT,
        "incident": _TEXT_OR_NULL,
        "spec": {**_OBJECT, "description": "The rollback plan, defaults left out."},
        "policy": {"anyOf": [_DIGEST, {"const": "none"}], "description": "Digest of the policy's file."},
        "facts": {**_OBJECT, "description": "What was decided from the evidence."},
        "inputs": {**_map(_DIGEST), "description": "Digest of every input by its path in the workspace."},
        "prior_state": {**_map(_ref("state")), "description": "Every resource's state beneath any hold, by address."},
        "resource_changes": _list(_record(change)),
        "steps": _list(_record(step)),
        "guards": {**_list(_pair(_ref("phase"), _TEXT)), "description": "Phase and gate."},
        "gates": _list(_ref("verdict")),
        "checks": _list(_TEXT),
        "expires_after": {"type": "string", "description": "ISO 8601 duration, counted from timestamp."},
        "candidates": _list(_record({"version": _TEXT, "verdict": _TEXT, "reasons": _list(_TEXT)})),
        "trigger": {"type": ["object", "null"], "description": "The report that triggers the rollback."},
        "left_alone": {**_map(_TEXT), "description": "What names the withdrawn version and stays."},
        "undo": _list(_record({"address": _ref("address"), "stays": _TEXT})),
        "diagnostics": _list(_TEXT),
        "settled_by": {**_TEXT_OR_NULL, "description": "The run after which nothing is left to do."},
        "obstacles": {**_list(_TEXT), "description": "Commands without which `apply` refuses the plan."},
        "continues": {**_TEXT_OR_NULL, "description": "The unfinished run that `apply` continues."},
    }
    head = {"$schema": _DIALECT, "title": "Plan", "description": "A computed plan, as it is shown, saved and applied."}
    body = _record(properties)
    body["properties"] |= {
        "data_drift": {**_OBJECT, "description": "The window, the limits, each version's answer; where the plan asks."},
        "replay": {**_OBJECT, "description": "What the target would have decided; where the plan asks."},
    }
    return head | body | {"$defs": _plan_definitions()}


def _plan_definitions() -> Schema:
    verdict = {
        "gate": _TEXT,
        "guards": _ref("phase"),
        "answer": {"enum": [answer.value for answer in Answer]},
        "summary": _TEXT,
        "reasons": _list(_TEXT),
        "waits_for": _map({"type": "integer", "minimum": 0}),
    }
    return {
        "address": {"type": "string", "pattern": "^[^/]+/", "description": "kind/name"},
        "phase": {"enum": [phase.value for phase in Phase]},
        "action": {"enum": [action.value for action in Action]},
        "state": {"type": ["object", "null"], "description": "The fields of a resource; null when it is absent."},
        "verdict": _record(verdict),
    }


def _derived(model: type[BaseModel], title: str) -> Schema:
    body: Schema = _readable(model.model_json_schema())
    return {"$schema": _DIALECT} | body | {"title": title}


def _readable(value: Any) -> Any:
    """Mend what pydantic writes for itself: titles that repeat the field, open patterns, Rust's escapes."""
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    mended = {key: _readable(item) for key, item in value.items()}
    for field in mended.get("properties", {}).values():
        field.pop("title", None)
    if "patternProperties" in mended:
        mended.setdefault("additionalProperties", False)
    if isinstance(mended.get("pattern"), str):
        mended["pattern"] = mended["pattern"].replace(r"\u{2028}\u{2029}", r"\u2028\u2029")
    return mended


def _demand_exactly_one(schema: Schema, model: type[BaseModel], names: Iterable[str]) -> None:
    """Say in the schema what the model's own validator demands; a null counts as not given."""
    given = [{"required": [name], "properties": {name: {"type": "string"}}} for name in names]
    schema["$defs"][model.__name__]["oneOf"] = given


def _record(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _before_and_after() -> Schema:
    return {"before": _ref("state"), "after": _ref("state")}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _pair(first: Schema, second: Schema) -> Schema:
    return {"type": "array", "prefixItems": [first, second], "items": False, "minItems": 2}


def _map(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
