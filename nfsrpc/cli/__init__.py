"""The command line: one file a command, of the command's name; what several need is in output.py and progress.py.

A command's file imports nothing but typer until the command runs: `nfsrpc --help` is instant.
"""

from __future__ import annotations

from typing import Annotated

import typer

from nfsrpc.cli.analyze import analyze
from nfsrpc.cli.carve import carve
from nfsrpc.cli.explain import explain
from nfsrpc.cli.live import live
from nfsrpc.cli.show import show
from nfsrpc.cli.sql import sql
from nfsrpc.cli.table import table

app = typer.Typer(
    name="nfsrpc",
    help="Finds in packet captures why NFSv3 locks hang, and names the host to fix, with proof.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (analyze, live, table, show, carve, sql, explain):
    app.command()(command)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"nfsrpc {version('nfsrpc')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    app(prog_name="nfsrpc")
