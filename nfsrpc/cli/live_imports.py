"""Imports all that `nfsrpc live` may need before it becomes another user, who may not read where Python is installed.

Libraries import some of their modules at first use: rich, decompressors, importlib.metadata. So a capture of one frame
is taken through everything once.
"""

from __future__ import annotations

import io
from contextlib import suppress
from importlib import import_module
from pkgutil import walk_packages

from rich.console import Console

from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Verdict
from nfsrpc.report import text
from nfsrpc.report.contents import report_of
from nfsrpc.sources import pcap
from nfsrpc.sources.compression import COMPRESSIONS
from nfsrpc.sources.privileges import Rights
from nfsrpc.watch import lines
from nfsrpc.watch.changes import Change
from nfsrpc.watch.schedule import Health, Look
from nfsrpc.watch.screen import Pulse, Rate, screen
from nfsrpc.watch.watch import Watch

PACKAGES = ("findings", "sources", "protocols", "sessions", "facts", "rules", "diagnosis", "report", "watch")
FRAME = bytes(60)
CAPTURE = pcap.file_header(1) + pcap.record(10**9, FRAME)


def import_all() -> None:
    for name in PACKAGES:
        package = import_module(f"nfsrpc.{name}")
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            import_module(module.name)
    for compression in COMPRESSIONS:
        with suppress(ImportError):  # reported when such a stream comes
            compression.load()
    rehearse()


def rehearse() -> None:
    watch = Watch("rehearsal")
    watch.feed(CAPTURE)
    trace = watch.close()
    assert trace is not None
    diagnosis = diagnose(trace.tables)
    change = Change("verdict", watch.last, verdict=Verdict(None, "cannot-tell", "rehearsal"))
    look = Look(trace, diagnosis, [change], [], watch.last, final=True)
    report = report_of(trace.tables, diagnosis)
    rights = Rights("nobody", 0, 0, 0, True)
    printed = [lines.line(change), lines.jsonl(change), lines.begin("rehearsal", rights), lines.end(report)]
    printed += [text.render(report, 80, colour=True)]
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    pulse = Pulse("rehearsal", Health(1, len(CAPTURE), 0, 0.0), Rate(1.0, 1.0), 0.0, "a note", str(rights))
    console.print(screen(look, pulse, console.height))
    console.print("".join(printed), markup=False, highlight=False)
