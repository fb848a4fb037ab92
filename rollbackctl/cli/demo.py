"""`rollbackctl demo`."""

import os
import shutil
from pathlib import Path

import click

from rollbackctl.cli.app import App, lead_on
from rollbackctl.cli.options import common
from rollbackctl.core.commands import quote
from rollbackctl.core.errors import UsageError
from rollbackctl.core.plain import plain

MARK = ".made-by-demo"


@click.command("demo")
@click.argument("folder", default="demo", type=click.Path(file_okay=False, path_type=Path), metavar="[DIR]")
@click.option("--seed", default=7, show_default=True, help="Of the market; another one is another market.")
@common
def command(app: App, folder: Path, seed: int) -> int:
    """Make a realistic incident to practise on: a market, models trained on it, and the day on which it changes.

    Takes some seconds. DIR must be new, empty, or made by an earlier demo, which is replaced.

    Example: rollbackctl demo demo
    """
    # So little data is trained on fastest by one thread: on a busy machine the others only wait, at full speed.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rollbackctl.demo.workspace import MEASURED_PLAN, PLAN, build

    if folder.is_symlink() or (folder.exists() and any(folder.iterdir()) and not (folder / MARK).is_file()):
        raise UsageError(
            f"{folder} holds something that no demo has made", hint="name a new folder: rollbackctl demo DIR"
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("Made by `rollbackctl demo`, which may replace this folder.\n")
    build(folder, app.clock(), app.say, seed=seed)
    app.out(f"{plain(str(folder))}: an incident to practise on")
    measured = f"rollbackctl targets {MEASURED_PLAN}   (would a rollback help at all?)"
    lead_on(app, f"cd {quote(str(folder))} && rollbackctl plan {PLAN}", measured)
    return 0
