"""`nfsrpc demo`: a first look, at a capture that comes with the package."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

from nfsrpc.cli.analyze import analyze
from nfsrpc.cli.ending import note

SAMPLE = Path(__file__).parents[1] / "samples" / "server-without-statd.pcap"


def demo() -> None:
    """Analyse the sample capture included in nfsrpc, in which a lock takes a minute.

    The capture is of a real server, whose rpc.statd does not run; its name is printed, for other commands.
    The exit code is 0, though the report says that there is a fault.
    """
    note(f"the report of nfsrpc analyze {SAMPLE}")
    with suppress(typer.Exit):  # the fault that it is to find
        analyze([str(SAMPLE)])
