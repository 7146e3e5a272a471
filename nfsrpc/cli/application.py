"""nfsrpc with its commands, as typer has it.

A command's file imports nothing but typer until the command runs, and only the file of the command in question is
imported: `nfsrpc --help` is instant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any

import typer

from nfsrpc.cli.ending import EXIT_CODES, Notes, say

COMMANDS = (
    *("analyze", "live", "record", "incidents", "table", "show", "carve", "open", "probe", "sql", "explain", "demo"),
)
RENAMED = {"open": "open_"}
JUDGING = ("analyze", "live", "record", "probe")  # commands that exit with a verdict
COMPLETING = "_NFSRPC_COMPLETE"  # set by a shell that asks how to complete a line
USAGE: Any = typer.BadParameter.__bases__  # raised for bad usage; typer has no name for it


def application(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application of typer with some of the commands."""
    app = typer.Typer(
        name="nfsrpc",
        help="Finds in packet captures why NFSv3 locks hang, and names the host to fix, with proof.",
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=len(commands) > 1,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name in commands:
        function = function_of(name)
        summary = (function.__doc__ or "").partition("\n")[0]  # typer would cut it to fit one line
        app.command(name, short_help=summary, epilog=EXIT_CODES if name in JUDGING else None)(function)
    return app


def function_of(name: str) -> Callable[..., None]:
    """The function of a command: of its name, with an underscore where Python has a function of that name."""
    function: Callable[..., None] = getattr(import_module(f"nfsrpc.cli.{name}"), RENAMED.get(name, name))
    return function


def run(arguments: list[str], options: Sequence[str] = ()) -> int:
    """The exit code of a command line, which `options` of nfsrpc itself precede."""
    named = arguments[:1]
    command = typer.main.get_command(application(named if set(named) & set(COMMANDS) else COMMANDS))
    try:
        if COMPLETING in os.environ:
            command.main([], "nfsrpc", complete_var=COMPLETING)
        # Not by calling the application, which would end with 1 where the reader has gone, or input ends.
        with command.make_context("nfsrpc", [*options, *arguments]) as context:
            command.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:  # completion ends so
        return int(end.code or 0)
    except USAGE as error:
        message = error.format_message()
        if message.startswith("Usage: "):  # nothing was asked for: the whole help
            error.show()
        else:
            place = getattr(error, "ctx", None)
            say(f"{message.rstrip('.')} ({place.command_path if place else 'nfsrpc'} -h)")
        code: int = error.exit_code
        return code


class Color(StrEnum):
    auto = "auto"
    always = "always"
    never = "never"


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nfsrpc {version('nfsrpc')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no notes; of a report one line. May stand anywhere.")
    ] = False,
    color: Annotated[
        Color, typer.Option("--color", help="Colours: auto on a terminal without NO_COLOR. May stand anywhere.")
    ] = Color.auto,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error. May stand anywhere.")
    ] = False,
) -> None:
    Notes.wanted = not quiet
    if color is not Color.auto:  # as no-color.org has it, which rich knows as well
        os.environ.pop("FORCE_COLOR", None)
        os.environ.pop("NO_COLOR", None)
        os.environ["FORCE_COLOR" if color is Color.always else "NO_COLOR"] = "1"
