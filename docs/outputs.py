"""Puts the output of commands into the pages that show it, so that no page is out of date: `make docs`.

Between `<!-- output: COMMAND -->` and `<!-- end -->` stands what COMMAND prints, run at the root of the repository on a
terminal of 80 columns. tests/cli/test_docs.py fails when a page is stale.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/rules/*.md")
OUTPUT = re.compile(r"(<!-- output: nfsrpc ([^\n]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    return sorted(page for pattern in PAGES for page in ROOT.glob(pattern))


def renewed(text: str) -> str:
    """The text of a page with its outputs as they are now."""
    return OUTPUT.sub(lambda block: f"{block[1]}```text\n{output(block[2])}```\n{block[3]}", text)


def output(arguments: str) -> str:
    command = [sys.executable, "-m", "nfsrpc", *shlex.split(arguments)]
    environment = os.environ | {"COLUMNS": "80", "NO_COLOR": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if result.stderr:
        sys.exit(f"nfsrpc {arguments}: {result.stderr}")
    return result.stdout


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(renewed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
