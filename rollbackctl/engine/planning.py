"""From a rollback plan and an observation to a plan: nothing here reads or writes anything."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen
from rollbackctl.core.address import Address
from rollbackctl.core.checkpoint import beneath
from rollbackctl.core.commands import abandon_command, continuing, release_command, stored_plan
from rollbackctl.core.data_drift import evidence
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.facts import Facts, Pinned
from rollbackctl.core.gate import Verdict
from rollbackctl.core.observation import HoldFact, Observation, RunFact
from rollbackctl.core.plan import PHASES, Change, Phase, Plan
from rollbackctl.core.planner import is_settled, make_changes, make_steps, simulate, stays_on_undo
from rollbackctl.core.state import State, content_id
from rollbackctl.core.target import passed_over
from rollbackctl.engine.observe import collect_desired, scope_of
from rollbackctl.engine.registry import Registry
from rollbackctl.gates import Case
from rollbackctl.kinds import Binding
from rollbackctl.spec.data_drift import data_drift_settings, limits_of
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.places import absent_notes, refuse_missing
from rollbackctl.spec.resolve import demands, earlier_run, resolve


@frozen
class Planner:
    """Makes plans from observations; holds what is the same for all of them."""

    registry: Registry
    policy: Policy

    def make(
        self, spec: Spec, observation: Observation, timestamp: str, earlier: Mapping[str, JsonValue] | None = None
    ) -> PlanDocument:
        """Make a plan, with every gate judged.

        Args:
            spec: The rollback plan.
            observation: The evidence and the states.
            timestamp: When it is made.
            earlier: The facts of an earlier plan that this one is compared with; None: all that is there counts.

        Raises:
            InvalidInputError: The observation is of other files than the plan names, or the plan names what is missing.
            GateBlockedError: No version may be the target.
        """
        facts = self._facts(spec, observation, earlier)
        desired = collect_desired(self.registry, self.registry.bind(_pure_binding(spec)), spec, facts)
        base = self.base_world(desired, observation, spec.metadata.incident)
        changes = make_changes(desired, base)
        settled = is_settled(changes) and not _holds_any(base, observation, spec.metadata.incident)
        plan = Plan(
            name=spec.metadata.name,
            incident=spec.metadata.incident,
            spec=spec.to_json(),
            policy=observation.policy_digest,
            facts=facts.identity(),
            base=base,
            inputs=_inputs(facts, observation, spec, self.registry.check_files(spec)),
            changes=changes,
            steps=() if settled else make_steps(desired, base, self.registry.order),
            gates=self._gates(spec),
            checks=self._checks(spec),
            expires_after=self.policy.expires_after,
        )
        finished = earlier_run(spec, observation)
        return PlanDocument(
            plan=plan,
            timestamp=timestamp,
            verdicts=() if settled else self.judge(plan, spec, facts, observation, PHASES),
            candidates=facts.candidates,
            trigger=_trigger(facts, observation),
            left_alone=facts.left_alone,
            undo=_undo_preview(changes, facts.withdrawn),
            diagnostics=_diagnostics(spec, observation, self, facts, base),
            settled_by=finished.run if settled and finished else None,
            obstacles=() if settled else tuple(_obstacles(spec, observation)),
            continues=None if settled else _continued(spec, observation),
            data_drift=None if settled else _measured(spec, self.policy, observation),
            replay=None if settled or observation.replay is None else observation.replay.model_dump(mode="json"),
        )

    def judge(
        self, plan: Plan, spec: Spec, facts: Facts, observation: Observation, phases: Iterable[Phase]
    ) -> tuple[Verdict, ...]:
        """Judge the gates that guard some phases."""
        case = Case(spec, self.policy, facts, observation, simulate(plan.steps, plan.base))
        wanted = set(phases)
        return tuple(self.registry.gates[name]().judge(case) for phase, name in plan.gates if phase in wanted)

    def base_world(
        self, addresses: Iterable[Address], observation: Observation, incident: str | None
    ) -> dict[Address, State | None]:
        """Return the states beneath the incident's holds.

        Raises:
            InvalidInputError: The observation lacks a resource.
        """
        missing = [str(address) for address in addresses if str(address) not in observation.states]
        if missing:
            raise _not_observed(sorted(missing))
        holds = {hold.address: hold for hold in observation.holds if hold.incident in (None, incident)}
        return {address: self._beneath(address, observation, holds) for address in addresses}

    def parse(self, address: Address, value: JsonValue) -> State | None:
        """Read a state of the address's kind."""
        return None if value is None else self.registry.kinds[address.kind].state.model_validate(value)

    def _beneath(self, address: Address, observation: Observation, holds: Mapping[str, HoldFact]) -> State | None:
        now = self.parse(address, observation.states[str(address)])
        hold = holds.get(str(address))
        # A hold that somebody broke by hand is none: what is there now is what the plan starts from.
        return now if hold is None else self.beneath(hold, now)

    def beneath(self, hold: HoldFact, now: State | None) -> State | None:
        """Return what is under a hold, given the state as it is."""
        address = Address.parse(hold.address)
        return beneath(now, self.parse(address, hold.held), self.parse(address, hold.base))

    def _facts(self, spec: Spec, observation: Observation, earlier: Mapping[str, JsonValue] | None) -> Facts:
        """Decide what the plan means, where it can be carried out at all."""
        self._require_scope(spec, observation)
        self._refuse_changed_spec(spec, observation)
        if earlier is None:  # what was accepted before and is gone since makes that plan stale, which names more
            refuse_missing(spec, observation)
        facts = resolve(spec, self.policy, observation, earlier)
        target = next(fact for fact in observation.versions if fact.version == facts.target.version)
        self.registry.refuse_unfit_checks(spec, target)
        return facts

    @staticmethod
    def _require_scope(spec: Spec, observation: Observation) -> None:
        wanted = scope_of(spec)
        other = [key for key, value in wanted.items() if observation.scope.get(key) != value]
        if other:
            found = ", ".join(
                f"{key} {observation.scope.get(key) or 'none'}, not {wanted[key] or 'none'}" for key in other
            )
            raise InvalidInputError(
                f"the observation was made for {found}",
                hint="observe for this plan, on the host: rollbackctl observe PLAN --out world.json",
            )

    @staticmethod
    def _refuse_changed_spec(spec: Spec, observation: Observation) -> None:
        earlier = earlier_run(spec, observation)
        if earlier is not None and earlier.spec_digest != content_id(spec.to_json()):
            raise InvalidInputError(
                f"run {earlier.run} was made from another version of the rollback plan {spec.metadata.name}",
                hint="give the changed plan a new metadata.name",
            )

    def _gates(self, spec: Spec) -> tuple[tuple[Phase, str], ...]:
        names = [name for name, gate in self.registry.gates.items() if gate.always or name in spec.spec.gates]
        pairs = [(self.registry.gates[name].guards, name) for name in names]
        return tuple(sorted(pairs, key=lambda pair: (PHASES.index(pair[0]), pair[1])))

    def _checks(self, spec: Spec) -> tuple[str, ...]:
        checks = self.registry.checks.items()
        return tuple(name for name, check in checks if check.always or check.section in spec.spec.checks)


