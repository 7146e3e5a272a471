"""The least that says the same: sets of frames, from the messages that prove a finding to all between the hosts.

Whether a set is enough is not reasoned out but tried: the frames are written, and what was written is analysed. A rule
may stand on how long a connection was silent, or on what others did meanwhile; then only a wider set says the same.
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

# What is carved is to be looked at, and to be sent to somebody.
MAX_FRAMES = 200_000


class TooManyFrames(ValueError):
    pass


class Carved(NamedTuple):
    """What was written, and what its analysis says."""

    frames: int
    diagnosis: Diagnosis
    same: bool  # as far as it was carved for


def carve(trace: Trace, findings: Sequence[Finding], path: str) -> Carved:
    """Writes the frames on which findings stand, as many as it takes for them to be found again.

    Raises TooManyFrames, OSError, SourceError, and ValueError for captures that cannot be read again.
    """
    before = trace.diagnosis
    fallback: Wish | None = None
    for wish in wishes(trace.tables, findings):
        carved = written(trace, wish, path)
        after = carved.diagnosis
        if literally(after, findings) == literally(before, findings):
            return carved._replace(same=True)
        if fallback is None and in_essence(after, findings) == in_essence(before, findings):
            fallback = wish
    return written(trace, fallback, path)._replace(same=True) if fallback else carved


def wishes(tables: Sessions, findings: Sequence[Finding]) -> Iterator[Wish]:
    """Ever wider ones."""
    least = proof(tables, findings)
    yield least
    yield with_connections(tables, least)
    for nfs in (False, True):
        for others in (False, True):
            yield with_hosts(tables, least, findings, others=others, nfs=nfs)


def in_essence(diagnosis: Diagnosis, findings: Sequence[Finding]) -> Any:
    """What is wrong where, of the verdict and of the findings that were carved for."""
    rules = {finding.rule for finding in findings}
    found = {(each.rule, each.certainty, each.host) for each in diagnosis.findings if each.rule in rules}
    causes = {(cause.rule, cause.certainty, cause.host) for cause in diagnosis.verdict.causes}
    return diagnosis.verdict.rule, diagnosis.verdict.state, causes, found


def literally(diagnosis: Diagnosis, findings: Sequence[Finding]) -> Any:
    """The same with how long, how often, and for whom."""
    return in_essence(diagnosis, findings), diagnosis.verdict.summary


def written(trace: Trace, wish: Wish, path: str) -> Carved:
    count = write(trace, wish, path)
    return Carved(count, read(path).diagnosis, False)


def write(trace: Trace, wish: Wish, path: str) -> int:
    """The frames that are wished, in the order of the captures, and how many they are."""
    decoded = trace.tables.decoded
    reasons = frames_of(trace.tables, wish)
    for place, whole in list(other_fragments(decoded, reasons)):
        reasons.setdefault(place, {})[f"fragment of the datagram that frame {whole[1]} completes"] = None
    if len(reasons) > MAX_FRAMES:
        raise TooManyFrames(f"{len(reasons)} frames matter, more than {MAX_FRAMES}: choose with --where or --frames")
    names = [PurePath(file).name for file in trace.files]
    with open(path, "wb") as file:
        # Not all numbers are of frames: blocks of pcapng that hold none may have one.
        about = clean(f"carved from {', '.join(names)}")
        return pcapng.write(file, decoded.interfaces, commented(trace, reasons, names), about)


def commented(trace: Trace, reasons: Reasons, names: Sequence[str]) -> Iterator[tuple[Frame, str]]:
    for part in rereading(trace.tables.decoded, reasons):
        for frame in part.frames:
            why = "; ".join(reasons[frame.capture, frame.frame])
            yield frame, clean(f"frame {frame.frame} of {names[frame.capture]}: {why}")
