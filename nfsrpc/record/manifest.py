"""The manifest of an incident: what was found, when, on which host, and what lies in its folder.

    20261122T053139Z-REG001-10.1.84.31/manifest.json

The name of a folder is built of a time, a rule's identifier and an address, never of text out of a capture, and never
changes. Times are ns since the epoch here, and RFC 3339 in the file.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from nfsrpc.wording import SECOND, timestamp

State: TypeAlias = Literal["open", "resolved"]

SCHEMA = 1
INCIDENTS = "incidents"  # the folder of the folders
FILE = "manifest.json"
NAME = re.compile(r"\d{8}T\d{6}Z-[A-Z]{3,8}\d{0,3}-[0-9A-Za-z.-]{1,64}")
NOWHERE = "unknown"  # in the place of a host that has no address
KERNEL_LOG = "KERNEL"  # in the place of a rule, where the kernel's log is all that is known
MAX_BYTES = 4 << 20  # of a manifest
TIMES = ("opened", "first", "last", "resolved")


@dataclass
class Manifest:
    """One incident. `id` is the name of its folder."""

    id: str
    state: State
    rule: str
    host: str | None
    title: str
    opened: int
    first: int
    last: int
    severity: str = "warning"
    certainty: str = "likely"
    name: str = ""  # of the rule
    resolved: int | None = None
    count: int = 1
    reopened: int = 0
    clients: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)  # identifiers: its own, and those that it explains
    explained_by: list[dict[str, Any]] = field(default_factory=list)  # causes that were found later
    kernel_log: list[str] = field(default_factory=list)  # lines that triggered it
    verdict: str = ""
    source: str = ""
    dropped: int | None = None  # packets lost in capturing, in its time
    notes: list[str] = field(default_factory=list)
    capture: dict[str, Any] = field(default_factory=dict)
    node: dict[str, str] = field(default_factory=dict)  # facts of the node, and why one is missing


def folder_name(time: int, rule: str, host: str | None) -> str:
    """The name of an incident's folder.

    >>> folder_name(1_795_325_499_000_000_000, "REG001", "fd91:6::11")
    '20261122T053139Z-REG001-fd91-6--11'
    >>> folder_name(0, "REG001", "../../etc")
    '19700101T000000Z-REG001-unknown'
    """
    moment = datetime.fromtimestamp(max(time, 0) // SECOND, UTC)
    return f"{moment:%Y%m%dT%H%M%S}Z-{rule}-{address_of(host)}"


def address_of(host: str | None) -> str:
    """An address as a part of a name; `unknown` for everything else."""
    try:
        return str(ipaddress.ip_address((host or "").partition("%")[0])).replace(":", "-")
    except ValueError:
        return NOWHERE


def written(manifest: Manifest) -> str:
    times = {name: timestamp(getattr(manifest, name)) for name in TIMES}
    return json.dumps({"schema": SCHEMA, **asdict(manifest), **times}, indent=1, allow_nan=False) + "\n"


def document(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(manifest))
    return found


def parsed(text: str) -> Manifest:
    """The manifest in a text. Raises ValueError."""
    return of(json.loads(text))


def of(document: Any) -> Manifest:
    """The manifest in a document. Raises ValueError."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError("not a manifest of this version")
    row = {name: value for name, value in document.items() if name != "schema"}
    try:
        times = {name: nanoseconds(row[name]) if row[name] is not None else None for name in TIMES}
        manifest = Manifest(**row | times)
        if not (NAME.fullmatch(manifest.id) and manifest.state in ("open", "resolved")):
            raise ValueError("not a manifest")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("not a manifest") from error
    return manifest


def nanoseconds(moment: str) -> int:
    whole, _, rest = moment.removesuffix("Z").partition(".")
    seconds = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    return round(seconds) * SECOND + int(rest or 0)


def manifests(directory: str) -> list[Manifest | str]:
    """The incidents of a recorder's directory, the oldest first; of one without a manifest the name."""
    found: list[Manifest | str] = []
    for name in names(directory):
        try:
            path = os.path.join(directory, INCIDENTS, name, FILE)
            with open(path, encoding="utf-8", errors="replace") as file:
                manifest = parsed(file.read(MAX_BYTES))
        except (OSError, ValueError):
            found.append(name)
            continue
        found.append(manifest if manifest.id == name else name)
    return found


def names(directory: str) -> list[str]:
    """The names of incidents' folders, the oldest first."""
    try:
        entries = list(os.scandir(os.path.join(directory, INCIDENTS)))
    except OSError:
        return []
    return sorted(entry.name for entry in entries if NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False))


def delete(directory: str, folders: Iterable[str]) -> None:
    for name in folders:
        if NAME.fullmatch(name):
            with suppress(OSError):
                shutil.rmtree(os.path.join(directory, INCIDENTS, name))
