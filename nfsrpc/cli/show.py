"""`nfsrpc show`: the messages of some frames, field by field, with the call or reply that belongs to each."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.output import Output, fail, mention_skipped, write
from nfsrpc.cli.progress import progress_bar

if TYPE_CHECKING:
    from nfsrpc.report.terminal import Paint
    from nfsrpc.trace import Trace

MAX_FRAMES = 1000  # for more, a table is the better output
FRAMES = re.compile(r"(?:(?P<capture>\d{1,5}):)?(?P<first>\d{1,10})(?:-(?P<last>\d{1,10}))?")


def show(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="A capture, or the files of a ring: a directory.")],
    frames: Annotated[list[str], typer.Argument(metavar="FRAME...", help="11 or 5-9; of the second file 1:11.")],
    output: Output = None,
) -> None:
    """Print the messages that are complete in some frames, with every field.

    Frames are numbered as in Wireshark, whose display filter for them stands at the end. A message over several
    segments or fragments is complete in its last one.
    """
    from nfsrpc.report.terminal import painted, plain, uses_colour
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import read

    ranges = [frames_named(text) for text in frames]
    if (count := sum(len(numbers) for _, numbers in ranges)) > MAX_FRAMES:
        fail(f"{count} frames are more than {MAX_FRAMES}: nfsrpc table calls lists as many as there are")
    wanted = [(capture, frame) for capture, numbers in ranges for frame in numbers]
    try:
        with progress_bar() as progress:
            found = read(trace, progress=progress)
        mention_skipped(found)
        paint = painted if output is None and uses_colour(sys.stdout) else plain
        width = shutil.get_terminal_size().columns if output is None and sys.stdout.isatty() else sys.maxsize
        write([f"{line.rstrip()}\n" for line in pages(found, wanted, paint, width)], output)
    except (SourceError, ValueError) as error:
        fail(error)


def frames_named(text: str) -> tuple[int, range]:
    """The frames that an argument names, and their capture: `11`, `5-9`, `2:11`."""
    match = FRAMES.fullmatch(text)
    if not match:
        fail(f"{text}: not a frame; a number, a range as in 5-9, or the number of a file before it as in 1:11")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    if last < first:
        fail(f"{text}: ends before it begins")
    return int(match["capture"] or 0), range(first, last + 1)


def pages(trace: Trace, wanted: list[tuple[int, int]], paint: Paint, width: int) -> Iterator[str]:
    from nfsrpc.findings.finding import Evidence
    from nfsrpc.printable import clean
    from nfsrpc.raw import reread
    from nfsrpc.report.page import Pages, needed
    from nfsrpc.report.proof import display_filters

    frames, programs = needed(trace.tables, wanted)
    with progress_bar("reading again") as progress:
        book = Pages(trace.tables, reread(trace.tables.decoded, frames, programs=programs, progress=progress))
    for number, place in enumerate(wanted):
        if number:
            yield ""
        yield from book.page(place, paint, width)
    yield ""
    for capture, expression in display_filters(Evidence(*place, "") for place in wanted):
        file = f" of {clean(trace.files[capture])}" if len(trace.files) > 1 else ""
        yield paint("faint", f"Wireshark{file}: {expression}")
