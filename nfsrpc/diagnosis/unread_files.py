"""Findings from a ring of which a file could not be read: what it holds may answer what the others leave open.

A reply, or an UNLOCK, may stand in it. Which finding it would change is not known, so that none of them is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

from nfsrpc.facts.basic import fact
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Finding
from nfsrpc.sources import SourceError
from nfsrpc.sources.rings import ring_name
from nfsrpc.tables import Captures


@fact
def skipped() -> tuple[SourceError, ...]:
    """The files that could not be read: none, unless the diagnosis sets them."""
    return ()


@fact
def unread(captures: Captures, skipped: tuple[SourceError, ...]) -> Mapping[int, str]:
    """By capture the file of its ring that could not be read."""
    files: dict[tuple[str, str | None], str] = {}
    for error in skipped:
        folder, ring = place_of(error.path)
        # Names of captures have no folder where all lie in one.
        files |= {(folder, ring): error.path, ("", ring): error.path} if ring else {}
    named = zip(captures["capture"].tolist(), captures["file"].tolist(), strict=True) if files else ()
    return {number: files[place] for number, file in named if (place := place_of(file or "")) in files}


def place_of(file: str) -> tuple[str, str | None]:
    """The folder of a file, and the name of its ring, None where its name does not tell.

    >>> place_of("/srv/node1/trace.pcap1"), place_of("trace.pcap0"), place_of("node1/trace1")
    (('node1', 'trace.pcap'), ('', 'trace.pcap'), ('node1', None))
    """
    return PurePath(file).parent.name, ring_name(file).written


def doubted(findings: Iterable[Finding], inputs: Inputs) -> list[Finding]:
    """The findings; those with evidence in files of such a ring are at most likely."""
    return [doubtful(found, inputs.unread) for found in findings]


def doubtful(found: Finding, unread: Mapping[int, str]) -> Finding:
    file = next((unread[proof.capture] for proof in found.evidence if proof.capture in unread), None)
    if file is None:
        return found
    return found.doubted(f"{file} of the same ring could not be read: what it holds may say otherwise.")
