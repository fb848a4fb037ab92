"""`rollbackctl sign-off`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common, measuring
from rollbackctl.core.commands import quote, sign_off_commands
from rollbackctl.core.errors import UsageError

if TYPE_CHECKING:
    from rollbackctl.engine.session import Session

STATUSES = ("approved", "waived", "rejected", "pending", "investigating", "escalated")


@click.command("sign-off")
@click.argument("reports", nargs=-1)
@click.option("--plan", metavar="PLAN", help="All reports that this plan waits for this role to settle.")
@click.option("--role", required=True, help="In whose role, such as risk or compliance.")
@click.option("--status", required=True, type=click.Choice(STATUSES))
@click.option("--by", required=True, metavar="NAME", help="The person who decided.")
@click.option("--notes", metavar="TEXT", help="Why; needed where a report is waived.")
@common
@measuring
def command(
    app: App, reports: tuple[str, ...], plan: str | None, role: str, status: str, by: str, notes: str | None
) -> int:
    """Record a role's decision in one or more REPORTS, or in all that a plan waits for.

    What was decided before stays in the report; the account and host that recorded it are kept. A decision is
    unverified until approvals can be signed.

    Example: rollbackctl sign-off --plan plans/inc-2025-1117.yaml --role risk --status approved --by "J. Kowal"
    """
    from rollbackctl.engine.signing import find_reports, reports_of_plan, sign

    if bool(reports) == (plan is not None):
        raise UsageError("name either reports or a plan", hint="rollbackctl sign-off --plan PLAN --role ROLE …")
    if status == "waived" and not (notes or "").strip():
        raise UsageError("a waived report needs --notes that say why", hint="add: --notes TEXT")
    session = app.session()
    if plan is not None:
        paths = reports_of_plan(session, app.spec(plan, session.workspace), role)
    else:
        paths = find_reports(session, reports, Path.cwd())
    sign(session, paths, role, status, by, notes)
    from rollbackctl.core.plain import plain

    for path in paths:
        app.out(f"{plain(path)}   {plain(role.lower())} {status} by {plain(by)} (unverified)")
    lead_on(app, *_next(app, session, plan))
    return 0


def _next(app: App, session: "Session", plan: str | None) -> list[str]:
    """Who still owes a decision, and what comes then."""
    from rollbackctl.engine.signing import still_owing

    if plan is None:
        return ["rollbackctl status"]
    owing = sign_off_commands(plan, still_owing(session, app.spec(plan, session.workspace)))
    verb = "apply" if session.history().unfinished is not None else "plan"
    return [*owing, f"{'then: ' if owing else ''}rollbackctl {verb} {quote(plan)}"]
