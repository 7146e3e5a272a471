"""The folder of an incident: the proof out of the ring, the reports on it, and the node's own facts.

    capture.pcapng   control traffic from two minutes before on, the frames of the proof with comments
    report.txt, report.html, report.json   what `analyze` finds in that capture
    kernel.log, locks.txt, mounts.txt, rpcinfo.txt   of the node, where they can be read
    manifest.json

The reports are those of the capture in the folder, so that every frame that they name can be looked up there. A new
folder is written under another name and then renamed; in one that is there already, file by file. All files are 0600.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from nfsrpc._core import Decoder, NotACapture
from nfsrpc.carving.choice import Reasons, frames_of, proof
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Diagnosis, Finding, Settings
from nfsrpc.printable import clean
from nfsrpc.record import manifest as manifests
from nfsrpc.record import node, segment
from nfsrpc.record.manifest import INCIDENTS, KERNEL_LOG, Manifest
from nfsrpc.record.ring import SegmentFile, room, segments, terms
from nfsrpc.report import html, json, text
from nfsrpc.report.contents import report_of
from nfsrpc.sources import SourceError
from nfsrpc.trace import Trace, read
from nfsrpc.wording import SECOND, date_time, timestamp

CAPTURE = "capture.pcapng"
BEFORE = 120 * SECOND  # of control traffic before the first sign
# Of the size that a capture may have, the part for what came before the incident was opened: the proof.
PROOF_SHARE = 0.75
RESERVE_PART = 0.5  # of the reserve that the ring leaves is for incidents
REPORT_WIDTH = 100
MODE, DIRECTORY_MODE = 0o600, 0o700


class Job(NamedTuple):
    """What is to be written."""

    directory: str  # of the recorder
    manifest: dict[str, Any]
    since: int  # the first sign
    until: int
    size: int  # of the capture, in bytes
    settings: list[Any]  # of the diagnosis
    kernel_log: str  # "" where it is not this node's, or cannot be read
    on_node: bool  # the capture is taken on this node


class Extract(NamedTuple):
    """A range of the ring."""

    interfaces: list[bytes]
    packets: list[bytes]
    first: int | None
    last: int | None
    is_cut: bool  # the size does not hold all of the range
    is_late: bool  # the ring begins after the first sign


def write(job: Job) -> dict[str, Any]:
    """Writes the folder, or what is new in it; returns its manifest. Raises OSError.

    The folder becomes the working directory, so that reports name the capture as it is named there.
    """
    manifest = manifests.of(job.manifest)
    folder = os.path.join(job.directory, INCIDENTS, manifest.id)
    target = folder if os.path.isdir(folder) else new_folder(folder)
    if job.on_node:
        put(target, node.facts(), manifest)
    if job.kernel_log:
        put(target, {"kernel.log": job.kernel_log}, manifest)
    try:
        capture(job, target, manifest)
    except (SourceError, ValueError) as error:
        note(manifest, f"no capture could be written: {error}")
    replace(target, manifests.FILE, manifests.written(manifest).encode())
    if target != folder:
        sync(target)
        os.rename(target, folder)
    sync(os.path.dirname(folder))
    return manifests.document(manifest)


def new_folder(folder: str) -> str:
    """Makes the folder that will be renamed. What an earlier, interrupted one left is deleted."""
    directory, name = os.path.split(folder)
    part = os.path.join(directory, f".{name}.part")
    os.makedirs(directory, DIRECTORY_MODE, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    os.mkdir(part, DIRECTORY_MODE)
    return part


def write_manifest(directory: str, manifest: Manifest) -> None:
    """Writes the manifest alone, where the rest cannot be written. Raises OSError."""
    folder = os.path.join(directory, INCIDENTS, manifest.id)
    os.makedirs(folder, DIRECTORY_MODE, exist_ok=True)
    replace(folder, manifests.FILE, manifests.written(manifest).encode())


def put(target: str, facts: Mapping[str, str | node.UnreadableFact], manifest: Manifest) -> None:
    for name, content in facts.items():
        if isinstance(content, node.UnreadableFact):
            manifest.node[name] = content.why
        else:
            replace(target, name, content.encode("utf-8", "backslashreplace"))
            manifest.node[name] = "written"


def capture(job: Job, target: str, manifest: Manifest) -> None:
    """The capture and the reports on it."""
    # While it is replaced, it lies there twice.
    size = min(job.size, max(room(job.directory, RESERVE_PART) // 2, 0))
    span = job.since - BEFORE, job.until, manifest.opened, size
    found = extract(segments(job.directory), *span)
    if found.is_cut:
        found = extract(segments(job.directory), *span, thinned=without_nfs)
        note(manifest, "for its size, the capture is without NFS itself")
    if size < job.size and found.is_cut:
        note(manifest, "the file system has no room for all of the capture")
    if not found.packets:
        note(manifest, "the ring holds no frame of this time")
        return
    os.chdir(target)
    about = f"incident {manifest.id}, recorded from {manifest.source}"
    replace(target, CAPTURE, whole(about, found, manifest.dropped))
    trace, diagnosis = analysed(job.settings)
    chosen = of_incident(diagnosis, manifest)
    reasons = frames_of(trace.tables, proof(trace.tables, chosen)) if chosen else {}
    if reasons:
        replace(target, CAPTURE, whole(about, found, manifest.dropped, comments(reasons)))
        trace, diagnosis = analysed(job.settings)
    manifest.verdict = diagnosis.verdict.summary
    shows = bool(of_incident(diagnosis, manifest))
    manifest.capture = {
        "file": CAPTURE,
        "frames": len(found.packets),
        "bytes": os.path.getsize(CAPTURE),
        "first": timestamp(found.first),
        "last": timestamp(found.last),
        "complete": not (found.is_cut or found.is_late),
        "shows_it": shows,
    }
    if found.is_cut or found.is_late:
        note(manifest, "the capture does not reach as far as the incident: a larger --incident-size or --size helps")
    logs = ["kernel.log"] if job.kernel_log else []
    reports(target, manifest, trace, diagnosis, logs, shows)


def reports(
    target: str, manifest: Manifest, trace: Trace, diagnosis: Diagnosis, logs: Sequence[str], shows: bool
) -> None:
    try:
        report = report_of(trace.tables, diagnosis, logs)
    except SourceError:
        report = report_of(trace.tables, diagnosis)
    head = "".join(f"{clean(line)}\n" for line in heading(manifest, shows))
    contents = {
        "report.txt": f"{head}\n{text.render(report, REPORT_WIDTH)}",
        "report.html": html.render(report),
        "report.json": json.render(report),
    }
    for name, content in contents.items():
        replace(target, name, content.encode("utf-8", "backslashreplace"))


def heading(manifest: Manifest, shows: bool) -> Iterator[str]:
    """The lines above the report: the incident, and what has to be known of its capture."""
    yield f"Incident {manifest.id}, {manifest.state}: {manifest.title}"
    yield f"From {date_time(manifest.first)} to {date_time(manifest.last)}, recorded from {manifest.source}"
    for cause in manifest.explained_by:
        yield f"Explained by {cause.get('finding')}: {cause.get('title')}"
    if manifest.dropped:
        yield f"{manifest.dropped} packets were dropped in capturing meanwhile: what is missing here may have been sent"
    if not shows and manifest.rule != KERNEL_LOG:
        yield f"The capture in this folder alone does not show it: the recorder had seen more than {CAPTURE} holds"
    yield from manifest.notes


def analysed(settings: Sequence[Any]) -> tuple[Trace, Diagnosis]:
    trace = read(CAPTURE, count=True, jobs=1)  # the other processors are the node's
    return trace, diagnose(trace.tables, *Settings(*settings), skipped=trace.skipped)


def of_incident(diagnosis: Diagnosis, manifest: Manifest) -> list[Finding]:
    """The findings of an incident in the diagnosis of its capture."""
    known = {*manifest.findings, f"{manifest.rule}@{manifest.host}"}
    return [found for found in diagnosis.findings if found.id in known]


def comments(reasons: Reasons) -> dict[int, str]:
    return {frame: clean("; ".join(notes)) for (_, frame), notes in reasons.items()}


def whole(about: str, found: Extract, dropped: int | None, notes: Mapping[int, str] = {}) -> bytes:
    """The bytes of a capture, with comments on some frames."""
    parts = [segment.section(clean(about)), *found.interfaces]
    for number, packet in enumerate(found.packets, 1):
        parts.append(segment.with_comment(packet, notes[number]) if number in notes else packet)
    if dropped:
        parts.append(segment.statistics(found.last or 0, dropped))
    return b"".join(parts)


def extract(
    files: Sequence[SegmentFile],
    since: int,
    until: int,
    opened: int,
    size: int,
    thinned: Callable[[bytes], bytes] = lambda data: data,
) -> Extract:
    """The packets of a range of time. Where they are too many, those right before the opening are kept, then the next.

    Segments that are deleted meanwhile are left out.
    """
    # The time of its last change is later than its frames, unless these are of another clock.
    ends = [max(file.last, following.first + SECOND) for file, following in pairwise(files)] + [until]
    interfaces: list[bytes] = []
    before: deque[tuple[int, bytes]] = deque()
    after: list[tuple[int, bytes]] = []
    length = {"before": 0, "after": 0}
    is_cut = False
    for file, end in zip(files, ends, strict=False):
        if end < since or file.first > until:
            continue
        for packet in packets_of(thinned(content(file)), since, until, interfaces):
            if packet.time <= opened:
                before.append((packet.time, packet.data))
                length["before"] += len(packet.data)
                while length["before"] > size * PROOF_SHARE:
                    length["before"] -= len(before.popleft()[1])
                    is_cut = True
            elif sum(length.values()) + len(packet.data) <= size:
                after.append((packet.time, packet.data))
                length["after"] += len(packet.data)
            else:
                is_cut = True
    rows = [*before, *after]
    times = [time for time, _ in rows]
    is_late = bool(files) and files[0].first > since + BEFORE
    first, last = min(times, default=None), max(times, default=None)
    return Extract(interfaces, [data for _, data in rows], first, last, is_cut, is_late)


def content(file: SegmentFile) -> bytes:
    """The bytes of a segment; none if it was deleted meanwhile."""
    try:
        with open(file.path, "rb") as opened:
            return opened.read()
    except OSError:
        return b""


def without_nfs(data: bytes) -> bytes:
    """A segment without the frames of NFS, as a ring has it that keeps none of them."""
    decoder = Decoder(ring=terms(nfs=False))
    try:
        decoder.feed(data)
        decoder.close()
    except NotACapture:
        return b""
    packets, *_ = decoder.take_kept(True)
    interfaces = (segment.interface_block(segment.Interface(*row)) for row in decoder.kept_interfaces(0))
    return b"".join([segment.section(), *interfaces, packets])


def packets_of(data: bytes, since: int, until: int, interfaces: list[bytes]) -> Iterator[segment.PacketBlock]:
    """The packets of a segment, with the numbers of their interfaces in `interfaces`, which grows."""
    numbers: list[int] = []
    for found in segment.packets(data, since, until):
        if isinstance(found, bytes):
            if found not in interfaces:
                interfaces.append(found)
            numbers.append(interfaces.index(found))
        elif found.interface < len(numbers):
            number = numbers[found.interface]
            yield found._replace(data=segment.with_interface(found.data, number), interface=number)


def note(manifest: Manifest, words: str) -> None:
    if words not in manifest.notes:
        manifest.notes.append(words)


def replace(directory: str, name: str, content: bytes) -> None:
    """Writes a file as a whole: under another name, which is then renamed. Raises OSError."""
    part = os.path.join(directory, f".{name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, MODE)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.rename(part, os.path.join(directory, name))


def sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
