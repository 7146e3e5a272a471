"""Makes the picture of the screen of `nfsrpc live` in README.md: a real capture, as far as it had come (`make docs`).

No fonts are asked of the network: the picture uses the reader's own.
"""

import io
import re
import struct
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.watch.changes import waits_in
from nfsrpc.watch.schedule import Health, Look
from nfsrpc.watch.screen import Pulse, Rate, screen
from nfsrpc.watch.watch import Watch

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT / "captures" / "server-without-statd" / "nfssrv-any.pcap"
PICTURE = ROOT / "docs" / "pictures" / "live.svg"
LINES = 40  # more than there is to show
AT_S = 43  # of the capture: the lock has waited for a while
HEADER, RECORD = 24, 16


def until(capture: bytes, seconds: float) -> bytes:
    """The first seconds of a little-endian pcap file."""
    at, first = HEADER, None
    while at < len(capture):
        whole, fraction, length = struct.unpack_from("<III", capture, at)
        time = whole + fraction / 1e6
        first = time if first is None else first
        if time > first + seconds:
            break
        at += RECORD + length
    return capture[:at]


def look() -> Look:
    watch = Watch(CAPTURE.name)
    watch.feed(until(CAPTURE.read_bytes(), AT_S))
    watch.stir()
    trace = watch.trace()
    assert trace is not None
    waits = waits_in(trace.tables["locks"], watch.last)
    return Look(trace, diagnose(trace.tables), [], waits, watch.last)


def picture() -> str:
    seen = look()
    frames, size = seen.trace.captures[0]["frames"], seen.trace.captures[0]["bytes"]
    pulse = Pulse("standard input", Health(frames, size, None, 1.0), Rate(frames / AT_S, size / AT_S), 0.0)
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(screen(seen, pulse, LINES))
    plain = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="nfsrpc live", code_format=plain, unique_id="live")


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
