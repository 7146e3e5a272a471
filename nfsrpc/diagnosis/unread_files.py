"""Findings from a ring of which a file could not be read: what it holds may answer what the others leave open.

A reply, or an UNLOCK, may stand in it. Which finding it would change is not known, so that none of them is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from nfsrpc.findings.finding import Answer, Finding
from nfsrpc.sources import SourceError
from nfsrpc.sources.rings import ring_name


def doubted_without(answers: list[Answer], files: Sequence[str], skipped: Iterable[SourceError]) -> list[Answer]:
    """The answers; findings whose evidence is in files (by number) of such a ring are at most likely."""
    unread: dict[tuple[str, str | None], str] = {}
    for error in skipped:
        folder, ring = place_of(error.path)
        # Names of captures have no folder where all lie in one.
        unread |= {(folder, ring): error.path, ("", ring): error.path} if ring else {}
    lacking = {number: unread[place] for number, file in enumerate(files) if (place := place_of(file)) in unread}
    return [doubtful(answer, lacking) if isinstance(answer, Finding) else answer for answer in answers]


def place_of(file: str) -> tuple[str, str | None]:
    """The folder of a file, and the name of its ring, None where its name does not tell.

    >>> place_of("/srv/node1/trace.pcap1"), place_of("trace.pcap0"), place_of("node1/trace1")
    (('node1', 'trace.pcap'), ('', 'trace.pcap'), ('node1', None))
    """
    return PurePath(file).parent.name, ring_name(file).written


def doubtful(found: Finding, lacking: dict[int, str]) -> Finding:
    file = next((lacking[proof.capture] for proof in found.evidence if proof.capture in lacking), None)
    if file is None:
        return found
    return found.doubted(f"{file} of the same ring could not be read: what it holds may say otherwise.")
