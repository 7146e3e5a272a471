"""`nfsrpc open`: Wireshark at the frame that proves a finding."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import Annotated

import typer

from nfsrpc.cli import completion
from nfsrpc.cli.carve import chosen
from nfsrpc.cli.ending import note
from nfsrpc.cli.output import check_rules_of, fail
from nfsrpc.cli.table import trace_of

WIRESHARK = "wireshark"


def open_(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="A capture, or the files of a ring: a directory.")],
    finding: Annotated[
        str | None,
        typer.Argument(metavar="[RULE]", autocompletion=completion.rule_names, help="REG001; else the gravest one."),
    ] = None,
) -> None:
    """Open a capture in Wireshark, at the first frame that proves a finding.

    The display filter for all of its frames is printed. Where there is no Wireshark, the command to run is printed.
    """
    from nfsrpc.report.proof import display_filters, proven

    found = trace_of([trace])
    findings = proven(chosen(found, finding), found.tables)
    shown = next((each for each in findings if each.evidence), None)
    if shown is None:
        fail("no frame stands for this finding")
    first = shown.evidence[0]
    file = found.files[first.capture]
    if file == "-":
        fail("standard input cannot be opened again: write it to a file")
    command = [WIRESHARK, "-r", file, "-g", str(first.frame)]
    for capture, expression in display_filters(shown.evidence):
        note(f"display filter of {found.files[capture]}: {expression}")
    if not shutil.which(WIRESHARK):
        fail(f"{WIRESHARK} is not installed here; where it is: {shlex.join(command)}")
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    check_rules_of(found)
