"""One call of the tool on a workspace: its runs, its planner, its lock and its new runs."""

from collections.abc import Callable, Mapping
from typing import Any

from bot_core.ai.instant import file_stamp
from bot_core.foundation.frozen import frozen
from rollbackctl import VERSION
from rollbackctl.core.checkpoint import Checkpoint
from rollbackctl.core.document import PlanDocument
from rollbackctl.engine.events import Listener
from rollbackctl.engine.history import History, read_history
from rollbackctl.engine.observe import observe
from rollbackctl.engine.planning import Planner
from rollbackctl.engine.runs import FileRunStore, RunStore, group_of_store
from rollbackctl.engine.stop import StopRequest
from rollbackctl.engine.workspace import Workspace
from rollbackctl.spec.document import Spec


@frozen
class Session:
    """One call of the tool on a workspace.

    Attributes:
        workspace: The workspace.
        store: Its runs.
        listener: Is told what happens.
        asked_to_stop: Says what asked this process to stop (a signal); None when nothing did.
        lock_timeout_s: How long to wait for somebody else's lock.
    """

    workspace: Workspace
    store: RunStore
    listener: Listener
    asked_to_stop: Callable[[], str | None]
    lock_timeout_s: float = 0.0

    @classmethod
    def open(
        cls,
        workspace: Workspace,
        listener: Listener,
        asked_to_stop: Callable[[], str | None],
        lock_timeout_s: float = 0.0,
    ) -> "Session":
        """Open a workspace's run store; writes nothing."""
        group = workspace.policy.operators_group
        if workspace.given_policy is not None:
            group = group_of_store(workspace.root)
        store: RunStore = FileRunStore(workspace.root, group)
        return cls(workspace, store, listener, asked_to_stop, lock_timeout_s)

    @property
    def planner(self) -> Planner:
        """Makes and judges plans by this workspace's policy."""
        return Planner(self.workspace.registry, self.workspace.policy)

    def history(self) -> History:
        """Read all earlier runs; a step whose effect is seen counts, also where a kill came before its DONE."""
        return read_history(self.store, look=self._look)

    def _look(self, value: Mapping[str, Any], run: str, checkpoint: Checkpoint) -> Checkpoint:
        if set(checkpoint.begun) == set(checkpoint.done):
            return checkpoint
        from rollbackctl.engine.unfinished import as_seen  # it brings all that carries a plan out

        return as_seen(self.workspace, value, run, checkpoint)

    def plan(self, spec: Spec) -> PlanDocument:
        """Make a plan of the workspace as it is; writes nothing."""
        observation = observe(self.workspace, spec, self.history())
        return self.planner.make(spec, observation, self.workspace.now())

    def holder(self, operation: str) -> dict[str, Any]:
        """Say who this is, for those who meet the lock."""
        actor = self.workspace.actor
        return {
            "operation": operation,
            "user": actor.user,
            "host": actor.host,
            "pid": actor.pid,
            "since": self.workspace.now(),
            "version": VERSION,
        }

    def should_stop(self) -> str | None:
        """Say what asks a run to stop: a signal, or somebody who wants to hold the workspace."""
        reason = self.asked_to_stop()
        if reason is None and (by := self.stop.asked_by()) is not None:
            reason = f"{by} asks for a hold"
        return reason

    @property
    def stop(self) -> StopRequest:
        """Requests of others to stop."""
        return StopRequest(self.workspace.root)


def new_run(session: Session, document: PlanDocument) -> str:
    """Keep the plan of a new run and return the run's id."""
    stamp = file_stamp(session.workspace.clock())
    label = "" if document.plan.operation == "rollback" else f"{document.plan.operation}-"
    run = base = f"{stamp}-{label}{document.plan.id[:8]}"
    number = 1
    while session.store.entries(run):
        number += 1
        run = f"{base}-{number}"
    session.store.create(run, document.to_json())
    return run


def next_order(session: Session) -> int:
    """Return the number of the workspace's next invocation; numbers, not clocks, order the runs."""
    return session.store.last_order() + 1
