"""The folders stand in the order of the path of the data, each imports only from those before it, none in a circle."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import nfsrpc
import nfsrpc.protocols

PACKAGE = Path(nfsrpc.__file__).parent
# The last two are the door: the API of __init__ and the command line of __main__.
ORDER = (
    *("wording", "printable", "markup", "columns", "extras", "findings", "sources", "_core", "protocols", "reading"),
    *("tables", "decode", "export", "raw", "packets", "sessions", "facts", "rules", "diagnosis", "plot", "report"),
    *("trace", "carving", "watch", "metrics", "record", "probe", "fleet", "cli", "__init__", "__main__"),
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


MODULES = {
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES
}
IDENTIFIER = re.compile(r"\b[A-Z]{3}\d{3}\b")


def every_import(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports, also inside functions, and also for types only."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in MODULES else module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def in_circles(imports: dict[str, set[str]]) -> set[str]:
    """The modules that stand in a circle, or import what does."""
    left = {module: needed & set(imports) - {module} for module, needed in imports.items()}
    while free := {module for module, needed in left.items() if not needed & set(left)}:
        left = {module: needed for module, needed in left.items() if module not in free}
    return set(left)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert not in_circles({module: set(every_import(file)) for module, file in MODULES.items()})


def test_no_modules_of_the_core_use_each_other_in_a_circle() -> None:
    """A folder is one module; what is behind the beginning of a file's own tests is left out."""
    core = PACKAGE.parent / "core" / "src"
    used: dict[str, set[str]] = {}
    for file in core.rglob("*.rs"):
        code = re.sub(r"//.*", "", file.read_text().partition("#[cfg(test)]\nmod ")[0])
        module = file.relative_to(core).parts[0].removesuffix(".rs")
        used.setdefault(module, set()).update(re.findall(r"\bcrate::(\w+)", code))
    assert {"lib", "decoder", "capture"} < set(used)
    assert used["decoder"] > {"backends", "capture"}
    assert not in_circles(used)


def test_no_two_classes_have_one_name() -> None:
    trees = [ast.parse(file.read_text()) for file in FILES if file.suffix == ".py"]
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert not [name for name, count in names.items() if count > 1]


def test_no_constant_of_a_module_is_set_twice() -> None:
    """Functions before the second line would use its value as well."""
    for file in FILES:
        assigned = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Assign)]
        names = [
            name.id
            for node in assigned
            for name in ast.walk(node)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and name.id.isupper()
        ]
        assert not [name for name, count in Counter(names).items() if count > 1], file


def executed_texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a file but for docstrings and the help of options."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        elif isinstance(node, ast.keyword) and node.arg == "help":
            left_out |= {id(part) for part in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.value


@pytest.mark.parametrize("file", [file for file in FILES if layer(file) != "rules"], ids=str)
def test_nothing_outside_the_rules_knows_a_rule_by_its_identifier(file: Path) -> None:
    assert not [text for text in executed_texts(ast.parse(file.read_text())) if IDENTIFIER.search(text)]


def test_the_page_on_the_architecture_has_every_module_where_it_stands() -> None:
    """Each row names modules of one folder; the rules are named by their folders, and have a page of their own."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set()
    for row in re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):
            folder = name.rpartition("/")[0] or folder
            named.add(f"{folder}/{name.rpartition('/')[2]}".strip("/"))
    there = {
        str(file.relative_to(PACKAGE))
        for file in FILES
        if file.suffix == ".py" and file.stem not in ("__init__", "__main__") and layer(file) != "rules"
    }
    families = {f"rules/{path.name}/" for path in (PACKAGE / "rules").iterdir() if (path / "__init__.py").exists()}
    rows = {name if name.endswith(".py") else f"{name}/" for name in named if name.endswith(".py") or "rules/" in name}
    assert {row for row in rows if row.endswith(".py")} == there
    assert {f"{row.rstrip('/')}/" for row in rows if not row.endswith(".py")} == families


def test_the_page_on_the_architecture_has_every_file_of_the_core() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {name.rpartition("/")[2] for name in re.findall(r"`([a-z_0-9/]+\.rs)`", page)}
    there = {file.name for file in (PACKAGE.parent / "core" / "src").rglob("*.rs")}
    assert named == there
