"""Carrying a plan out: phase by phase, each behind its gates; interrupted or not, the same call leads on."""

from collections.abc import Callable
from dataclasses import field

from pydantic import JsonValue

from bot_core.foundation.atomic_file import sync
from bot_core.foundation.errors import BotCoreError, LockTimeoutError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import encode_json
from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import beneath
from rollbackctl.core.commands import abandon_command, continue_command
from rollbackctl.core.errors import (
    DriftError,
    EngineInTheWayError,
    GateBlockedError,
    InterruptedRunError,
    PartlyHeldError,
    Problem,
    StalePlanError,
)
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import Observation
from rollbackctl.core.plan import PHASES, Phase, Plan, Step
from rollbackctl.core.report import Report, make_report
from rollbackctl.core.state import content_id, state_json
from rollbackctl.engine.checking import run_checks
from rollbackctl.engine.engines import first_decision, require_acknowledged
from rollbackctl.engine.events import Event, Listener
from rollbackctl.engine.evidence import secure_evidence
from rollbackctl.engine.planning import Planner
from rollbackctl.engine.staleness import require_forward, require_unexpired
from rollbackctl.engine.steps import Run, StepRunner, describe
from rollbackctl.spec.document import Spec


@frozen
class Context:
    """What one invocation of a run works with.

    Attributes:
        run: The run.
        spec: The rollback plan.
        facts: What the plan decided; None for a hold and an undo.
        observation: The evidence, read once for this invocation.
        order: How many invocations the workspace has seen, this one included.
        listener: Is told what happens.
        failures: What a hold could not do, by address; it does the rest all the same.
        asked_to_stop: Says who or what asks the run to stop after its current step; None when nobody does.
    """

    run: Run
    spec: Spec
    facts: Facts | None
    observation: Observation
    order: int
    listener: Listener
    asked_to_stop: Callable[[], str | None]
    name_holder: Callable[[], None] = field(default=lambda: None)
    failures: dict[Address, Exception] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """The run's plan."""
        return self.run.plan


def carry_out(context: Context) -> Report:
    """Lead a run as far as its gates let it.

    After a crash at any point, the same call again leads to the same end, and each resource is moved once.

    Raises:
        GateBlockedError: A gate blocks or waits; the holds are in place.
        CheckFailedError: A check did not pass, or an engine did not acknowledge; the holds are in place.
        DriftError: Somebody else changed a resource; nothing more was moved.
        InterruptedRunError: The run was asked to stop; it did so after a step.
    """
    _begin(context)
    holds = context.run.adopted(context.observation.holds)
    runner = StepRunner(context.run, context.facts, holds, lambda name: _value(context, name))
    for phase in PHASES:
        steps = [step for step in context.plan.steps if step.phase is phase]
        if phase is Phase.CHECK:
            run_checks(context)
            continue
        if not steps:
            continue
        _enter(context, phase)
        for step in steps:
            if step.id not in context.run.checkpoint.done:
                _make(context, runner, step)
        if phase is Phase.HOLD:
            _wait_for_engines(context)
    if context.failures:
        in_the_way = all(isinstance(error, LockTimeoutError) for error in context.failures.values())
        kind = EngineInTheWayError if in_the_way else PartlyHeldError
        local = context.run.workspace.local
        problems = tuple(Problem(local(f"{address}: {error}")) for address, error in context.failures.items())
        raise kind("not everything could be held", problems=problems)
    return _finish(context)


def _make(context: Context, runner: StepRunner, step: Step) -> None:
    """Make a step and tell of it; in a hold one that fails must not keep the others from being made."""
    _stop_if_asked(context)
    _tell_step(context, "apply_start", step)
    try:
        if context.plan.operation != "hold":
            runner.require_undisturbed()
        runner.make(step)
    except (BotCoreError, OSError) as error:
        if context.plan.operation != "hold":
            raise
        context.failures[step.address] = error
    else:
        _tell_step(context, "apply_complete", step)
    _stop_if_asked(context)


def _begin(context: Context) -> None:
    """Name the holder, save what the run will touch, and write this invocation's first line."""
    run = context.run
    context.name_holder()
    evidence = secure_evidence(
        run.workspace.root,
        run.store,
        run.run,
        _files(context),
        context.observation,
        lenient=context.plan.operation == "hold",
    )
    run.record(
        "invocation",
        {"order": context.order, "actor": {**run.workspace.actor.to_json()}, "evidence": evidence},
    )


def _files(context: Context) -> tuple[str, ...]:
    kinds = context.run.kinds
    addresses = {step.address for step in context.plan.steps}
    return tuple(sorted({path for address in addresses for path in kinds[address.kind].files(address.name)}))


