"""The options that every command takes, before or after its name; and that of commands which count rows."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from rollbackctl.cli.app import App
from rollbackctl.core.errors import UsageError

if TYPE_CHECKING:
    from bot_core.ai.drift.cluster import Cluster

_GLOBAL = ("workspace", "log_level", "as_json", "no_color", "no_input", "lock_timeout")


def common(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add the global options to a command, and give it the app as its first argument."""

    @wraps(function)
    def command(*args: Any, **options: Any) -> int | None:
        app: App = click.get_current_context().find_object(App) or App.__new__(App)
        app.configure({name: options.pop(name) for name in _GLOBAL} | {"plan": options.get("plan")})
        return function(app, *args, **options)

    decorated: Callable[..., int | None] = command
    for option in (
        click.option("--lock-timeout", type=click.FloatRange(0, 86400), metavar="SECONDS", hidden=True),
        click.option("--no-input", is_flag=True, default=None, hidden=True),
        click.option("--no-color", is_flag=True, default=None, hidden=True),
        click.option("--json", "as_json", is_flag=True, default=None, hidden=True),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), hidden=True),
        click.option("--workspace", metavar="DIR", hidden=True),
    ):
        decorated = option(decorated)
    return decorated


def measuring(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add the option that names who counts the rows of windows, to a command that the global options are added to."""

    @wraps(function)
    def command(app: App, *args: Any, scheduler: str | None, **options: Any) -> int | None:
        if url := scheduler or app.environment.get("ROLLBACKCTL_SCHEDULER"):
            app.configure({"cluster": _cluster(url)})
        return function(app, *args, **options)

    text = "Count rows on this Dask cluster; else ROLLBACKCTL_SCHEDULER, else this machine."
    decorated: Callable[..., int | None] = click.option("--scheduler", metavar="URL", help=text)(command)
    return decorated


def _cluster(url: str) -> "Cluster":
    from bot_core.ai.drift.cluster import Cluster
    from bot_core.foundation.errors import BotCoreError

    try:
        return Cluster(url)
    except BotCoreError as error:
        raise UsageError(error.problem, hint=error.hint) from error
