"""The smallest capture with the same findings: sets of frames, from the evidence alone to all frames between the hosts.

Whether a set is enough is not derived but tried: the frames are written, and the result is analysed. A rule may depend
on the silence of a connection, or on the traffic of other hosts; then only a larger set has the same findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from nfsrpc.carving import pcapng
from nfsrpc.carving.choice import Reasons, Wish, frames_of, proof, with_connections, with_hosts
from nfsrpc.carving.fragments import other_fragments
from nfsrpc.findings.finding import Diagnosis, Finding
from nfsrpc.printable import clean
from nfsrpc.raw import Frame, rereading
from nfsrpc.sessions import Sessions
from nfsrpc.trace import Trace, read

# A carved capture is for reading in Wireshark, and small enough to be sent.
MAX_FRAMES = 200_000


class TooManyFrames(ValueError):
    pass


class Carved(NamedTuple):
    """The size of the carved capture, and its diagnosis."""

    frames: int
    diagnosis: Diagnosis
    same: bool  # it has the findings for which it was carved


def carve(trace: Trace, findings: Sequence[Finding], path: str) -> Carved:
    """Writes the frames on which findings stand, as many as it takes for them to be found again.

    Raises TooManyFrames, OSError, SourceError, and ValueError for captures that cannot be read again.
    """
    before = trace.diagnosis
    fallback: Wish | None = None
    for wish in wishes(trace.tables, findings):
        carved = carve_wish(trace, wish, path)
        after = carved.diagnosis
        if with_figures(after, findings) == with_figures(before, findings):
            return carved._replace(same=True)
        if fallback is None and in_essence(after, findings) == in_essence(before, findings):
            fallback = wish
    return carve_wish(trace, fallback, path)._replace(same=True) if fallback else carved


def wishes(tables: Sessions, findings: Sequence[Finding]) -> Iterator[Wish]:
    """Sets of frames that may be enough, each larger than the one before."""
    least = proof(tables, findings)
    yield least
    yield with_connections(tables, least)
    for nfs in (False, True):
        for others in (False, True):
            yield with_hosts(tables, least, findings, others=others, nfs=nfs)


def in_essence(diagnosis: Diagnosis, findings: Sequence[Finding]) -> Any:
    """Rules, certainties and hosts, of the verdict and of the findings for which frames are carved."""
    rules = {finding.rule for finding in findings}
    found = {(each.rule, each.certainty, each.host) for each in diagnosis.findings if each.rule in rules}
    causes = {(cause.rule, cause.certainty, cause.host) for cause in diagnosis.verdict.causes}
    return diagnosis.verdict.rule, diagnosis.verdict.state, causes, found


def with_figures(diagnosis: Diagnosis, findings: Sequence[Finding]) -> Any:
    """Rules, certainties and hosts, with the durations, counts and clients in the verdict's summary."""
    return in_essence(diagnosis, findings), diagnosis.verdict.summary


def carve_wish(trace: Trace, wish: Wish, path: str) -> Carved:
    """Writes the frames of a wish, and analyses the result."""
    count = write(trace, wish, path)
    return Carved(count, read(path).diagnosis, False)


def write(trace: Trace, wish: Wish, path: str) -> int:
    """Writes the frames of a wish, in the order of the captures; returns their number."""
    decoded = trace.tables.decoded
    reasons = frames_of(trace.tables, wish)
    for place, whole in list(other_fragments(decoded, reasons)):
        reasons.setdefault(place, {})[f"fragment of the datagram that frame {whole[1]} completes"] = None
    if len(reasons) > MAX_FRAMES:
        raise TooManyFrames(f"{len(reasons)} frames matter, more than {MAX_FRAMES}: choose with --where or --frames")
    names = [PurePath(file).name for file in trace.files]
    with open(path, "wb") as file:
        # The frames may be fewer than the numbers: blocks of pcapng without a frame have numbers too.
        about = clean(f"carved from {', '.join(names)}")
        return pcapng.write(file, decoded.interfaces, commented(trace, reasons, names), about)


def commented(trace: Trace, reasons: Reasons, names: Sequence[str]) -> Iterator[tuple[Frame, str]]:
    for part in rereading(trace.tables.decoded, reasons):
        for frame in part.frames:
            why = "; ".join(reasons[frame.capture, frame.frame])
            yield frame, clean(f"frame {frame.frame} of {names[frame.capture]}: {why}")
