"""What mkdocs is told about this repository: pages that stand elsewhere, and links that lead out of the site.

Pages such as the changelog stand where people look for them in a repository, and are pages of the site, too. Links are
those of the repository: one to a page of the site leads there, one to anything else (code, tests) is only its text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Pages of the site by their place in the repository.
ELSEWHERE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "captures/README.md": "samples.md",
    **{
        f"captures/{page.parent.name}/README.md": f"samples/{page.parent.name}.md"
        for page in sorted((ROOT / "captures").glob("*/README.md"))
    },
}
STANDS_AT = {page: place for place, page in ELSEWHERE.items()}
SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"')
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


class Examples(Preprocessor):
    """Examples of docstrings (`>>>`, up to an empty line) as code; they would be quotations."""

    def run(self, lines: list[str]) -> list[str]:
        shown: list[str] = []
        inside = False
        for line in [*lines, ""]:
            if line.startswith(">>> ") and not inside:
                shown.append("```pycon")
                inside = True
            elif inside and not line.strip():
                shown.append("```")
                inside = False
            shown.append(line)
        return shown


class AsCode(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.preprocessors.register(Examples(md), "examples", 100)  # before code in fences is looked for


def on_config(config: Any) -> Any:
    config.markdown_extensions.append(AsCode())
    return config


def on_files(files: Files, config: Any) -> Files:
    for place, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / place).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    name = page.file.src_uri
    place = PurePosixPath(STANDS_AT.get(name, f"docs/{name}"))
    return LINK.sub(lambda link: renewed(link, place.parent, PurePosixPath(name).parent), markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """A page whose search, opened from the disk, needs nothing from the network: worker.js instead of a shim there."""
    return SHIM.sub(f'<script src="{os.path.relpath("worker.js", PurePosixPath(page.file.dest_uri).parent)}"', output)


def on_post_template(output: str, **_: Any) -> str:
    """Likewise for pages that are no documents: 404.html."""
    return SHIM.sub('<script src="/worker.js"', output)


def renewed(link: re.Match[str], folder: PurePosixPath, shown_in: PurePosixPath) -> str:
    """A link of a page that stands in a folder of the repository, as it is on the site."""
    text, target, anchor = link[1], os.path.normpath(folder / link[2]), link[3] or ""
    page = ELSEWHERE.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else "")
    if target == "README.md":
        page = "index.md"
    if not page or (target not in ELSEWHERE and page != "index.md" and not (ROOT / target).is_file()):
        return text
    return f"[{text}]({os.path.relpath(page, shown_in)}{anchor})"
