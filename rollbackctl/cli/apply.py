"""`rollbackctl apply`."""

from typing import TYPE_CHECKING

import click

from rollbackctl.cli.app import App, located, shown_path
from rollbackctl.cli.options import common, measuring
from rollbackctl.cli.show_plan import emit_document
from rollbackctl.cli.signals import ending_on_signals, stopping_on_signals
from rollbackctl.core.commands import quote, sign_off_commands
from rollbackctl.core.errors import GateBlockedError, InterruptedRunError, UsageError

if TYPE_CHECKING:
    from rollbackctl.core.document import PlanDocument
    from rollbackctl.engine.rollback import Applied


@click.command("apply")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask; for a YAML plan. A saved plan was reviewed and never asks.")
@click.option("--all-or-nothing", is_flag=True, help="Refuse to begin while any gate blocks or waits.")
@common
@measuring
def command(app: App, plan: str, yes: bool, all_or_nothing: bool) -> int:
    """Carry a plan out, or continue its unfinished run.

    It goes as far as the gates let it: where the release waits for sign-offs, it holds, restores and checks, says for
    whom it waits, and exits 3. The same command goes on.

    Example: rollbackctl apply plans/inc-2025-1117.yaml
    """
    try:
        with stopping_on_signals(app):
            applied = _apply(app, plan, yes=yes, all_or_nothing=all_or_nothing)
    except GateBlockedError as error:
        error.hint = error.hint or _hint(error, plan)
        raise
    except InterruptedRunError as error:
        error.hint = f"continue: rollbackctl apply {quote(plan)}"
        raise
    _show_end(app, applied)
    return 0


def _apply(app: App, plan: str, *, yes: bool, all_or_nothing: bool) -> "Applied":
    from rollbackctl.engine.rollback import Applied, find_run, resume, start, stored_spec
    from rollbackctl.engine.saved import is_saved_plan, load_document
    from rollbackctl.render.text import shown

    session = app.session()
    path, saved = located(plan, session.workspace), None
    if is_saved_plan(path):
        saved = load_document(path, shown_path(plan), session.workspace.policy)
        spec = stored_spec(saved.plan)
    else:
        spec = app.spec(plan, session.workspace)
    fact = find_run(session, spec, saved.plan.id if saved else None)
    if fact is not None:
        app.say(f"continuing run {fact.run}, begun by {fact.by} at {shown(fact.at)}")
        return resume(session, fact)
    document = saved or session.plan(spec)
    if saved is None and not document.has_changes:
        return Applied(document, None)
    if app.as_json:
        emit_document(app, document)
    if saved is None and not yes:
        _ask(app, document, plan)
    return start(session, spec, document, saved=saved is not None, all_or_nothing=all_or_nothing)


def _ask(app: App, document: "PlanDocument", plan: str) -> None:
    """Show the plan and ask; only `yes` is accepted."""
    from rollbackctl.render import text

    if not app.may_ask:
        raise UsageError(
            "apply would ask, and there is nobody to answer",
            hint=f"save the plan, have it reviewed, and apply that: rollbackctl plan {quote(plan)} --out plan.json\n"
            f"or say so: rollbackctl apply {quote(plan)} --yes",
        )
    app.out(text.render(document, plan_path=plan, paint=app.paint))
    app.say("Apply this plan? Only 'yes' is accepted:")
    with ending_on_signals():
        answer = input()
    if answer.strip() != "yes":
        raise UsageError("not applied; nothing was changed", hint=f"look again: rollbackctl plan {quote(plan)}")


def _show_end(app: App, applied: "Applied") -> None:
    from rollbackctl.render import text
    from rollbackctl.render.run import render_end

    if app.as_json:
        if applied.report is None:
            emit_document(app, applied.document)
    elif applied.report is None:
        app.out(text.render(applied.document, paint=app.paint))
    else:
        app.out(render_end(applied.report))


def _hint(error: GateBlockedError, plan: str) -> str:
    """Name the commands that lead on from a gate that waits."""
    lines = sign_off_commands(plan, error.waits_for)
    return "\n".join([*lines, f"then: rollbackctl apply {quote(plan)}" if lines else f"rollbackctl plan {quote(plan)}"])
