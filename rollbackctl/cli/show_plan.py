"""Printing a plan in any format, with the exit codes that go with it; shared by `plan` and `show`."""

from typing import Any

import click
from pydantic import JsonValue

from rollbackctl.cli.app import App, shown_path
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import GateBlockedError
from rollbackctl.core.gate import Answer
from rollbackctl.engine.events import Event

FORMATS = ("text", "json", "markdown")


def with_formats(function: Any) -> Any:
    """Add the options that say how a plan is shown and what the exit code tells."""
    for option in (
        click.option("--check", is_flag=True, help="Exit 3 while a gate blocks or waits, or apply is refused."),
        click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes."),
        click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True),
    ):
        function = option(function)
    return function


def show_document(app: App, document: PlanDocument, form: str, plan_path: str) -> None:
    """Print a plan; what a machine or another host may read names no path of this one."""
    if app.as_json:
        emit_document(app, document)
    elif form == "json":
        from rollbackctl.render import json_text

        app.document(json_text.render(document))
    elif form == "markdown":
        from rollbackctl.render import markdown

        app.document(markdown.render(document, plan_path=shown_path(plan_path)))
    else:
        from rollbackctl.render import text

        app.out(text.render(document, plan_path=plan_path, paint=app.paint))


def emit_document(app: App, document: PlanDocument) -> None:
    """Print a plan as events."""
    for change in document.to_json()["resource_changes"] if document.has_changes else ():
        app.listen(Event("planned_change", f"{change['address']}: {change['action']}", fields={"change": change}))
    for note in document.diagnostics:
        app.listen(Event("diagnostic", note))
    for verdict in document.verdicts:
        app.listen(Event("gate_verdict", f"gate {verdict.gate}: {verdict.answer.value}", fields=verdict.to_json()))
    counts: dict[str, JsonValue] = {action.value: number for action, number in document.counts().items()}
    message = ", ".join(f"{number} to {action}" for action, number in counts.items())
    app.listen(Event("change_summary", message, fields={"changes": counts, "plan": document.plan.id}))


def exit_code(document: PlanDocument, plan_path: str, *, check: bool, detailed: bool) -> int:
    """Return 2 where there are changes and that was asked, else 0.

    Raises:
        GateBlockedError: A gate or an obstacle stops the plan, and that was asked.
    """
    if check and (document.blocking or document.obstacles):
        from rollbackctl.render.text import next_commands, refusal

        waits = all(verdict.answer is Answer.WAITS for verdict in document.blocking)
        hint = "\n".join(next_commands(document, plan_path))
        raise GateBlockedError(refusal(document), hint=hint, only_waits=waits and not document.obstacles)
    return 2 if detailed and document.has_changes else 0
