"""A capture that may be shown to others: the same frames with pseudonyms, proved before it is written.

The headers of each frame are written anew (headers.py), then all payloads together (payloads.py). What cannot be
rewritten safely is left out. The proof: the analysis of the result says the same of the hosts' pseudonyms as the
analysis of the same frames as they were captured, and nothing that was replaced is found in the result (leaks.py).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from nfsrpc.carving import leaks, pcapng
from nfsrpc.carving.headers import FrameWriter, Unread, write
from nfsrpc.carving.payloads import Payloads
from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.findings.finding import Diagnosis, split_host
from nfsrpc.printable import clean
from nfsrpc.raw import Frame, rereading
from nfsrpc.trace import Trace, read

ABOUT = "anonymized by nfsrpc carve"
KEPT_INTERFACES = ("any", "lo")
MAX_BYTES = 1 << 27  # of frames, which are all held at once, several times


class NotAnonymous(ValueError):
    """What speaks against the result: nothing is written. The message says what, and where."""


class Anonymized(NamedTuple):
    """A capture with pseudonyms."""

    data: bytes
    frames: int
    left_out: Counter[str]  # frames, by reason
    blank: Counter[str]  # messages whose contents are not declared and were zeroed, by program
    same: bool  # what was left out changes nothing about the verdict
    diagnosis: Diagnosis
    names: Pseudonyms


def anonymize(trace: Trace, key: bytes) -> Anonymized:
    """A capture with the pseudonyms of a key. Raises NotAnonymous, SourceError."""
    names = Pseudonyms(key)
    frames = frames_of(trace)
    written, left_out, blank = rewrite(frames, names)
    kept = [frames[number] for number in written]
    data = capture_of(
        trace, [frame._replace(bytes=new) for frame, new in zip(kept, written.values(), strict=True)], names
    )
    after = read(data)
    columns = after.tables.decoded
    decoded = leaks.DecodedParts([address for address, _ in columns.addresses], columns.strings)
    if (leak := leaks.find(list(written.values()), decoded, names)) is not None:
        raise NotAnonymous(f"not written: {leak}")
    plain, result = read(capture_of(trace, kept, names)).diagnosis, after.diagnosis
    if difference := differing(outline(plain, names), outline(result)):
        raise NotAnonymous(f"not written: the analysis of the result differs: {difference}")
    same = not left_out or verdict_of(outline(plain)) == verdict_of(outline(trace.diagnosis))
    return Anonymized(data, len(kept), left_out, blank, same, result, names)


def outline(diagnosis: Diagnosis, names: Pseudonyms | None = None) -> Counter[tuple[Any, ...]]:
    """What a diagnosis says, without its wording; of hosts it has their pseudonyms, if there are any."""

    def host(name: str | None) -> str | None:
        address, _ = split_host(name)
        return address and (names.text(address.encode()).decode() if names else address)

    verdict = diagnosis.verdict
    said = Counter[tuple[Any, ...]]([("verdict", verdict.state, verdict.rule)])
    said.update(("cause", cause.rule, cause.certainty, host(cause.host)) for cause in verdict.causes)
    said.update(("not judged", answer.rule) for answer in diagnosis.cannot_tell)
    said.update(("passes", answer.rule) for answer in diagnosis.clear)
    for each in diagnosis.findings:
        clients = tuple(sorted(str(host(client)) for client in each.clients))
        frames = tuple(sorted({proof.frame for proof in each.evidence}))
        figures = each.severity, each.certainty, each.count, each.first, each.last, frames
        said["finding", each.rule, host(each.host), clients, *figures] += 1
    return said


def verdict_of(outline: Counter[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {line for line in outline if line[0] in ("verdict", "cause")}


def differing(before: Counter[tuple[Any, ...]], after: Counter[tuple[Any, ...]]) -> str | None:
    """The first thing that one of two outlines says and the other one does not."""
    for said, other, only in ((before, after, "only before"), (after, before, "only after")):
        for line in said - other:
            return f"{only}: {clean(' '.join(map(str, line)))}"
    return None


def frames_of(trace: Trace) -> list[Frame]:
    places = [(row.capture, number) for row in trace.tables["captures"].rows() for number in range(1, row.frames + 1)]
    frames: list[Frame] = []
    size = 0
    for part in rereading(trace.tables.decoded, places):
        frames += part.frames
        size += sum(len(frame.bytes) for frame in part.frames)
        if size > MAX_BYTES:
            raise NotAnonymous(
                f"more than {MAX_BYTES >> 20} MiB to anonymize: choose fewer frames with --where or --frames"
            )
    return frames


def rewrite(frames: Sequence[Frame], names: Pseudonyms) -> tuple[dict[int, bytes], Counter[str], Counter[str]]:
    """The frames written anew by their place, those left out by reason, and messages without contents by program."""
    left_out: dict[int, str] = {}
    writers: list[FrameWriter | None] = []
    for number, frame in enumerate(frames):
        try:
            writers.append(write(frame, names))
        except Unread as reason:
            left_out[number] = str(reason)
            writers.append(None)
    payloads = Payloads(writers, [frame.time for frame in frames], names)
    payloads.rewrite()
    left_out |= payloads.left_out
    written = {n: bytes(each.out) for n, each in enumerate(writers) if each is not None and n not in left_out}
    return written, Counter(left_out.values()), payloads.blank


def capture_of(trace: Trace, frames: Sequence[Frame], names: Pseudonyms) -> bytes:
    file = io.BytesIO()
    interfaces = [row | {"name": interface_name(row["name"], names)} for row in trace.tables.decoded.interfaces]
    pcapng.write(file, interfaces, ((frame, "") for frame in frames), ABOUT)
    return file.getvalue()


def interface_name(name: str, names: Pseudonyms) -> str:
    original = name.encode("utf-8", "surrogateescape")
    return name if name in KEPT_INTERFACES else names.text(original).decode("utf-8", "replace")
