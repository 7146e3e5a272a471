"""The command line: one file a command, of the command's name; what several need is in output.py and progress.py.

A command's file imports nothing but typer until the command runs: `nfsrpc --help` is instant. Of a command that is
named, only its own file is read.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

COMMANDS = ("analyze", "live", "table", "show", "carve", "sql", "explain")


def application(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """nfsrpc, with some of its commands."""
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
        app.command()(getattr(import_module(f"{__name__}.{name}"), name))
    return app


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"nfsrpc {version('nfsrpc')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    # numpy begins with a thread a core for linear algebra, of which there is none here: 25 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    named = sys.argv[1:2]
    try:
        application(named if set(named) & set(COMMANDS) else COMMANDS)(prog_name="nfsrpc")
    finally:
        # The interpreter looks for garbage once more before it ends: 15 ms. Libraries of other commands rely on it.
        if named == ["analyze"]:
            gc.freeze()
