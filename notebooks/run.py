"""Runs the notebooks of this folder and stores what they show, so that they read well without being run: `make docs`.

A notebook is its own source: change its cells, then run this. Stored are texts, HTML and pictures as SVG, and nothing
that differs from run to run or from machine to machine. With --check nothing is written, and the exit code is 1 if
anything that a notebook shows has changed; of pictures only their titles count, since their drawing may differ with
the version of what draws them.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
KINDS = ("text/html", "image/svg+xml", "text/plain")  # what is stored of an output
TIMEOUT_S = 120


def run(path: Path) -> Any:
    """The notebook with the outputs that it has now."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as sockets:  # a kernel that nobody else on the machine can reach
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(notebook, kernel, timeout=TIMEOUT_S, resources={"metadata": {"path": str(HERE)}})
        client.execute(cleanup_kc=True)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [stored(output) for output in cell.outputs]
    return notebook


def stored(output: Any) -> Any:
    output.pop("metadata", None)
    if "data" in output:
        output.metadata = {}
        output.data = {kind: output.data[kind] for kind in KINDS if kind in output.data}
        if "text/html" in output.data and "<svg" not in output.data["text/html"]:
            output.data["text/html"] = re.sub(r"<style scoped>.*?</style>\n?", "", output.data["text/html"], flags=re.S)
    return output


def shown(notebook: Any) -> list[Any]:
    """What counts of its outputs."""
    return [
        {kind: text for kind, text in output.get("data", {}).items() if kind != "image/svg+xml"} or dict(output)
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]


def main() -> None:
    stale = []
    for path in sorted(HERE.glob("*.ipynb")):
        notebook = run(path)
        if "--check" not in sys.argv:
            nbformat.write(notebook, path)
        elif shown(notebook) != shown(nbformat.read(path, as_version=4)):
            stale.append(path.name)
    if stale:
        sys.exit(f"stale: {', '.join(stale)}; make docs renews them")


if __name__ == "__main__":
    main()
