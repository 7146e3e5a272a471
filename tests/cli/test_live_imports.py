"""What `live` runs after it has become another user is imported before: on every capture there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.command import ENVIRONMENT

EVERYTHING = """
import io, sys
from contextlib import redirect_stdout
from nfsrpc.cli import live as _, analyze as _, live_screen as _
from nfsrpc.cli.live import ChangesFormat, report
from nfsrpc.cli.live_imports import import_all
from nfsrpc.sources.in_memory import captures
from nfsrpc.sources.stream import Stream
from nfsrpc.watch import lines
from nfsrpc.watch.schedule import Live, Options
from nfsrpc.watch.screen import Pulse, Rate, screen
from nfsrpc.sources import SourceError
from rich.console import Console
import_all()
late, opened = set(), []
def note(event, arguments):
    if event == "import":
        late.add(arguments[0])
    elif event == "open" and arguments[0] not in sys.argv:
        opened.append(str(arguments[0]))
sys.addaudithook(note)
for path in sys.argv[1:]:
    [capture] = captures([io.BytesIO(open(path, "rb").read())])
    watched = Live(Stream(capture), Options(interval_s=0.01))
    try:
        for look in watched.looks():
            for change in look.changes:
                lines.line(change), lines.jsonl(change)
            console = Console(file=io.StringIO(), force_terminal=True, width=100, height=40)
            console.print(screen(look, Pulse("x", watched.health, Rate(1.0, 1.0), 0.0, "note", "as nobody"), 40))
        for format in ChangesFormat:
            report(watched, look, format)
    except SourceError:
        pass
print(len(sys.argv) - 1, sorted(late & set(sys.modules)), opened)  # not what is tried in vain: compression, before 3.14
"""


def test_nothing_is_imported_late(samples: Path) -> None:
    paths = sorted({path.parent: path for path in samples.rglob("*.pcap*")}.values())
    told = subprocess.run(
        [sys.executable, "-c", EVERYTHING, *map(str, paths)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
        timeout=120,
    )
    assert told.stderr == ""
    assert told.stdout == f"{len(paths)} [] []\n"
    assert len(paths) > 5
