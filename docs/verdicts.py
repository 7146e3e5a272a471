"""Writes docs/captures.md: the expected and the actual conclusion from each capture: `make docs`.

The tables are those of tests/rules/expected.py, which is tested against every capture. The larger set is not part of
the repository: where it is not found, what the page says of it stays. tests/cli/test_docs.py fails when the page is
stale.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "captures.md"
HEAD = """\
# Captures and their verdicts

<!-- Written by docs/verdicts.py (make docs); change the rules or expected.json instead. -->

What has to be concluded from each capture, alone or given together with others of the same event, judged from what
these files hold; what is concluded; what else is found. Whatever stands under *differences* is a fault of nfsrpc.
"""
SETS = {
    "samples": "## The [sample captures](../captures/README.md)",
    "kernel": "## Further captures of Linux kernels, which are not part of the repository",
}


def section(name: str) -> str:
    from tests.rules.expected import cases, table

    return f"{SETS[name]}\n\n{table(list(cases(name)))}\n"


def sections() -> Iterator[str]:
    from tests.captures_dir import SETS as CAPTURES

    yield HEAD
    for name in SETS:
        yield section(name) if CAPTURES[name].found.is_dir() else standing(name)


def standing(name: str) -> str:
    """The section of a set on the page as it is."""
    found = re.search(rf"^{re.escape(SETS[name])}\n.*?(?=\n## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return found[0] if found else ""


def main() -> None:
    sys.path.insert(0, str(ROOT))
    text = "\n".join(sections())
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
