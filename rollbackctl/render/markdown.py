"""A plan document as a comment on a pull request: what matters first, every step folded below it."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from urllib.parse import quote

from rollbackctl.core.commands import stored_plan
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plain import plain
from rollbackctl.core.plan import PHASES, Action, Phase, Step
from rollbackctl.core.state import state_json
from rollbackctl.render.escape import clip, code, fenced, markdown
from rollbackctl.render.text import SIGNS, flat, short_path, shown, text_at
from rollbackctl.spec.document import seconds

LIMIT = 65_536
"""The longest comment that GitHub takes."""

# A summary is never cut, so each part of it is bounded: together they stay below LIMIT even where every character of
# every name has to be escaped. What is left out here is in the details.
_NAME_CHARS = 120
_SENTENCE_CHARS = 240
_ROLE_CHARS = 64
_SHOWN_GATES = 8
_SHOWN_REASONS = 12
_SHOWN_NOTES = 4
_SHOWN_ROLES = 6

_LINE_CHARS = 1_000
_LISTED = 50
_CUT_CHARS = 200
_EMPTY: tuple[object, ...] = (None, "", [], {})


def render(document: PlanDocument, *, plan_path: str = "PLAN") -> str:
    """Return the comment, at most `LIMIT` characters long; what does not fit is cut from the steps, never the summary.

    The first line is a hidden marker with the plan's id and name, by which a bot finds the comment to update.
    """
    summary = "\n".join(_summary(document, plan_path))
    if not document.has_changes:
        return summary + "\n"
    return summary + "\n\n" + _details(document, LIMIT - length(summary) - 2)


def length(text: str) -> int:
    """Return the length in UTF-16 code units.

    GitHub counts code points in a pull request's description and four bytes for each in a comment; bots, most of them
    JavaScript, count code units, which are never fewer. Source: github.com/dead-claudia/github-limits/pull/13.
    """
    return len(text) + sum(char > "\uffff" for char in text)


def _summary(document: PlanDocument, plan_path: str) -> Iterator[str]:
    plan = document.plan
    name = quote(plan.name[:_NAME_CHARS], safe="", errors="backslashreplace")
    yield f"<!-- rollbackctl plan id={plan.id} name={name} -->"
    yield f"### {_title(document)}"
    yield ""
    yield _headline(document)
    yield ""
    yield from _trigger(document)
    yield from _notes(document)
    if document.has_changes:
        yield from _gates(document.verdicts)
        yield _counts(document)
        yield ""
    yield from _left_alone(document)
    yield from _next(document, plan_path)
    yield ""
    yield _stamp(document)


def _title(document: PlanDocument) -> str:
    plan = document.plan
    title = f"{_prose(plan.operation.capitalize())} {_name(plan.incident or plan.name)}"
    withdrawn, target = (text_at(plan.facts, version, "version") for version in ("withdrawn", "target"))
    if withdrawn and target:
        served = plan.facts.get("serve_as")
        model = f"{_name(str(served[0]))} from " if isinstance(served, list) and served else "from "
        title += f": {model}{_name(withdrawn)} to {_name(target)}"
    return title


def _headline(document: PlanDocument) -> str:
    if not document.has_changes:
        by = f" Done by run {_name(document.settled_by)}." if document.settled_by else ""
        return f"**No changes.** Every lasting state is as planned.{by}"
    sentences = []
    blocking = _with(document, Answer.BLOCK)
    if blocking:
        phase = _first(blocking)
        begun = "nothing can begin" if phase is Phase.SECURE else f"the run stops before {phase.value}"
        sentences.append(f"**Blocked: {begun}.**")
    waiting = _with(document, Answer.WAITS)
    if waiting:
        roles = _list((_prose(role, _ROLE_CHARS) for role in _owed(waiting)), _SHOWN_ROLES) or "sign-off"
        sentences.append(f"**{_first(waiting).value.capitalize()} waits for {roles}.**")
    return " ".join(sentences) or "**Ready:** every gate passes."


def _trigger(document: PlanDocument) -> Iterator[str]:
    trigger = document.trigger
    sentences = []
    if trigger is not None:
        decided = trigger.get("sign_off")
        roles = sorted(decided.items()) if isinstance(decided, dict) else []
        by = [f"{_prose(role, _ROLE_CHARS)} {_prose(str(status), _ROLE_CHARS)}" for role, status in roles]
        path, summary = short_path(str(trigger.get("path"))), str(trigger.get("summary"))
        signed = f" ({_list(by, _SHOWN_ROLES)})" if by else ""
        sentences.append(f"Triggered by {_name(path)}: {_prose(summary)}{signed}.")
    reason = text_at(document.plan.spec, "metadata", "reason")
    if reason:
        sentences.append(f"Reason: {_prose(reason)}.")
    window = document.plan.facts.get("data_drift")
    if isinstance(window, dict):
        sentences.append(f"Held against {_rows(window.get('rows'))} of {_name(str(window.get('window')))}.")
    if sentences:
        yield " ".join(sentences)
        yield ""


def _rows(count: object) -> str:
    return _number(count, "row") if isinstance(count, int) else "rows"


def _gates(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """Those that stop a phase first."""
    order = (Answer.BLOCK, Answer.WAITS, Answer.PASS)
    verdicts = sorted(verdicts, key=lambda verdict: order.index(verdict.answer))
    first = verdicts[:_SHOWN_GATES]
    share = _share(first)
    for verdict in first:
        yield from _gate(verdict, share)
    if len(verdicts) > len(first):
        yield f"- … and {_number(len(verdicts) - len(first), 'more gate')}, in the details"
    if first:
        yield ""


def _share(verdicts: Sequence[Verdict]) -> int:
    """How many reasons each gate may show, so that all together show no more than the summary has room for."""
    counts = [len(verdict.reasons) for verdict in verdicts]
    fitting = (n for n in range(1, _SHOWN_REASONS + 1) if sum(min(count, n) for count in counts) <= _SHOWN_REASONS)
    return max(fitting, default=1)


def _gate(verdict: Verdict, limit: int | None = None) -> Iterator[str]:
    phase = verdict.guards.value
    answer = {Answer.BLOCK: f"**{phase} blocked**", Answer.WAITS: f"**{phase} waits**", Answer.PASS: "pass"}
    yield f"- {answer[verdict.answer]} {_name(verdict.gate)}: {_prose(verdict.summary)}"
    for reason in verdict.reasons[:limit]:
        # A reason may have two columns; they are told apart before their words are.
        yield "  - " + ": ".join(_prose(part) for part in clip(plain(reason), _SENTENCE_CHARS).split("   ", 1))
    if limit is not None and len(verdict.reasons) > limit:
        yield f"  - … and {len(verdict.reasons) - limit:,} more, in the details"


def _counts(document: PlanDocument) -> str:
    counts = document.counts()
    add, change, destroy = (counts[action] for action in (Action.CREATE, Action.UPDATE, Action.DELETE))
    steps = _number(len(document.plan.steps), "step")
    text = f"**Plan: {add:,} to add, {change:,} to change, {destroy:,} to destroy**, in {steps}."
    if document.plan.checks:
        text += f" Checked before release: {_list(map(_name, document.plan.checks), _SHOWN_NOTES)}."
    return text


def _left_alone(document: PlanDocument) -> Iterator[str]:
    left = [f"{_name(path)} names {_name(what)}" for path, what in sorted(document.left_alone.items())]
    if left:
        yield f"**Left alone:** {_list(left, _SHOWN_NOTES)}."
        yield ""


def _notes(document: PlanDocument) -> Iterator[str]:
    for note in document.diagnostics[:_SHOWN_NOTES]:
        yield f"**Note:** {_prose(note)}."
        yield ""
    if len(document.diagnostics) > _SHOWN_NOTES:
        yield f"{_number(len(document.diagnostics) - _SHOWN_NOTES, 'more note')}, in the details."
        yield ""


def _next(document: PlanDocument, plan_path: str) -> Iterator[str]:
    if not document.has_changes:
        yield "**Next:** nothing to do."
        return
    plan, blocking, waiting = _argument(plan_path), _with(document, Answer.BLOCK), _with(document, Answer.WAITS)
    if blocking and _first(blocking) is Phase.SECURE:
        incident = document.plan.incident
        option = f" --incident {_argument(incident)}" if incident else ""
        text, commands = "stop the model now, mend what blocks, plan again.", [f"rollbackctl hold{option}"]
    elif document.obstacles:
        text = "apply is refused until this is done; then plan again."
        commands = [_command(line) for line in document.obstacles[:_SHOWN_ROLES]]
    elif blocking:
        stop = _first(blocking).value
        text, commands = f"mend what blocks, plan again; apply would hold and stop before {stop}.", []
    elif waiting:
        stop, roles = _first(waiting).value, list(_owed(waiting))[:_SHOWN_ROLES] or ["ROLE"]
        text = f"the roles decide. Apply can begin now: it holds, stops before {stop}, and goes on when applied again."
        commands = [
            f"rollbackctl sign-off --plan {plan} --role {_argument(role)} --status STATUS --by NAME" for role in roles
        ]
    else:
        text, commands = "apply it.", []
    yield f"**Next:** {text}"
    yield ""
    yield "```sh"
    yield from commands
    continued = _argument(stored_plan(document.continues)) if document.continues else plan
    yield f"rollbackctl plan {plan}" if blocking or document.obstacles else f"rollbackctl apply {continued}"
    yield "```"


def _stamp(document: PlanDocument) -> str:
    made, expires = _name(document.timestamp), f"{_name(document.plan.expires_after)} later"
    try:
        start = datetime.fromisoformat(document.timestamp).astimezone(UTC)
        end = start + timedelta(seconds=seconds(document.plan.expires_after))
        made, expires = f"{start:%Y-%m-%d %H:%M} UTC", f"{end:%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        pass  # a saved plan may hold anything; what it says is shown as it is
    return f"Plan id `{document.plan.id[:12]}`, made {made}, expires {expires}."


def _details(document: PlanDocument, room: int) -> str:
    """The steps in a fence, then the rest as a list, cut at the end where `room` asks for it."""
    steps = _number(len(document.plan.steps), "step")
    head = f"<details>\n<summary>{steps}, candidates and undo</summary>\n\n```diff\n"
    middle, tail = "```\n\n", "\n</details>\n"
    fence, rest = list(_fence(document.plan.steps)), list(_rest(document))
    room -= length(head) + length(middle) + length(tail)
    if length(_joined([*fence, *rest])) <= room:
        return head + _joined(fence) + middle + _joined(rest) + tail
    room -= _CUT_CHARS
    kept_fence = _fitting(fence, room)
    kept_rest = _fitting(rest, room - length(_joined(kept_fence))) if len(kept_fence) == len(fence) else []
    gone = [*fence[len(kept_fence) :], *rest[len(kept_rest) :]]
    cut = (
        f"**Cut:** {len(gone):,} of {len(fence) + len(rest):,} lines ({length(_joined(gone)):,} characters) "
        "do not fit into a comment. The whole plan: `rollbackctl show FILE`"
    )
    return head + _joined(kept_fence) + middle + _joined([*kept_rest, "", cut]) + tail


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    kept = []
    for line in lines:
        room -= length(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept


def _fence(steps: Sequence[Step]) -> Iterator[str]:
    for phase, group in groupby(steps, key=lambda step: step.phase):
        if phase is not steps[0].phase:
            yield ""
        yield f"# {phase.value}" + (", until release" if phase is Phase.HOLD else "")
        for step in group:
            yield from (fenced(clip(plain(line), _LINE_CHARS)) for line in _step(step))


def _step(step: Step) -> Iterator[str]:
    note = f"   # {step.note}" if step.note else ""
    yield f"{SIGNS[step.action]} {step.address}{note}"
    before, after = flat(state_json(step.before)), flat(state_json(step.after))
    names = list(dict.fromkeys((*before, *after)))
    changed = [name for name in names if before.get(name) != after.get(name)]
    for name in changed:
        for sign, value in (("-", before.get(name)), ("+", after.get(name))):
            if value not in _EMPTY:
                yield f"{sign}     {name}: {shown(value)}"
    hidden = sum(after.get(name) not in _EMPTY for name in names if name not in changed)
    if hidden:
        yield f"      # ({_number(hidden, 'unchanged attribute')} hidden)"


def _rest(document: PlanDocument) -> Iterator[str]:
    yield from _candidates(document)
    for reason, group in groupby(sorted(document.undo, key=lambda item: item[1]), key=lambda item: item[1]):
        addresses = _list((_name(address) for address, _ in group), _LISTED)
        yield f"- an undo leaves {addresses}: {_prose(reason)}" if reason else f"- an undo leads back {addresses}"
    yield from _left_out(document)


def _candidates(document: PlanDocument) -> Iterator[str]:
    for candidate in document.candidates:
        if candidate.verdict not in ("older", "withdrawn"):
            reasons = f": {_prose('; '.join(candidate.reasons), _LINE_CHARS)}" if candidate.reasons else ""
            yield f"- {_prose(candidate.verdict)} {_name(candidate.version)}{reasons}"
    older = [_name(candidate.version) for candidate in document.candidates if candidate.verdict == "older"]
    if older:
        yield f"- older and eligible: {_list(older, _LISTED)}"


def _left_out(document: PlanDocument) -> Iterator[str]:
    """What the summary had no room for."""
    for path, what in sorted(document.left_alone.items())[_SHOWN_NOTES:]:
        yield f"- left alone: {_name(path)} names {_name(what)}"
    share = _share(document.verdicts)
    if len(document.verdicts) > _SHOWN_GATES or any(len(verdict.reasons) > share for verdict in document.verdicts):
        for verdict in document.verdicts:
            yield from _gate(verdict)
    for note in document.diagnostics[_SHOWN_NOTES:]:
        yield f"- {_prose(note)}"


def _with(document: PlanDocument, answer: Answer) -> list[Verdict]:
    return [verdict for verdict in document.verdicts if verdict.answer is answer]


def _first(verdicts: Iterable[Verdict]) -> Phase:
    return min((verdict.guards for verdict in verdicts), key=PHASES.index)


def _owed(waiting: Iterable[Verdict]) -> dict[str, int]:
    """How many decisions each role owes, the one that owes most first."""
    owed: dict[str, int] = {}
    for verdict in waiting:
        for role, count in verdict.waits_for.items():
            owed[role] = owed.get(role, 0) + count
    return dict(sorted(owed.items(), key=lambda item: (-item[1], item[0])))


def _argument(text: str) -> str:
    """Quote a name for the command that a reader will copy into a shell."""
    return fenced(shlex.quote(clip(plain(text), _NAME_CHARS)))


def _command(line: str) -> str:
    return fenced(clip(plain(line.replace("   (", "   # (", 1)), 2 * _NAME_CHARS))


def _name(text: str) -> str:
    return code(clip(plain(text), _NAME_CHARS))


def _prose(text: str, limit: int = _SENTENCE_CHARS) -> str:
    return markdown(clip(plain(text), limit))


def _list(items: Iterable[str], limit: int) -> str:
    listed = list(items)
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}" + "s" * (count != 1)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