def _value(context: Context, name: str) -> str:
    """The value of a placeholder, at the time when the first step that uses it begins."""
    actor = context.run.workspace.actor
    match name:
        case "id":
            return context.run.run
        case "plan":
            return context.plan.id
        case "time":
            return context.run.workspace.now()
        case "actor":
            return f"{actor.user}@{actor.host}"
        case "not_held":
            return ", ".join(map(str, context.failures)) or "nothing"
        case "signers":
            return signers(context.plan, context.observation)
        case "engine" if context.facts is not None:
            return _first_decision(context, context.facts)
        case _:
            raise ValueError(f"a state asks for run.{name}, which no run knows")


def signers(plan: Plan, observation: Observation) -> str:
    """Name who signed the pinned reports, by role."""
    pinned = set(plan.facts.get("pinned") or ())  # type: ignore[arg-type]
    people: dict[str, set[str]] = {}
    for report in observation.reports:
        if report.path in pinned:
            for role, item in (report.sign_off or {}).items():
                if item.signed_by:
                    people.setdefault(role, set()).add(item.signed_by)
    return "; ".join(f"{role}: {', '.join(sorted(names))}" for role, names in sorted(people.items())) or "nobody"


def _enter(context: Context, phase: Phase) -> None:
    """Judge a phase's gates when it begins for the first time; a begun phase may always be continued."""
    run = context.run
    if phase is Phase.RELEASE and _has_left(context, phase):
        _require_target_unchanged(context, first=phase not in run.checkpoint.phases)
    if phase is Phase.RECORD:
        # Also when the phase has begun: somebody may have laid a hold on what was released before.
        _take_over_finished(context)
        _await_decision(context)
    if phase in run.checkpoint.phases:
        return
    if context.facts is not None and phase is not Phase.RECORD:  # what has been made is recorded, however late
        _require_unexpired(context)
    verdicts = judge(context, (phase,))
    for verdict in verdicts:
        context.listener(
            Event("gate_verdict", f"gate {verdict.gate}: {verdict.answer.value}", fields=verdict.to_json())
        )
    blocking = [verdict for verdict in verdicts if verdict.answer is not Answer.PASS]
    if blocking:
        run.record("waiting", {"phase": phase.value, "verdicts": [verdict.to_json() for verdict in blocking]})
        raise blocked(phase, blocking, held_by=run.run if Phase.HOLD in run.checkpoint.phases else None)
    if phase is Phase.RECORD:
        _verify(context)
    run.record("phase", {"phase": phase.value, "verdicts": [verdict.to_json() for verdict in verdicts]})


def judge(context: Context, phases: tuple[Phase, ...]) -> tuple[Verdict, ...]:
    """Judge the gates of some phases on this invocation's evidence."""
    if context.facts is None:
        return ()
    workspace = context.run.workspace
    planner = Planner(workspace.registry, workspace.policy)
    return planner.judge(context.plan, context.spec, context.facts, context.observation, phases)


def blocked(phase: Phase, verdicts: list[Verdict], *, held_by: str | None) -> GateBlockedError:
    """Word what a phase waits for; `held_by` is the run, where it has moved something already."""
    only_waits = all(verdict.answer is Answer.WAITS for verdict in verdicts)
    problem, lines = f"the {phase.value} {'waits for sign-off' if only_waits else 'phase may not begin'}", list[str]()
    if held_by:
        restored = "; the target is restored and checked" if phase is Phase.RELEASE else ""
        problem += f"; the holds are in place{restored}"
    for verdict in verdicts:
        lines.append(f"{verdict.answer.value}  {verdict.gate}: {verdict.summary}")
        lines += [f"  {reason}" for reason in verdict.reasons]
    waits_for = {role: number for verdict in verdicts for role, number in verdict.waits_for.items()}
    hint = ""
    if held_by and not only_waits:
        hint = f"mend what is named above, then: {continue_command(held_by)}\n"
        hint += f"or close the run, then plan again: {abandon_command(held_by)}"
    return GateBlockedError(
        problem, hint=hint, problems=tuple(map(Problem, lines)), waits_for=waits_for, only_waits=only_waits
    )


def _require_unexpired(context: Context) -> None:
    run, now = context.run, context.run.workspace.clock()
    require_forward(run.run, run.checkpoint.entries, now)
    try:
        require_unexpired(context.plan, run.timestamp, now)
    except StalePlanError as error:
        if run.checkpoint.done:
            error.hint = f"the holds are in place; close this run and plan again: {abandon_command(run.run)}"
        raise


def _has_left(context: Context, phase: Phase) -> bool:
    return any(step.phase is phase and step.id not in context.run.checkpoint.done for step in context.plan.steps)