def facts_of(plan: Plan, observation: Observation) -> Facts:
    """Return a stored plan's facts, with the manifests as they are now."""
    value: dict[str, Any] = dict(plan.facts)
    return Facts(
        incident=value["incident"],
        trigger=value["trigger"],
        withdrawn=Pinned(**value["withdrawn"]),
        target=Pinned(**value["target"]),
        serve_as=tuple(value["serve_as"]),
        pinned=tuple(value["pinned"]),
        cutoff=value["cutoff"],
        repository=value["repository"],
        repositories=observation.repositories,
        data_drift=value.get("data_drift"),
    )


def _pure_binding(spec: Spec) -> Binding:
    """Tie kinds to nothing: only what they desire is asked."""

    def refuse(*_: object) -> Any:
        raise RuntimeError("a kind touched the workspace while saying what it desires")

    return Binding(root=Path("/nonexistent"), spec=spec, fetch=refuse, now=refuse)


def _holds_any(base: Container[Address], observation: Observation, incident: str | None) -> bool:
    """Whether something that the plan moves is held for its incident: what it does not move, no run of it releases."""
    holds = (hold for hold in observation.holds if hold.incident in (None, incident))
    return any(Address.parse(hold.address) in base for hold in holds)


def _hold_words(hold: HoldFact, incident: str | None, base: Container[Address]) -> str:
    """Say who holds a resource, and what that means for a plan of an incident."""
    word = "this plan takes the hold over"
    if hold.incidents - {None, incident}:
        word = "this plan may not touch it"
    elif Address.parse(hold.address) not in base:
        word = f"this plan does not move it, and it stays held until: {release_command(incident)}"
    holders = " and ".join(f"{holder.run} for {holder.incident or 'no incident'}" for holder in hold.holders)
    return f"held by {holders}; {word}"


