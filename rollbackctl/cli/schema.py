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
    from rollbackctl.engine.registry import load_registry
    from rollbackctl.spec.document import Policy
    from rollbackctl.spec.schema import schemas

    registry = load_registry(Policy())
    found = schemas(registry.gate_sections, registry.check_sections)
    app.document(json.dumps(found[name], indent=2, ensure_ascii=True))
    return 0
