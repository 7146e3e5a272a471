"""nfsrpc with its commands, as typer has it.

A command's file imports nothing but typer until the command runs, and only the file of the command in question is
imported: `nfsrpc --help` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from nfsrpc.cli.ending import say

COMMANDS = ("analyze", "live", "record", "incidents", "table", "show", "carve", "sql", "explain")
USAGE: Any = typer.BadParameter.__bases__  # raised for bad usage; typer has no name for it


def application(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application of typer with some of the commands."""
    app = typer.Typer(
        name="nfsrpc",
        help="Finds in packet captures why NFSv3 locks hang, and names the host to fix, with proof.",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name in commands:
        app.command()(getattr(import_module(f"nfsrpc.cli.{name}"), name))
    return app


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    named = arguments[:1]
    command = typer.main.get_command(application(named if set(named) & set(COMMANDS) else COMMANDS))
    try:
        # Not by calling the application, which would end with 1 where the reader has gone, or input ends.
        with command.make_context("nfsrpc", list(arguments)) as context:
            command.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except USAGE as error:
        message = error.format_message()
        if message.startswith("Usage: "):  # nothing was asked for: the whole help
            error.show()
        else:
            place = getattr(error, "ctx", None)
            say(f"{message.rstrip('.')} ({place.command_path if place else 'nfsrpc'} -h)")
        code: int = error.exit_code
        return code


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nfsrpc {version('nfsrpc')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    pass
