"""Which rules are asked, and with which thresholds: of the command line, else of a file of settings.

The file is the nearest `nfsrpc.toml`, or `pyproject.toml` with a table `[tool.nfsrpc]`, in the working directory or
above it:

    select = ["REG", "LCK"]        # beginnings of identifiers or names of rules
    ignore = ["NFS001"]
    [rules.LCK002]
    late_s = 3                     # nfsrpc explain LCK002 lists a rule's thresholds

What the command line says counts more. Whatever fits nothing ends the program before a capture is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from nfsrpc.cli.output import fail

OWN, SHARED, TABLE = "nfsrpc.toml", "pyproject.toml", "tool.nfsrpc"
KEYS = ("select", "ignore", "rules")

Select = Annotated[str, typer.Option(metavar="RULES", help="Ask only the rules that begin so: REG001,LCK")]
Ignore = Annotated[str, typer.Option(metavar="RULES", help="Do not ask the rules that begin so.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="RULE.NAME=VALUE", help="Change a threshold: LCK002.late_s=3 (repeatable)."),
]


class Settings(NamedTuple):
    select: Sequence[str]
    ignore: Sequence[str]
    thresholds: Mapping[str, Mapping[str, Any]]


def settings(select: str, ignore: str, thresholds: Sequence[str] | None) -> Settings:
    """What was asked for. Nothing is imported where nothing was."""
    path, told = file_of_settings(Path.cwd())
    return Settings(
        beginnings("--select", select.split(",")) or beginnings(f"{path}: select", told.get("select", [])),
        beginnings("--ignore", ignore.split(",")) or beginnings(f"{path}: ignore", told.get("ignore", [])),
        merged(path, told.get("rules", {}), thresholds or []),
    )


def beginnings(whence: str, given: object) -> list[str]:
    """What identifiers or names of rules begin with. One that fits no rule is a slip of the pen, not a pass."""
    given = given.split(",") if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        fail(f'{whence}: not a list of names, as ["REG001", "LCK"]')
    if not any(text.strip() for text in given):
        return []
    from nfsrpc.rules import settings

    try:
        return settings.beginnings(given)
    except ValueError as error:
        fail(f"{whence}: {error}")


def merged(path: Path | None, rules: object, texts: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    if not rules and not texts:
        return {}
    from nfsrpc.rules import settings

    return settings.merged([*of_file(path, rules), *of_command_line(texts)])


def of_file(path: Path | None, rules: object) -> Iterator[tuple[str, str, Any]]:
    from nfsrpc.rules.settings import checked

    for rule, values in tables(f"{path}: rules", rules):
        for name, value in tables(f"{path}: rules.{rule}", values):
            try:
                yield checked(rule, name, value)
            except ValueError as error:
                fail(f"{path}: rules.{rule}.{name}: {error}")


def tables(whence: str, value: object) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict):
        fail(f"{whence}: not a table")
    return value.items()


def of_command_line(texts: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
    from nfsrpc.rules.settings import setting

    for text in texts:
        try:
            yield setting(text)
        except ValueError as error:
            fail(f"--set {error}")


def file_of_settings(folder: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """The nearest file with settings, and what it says."""
    for place in (folder, *folder.parents):
        for path in (place / OWN, place / SHARED):
            text = content(path)
            if text is not None:
                return path, read(path, text)
    return None, {}


def content(path: Path) -> str | None:
    """Nothing of a pyproject.toml that is not about this program: most are not."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if path.name == SHARED:
            return None
        fail(f"{path}: cannot be read: {error.strerror}")
    if path.name == SHARED and TABLE.encode() not in data:
        return None
    return data.decode("utf-8", "replace")


def read(path: Path, text: str) -> Mapping[str, Any]:
    import tomllib

    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: {error}")
    for name in TABLE.split(".") if path.name == SHARED else ():
        told = told.get(name, {})
    for name in told:
        if name not in KEYS:
            from nfsrpc.rules.settings import perhaps

            fail(f"{path}: no key {name}; there are {', '.join(KEYS)}{perhaps(name, KEYS)}")
    return told
