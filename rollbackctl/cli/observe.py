"""`rollbackctl observe`."""

from pathlib import Path

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common, measuring
from rollbackctl.core.commands import quote


@click.command("observe")
@click.argument("plan", required=False, type=click.Path(dir_okay=False))
@click.option("--out", metavar="FILE", help="Write it to a file instead of stdout.")
@common
@measuring
def command(app: App, plan: str | None, out: str | None) -> int:
    """Write everything a plan needs to know as one file, for planning elsewhere.

    Without a PLAN the defaults are observed, for the incident of the checklist's last post-incident review.

    Example: rollbackctl observe --out world.json
    """
    from bot_core.foundation.strict_json import encode_json
    from rollbackctl.engine.observe import guess_incident, observe
    from rollbackctl.engine.saved import write_outside
    from rollbackctl.spec.document import Spec

    session = app.session()
    if plan is not None:
        spec = app.spec(plan, session.workspace)
    else:
        default = Spec.default(name="observed", incident="unnamed")
        incident = guess_incident(session.workspace, default.spec.compliance.checklist)
        spec = Spec.default(name="observed", incident=incident)
    observation = observe(session.workspace, spec, session.history())
    data = encode_json(observation.model_dump(mode="json"), sort_keys=True, newline=True)
    if out is None:
        app.document(data.decode())
    else:
        write_outside(Path(out), data)
        app.say(f"saved as {out}; plan from it anywhere: rollbackctl plan {quote(plan or 'PLAN')} --world {quote(out)}")
    return 0
