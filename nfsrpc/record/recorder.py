"""The recorder: beside the looks of a live capture, a ring on disk and a folder per incident.

It is called after each piece of the capture (`tick`) and with each look (`observe`). What is slow is elsewhere: folders
are written by another process (`writer.py`), hooks run in a thread (`hooks.py`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal, TypeAlias

from nfsrpc.record import folder, manifest, node
from nfsrpc.record.folder import Job
from nfsrpc.record.hooks import Call, Hooks
from nfsrpc.record.incidents import OPENED_PER_HOUR, IncidentEvent, Incidents
from nfsrpc.record.manifest import INCIDENTS, Manifest
from nfsrpc.record.node import KernelLine, KernelLog
from nfsrpc.record.ring import DiskRing
from nfsrpc.record.service import Service
from nfsrpc.record.writer import LIMIT_S, Writer
from nfsrpc.sources import SourceError
from nfsrpc.watch.schedule import Live, Look
from nfsrpc.wording import SECOND

Announced: TypeAlias = Literal["opened", "resolved"]

SIZE, AGE_S = 512 << 20, 24 * 3600.0
# Exchanges that are listed, a sixth of those of `live`: the recorder takes less than 150 MB on the busiest node. One
# with 40 exchanges about locks per second still looks back on a quarter of an hour.
MAX_ROWS = 40_000
KEEP_INCIDENTS, INCIDENT_SIZE = 100, 64 << 20
# What the decoder has ready is written after so long, or so many bytes of the capture.
WRITE_S, WRITE_BYTES = 0.25, 1 << 20
IDLE_S = 2.0  # without a packet, after which what waits for its flow's program is written
# Between two writings of an incident that is only extended, and of one of which something else has changed.
REWRITE_S, CHANGED_S = 60.0, 5.0
EXPIRE_S = 60.0
KERNEL_S = 1.0
AFTER = 300 * SECOND  # of control traffic after the last sign: a fault that is over by then shows how
ENDING_S = 30.0  # for the folders that are left when the recorder ends
MAX_DROPS = 10_000  # looks at which the count of drops had grown


@dataclass
class RecordOptions:
    """The options of `record` beside those of `live`."""

    directory: str
    size: int = SIZE
    age_s: float = AGE_S
    keep_incidents: int = KEEP_INCIDENTS
    incident_size: int = INCIDENT_SIZE
    on_node: bool = False  # the capture is taken on this node, whose facts are those of the incident


@dataclass
class PendingIncident:
    """An incident whose folder is to be written."""

    manifest: Manifest
    announced: list[Announced] = field(default_factory=list)
    is_urgent: bool = False


class Recorder:
    """The ring and the incidents of one live capture."""

    def __init__(
        self,
        live: Live,
        options: RecordOptions,
        writer: Writer,
        say: Callable[[str], None] = lambda _: None,
        announce: Callable[[Announced, Manifest, str], None] = lambda _what, _manifest, _folder: None,
        hooks: Hooks | None = None,
        kernel_log: KernelLog | None = None,
        service: Service | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Raises SourceError where the directory cannot be used."""
        self.live, self.options, self.writer = live, options, writer
        options.directory = os.path.abspath(options.directory)
        self.ring = DiskRing(options.directory, options.size, round(options.age_s * SECOND), say)
        self.incidents = Incidents(
            [each for each in manifest.manifests(options.directory) if isinstance(each, Manifest)], live.source.name
        )
        self._say, self._announce = say, announce
        self._hooks, self._kernel_log = hooks or Hooks(), kernel_log
        self._service = service or Service({})
        self._clock = clock
        self._pending: dict[str, PendingIncident] = {}
        self._writing: PendingIncident | None = None
        self._written_at: dict[str, float] = {}
        self._taken_at = self._fed_at = self._expired_at = self._listened_at = clock()
        self._taken_bytes = self._fed_bytes = 0
        self._drops: deque[tuple[int, int]] = deque(maxlen=MAX_DROPS)  # time, packets lost until then
        self._time: int | None = None
        self._ring_stopped: int | None = None  # the last look at which the ring had stopped
        self._refused = 0
        if kernel_log:
            kernel_log.new()  # what was logged before is context, and no sign
        live.tick = self.tick

    # While the capture goes on

    def tick(self) -> None:
        """Writes what is ready, and looks after what goes on beside."""
        now = self._clock()
        self._service.alive()
        self._take(now)
        if self._kernel_log and now - self._listened_at >= KERNEL_S:
            self._listened_at = now
            self._listen(self._kernel_log)
        if self._time is not None and now - self._expired_at >= EXPIRE_S:
            self._expired_at = now
            self.ring.expire(self._time)
        self._write_folders(now)

    def observe(self, look: Look) -> None:
        """Takes a look: its findings become incidents."""
        if look.time is None:
            return
        self._time = look.time
        if self.ring.is_stopped:
            self._ring_stopped = look.time
        self._note_drops(look)
        self._handle(self.incidents.update(look.diagnosis, look.time))
        if self.incidents.refused > self._refused:
            more, self._refused = self.incidents.refused - self._refused, self.incidents.refused
            self._say(
                f"{self.options.directory}: more than {OPENED_PER_HOUR} incidents within an hour; {more} not written"
            )
        if look.final:
            self._take(self._clock(), all=True)
        self._write_folders(self._clock())

    def close(self) -> None:
        """Writes what is left: at the end of the capture."""
        self._service.stopping()
        self._take(self._clock(), all=True)
        self.ring.close()
        end = self._clock() + ENDING_S
        while (self._pending or self._writing) and (left := end - self._clock()) > 0:
            self._write_folders(self._clock(), is_ending=True)
            if self._writing:
                self._finish(self.writer.result(min(left, LIMIT_S)))
        if self._pending or self._writing:
            self._say(f"{self.options.directory}: not all incidents could be written before the end")
        self._hooks.close()
        self.ring.release()
        self.writer.close()
        if self._kernel_log:
            self._kernel_log.close()

    def _take(self, now: float, all: bool = False) -> None:  # noqa: A002
        """Has the ring take what the decoder has ready, at times."""
        watch = self.live.watch
        if watch.bytes != self._fed_bytes:
            self._fed_bytes, self._fed_at = watch.bytes, now
        is_idle = now - self._fed_at >= IDLE_S
        if all or now - self._taken_at >= WRITE_S or watch.bytes - self._taken_bytes >= WRITE_BYTES:
            self._taken_at, self._taken_bytes = now, watch.bytes
            self.ring.take(watch.decoder, all or is_idle, self.live.source.drops)

    def _note_drops(self, look: Look) -> None:
        drops = self.live.source.drops
        if drops is None:
            drops = sum(row.get("drops") or 0 for row in look.trace.tables.decoded.interfaces)
        if look.time is not None and drops != (self._drops[-1][1] if self._drops else 0):
            self._drops.append((look.time, drops))

    def _dropped(self, since: int) -> int:
        """Packets lost in capturing since then."""
        before = [drops for time, drops in self._drops if time < since]
        return max((self._drops[-1][1] if self._drops else 0) - (before[-1] if before else 0), 0)

    def _listen(self, kernel_log: KernelLog) -> None:
        for line in kernel_log.new():
            if line.server:
                self._handle(self.incidents.kernel(line.text, self._host_of(line), line.time))

    @staticmethod
    def _host_of(line: KernelLine) -> str | None:
        """The address of the server that a line names."""
        if line.server is None:
            return None
        address = node.names_in().get(line.server, line.server)
        return address if manifest.address_of(address) != manifest.NOWHERE else None

    # Folders

    def _handle(self, events: list[IncidentEvent]) -> None:
        for event in events:
            pending = self._pending.setdefault(event.manifest.id, PendingIncident(event.manifest))
            if event.what in ("opened", "resolved"):
                pending.announced.append("opened" if event.what == "opened" else "resolved")
            pending.is_urgent |= event.what != "extended"

    def _write_folders(self, now: float, is_ending: bool = False) -> None:
        """Takes the result of the folder that is being written, and has the next one written."""
        if self._writing:
            self._finish(self.writer.result())
        while not self._writing:
            pending = next((each for each in self._pending.values() if is_ending or self._is_due(each, now)), None)
            if pending is None:
                return
            del self._pending[pending.manifest.id]
            self._written_at[pending.manifest.id] = now
            self._start(pending)

    def _is_due(self, pending: PendingIncident, now: float) -> bool:
        written_at = self._written_at.get(pending.manifest.id, float("-inf"))
        return now - written_at >= (CHANGED_S if pending.is_urgent else REWRITE_S)

    def _start(self, pending: PendingIncident) -> None:
        self._take(self._clock(), all=True)
        self._writing = pending
        try:
            self.writer.start(self._job(pending.manifest))
        except OSError as error:
            self._finish({"error": error.strerror or "cannot be started"})

    def _job(self, found: Manifest) -> Job:
        now = self._time if self._time is not None else found.last
        until = now if found.resolved is None else min(found.resolved, found.last + AFTER)
        since = max(found.first, found.opened - round(self.live.options.window_s * SECOND))
        found.dropped = self._dropped(since - folder.BEFORE)
        if self._ring_stopped is not None and self._ring_stopped >= since - folder.BEFORE:
            folder.note(found, "the ring had stopped: packets of this time are missing")
        kernel_log = self._kernel_lines(found)
        return Job(
            self.options.directory,
            manifest.document(found),
            since,
            max(until, found.last),
            self.options.incident_size,
            list(self.live.options.rules),
            kernel_log,
            self.options.on_node,
        )

    def _kernel_lines(self, found: Manifest) -> str:
        """The kernel's log of the node; where there is none, the manifest says why."""
        if self._kernel_log is None or not self.options.on_node:
            return ""
        text = self._kernel_log.text()
        if not text:
            found.node["kernel.log"] = self._kernel_log.missing or "no line about NFS"
        return text

    def _finish(self, result: dict[str, Any] | None) -> None:
        """Takes the result of the folder that is being written; None where there is none yet."""
        pending = self._writing
        if result is None or pending is None:
            return
        self._writing, found = None, pending.manifest
        if "error" in result:
            self._say(f"{found.id}: {result['error']}")
            folder.note(found, f"reports could not be written: {result['error']}")
            try:
                folder.write_manifest(self.options.directory, found)
            except OSError as error:
                self._say(f"{found.id}: cannot be written: {error.strerror}")
                return
        else:
            written = manifest.of(result)
            found.capture, found.node, found.verdict = written.capture, written.node, written.verdict
            found.notes = written.notes
        path = os.path.join(self.options.directory, INCIDENTS, found.id)
        for what in dict.fromkeys(pending.announced):
            self._announce(what, found, path)
            self._hooks.call(Call(what, path, manifest.document(found)))
        self._delete_old()

    def _delete_old(self) -> None:
        """Deletes the oldest incidents beyond those to keep: open ones only where all are."""
        names = manifest.names(self.options.directory)
        is_open = {known.manifest.id for known in self.incidents.known if known.manifest.state == "open"}
        more = len(names) - self.options.keep_incidents
        if more > 0:
            oldest_first = sorted(names, key=lambda name: (name in is_open, name))
            manifest.delete(self.options.directory, oldest_first[:more])


def usable(directory: str, owner: tuple[int, int] | None) -> None:
    """Makes the directory if there is none, for `owner` (user, group) if it is another one. Raises SourceError."""
    try:
        if not os.path.isdir(directory):
            os.makedirs(directory, 0o700)
            if owner:
                os.chown(directory, *owner)
    except OSError as error:
        raise SourceError(directory, f"cannot be made: {error.strerror}") from error
