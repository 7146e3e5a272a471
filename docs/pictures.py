"""Draws the pictures of the README, light and dark, from captures of the repository: `make docs`."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nfsrpc

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
# name: the capture, and what is drawn of it
PICTURES: dict[str, tuple[str, Callable[[nfsrpc.Trace, bool], Any]]] = {
    "ladder": ("server-without-statd/nfssrv-any.pcap", lambda trace, dark: trace.plot.ladder(dark=dark)),
    "locks": ("contended/nfssrv-any.pcap", lambda trace, dark: trace.plot.locks(dark=dark)),
    "latency": ("server-without-statd/nfssrv-any.pcap", lambda trace, dark: trace.plot.latency(dark=dark)),
    "rates": ("healthy/nfssrv-any.pcap.zst", lambda trace, dark: trace.plot.rates(dark=dark)),
}


def pictures() -> Iterator[tuple[Path, Any]]:
    """Each file with its chart."""
    for name, (capture, draw) in PICTURES.items():
        trace = nfsrpc.read(ROOT / "captures" / capture)
        for suffix, dark in (("", False), ("-dark", True)):
            yield FOLDER / f"{name}{suffix}.svg", draw(trace, dark)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path, chart in pictures():
        path.write_text(chart.to_svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
