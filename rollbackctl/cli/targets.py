"""`rollbackctl targets`."""

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common, measuring
from rollbackctl.core.commands import quote


@click.command("targets")
@click.argument("plan", type=click.Path(dir_okay=False))
@click.option("--format", "form", type=click.Choice(("text", "json", "markdown")), default="text", show_default=True)
@common
@measuring
def command(app: App, plan: str, form: str) -> int:
    """Rank every version as a target of PLAN. Writes nothing in the workspace.

    With a section gates.data_drift each version is held against the production rows of now, by its own training rows.
    Exit code 3 says that no version can be the target.

    Example: rollbackctl targets plans/inc-2025-1117.yaml
    """
    from rollbackctl.engine.observe import observe_evidence
    from rollbackctl.engine.targets import rank
    from rollbackctl.render import targets
    from rollbackctl.spec.resolve import choose, no_target

    session = app.session()
    workspace = session.workspace
    spec = app.spec(plan, workspace)
    observation = observe_evidence(workspace, spec, session.history(), app.progress("counting"))
    ranking = rank(spec, workspace.policy, observation)
    if form == "text":
        app.out(targets.render_text(ranking))
    else:
        app.document(targets.render_json(ranking) if form == "json" else targets.render_markdown(ranking))
    if ranking.target is None:
        withdrawn = choose(spec, workspace.policy, observation)[0]
        raise no_target(spec, workspace.policy, observation, withdrawn, ())  # the table gives the reasons
    lead_on(app, f"rollbackctl plan {quote(plan)}")
    return 0
