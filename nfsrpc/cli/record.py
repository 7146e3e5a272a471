"""`nfsrpc record`: a ring of control traffic on disk, and a folder with the proof for each incident."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.ending import BAD, say
from nfsrpc.cli.live import (
    ANY,
    CaptureFilter,
    CaptureInterface,
    ChangesFormat,
    EndAfter,
    Followed,
    FormatOfChanges,
    LookBack,
    LookInterval,
    NoDrop,
    StandardInput,
    parsing_rights,
    report,
    seconds,
    source_of,
    stopping,
)
from nfsrpc.cli.metrics import Metrics, Textfile, exporter_of, exporting
from nfsrpc.cli.output import ExitCode, check_rules, end_with, fail, write
from nfsrpc.cli.settings import HostsFile, Ignore, Select, Set, Timezone, settings, use_timezone

if TYPE_CHECKING:
    from nfsrpc.record.hooks import Hooks
    from nfsrpc.record.manifest import Manifest
    from nfsrpc.record.recorder import Announced, Recorder
    from nfsrpc.sources.privileges import Rights
    from nfsrpc.watch.schedule import Look

SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LEAST_SIZE = 1 << 20  # of the ring, and of an incident's capture


class Nfs(StrEnum):
    headers = "headers"
    none = "none"


def size(text: str) -> int:
    """A size (`512M`, `2G`) in bytes."""
    match = re.fullmatch(r"\s*(\d{1,12})\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    value = int(match[1]) * SIZES[match[2].upper()] if match else 0
    if value < LEAST_SIZE:
        raise typer.BadParameter(f"{text} is no size of 1M or more: 64M, 512M, 2G")
    return value


def record(
    stream: StandardInput = None,
    directory: Annotated[
        str, typer.Option("--directory", "-d", metavar="DIR", help="Where the ring and the incidents are written.")
    ] = "",
    interface: CaptureInterface = ANY,
    follow: Followed = None,
    filter: CaptureFilter = None,  # noqa: A002
    size: Annotated[int, typer.Option(parser=size, metavar="SIZE", help="Of the ring, at most.")] = "512M",  # type: ignore[assignment]
    age: Annotated[float, typer.Option(parser=seconds, metavar="DURATION", help="Of the ring, at most.")] = "24h",  # type: ignore[assignment]
    nfs: Annotated[Nfs, typer.Option(help="What the ring keeps of NFS: frames as far as headers go, or none.")] = (
        Nfs.headers
    ),
    keep_incidents: Annotated[
        int, typer.Option(min=1, metavar="N", help="Keep so many incidents; the oldest are deleted.")
    ] = 100,
    incident_size: Annotated[
        int, typer.Option(parser=size, metavar="SIZE", help="Of the capture of an incident, at most.")
    ] = "64M",  # type: ignore[assignment]
    exec_: Annotated[
        str,
        typer.Option("--exec", metavar="COMMAND", help="Run this with opened or resolved, and the incident's folder."),
    ] = "",
    webhook: Annotated[str, typer.Option(metavar="URL", help="Post the manifest of each incident there.")] = "",
    interval: LookInterval = "1s",  # type: ignore[assignment]
    window: LookBack = "15m",  # type: ignore[assignment]
    for_: EndAfter = None,
    format: FormatOfChanges = ChangesFormat.text,  # noqa: A002
    no_drop: NoDrop = False,
    metrics: Metrics = None,
    textfile: Textfile = None,
    select: Select = "",
    ignore: Ignore = "",
    thresholds: Set = None,
    hosts: HostsFile = None,
    timezone: Timezone = "",
    exit_code: ExitCode = False,
) -> None:
    """Record control traffic all the time, and have the proof and the verdict of each incident ready.

    The ring is read by Wireshark and by `analyze DIR` at any time; `nfsrpc incidents DIR` lists the incidents. Ctrl-C
    and SIGTERM end it with a report. Exits as live does.
    """
    # Each thread has its own capabilities, so there must be no other before they are given up, not even numpy's.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from nfsrpc.record import recorder as recording
    from nfsrpc.record.node import KernelLog
    from nfsrpc.record.ring import terms
    from nfsrpc.record.service import Service
    from nfsrpc.record.writer import Writer
    from nfsrpc.sources import SourceError
    from nfsrpc.sources.supervisor import Supervisor
    from nfsrpc.watch.limit import Limit
    from nfsrpc.watch.schedule import Live, Options

    if not directory:
        fail("record writes to a directory: --directory DIR")
    if follow and os.path.realpath(follow) == os.path.realpath(directory):
        fail(f"{directory}: the ring that is followed cannot be the one that is written")
    use_timezone(timezone)
    chosen = settings(select, ignore, thresholds, hosts)
    exporter = exporter_of(metrics, textfile)
    kept = terms(nfs is Nfs.headers)
    looks = Options(interval, window, for_ or float("inf"), rules=chosen, kept=kept, max_rows=recording.MAX_ROWS)
    on_node = stream is None and follow is None
    options = recording.RecordOptions(directory, size, age, keep_incidents, incident_size, on_node)
    supervisor, service = Supervisor(), Service()
    try:
        source = source_of(stream, interface, follow, filter, window, supervisor)
        watched = Live(source, looks, say, limit=Limit())
        hooks = hooks_of(exec_, webhook)
        with stopping(watched.interrupt), closing(supervisor):
            source.prepare()
            recording.usable(directory, new_owner(no_drop))
            kernel_log = KernelLog() if on_node else None
            with suppress(OSError):
                supervisor.start()
            rights = parsing_rights(source, no_drop, import_all)
            writer = Writer()  # with these rights, and before there is a thread
            recorder = recording.Recorder(watched, options, writer, say, announcing(format), hooks, kernel_log, service)
            with exporting(exporter, watched) as looks_taken:
                service.ready()
                last = recorded(looks_taken, recorder, format, rights)
            if last:
                write([report(watched, last, format)], None)
    except SourceError as error:
        fail(error)
    if watched.trouble:
        say(str(watched.trouble))
    if watched.was_last_cut_short:
        say(without_limit(directory))
    check_rules(last.diagnosis if last else None)
    end_with(last.diagnosis if last else None, exit_code and not watched.trouble)
    if watched.trouble:
        raise typer.Exit(BAD)


def without_limit(directory: str) -> str:
    """The command that judges what was recorded, where the last look was cut short."""
    return f"nfsrpc analyze {shlex.quote(directory)} judges what was recorded, without a limit of time"


def import_all() -> None:
    from nfsrpc.cli import record_imports

    record_imports.import_all()


def new_owner(no_drop: bool) -> tuple[int, int] | None:
    """User and group that the process will have, if those are others."""
    from nfsrpc.sources import privileges

    if no_drop or os.geteuid() != privileges.ROOT:
        return None
    user = privileges.unprivileged_user()
    return user.uid, user.gid


def hooks_of(command: str, url: str) -> Hooks:
    from urllib.parse import urlsplit

    from nfsrpc.record.hooks import SCHEMES, Hooks, command_of

    if url and (urlsplit(url).scheme not in SCHEMES or not urlsplit(url).netloc):
        fail(f"--webhook {url}: not an address of a web server: https://host/path")
    try:
        words = command_of(command) if command else []
    except ValueError as error:
        fail(f"--exec {command}: {error}")
    return Hooks(words, url, say)


def announcing(format: ChangesFormat) -> Callable[[Announced, Manifest, str], None]:  # noqa: A002
    """The function that prints what becomes of an incident."""
    from nfsrpc.record.manifest import document
    from nfsrpc.report.json import SCHEMA
    from nfsrpc.watch.lines import stamped

    def announce(what: Announced, manifest: Manifest, folder: str) -> None:
        time = manifest.opened if what == "opened" else manifest.resolved
        if format is ChangesFormat.text:
            write([stamped(time, "incident", f"{what} {folder}: {manifest.title}")], None)
        else:
            head = {"schema": SCHEMA, "change": "incident", "what": what, "folder": folder}
            write([json.dumps(head | {"incident": document(manifest)}, allow_nan=False) + "\n"], None)

    return announce


def recorded(looks: Iterator[Look], recorder: Recorder, format: ChangesFormat, rights: Rights) -> Look | None:  # noqa: A002
    """Reports every change to the end of the source, and returns the last look."""
    from nfsrpc.watch import lines

    begin = lines.begin if format is ChangesFormat.text else lines.begin_jsonl
    render = lines.lines if format is ChangesFormat.text else partial(map, lines.jsonl)
    look = None
    with closing(recorder):
        write([begin(recorder.live.source.name, rights)], None)
        for look in looks:
            recorder.observe(look)
            write(list(render(look.changes)), None)
            if not look.final:
                look.trace.tables.forget()  # else the memory of two looks is needed for the next one
    return look
