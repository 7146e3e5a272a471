"""The rules to run and their thresholds: from the command line, else from a file of settings.

The file is the nearest `nfsrpc.toml`, or `pyproject.toml` with a table `[tool.nfsrpc]`, in the working directory or
above it, else `nfsrpc/nfsrpc.toml` in the user's directory of configuration (XDG Base Directory Specification):

    select = ["REG", "LCK"]        # prefixes of identifiers or names of rules
    ignore = ["NFS001"]
    [rules.LCK002]
    late_s = 3                     # nfsrpc explain LCK002 lists a rule's thresholds
    [hosts]
    "10.1.84.41" = "cl1"           # as --hosts

The command line has precedence. An unknown name ends the program before a capture is read. A file that another user can
write is not used, because it may hide a fault from root, who analyses in a shared directory.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nfsrpc.cli import completion
from nfsrpc.cli.ending import say
from nfsrpc.cli.output import fail

if TYPE_CHECKING:
    from nfsrpc.findings.finding import Settings

OWN, SHARED, TABLE = "nfsrpc.toml", "pyproject.toml", "tool.nfsrpc"
KEYS = ("select", "ignore", "rules", "hosts")
UID = re.compile(r"[0-9]{1,10}")
MAX_BYTES = 1 << 20  # a pyproject.toml of that size is none

Timezone = Annotated[
    str, typer.Option("--timezone", metavar="NAME", help="Time zone of all times, and of kernel logs: Europe/Berlin.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print everything, including the passed checks.")]
HostsFile = Annotated[
    str | None, typer.Option("--hosts", metavar="FILE", help="Names of hosts, in the form of /etc/hosts.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, help="Processors to decode with. NFSRPC_JOBS sets it, too. Default: all."
    ),
]
Select = Annotated[
    str,
    typer.Option(
        metavar="RULES", autocompletion=completion.rule_lists, help="Run only rules with these prefixes: REG001,LCK"
    ),
]
Ignore = Annotated[
    str,
    typer.Option(metavar="RULES", autocompletion=completion.rule_lists, help="Do not run rules with these prefixes."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="RULE.NAME=VALUE",
        autocompletion=completion.thresholds,
        help="Change a threshold: LCK002.late_s=3 (repeatable).",
    ),
]


def settings(select: str, ignore: str, thresholds: Sequence[str] | None, hosts: str | None = None) -> Settings:
    """The settings of the command line and of the file; names of hosts are used from then on.

    Without any, nothing is imported.
    """
    from nfsrpc.findings.finding import Settings
    from nfsrpc.sources.name import shown_name

    path, content = file_of_settings()
    use_names(path, content.get("hosts", {}), hosts)
    return Settings(
        prefixes("--select", select.split(",")) or prefixes(f"{path}: select", content.get("select", [])),
        prefixes("--ignore", ignore.split(",")) or prefixes(f"{path}: ignore", content.get("ignore", [])),
        merged(path, content.get("rules", {}), thresholds or []),
        shown_name(str(path)) if content else None,
    )


def use_timezone(name: str) -> None:
    """Prints all times of day in this zone from now on; in UTC without a name."""
    from nfsrpc.wording import TimesOfDay

    TimesOfDay.zone = UTC
    if not name:
        return
    from zoneinfo import ZoneInfo

    try:
        TimesOfDay.zone = ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # KeyError: no such name, or no package tzdata
        fail(f"--timezone {name}: no such time zone; names are as in Europe/Berlin")


def use_names(path: Path | None, named: object, file: str | None) -> None:
    """Calls hosts from now on by the names in the file of settings and in a file of the form of /etc/hosts."""
    pairs = [(f"{path}: hosts", address, [name]) for address, name in tables(f"{path}: hosts", named)]
    pairs += lines_of_hosts(file) if file else []
    if not pairs:
        return
    from nfsrpc.report.host_names import GivenNames

    GivenNames.names = {}
    for origin, address, names in pairs:
        try:
            GivenNames.add(address, names)
        except ValueError as error:
            fail(f"{origin}: {error}")


def lines_of_hosts(file: str) -> list[tuple[str, str, list[str]]]:
    """The lines of a file as hosts(5) describes it: where each stands, its address, its names."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}")
    lines = enumerate((line.partition("#")[0].split() for line in text.splitlines()), 1)
    return [(f"{file}:{number}", words[0], words[1:]) for number, words in lines if words]


