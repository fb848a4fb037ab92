"""Earlier runs: what they pin, which of them is unfinished, and what they still hold."""

from collections.abc import Callable, Mapping
from typing import Any

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from rollbackctl.core.checkpoint import Checkpoint, EntryFaultError, RunRecord, fold, holds_in_force
from rollbackctl.core.document import PlanDocument, read_document
from rollbackctl.core.errors import InvalidInputError, RollbackError
from rollbackctl.core.observation import HoldFact, RunFact
from rollbackctl.core.plan import Phase
from rollbackctl.core.state import State, content_id
from rollbackctl.engine.runs import RunStore, restore_hint, run_folder

Look = Callable[[Mapping[str, Any], str, Checkpoint], Checkpoint]


@frozen
class History:
    """What the run store says, as values."""

    facts: tuple[RunFact, ...] = ()
    holds: tuple[HoldFact, ...] = ()

    @property
    def unfinished(self) -> RunFact | None:
        """The run that must be continued, undone or abandoned before another one; there is at most one."""
        return next((fact for fact in reversed(self.facts) if fact.status == "unfinished"), None)

    def run(self, name: str) -> RunFact:
        """Return the run of that id, or the only one whose id begins like that.

        Raises:
            InvalidInputError: There is none, or there are several.
        """
        found = [fact for fact in self.facts if fact.run == name] or [
            fact for fact in self.facts if fact.run.startswith(name)
        ]
        if len(found) != 1:
            what = f"there is no run {name}" if not found else f"{len(found)} runs begin with {name}"
            raise InvalidInputError(what, hint="see: rollbackctl runs")
        return found[0]


def read_history(store: RunStore, damaged: list[str] | None = None, look: Look | None = None) -> History:
    """Read every run of the workspace; writes nothing.

    Args:
        store: The run store.
        look: Tells of an unfinished run what its entries add up to with what is seen of its last step; None: no look.
        damaged: Takes what is wrong with runs that cannot be read, which are then passed over; None: they are errors.

    Raises:
        InvalidInputError: A run's plan or journal is damaged; the file and the line are named.
    """
    found: list[tuple[int, RunFact, RunRecord]] = []
    for run in store.folders():
        try:
            entries = store.entries(run)
            if entries:
                fact, record = _read_record(store, run, look)
                found.append((record.checkpoint.invocations[0].order, fact, record))
        except (RollbackError, BotCoreError) as error:
            if damaged is None:
                raise
            damaged.append(str(error))
    found.sort(key=lambda item: item[0])
    return History(tuple(fact for _, fact, _ in found), holds_in_force([record for _, _, record in found]))


def _read_record(store: RunStore, run: str, look: Look | None) -> tuple[RunFact, RunRecord]:
    value = store.plan(run)
    try:
        checkpoint = _fold(store, run, value)
        if look is not None and checkpoint.status == "unfinished":
            checkpoint = look(value, run, checkpoint)
        put_back = _put_back(value)
        _ = [put_back[begun.address] for begun in checkpoint.begun.values() if begun.phase is Phase.HOLD]
        record = RunRecord(run, value["operation"], value["incident"], put_back, checkpoint, _joins(value))
        return _run_fact(run, value, checkpoint), record
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        problem = f"{run_folder(run)}/plan.json: a field is missing or wrong: {error}"
        raise InvalidInputError(problem, hint=restore_hint(run)) from error


def read_run(store: RunStore, run: str, states: dict[str, type[State]]) -> tuple[PlanDocument, Checkpoint]:
    """Read one run's plan and what its entries add up to.

    Raises:
        InvalidInputError: They are damaged, or do not belong together.
    """
    value = store.plan(run)
    try:
        document = read_document(value, states)
    except ValueError as error:
        raise InvalidInputError(f"{run_folder(run)}/plan.json: {error}", hint=restore_hint(run)) from error
    return document, _fold(store, run, value)


def _fold(store: RunStore, run: str, value: dict[str, Any]) -> Checkpoint:
    try:
        return fold(store.entries(run), plan=value["id"], run=run, steps={step["id"] for step in value["steps"]})
    except EntryFaultError as error:
        place = f"{run_folder(run)}/journal.jsonl:{error.number}"
        raise InvalidInputError(f"{place}: {error}", hint=restore_hint(run)) from error


def _put_back(value: dict[str, Any]) -> dict[str, Any]:
    """The states that end this run's holds."""
    states: dict[str, Any] = value["prior_state"] | value["facts"].get("put_back", {})
    return states


def _joins(value: dict[str, Any]) -> tuple[str, ...]:
    """What a hold found held already."""
    return tuple(value["facts"].get("joins", ()))


def _run_fact(run: str, value: dict[str, Any], checkpoint: Checkpoint) -> RunFact:
    facts, first = value["facts"], checkpoint.invocations[0]
    return RunFact(
        run=run,
        operation=value["operation"],
        status=checkpoint.status,
        name=value["name"],
        incident=value["incident"],
        spec_digest=content_id(value["spec"]),
        plan=value["id"],
        at=checkpoint.entries[0].at,
        by=first.user,
        host=first.host,
        trigger=facts.get("trigger"),
        cutoff=facts.get("cutoff"),
        withdrawn=(facts.get("withdrawn") or {}).get("version"),
        target=(facts.get("target") or {}).get("version"),
        failed_check=checkpoint.has_condemned,
        has_moved_all={step["id"] for step in value["steps"] if step["phase"] != Phase.RECORD} <= {*checkpoint.done},
    )
