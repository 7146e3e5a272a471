"""The folders stand in the order of the path of the data, and each imports only from those before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nfsrpc
import nfsrpc.protocols

PACKAGE = Path(nfsrpc.__file__).parent
# The last two are the door: the API of __init__ and the command line of __main__.
ORDER = (
    *("printable", "markup", "extras", "sources", "protocols", "_core", "reading", "tables", "decode", "export"),
    *(
        "raw",
        "packets",
        "sessions",
        "rules",
        "report",
        "plot",
        "trace",
        "carving",
        "watch",
        "cli",
        "__init__",
        "__main__",
    ),
)


def layer(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyi")


def imported(file: Path) -> Iterator[str]:
    """The layers that a file imports from when it runs; what only the type checker reads is left out."""
    tree = ast.parse(file.read_text())
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING"):
            block.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "nfsrpc":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nfsrpc."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("nfsrpc."))


FILES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")])


def test_every_layer_has_its_place() -> None:
    assert {layer(file) for file in FILES} == set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_from_layers_before_its_own(file: Path) -> None:
    own = ORDER.index(layer(file))
    later = {name for name in imported(file) if name in ORDER and ORDER.index(name) > own}
    assert not later


def test_the_core_knows_no_program() -> None:
    numbers = [f"{program.number}" for program in nfsrpc.protocols.PROTOCOLS]
    sources = (PACKAGE.parent / "core" / "src").rglob("*.rs")
    found = [(file.name, number) for file in sources for number in numbers if number in file.read_text()]
    assert not found