def prefixes(origin: str, value: object) -> list[str]:
    """The prefixes of rules' identifiers or names in a setting. One that fits no rule is an error."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        fail(f'{origin}: not a list of names, as ["LCK", "NET"]')
    if not any(text.strip() for text in texts):
        return []
    from nfsrpc.diagnosis import settings

    try:
        return settings.beginnings(texts)
    except ValueError as error:
        fail(f"{origin}: {error}")


def merged(path: Path | None, rules: object, texts: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    if not rules and not texts:
        return {}
    from nfsrpc.diagnosis import settings

    return settings.merged([*of_file(path, rules), *of_command_line(texts)])


def of_file(path: Path | None, rules: object) -> Iterator[tuple[str, str, Any]]:
    from nfsrpc.diagnosis.settings import checked

    for rule, values in tables(f"{path}: rules", rules):
        for name, value in tables(f"{path}: rules.{rule}", values):
            try:
                yield checked(rule, name, value)
            except ValueError as error:
                fail(f"{path}: rules.{rule}.{name}: {error}")


def tables(origin: str, value: object) -> Iterable[tuple[str, Any]]:
    if not isinstance(value, dict):
        fail(f"{origin}: not a table")
    return value.items()


def of_command_line(texts: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
    from nfsrpc.diagnosis.settings import setting

    for text in texts:
        try:
            yield setting(text)
        except ValueError as error:
            fail(f"--set {error}")


def file_of_settings() -> tuple[Path | None, Mapping[str, Any]]:
    """The nearest file of settings that can be trusted, and its content."""
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # it was removed
        return None, {}
    near = [place / name for place in (folder, *folder.parents) for name in (OWN, SHARED)]
    for path in (*near, *configured()):
        text = text_of(path)
        if text is None:
            continue
        if why := why_not_trusted(path):
            say(f"{path} is not used, because {why}")
        elif isinstance(text, OSError):
            fail(f"{path}: cannot be read: {text.strerror}")
        else:
            return path, read(path, text)
    return None, {}


def configured() -> Iterator[Path]:
    """The file of settings in the user's directory of configuration; a relative path there is to be ignored."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))
    if folder.is_absolute():
        yield folder / "nfsrpc" / OWN


def why_not_trusted(path: Path) -> str:
    """The reason why another user could have written a file: its owner or directory, a link's target; or empty."""
    target = Path(os.path.realpath(path))
    for place in dict.fromkeys((path.parent, target.parent, target)):
        try:
            status = place.stat()
        except OSError as error:
            return f"{place} cannot be looked at: {error.strerror}"
        if status.st_uid not in trusted_users():
            return f"{place} belongs to another user"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"other users can write {place}"
    return ""


def trusted_users() -> set[int]:
    """The ids of root, of the user of this process, and of the user who called sudo for it."""
    user = os.geteuid()
    called = os.environ.get("SUDO_UID", "") if user == 0 else ""
    return {0, user, *([int(called)] if UID.fullmatch(called) else [])}


def text_of(path: Path) -> str | OSError | None:
    """The text of a file of settings; None if there is none, or for a pyproject.toml without a table for nfsrpc."""
    try:
        # O_NONBLOCK: a named pipe of that name must not block.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_BYTES) if regular else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return None if path.name == SHARED else error
    if path.name == SHARED and TABLE.encode() not in data:
        return None
    return data.decode("utf-8", "replace")


def read(path: Path, text: str) -> Mapping[str, Any]:
    import tomllib

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fail(f"{path}: {error}")
    for name in TABLE.split(".") if path.name == SHARED else ():
        content = content.get(name, {})
    for name in content:
        if name not in KEYS:
            from nfsrpc.columns import suggestion

            fail(f"{path}: no key {name}; there are {', '.join(KEYS)}{suggestion(name, KEYS)}")
    return content