def _inputs(facts: Facts, observation: Observation, spec: Spec, files: Collection[str]) -> dict[str, str]:
    """Digests of the files that this plan rests on.

    They are artifacts, bundles, walk-forward and pinned reports, thresholds, and `files`, which checks read.

    Raises:
        InvalidInputError: The observation has not looked at one of `files`.
    """
    if missing := sorted(set(files) - observation.inputs.keys()):
        raise _not_observed(missing)
    wanted = {*files, *([spec.spec.serving.thresholds] if spec.spec.serving.thresholds else [])}
    for fact in observation.versions:
        if fact.version in (facts.withdrawn.version, facts.target.version):
            wanted.add(f"{facts.repository}/{fact.file}")
            wanted |= {path for source in (fact.attestation, fact.bundled) if source for path in source.digests}
            wanted |= {fact.walk_forward.path} if fact.walk_forward else set()
    reports = {report.path: report.digest for report in observation.reports if report.path in facts.pinned}
    return dict(sorted(({p: d for p, d in observation.inputs.items() if p in wanted} | reports).items()))


def _measured(spec: Spec, policy: Policy, observation: Observation) -> dict[str, JsonValue] | None:
    settings, fact = data_drift_settings(spec), observation.data_drift
    return None if settings is None or fact is None else evidence(fact, limits_of(settings, policy.limits))


def _not_observed(missing: Iterable[str]) -> InvalidInputError:
    return InvalidInputError(
        f"the observation does not hold {', '.join(missing)}",
        hint="observe for this plan, on the host: rollbackctl observe PLAN --out world.json",
    )


def _trigger(facts: Facts, observation: Observation) -> dict[str, JsonValue] | None:
    report = next((report for report in observation.reports if report.path == facts.trigger), None)
    if report is None:
        return None
    decided: dict[str, JsonValue] = {role: item.status for role, item in (report.sign_off or {}).items()}
    return {"path": report.path, "summary": report.summary, "severity": report.severity, "sign_off": decided}


def _undo_preview(changes: Iterable[Change], withdrawn: Pinned) -> tuple[tuple[str, str], ...]:
    names = names_of(withdrawn)
    lasting = [change for change in changes if change.lasting and change.before != change.after]
    return tuple((str(change.address), stays_on_undo(change, names)) for change in lasting)


def names_of(version: Pinned) -> frozenset[str]:
    """Return every text that names a version in a state."""
    return frozenset({version.version, version.sha256, version.canonical, version.source} - {""})


def _unfinished(observation: Observation) -> RunFact | None:
    return next((run for run in observation.runs if run.status == "unfinished"), None)


def _continued(spec: Spec, observation: Observation) -> str | None:
    """The unfinished run that applying this rollback plan continues."""
    run = _unfinished(observation)
    is_own = run is not None and run.spec_digest == content_id(spec.to_json()) and run.operation == "rollback"
    return run.run if run is not None and is_own else None


def _obstacles(spec: Spec, observation: Observation) -> Iterator[str]:
    """What `apply` refuses the plan for, as the commands that end it."""
    incident, run = spec.metadata.incident, _unfinished(observation)
    others = {name for hold in observation.holds for name in hold.incidents} - {None, incident}
    if run is not None and _continued(spec, observation) is None:
        others -= {run.incident}
        if run.operation == "rollback" and run.incident != incident:
            yield f"rollbackctl apply {stored_plan(run.run)}   (the run of {run.incident} comes first)"
        elif run.has_moved_all:
            yield continuing(run.operation, run.run, run.incident)
        else:
            yield abandon_command(run.run)
    yield from (f"{release_command(name)}   (if {name} is over)" for name in sorted(filter(None, others)))


def _diagnostics(
    spec: Spec, observation: Observation, planner: Planner, facts: Facts, base: Container[Address]
) -> tuple[str, ...]:
    incident, needs = spec.metadata.incident, demands(spec, planner.policy, observation)
    notes = [*passed_over(observation.versions, facts.withdrawn.version, facts.target.version, needs)]
    notes += absent_notes(spec, observation)
    words = {hold.address: _hold_words(hold, incident, base) for hold in observation.holds}
    for whom, group in groupby(sorted(observation.holds, key=lambda h: words[h.address]), lambda h: words[h.address]):
        notes.append(f"{whom}: {', '.join(hold.address for hold in group)}")
    unfinished = _unfinished(observation)
    if unfinished is not None:
        advice = "it was made from another plan, and this one cannot be applied before it is ended"
        if _continued(spec, observation):
            advice = "apply continues it as it was planned, not as shown here"
        notes.append(f"run {unfinished.run} is unfinished; {advice}")
    malformed = observation.journal.malformed
    if malformed:
        more = f" and {len(malformed) - 3} more" if len(malformed) > 3 else ""
        notes.append(f"unreadable lines in the decision journal: {', '.join(malformed[:3])}{more}")
    if planner.registry.plugins:
        notes.append(f"plug-ins loaded: {', '.join(planner.registry.plugins)}")
    return tuple(notes)