def _require_target_unchanged(context: Context, *, first: bool) -> None:
    """Look at the target again before anything more is released: quarantine always, its bytes when the phase begins."""
    if context.facts is None:
        return
    target, run = context.facts.target, context.run.run
    found = next((fact for fact in context.observation.versions if fact.version == target.version), None)
    if found is not None and found.quarantine is not None:
        problem = f"{target.version} has been quarantined since the run began: {found.quarantine}"
    elif first and (found is None or found.sha256 != target.sha256):
        now = "gone" if found is None or found.sha256 is None else f"sha256 {found.sha256[:12]}"
        problem = f"{target.source} has changed since it was restored: {now}, planned sha256 {target.sha256[:12]}"
    else:
        return
    raise GateBlockedError(
        problem,
        hint=f"put it back, then: {continue_command(run)}\nor choose another target: {abandon_command(run)}",
    )


def _wait_for_engines(context: Context) -> None:
    root, host = context.run.workspace.root, context.run.workspace.actor.host
    for engine in require_acknowledged(root, context.spec.spec.serving.model_dir, host):
        context.listener(Event("apply_progress", str(engine)))


def _await_decision(context: Context) -> None:
    """A rollback is complete when an engine decides with the target; where none is attached, that is told."""
    if context.facts is not None:
        context.listener(Event("apply_progress", f"engine: {_first_decision(context, context.facts)}"))


def _first_decision(context: Context, facts: Facts) -> str:
    run = context.run
    root, host = run.workspace.root, run.workspace.actor.host
    return first_decision(root, context.spec, facts.target.sha256, host, lambda: _stop_if_asked(context))


def _take_over_finished(context: Context) -> None:
    """End holds that were placed on resources which this run had already released.

    What somebody has changed beneath one stays.

    Raises:
        DriftError: Somebody changed a resource at this very moment; its hold still counts.
    """
    run = context.run
    released = {step.address for step in context.plan.steps if step.phase is Phase.RELEASE} - run.kept().keys()
    for text, hold in run.adopted(context.observation.holds).items():
        address = Address.parse(text)
        if address not in context.plan.base:
            continue
        kind, base = run.kinds[address.kind], run.parse(address, hold.base)
        if base != run.expected(address) and address not in released:
            continue
        found = kind.observe(address.name)
        under = beneath(found, run.parse(address, hold.held), base)
        if under is not found:
            run.store.require_held()
            kind.move(address.name, found, under)
            if kind.observe(address.name) != under:
                raise DriftError(f"{address} was changed while its hold ended", hint=continue_command(run.run))
        for path in kind.files(address.name):
            sync(run.workspace.root / path)  # also what a killed predecessor has moved
        run.record("released", {"address": text, "hold": hold.run})


def _verify(context: Context) -> None:
    """Every resource that the run keeps is where its steps lead; only then is anything recorded as done.

    Raises:
        DriftError: One is not; the run can be continued once it is back.
    """
    run = context.run
    wrong = []
    for address, found in run.misplaced({}).items():
        files, wanted = ", ".join(run.kinds[address.kind].files(address.name)), run.expected(address)
        wrong += [f"{address} ({files})", f"  expected {describe(wanted)}", f"  found    {describe(found)}"]
    if wrong:
        raise DriftError(
            "the moves are done, but not everything is where they lead",
            problems=tuple(map(Problem, wrong)),
            hint=run.ways_on,
        )
    run.record("verified", {"states": _digest(context)})


def _digest(context: Context) -> str:
    run = context.run
    return content_id({str(a): state_json(run.expected(a)) for a in sorted({s.address for s in context.plan.steps})})


def _stop_if_asked(context: Context) -> None:
    reason = context.asked_to_stop()
    if reason is None or len(context.run.checkpoint.done) == len(context.plan.steps):
        return
    context.run.record("stopped", {"reason": reason})
    raise InterruptedRunError(
        f"stopped after step {len(context.run.checkpoint.done)} of {len(context.plan.steps)}: {reason}"
    )


def _finish(context: Context) -> Report:
    """Write the report, then close the run: a crash in between is mended by the next call."""
    run = context.run
    if not run.checkpoint.is_verified:
        _verify(context)
    report = make_report(context.plan, run.run, run.checkpoint)
    run.store.put(run.run, "report.json", encode_json(report.to_json(), sort_keys=True, newline=True))
    run.record("finished", {"verdict": report.verdict})
    context.listener(Event("run_summary", f"run {run.run}: {report.verdict}", fields={"run": run.run}))
    return report


def _tell_step(context: Context, kind: str, step: Step) -> None:
    total = len(context.plan.steps)
    fields: dict[str, JsonValue] = {
        "step": step.index,
        "steps": total,
        "phase": step.phase.value,
        "address": str(step.address),
        "action": step.action.value,
    }
    message = f"[{step.index:>{len(str(total))}}/{total}] {step.phase.value:<7} {step.action.value:<6} {step.address}"
    context.listener(Event(kind, message, fields=fields))
