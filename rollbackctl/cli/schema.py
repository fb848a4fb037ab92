"""`rollbackctl schema`."""

import json

import click

from rollbackctl.cli.app import App
from rollbackctl.cli.options import common

NAMES = ("rollback-plan", "policy", "plan", "observation")


@click.command("schema")
@click.argument("name", type=click.Choice(NAMES), default="rollback-plan")
@common
def command(app: App, name: str) -> int:
    """Print a JSON Schema: of the rollback plan, the policy, a computed plan or an observation.

    Example: rollbackctl schema rollback-plan > rollback-plan.schema.json
    """
    from rollbackctl.spec.schema import schemas

    app.document(json.dumps(schemas()[name], indent=2, ensure_ascii=True))
    return 0
