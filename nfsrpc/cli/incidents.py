"""`nfsrpc incidents`: the incidents that a recorder has written, and the report of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli.output import fail, write
from nfsrpc.cli.settings import Timezone, use_timezone

if TYPE_CHECKING:
    from nfsrpc.record.manifest import Manifest

REPORT = "report.txt"
INDENT = "    "  # of what belongs to an incident, in the list


def incidents(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The directory of a recorder.")],
    incident: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An incident, by its name or the beginning of it.")
    ] = None,
    timezone: Timezone = "",
) -> None:
    """List the incidents that `nfsrpc record` has written, or show the report of one."""
    from nfsrpc.record import manifest

    use_timezone(timezone)
    if not os.path.isdir(directory):
        is_file = os.path.exists(directory)
        fail(
            f"{directory}: {'is a file; name the directory that a recorder writes' if is_file else 'no such directory'}"
        )
    if incident is None:
        write(listed(manifest.manifests(directory)), None)
    else:
        write(report(directory, named(incident, manifest.names(directory))), None)


def listed(found: list[Manifest | str]) -> Iterator[str]:
    """The incidents, the oldest first: when, where and whether it is over; what was found; the name of its folder."""
    from nfsrpc.printable import clean
    from nfsrpc.report.terminal import wrap
    from nfsrpc.wording import date_time

    width = shutil.get_terminal_size().columns - len(INDENT)
    if not found:
        yield "no incidents\n"
    for each in found:
        if isinstance(each, str):
            yield f"{clean(each)}  its manifest cannot be read\n"
            continue
        state = each.state + (f" ({each.reopened + 1} times)" if each.reopened else "")
        causes = "".join(f"; explained by {cause.get('finding')}" for cause in each.explained_by)
        yield f"{date_time(each.first)}  {clean(each.host or '-')}  {clean(state)}\n"
        for line in (*wrap(f"{each.severity} {each.rule}: {each.title}{causes}", width), clean(each.id)):
            yield f"{INDENT}{line}\n"


def named(incident: str, names: list[str]) -> str:
    """The one incident that a name, or the beginning of one, means."""
    found = [incident] if incident in names else [name for name in names if name.startswith(incident)]
    if len(found) != 1:
        what = f"{len(found)} incidents begin so" if found else "no such incident"
        fail(f"{incident}: {what} (nfsrpc incidents DIR lists them)")
    return found[0]


def report(directory: str, name: str) -> Iterator[str]:
    """The text of an incident's report, and where the rest of it is."""
    from nfsrpc.printable import clean
    from nfsrpc.record.manifest import INCIDENTS

    folder = os.path.join(directory, INCIDENTS, name)
    try:
        with open(os.path.join(folder, REPORT), encoding="utf-8", errors="backslashreplace") as file:
            yield from (f"{clean(line.rstrip(chr(10)))}\n" for line in file)
    except OSError as error:
        fail(f"{folder}: its report cannot be read: {error.strerror}")
    yield f"\n{clean(folder)}: {', '.join(map(clean, sorted(os.listdir(folder))))}\n"
