"""`nfsrpc probe`: the questions that a capture would have shown, asked now."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.analyze import RENDERERS, ReportFormat, as_text
from nfsrpc.cli.output import ExitCode, check_rules, end_with, fail, pcapng_name, write, write_bytes
from nfsrpc.cli.settings import Timezone, Verbose, use_timezone
from nfsrpc.printable import clean
from nfsrpc.wording import named

if TYPE_CHECKING:
    from nfsrpc.probe import Probed

WIDTH = 78
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.1, 120.0


def probe(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A name or an address.")],
    as_server: Annotated[
        bool, typer.Option("--as-server", help="HOST is a client: ask what a server's callback asks.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE.pcapng", callback=pcapng_name, help="Write the conversation as a capture."
        ),
    ] = None,
    format: Annotated[ReportFormat, typer.Option("--format", help="As of analyze.")] = ReportFormat.text,  # noqa: A002
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=MIN_TIMEOUT_S, max=MAX_TIMEOUT_S, help="For one answer.")
    ] = 4.0,
    timezone: Timezone = "",
    verbose: Verbose = False,
    exit_code: ExitCode = False,
) -> None:
    """Ask a host now what a client's kernel asks before a lock, and give the verdict.

    Asks the port mapper (all versions, UDP and TCP, IPv4 and IPv6) what is registered, and calls NULL of each program
    at its port, and mountd's list of exports. Changes nothing: no LOCK, no SM_MON. Exits as analyze does.
    """
    from nfsrpc.probe import probe as ask
    from nfsrpc.report.contents import report_of

    use_timezone(timezone)
    try:
        probed = ask(host, as_server=as_server, timeout_s=timeout, name=output or "probe")
    except socket.gaierror as error:
        fail(clean(f"{host}: no such host: {error.strerror}"))
    except OSError as error:
        fail(clean(f"{host}: cannot be asked from here: {error.strerror}{without_interface(host)}"))
    if output is not None:
        write_bytes([probed.capture], output)
    diagnosis = probed.trace.diagnosis
    report = report_of(probed.trace.tables, diagnosis)
    if format is ReportFormat.text:
        write([f"{line}\n" for line in lines(probed, as_text(report, None, verbose))], None)
    else:
        write([RENDERERS[format](report, probed.trace.tables)], None)
    check_rules(diagnosis)
    end_with(diagnosis, exit_code)


def without_interface(host: str) -> str:
    """What a link-local address lacks that names no interface, as the end of a message."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return ""
    lacks = address.is_link_local and address.scope_id is None
    return f"; a link-local address needs its interface: {host}%eth0" if lacks else ""


def lines(probed: Probed, report: str) -> Iterator[str]:
    """The verdict first, then the answers of the host."""
    from nfsrpc.probe.answers import aligned, answers

    yield from report.rstrip("\n").split("\n") if probed.trace.verdict.state == "fault" else without_fault(probed)
    yield ""
    yield "Answers"
    yield from (f"  {line}" for line in aligned(answers(probed)))


def without_fault(probed: Probed) -> Iterator[str]:
    """What an answer without a fault is worth: no probe shows whether a lock is granted, for it asks for none."""
    from nfsrpc.findings.advice import try_lock
    from nfsrpc.probe.answers import unanswered
    from nfsrpc.report.terminal import wrap

    wrong = unanswered(probed)
    if wrong:
        yield " CANNOT TELL "
        yield from wrap(f"{probed.host} did not answer everything: {named(wrong)}.", WIDTH)
        yield from wrap("A host that serves or mounts NFSv3 answers all of it; one of NFSv4 alone needs none.", WIDTH)
        return
    yield " NOTHING WRONG FOUND "
    yield from wrap(f"All that locks need is registered at {probed.host} and answers.", WIDTH)
    yield from wrap("Whether a lock is granted a probe cannot show, for it asks for none.", WIDTH)
    if not probed.as_server:
        yield ""
        yield f"Next      {try_lock(probed.host)}"
