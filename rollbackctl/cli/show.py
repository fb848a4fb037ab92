"""`rollbackctl show`."""

from pathlib import Path

import click

from rollbackctl.cli.app import App, shown_path
from rollbackctl.cli.options import common
from rollbackctl.cli.show_plan import exit_code, show_document, with_formats


@click.command("show")
@click.argument("file", type=click.Path(dir_okay=False))
@with_formats
@common
def command(app: App, file: str, form: str, detailed_exitcode: bool, check: bool) -> int:
    """Show a saved plan again, in any format; no workspace needed.

    Example: rollbackctl show plan.json --format markdown
    """
    from rollbackctl.engine.saved import load_document

    document = load_document(Path(file), shown_path(file))
    show_document(app, document, form, file)
    return exit_code(document, file, check=check, detailed=detailed_exitcode)
