"""Writes the golden screens anew: python -m tests.report.golden"""

from pathlib import Path

from nfsrpc.report.text import render
from tests.report.samples import SAMPLES

if __name__ == "__main__":
    for name, report in SAMPLES.items():
        for width in (80, 140):
            path = Path(__file__).parent / "golden" / f"{name}-{width}.txt"
            path.write_text(render(report, width), encoding="utf-8")
