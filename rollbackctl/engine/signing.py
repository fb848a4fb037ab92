"""Recording a role's decision in audit reports."""

from collections.abc import Iterable
from pathlib import Path

from bot_core.ai.reports import normalize_role
from bot_core.ai.signoff import update_sign_off_file
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.commands import quote
from rollbackctl.core.errors import InvalidInputError, Problem, UsageError
from rollbackctl.core.observation import ReportFact
from rollbackctl.core.plain import plain
from rollbackctl.core.target import undecided
from rollbackctl.engine.evidence import observe_reports
from rollbackctl.engine.history import read_run
from rollbackctl.engine.rollback import find_run
from rollbackctl.engine.session import Session
from rollbackctl.gates.report_signoff import SETTLED
from rollbackctl.spec.document import Spec
from rollbackctl.spec.resolve import required_roles

_ROOT = "audit/ai_decision"


def reports_of_plan(session: Session, spec: Spec, role: str) -> tuple[str, ...]:
    """Return the reports that a plan, or its unfinished run, waits for this role to settle.

    Raises:
        UsageError: No report of the plan waits for the role; those it waits for are named.
    """
    open_roles = _open_roles(session, spec)
    wanted = tuple(sorted(path for path, names in open_roles.items() if normalize_role(role) in names))
    if not wanted:
        waiting = sorted({name for names in open_roles.values() for name in names})
        raise UsageError(
            f"no report of this plan waits for the role {role}",
            hint=f"it waits for: {plain(', '.join(waiting))}"
            if waiting
            else "every role has decided: rollbackctl apply PLAN",
        )
    return wanted


def still_owing(session: Session, spec: Spec) -> set[str]:
    """Return the roles that a plan, or its unfinished run, still waits for."""
    return {role for roles in _open_roles(session, spec).values() for role in roles}


def _open_roles(session: Session, spec: Spec) -> dict[str, list[str]]:
    """The roles that have not settled a report of the plan, by report."""
    fact = find_run(session, spec)
    if fact is not None:
        document, _ = read_run(session.store, fact.run, session.workspace.registry.states)
        pinned = document.plan.facts["pinned"]
    else:
        pinned = session.plan(spec).plan.facts["pinned"]
    roles = required_roles(spec, session.workspace.policy)
    reports = [report for report in observe_reports(session.workspace.root) if report.path in pinned]  # type: ignore[operator]
    return {report.path: [name for name, _ in undecided(report.sign_off, roles, settled=SETTLED)] for report in reports}


def find_reports(session: Session, names: Iterable[str], cwd: Path) -> tuple[str, ...]:
    """Return the paths of reports that a person named, relative to the workspace.

    Raises:
        InvalidInputError: One of them is no report of the workspace.
    """
    known: dict[str, ReportFact] = {report.path: report for report in observe_reports(session.workspace.root)}
    found = []
    for name in names:
        absolute = (cwd / name).resolve()
        root = session.workspace.root
        relative = absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else name
        match = next((path for path in (relative, name, f"{_ROOT}/{name}") if path in known), None)
        if match is None:
            raise InvalidInputError(
                f"{name} is no report of this workspace",
                hint=f"reports lie under {_ROOT}/drift and {_ROOT}/data_quality",
            )
        found.append(match)
    return tuple(found)


def _refuse_unreadable(root: Path, reports: tuple[str, ...], options: str) -> None:
    found = {report.path: report.error for report in observe_reports(root) if report.error and report.path in reports}
    if not found:
        return
    others = " ".join(quote(report) for report in reports if report not in found)
    raise InvalidInputError(
        f"{len(found)} of {len(reports)} reports cannot be read; none is signed",
        hint="mend what is named, then run the command again"
        + (f"\nor sign the others alone: rollbackctl sign-off {others} {options}" if others else ""),
        problems=tuple(Problem(error, None if path in error else path) for path, error in sorted(found.items())),
    )


def sign(session: Session, reports: Iterable[str], role: str, status: str, by: str, notes: str | None) -> None:
    """Record a decision in each report; the superseded one is kept in it.

    After a crash each report holds its old or its new decision.

    Raises:
        InvalidInputError: One of them cannot be read, and none is signed; or, where somebody has damaged one meanwhile,
            it cannot be signed, and those before it are.
    """
    workspace, listed = session.workspace, tuple(reports)
    _refuse_unreadable(workspace.root, listed, f"--role {quote(role)} --status {status} --by {quote(by)}")
    for report in listed:
        try:
            update_sign_off_file(
                workspace.root,
                report,
                role=role,
                status=status,
                signed_by=by,
                notes=notes or "",
                roles=workspace.policy.roles,
                now=workspace.clock(),
                recorded_by={"user": workspace.actor.user, "host": workspace.actor.host},
            )
        except BotCoreError as error:
            raise InvalidInputError(error.problem, hint=error.hint or "mend the report, then sign it again") from error
