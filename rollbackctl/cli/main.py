"""The entry point: finds the command, loads nothing else, and turns errors into texts and exit codes."""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from rollbackctl import VERSION
from rollbackctl.cli.app import App, with_environment
from rollbackctl.core.errors import Problem, RollbackError, UsageError

COMMANDS = {
    "hold": "Stop a bad model now: detach, maintenance on, retraining paused.",
    "init": "Write a starter rollback plan for this workspace.",
    "demo": "Make a realistic incident to practise on.",
    "validate": "Check rollback plans; no workspace needed.",
    "observe": "Write everything a plan needs to know as one file.",
    "plan": "Show what a rollback plan would do, and what it waits for.",
    "show": "Show a saved plan again.",
    "sign-off": "Record a role's decision in audit reports.",
    "rehearse": "Try a plan on a copy, with a crash at every step.",
    "apply": "Carry a plan out, or continue its unfinished run.",
    "status": "One screen: what serves, what is held, what comes next.",
    "runs": "List all runs.",
    "report": "Show what a run did.",
    "undo": "Lead a run back, and stay held.",
    "abandon": "Close an unfinished run; its holds stay.",
    "targets": "Rank every version as a target, against the production rows of now.",
    "drift": "Write a data-drift report of one version against the rows of now.",
    "baseline": "Make the baseline of a version that has none.",
    "export-target": "Write rollback_target.json for those who go on by hand.",
    "schema": "Print a JSON Schema.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that `--help` loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of an incident."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"rollbackctl.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        command.epilog = "--workspace, --json and other options of every command: rollbackctl --help"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one gets a suggestion."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"there is no command {args[0]}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="rollbackctl")
@click.option("--workspace", metavar="DIR", help="The workspace; else ROLLBACKCTL_WORKSPACE, else the nearest upward.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much stderr says.")
@click.option("--json", "as_json", is_flag=True, default=None, help="Events as NDJSON on stdout.")
@click.option("--no-color", is_flag=True, default=None, help="No colours.")
@click.option("--no-input", is_flag=True, default=None, help="Never ask.")
@click.option("--lock-timeout", type=click.FloatRange(0, 86400), metavar="SECONDS", help="Wait for a lock.")
@click.pass_obj
def cli(app: App, /, **options: Any) -> None:
    """Plan, gate, apply and prove the rollback of an AI decision model.

    Example: rollbackctl plan plans/inc-2025-1117.yaml
    """
    app.configure(options)


def run(argv: Sequence[str] | None = None, clock: Callable[[], datetime] | None = None) -> None:
    """Run the command line and exit; `clock` is for tests, nothing an operator sets reaches it."""
    gc.disable()  # what lives for a second has no garbage worth looking for; saves a plan 15 ms
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # code that the firm's policy does not name is not loaded
    app = App(clock or (lambda: datetime.now(UTC)), os.environ)
    code = main(list(sys.argv[1:] if argv is None else argv), app)
    app.close()
    sys.exit(code)


def script() -> None:
    """Run the command line as a process of its own, without the interpreter's farewell: 10 to 40 ms for nothing."""
    try:
        run()
    except SystemExit as end:  # all is flushed by now
        os._exit(int(end.code or 0))


def main(argv: list[str], app: App) -> int:
    """Run one command and return its exit code."""
    try:
        result = cli.main(
            with_environment(argv, app.environment, COMMANDS), prog_name="rollbackctl", standalone_mode=False, obj=app
        )
        return int(result or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        path = context.command_path if context else "rollbackctl"
        problem, *details = error.format_message().splitlines()
        fault = UsageError(problem, hint=f"{path} --help", problems=tuple(map(Problem, details)))
        app.fail(fault, context.get_usage() if context else "")
        return fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        app.fail(RollbackError("interrupted", hint="nothing more is done; where things stand: rollbackctl status"))
        return 130
    except RollbackError as error:
        app.fail(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last place: everything gets an exit code
        return _other(app, error)


def _other(app: App, error: Exception) -> int:
    """Word errors of the engine's library and of the disk; every other one is a bug and keeps its traceback."""
    from bot_core.foundation.errors import BotCoreError, LockBrokenError, LockTimeoutError

    problem, code, status = f"unexpected error: {error}", 1, "rollbackctl status"
    hint = f"this is a bug; the run can be continued; see: {status}"
    match error:
        case LockTimeoutError() | LockBrokenError():
            problem, code = error.problem, 7
            hint = error.hint or f"wait for it, then run the command again; see: {status}"
        case BotCoreError():
            problem = error.located
            hint, code = error.hint or f"mend or restore that file, then run the command again; see: {status}", 8
        case OSError():
            problem = f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)
            hint = (
                f"what was written before is intact; when the cause is gone, run the same command again; see: {status}"
            )
        case _:
            import traceback

            for line in traceback.format_exc().splitlines():
                app.say(line)
    app.fail(RollbackError(problem, hint=hint))
    return code


if __name__ == "__main__":
    run()
