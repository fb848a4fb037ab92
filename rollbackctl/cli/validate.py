"""`rollbackctl validate`."""

from pathlib import Path

import click

from rollbackctl.cli.app import App, shown_path
from rollbackctl.cli.options import common
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.plain import plain


@click.command("validate")
@click.argument("plans", nargs=-1, required=True, type=click.Path(dir_okay=False))
@common
def command(app: App, plans: tuple[str, ...]) -> int:
    """Check rollback plans: YAML, schema, meaning; every problem with its line. No workspace needed.

    Example: rollbackctl validate plans/*.yaml
    """
    from rollbackctl.engine.registry import load_registry
    from rollbackctl.engine.workspace import read_spec
    from rollbackctl.spec.document import Policy

    registry = load_registry(Policy())
    failed = 0
    for plan in plans:
        try:
            read_spec(Path(plan), registry, shown_path(plan))
        except InvalidInputError as error:
            failed += 1
            app.fail(error)
        else:
            app.out(f"{plain(shown_path(plan))} is valid")
    return 8 if failed else 0
