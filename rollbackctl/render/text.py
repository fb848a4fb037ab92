"""A plan as text for a person: what blocks first, then the target, then every step."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from pydantic import JsonValue

from rollbackctl.core.commands import quote, sign_off_commands, stored_plan
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import PHASES, Action, Phase, Plan, Step
from rollbackctl.core.state import PLACEHOLDER, state_json
from rollbackctl.core.target import Candidate

Paint = Callable[[str, str], str]
"""Colours a text: (text, colour) -> text."""

SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.NO_OP: " "}
_COLOURS = {"+": "green", "~": "yellow", "-": "red", " ": ""}
_EMPTY: tuple[Any, ...] = (None, "", [], {})
_AUDIT = "audit/ai_decision/"
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d(?:\.\d+)?)?\+00:00")
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def unpainted(text: str, colour: str) -> str:  # noqa: ARG001 - a Paint
    """Leave a text as it is."""
    return text


def render(document: PlanDocument, *, plan_path: str = "PLAN", paint: Paint = unpainted) -> str:
    """Return the plan as text; the same document gives the same text."""
    if not document.has_changes:
        return "\n".join([*_no_changes(document), ""])
    sections = [
        list(_head(document)),
        [f"Note   {plain(note)}" for note in document.diagnostics],
        list(_gates(document.verdicts, paint)),
        list(_target(document.candidates)),
        ["Steps", *_steps(document.plan, paint)],
        [*_left_alone(document), *_undo(document)],
        [summary(document), *one_below_another(next_commands(document, plan_path))],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def summary(document: PlanDocument) -> str:
    """Return the one line that sums a plan up."""
    counts = document.counts()
    line = (
        f"Plan: {counts[Action.CREATE]} to add, {counts[Action.UPDATE]} to change, {counts[Action.DELETE]} to destroy, "
        f"in {len(document.plan.steps)} steps."
    )
    for verdict in document.blocking:
        if verdict.answer is Answer.WAITS:
            roles = len(verdict.waits_for)
            line += f"  The {verdict.guards.value} waits for {roles} role{'s' if roles != 1 else ''}."
        else:
            line += f"  {plain(verdict.gate)} blocks the {verdict.guards.value} phase."
    return line


def refusal(document: PlanDocument) -> str:
    """Say in one line how many gates stop a plan, and what is pending behind them."""
    reasons = []
    for answer, word in ((Answer.BLOCK, "block"), (Answer.WAITS, "wait")):
        names = [verdict.gate for verdict in document.blocking if verdict.answer is answer]
        if names:
            gates = f"gate {word}s" if len(names) == 1 else f"gates {word}"
            reasons.append(f"{len(names)} {gates} ({', '.join(names)})")
    if document.obstacles:
        reasons.append("apply is refused as things stand")
    pending = sum(document.counts().values())
    return f"{', '.join(reasons)}; {pending} change{'s are' if pending != 1 else ' is'} pending"


def next_commands(document: PlanDocument, plan_path: str) -> list[str]:
    """Return the commands that lead on, the next one first."""
    blocking, again = document.blocking, f"rollbackctl plan {quote(plan_path)}"
    hard = [verdict for verdict in blocking if verdict.answer is Answer.BLOCK]
    if any(verdict.guards is Phase.SECURE for verdict in hard):
        stop = f"rollbackctl hold --incident {quote(str(document.plan.incident))}   (stops the model now)"
        return [stop, f"mend what blocks, then: {again}"]
    if document.obstacles:
        return [*document.obstacles, again]
    if hard:
        return [f"mend what blocks, then: {again}   (apply would hold, and wait before it)"]
    commands = sign_off_commands(plan_path, {role for verdict in blocking for role in verdict.waits_for})
    path = stored_plan(document.continues) if document.continues else plan_path
    apply = f"rollbackctl apply {quote(path)}" + ("   (holds now, waits before the release)" if blocking else "")
    return [*commands, apply]


def one_below_another(commands: Iterable[str]) -> Iterator[str]:
    """Yield commands, one below the other, the next one first."""
    for index, command in enumerate(commands):
        yield f"{'' if index else 'Next:':<5} {plain(command)}"


def text_at(value: Mapping[str, JsonValue], *path: str) -> str | None:
    """Return a text from within JSON; None when there is none at that place."""
    found: JsonValue = dict(value)
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, str) else None


def _no_changes(document: PlanDocument) -> Iterator[str]:
    target, withdrawn = (text_at(document.plan.facts, name, "version") for name in ("target", "withdrawn"))
    versions = f"{plain(target)} is restored, {plain(withdrawn)} is withdrawn; " if target and withdrawn else ""
    yield f"No changes. {versions}all is as planned."
    if document.settled_by:
        yield f"Done by run {plain(document.settled_by)}.  See: rollbackctl report {plain(document.settled_by)}"
    yield from (f"Note   {plain(note)}" for note in document.diagnostics)


def _head(document: PlanDocument) -> Iterator[str]:
    plan, served = document.plan, document.plan.facts.get("serve_as")
    withdrawn, target = (text_at(plan.facts, name, "version") for name in ("withdrawn", "target"))
    head = [f"{plan.operation.capitalize()} {plan.incident}"]
    head += [f"{withdrawn} -> {target}"] if withdrawn and target else []
    head += [f"served as {', '.join(map(str, served))}"] if isinstance(served, list) else []
    yield "   ".join(map(plain, [*head, text_at(plan.spec, "metadata", "reason") or "data_drift_alert"]))
    trigger = document.trigger
    if trigger is None:
        yield from ("Trigger   none: no alert counts",) if plan.operation == "rollback" else ()
        return
    roles = trigger.get("sign_off")
    listed = sorted(roles.items()) if isinstance(roles, dict) else []
    decided = ", ".join(f"{role} {status}" for role, status in listed) or "nobody decided"
    path, found = short_path(str(trigger.get("path"))), str(trigger.get("summary"))
    yield f"Trigger   {plain(path)}   {plain(found)}   {plain(decided)}"
    measured = plan.facts.get("data_drift")
    if isinstance(measured, dict):
        rows = measured.get("rows")
        yield f"Window    {plain(str(measured.get('window')))}   {f'{rows:,}' if isinstance(rows, int) else '?'} rows"
    yield f"Plan id   {plan.id[:12]}"


def _gates(verdicts: Iterable[Verdict], paint: Paint) -> Iterator[str]:
    yield "Gates"
    passing = []
    for verdict in sorted(verdicts, key=lambda item: item.answer is Answer.PASS):
        if verdict.answer is Answer.PASS:
            passing.append(verdict)
            continue
        word = f"{verdict.guards.value} {'waits' if verdict.answer is Answer.WAITS else 'blocked'}"
        colour = "yellow" if verdict.answer is Answer.WAITS else "red"
        yield f"  {paint(f'{word:<16}', colour)}  {plain(verdict.gate)}: {plain(verdict.summary)}"
        yield from _aligned([plain(reason).split("   ", 1) for reason in verdict.reasons], "      ")
    for verdict in passing:
        yield f"  {paint('pass'.ljust(16), 'green')}  {plain(verdict.gate)}: {plain(verdict.summary)}"
        yield from _aligned([plain(reason).split("   ", 1) for reason in verdict.reasons], "      ")


def _target(candidates: Iterable[Candidate]) -> Iterator[str]:
    listed = list(candidates)
    if not listed:
        return
    yield "Target"
    width = max(len(plain(candidate.version)) for candidate in listed)
    for candidate in (item for item in listed if item.reasons):
        first, *rest = map(shown, candidate.reasons)
        yield f"  {plain(candidate.version):<{width}}  {plain(candidate.verdict):<9}  {first}"
        yield from (f"  {'':<{width}}  {'':<9}  {reason}" for reason in rest)
    for verdict, word in (("eligible", "eligible"), ("older", "older, eligible")):
        names = [plain(item.version) for item in listed if item.verdict == verdict and not item.reasons]
        if names:
            yield f"  {', '.join(names)}  {word}"


def _steps(plan: Plan, paint: Paint) -> Iterator[str]:
    checks = [Phase.CHECK] if plan.checks else []
    groups = {phase: list(group) for phase, group in groupby(plan.steps, key=lambda step: step.phase)}
    for phase in sorted({*groups, *checks}, key=PHASES.index):
        group = groups.get(phase, [])
        yield f"  {phase.value}"
        if phase is Phase.CHECK:
            yield f"    {plain(', '.join(plan.checks))}"
        for step in group:
            sign = SIGNS[step.action]
            until = "   until release" if phase is Phase.HOLD else ""
            yield f"    {paint(sign, _COLOURS[sign])} {plain(str(step.address))}{until}"
            yield from _fields(step)
            if step.note:
                yield f"        # {plain(step.note)}"


def _fields(step: Step) -> Iterator[str]:
    before, after = flat(state_json(step.before)), flat(state_json(step.after))
    if step.before is not None and step.after is not None:
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        yield from _aligned(
            [(plain(name), f"{shown(before.get(name))} -> {shown(after.get(name))}") for name in changed], "        "
        )
        hidden = sum(after.get(name) not in _EMPTY for name in {**before, **after} if name not in changed)
        if hidden:
            yield f"        # ({hidden} unchanged attribute{'s' if hidden != 1 else ''} hidden)"
    else:
        fields = after if step.before is None else before
        filled = [(plain(name), shown(value)) for name, value in fields.items() if value not in _EMPTY]
        yield from _aligned(filled, "        ")


def flat(value: object, prefix: str = "") -> dict[str, Any]:
    """Return nested fields as one level of dotted names; lists of texts stay together."""
    if not isinstance(value, dict):
        return {}
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            found |= flat(item, f"{name}.")
        elif isinstance(item, list) and len(item) > 1:
            found |= {f"{name}[{index}]": entry for index, entry in enumerate(item)}
        else:
            found[name] = item[0] if isinstance(item, list) and item else item
    return found


def shown(value: object) -> str:
    """Return one value for a person: instants and digests short, what only the run knows as such."""
    if value is None or value in ([], {}):
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if PLACEHOLDER.fullmatch(text):
        return "(known after apply)"
    text = PLACEHOLDER.sub("(known after apply)", text)
    return plain(_DIGEST.sub(r"\1…", _INSTANT.sub(_short_instant, text)))


def _short_instant(found: re.Match[str]) -> str:
    rest = "" if found[3] in (None, ":00") else found[3]
    return f"{found[1]} {found[2]}{rest}Z"


def short_path(path: str) -> str:
    """Return a report's path below the audit folder."""
    return path.removeprefix(_AUDIT)


def _aligned(rows: Iterable[Iterable[str]], indent: str) -> Iterator[str]:
    listed = [tuple(row) for row in rows]
    width = max((len(row[0]) for row in listed if len(row) > 1), default=0)
    for row in listed:
        yield f"{indent}{row[0]:<{width}}   {row[1]}" if len(row) > 1 else f"{indent}{row[0]}"


def _left_alone(document: PlanDocument) -> Iterator[str]:
    for path, named in sorted(document.left_alone.items()):
        yield f"Left alone   {plain(path)} names {plain(named)}"


def _undo(document: PlanDocument) -> Iterator[str]:
    back = [address for address, reason in document.undo if not reason]
    stays = [address for address, reason in document.undo if reason]
    if document.undo:
        yield f"An undo would lead back   {plain(', '.join(back)) or 'nothing'}"
        yield f"and leave                 {plain(', '.join(stays)) or 'nothing'}"
