"""The options that every command takes, before or after its name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from rollbackctl.cli.app import App

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
