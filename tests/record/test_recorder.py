"""The recorder beside a live capture: what is written, when, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nfsrpc.findings.finding import Finding
from nfsrpc.record import manifest as manifests
from nfsrpc.record.folder import Job
from nfsrpc.record.manifest import INCIDENTS, Manifest
from nfsrpc.record.node import KernelLine
from nfsrpc.record.recorder import AFTER, REWRITE_S, Recorder, RecordOptions
from nfsrpc.record.ring import terms
from nfsrpc.sources.live_queue import NextFile
from nfsrpc.watch.schedule import Live, Look
from nfsrpc.watch.schedule import Options as LiveOptions
from nfsrpc.wording import SECOND
from tests.record.pieces import SERVER, START, diagnosis, finding


class Source:
    """A capture that another test has made."""

    name, prompt = "tcpdump on any", True

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.drops: int | None = None

    def prepare(self) -> None:
        pass

    def pieces(self) -> Iterator[bytes | NextFile]:
        yield self.data

    def stop(self) -> None:
        pass


class Writer:
    """Notes jobs, and returns their manifests, or an error."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.error = ""
        self.is_slow = False

    def start(self, job: Job) -> None:
        self.jobs.append(job)

    def result(self, timeout: float = 0.0) -> dict[str, Any] | None:
        if self.is_slow and not timeout:
            return None
        return {"error": self.error} if self.error else self.jobs[-1].manifest

    def close(self) -> None:
        pass

    @property
    def manifests(self) -> list[Manifest]:
        return [manifests.of(job.manifest) for job in self.jobs]


class KernelLog:
    """Lines of a kernel that come when they are put here."""

    def __init__(self) -> None:
        self.lines: list[KernelLine] = []
        self.content, self.missing = "[    1.000000] lockd: x\n", ""

    def new(self) -> list[KernelLine]:
        found, self.lines = self.lines, []
        return found

    def text(self) -> str:
        return self.content

    def close(self) -> None:
        pass


@cache
def last_look(data: bytes) -> Look:
    *_, last = Live(Source(data), LiveOptions(0.01)).looks()
    return last


class Stage:
    """A recorder of a sample, its clock, and all that it said."""

    def __init__(self, samples: Path, directory: Path, **options: Any) -> None:
        data = (samples / "server-without-statd" / "nfssrv-any.pcap").read_bytes()
        self.source = Source(data)
        self.live = Live(self.source, LiveOptions(0.01, kept=terms(True)))
        self.writer, self.kernel_log = Writer(), KernelLog()
        self.kernel_log.lines = [KernelLine(START, 0, "lockd: server 10.1.84.99 not responding, still trying")]
        self.said: list[str] = []
        self.announced: list[tuple[str, str]] = []
        self.now = 0.0
        self.directory = directory
        self.recorder = Recorder(
            self.live,
            RecordOptions(str(directory), **options),
            self.writer,  # type: ignore[arg-type]
            self.said.append,
            lambda what, manifest, _: self.announced.append((what, manifest.id)),
            kernel_log=self.kernel_log,  # type: ignore[arg-type]
            clock=lambda: self.now,
        )
        self.last = last_look(data)

    def look(self, *findings: Finding, at: float = 0.0) -> None:
        """A look with these findings, so many seconds after START."""
        time = START + round(at * SECOND)
        look = replace(self.last, diagnosis=diagnosis(*findings), time=time, final=False)
        self.now = max(self.now, at)
        self.recorder.observe(look)
        self.recorder.tick()


@pytest.fixture
def stage(samples: Path, tmp_path: Path) -> Stage:
    return Stage(samples, tmp_path)


def test_an_incident_is_written_and_announced_when_it_is(stage: Stage) -> None:
    stage.writer.is_slow = True
    stage.look(finding())
    assert (len(stage.writer.jobs), stage.announced) == (1, [])
    stage.writer.is_slow = False
    stage.recorder.tick()
    assert stage.announced == [("opened", "20261122T053139Z-REG001-10.1.84.31")]


def test_what_it_covers(stage: Stage) -> None:
    stage.look(finding(), at=5)
    [job] = stage.writer.jobs
    assert (job.since, job.until, job.size) == (START, START + 5 * SECOND, 64 << 20)
    stage.look(at=65)
    assert stage.writer.jobs[-1].until == START + 65 * SECOND  # resolved
    assert stage.announced[-1] == ("resolved", stage.writer.manifests[0].id)


def test_a_fault_that_ends_by_leaving_the_window_ends_five_minutes_after_it_was_seen(stage: Stage) -> None:
    stage.look(finding())
    stage.look(finding(), at=850)
    stage.look(at=910)
    assert stage.writer.jobs[-1].until == START + AFTER


def test_a_fault_from_before_the_window(stage: Stage) -> None:
    stage.look(finding(first=START - 7200 * SECOND))
    assert stage.writer.jobs[0].since == START - 900 * SECOND


def test_one_that_is_only_extended_is_written_once_a_minute(stage: Stage) -> None:
    stage.look(finding())
    for second in range(1, 200):
        stage.look(finding(last=START + second * SECOND, count=second), at=second)
    assert len(stage.writer.jobs) == 1 + 199 // REWRITE_S
    assert [manifest.count for manifest in stage.writer.manifests] == [1, 60, 120, 180]


@pytest.mark.parametrize(("later", "written"), [(4.9, ["likely"]), (5.0, ["likely", "certain"])])
def test_what_becomes_certain_is_written_within_seconds(stage: Stage, later: float, written: list[str]) -> None:
    stage.look(finding(certainty="likely"))
    stage.look(finding(), at=1)
    stage.now = later
    stage.recorder.tick()
    assert [manifest.certainty for manifest in stage.writer.manifests] == written


def test_packets_dropped_in_its_time_are_counted(stage: Stage) -> None:
    stage.source.drops = 7
    stage.look(at=-500)
    stage.look(at=-100)
    stage.source.drops = 10
    stage.look(at=-60)
    stage.source.drops = 12
    stage.look(finding(), at=1)
    assert stage.writer.manifests[0].dropped == 5


@pytest.mark.parametrize(("stopped_s", "notes"), [(-121, 0), (-120, 1), (5, 1)])
def test_a_ring_that_had_stopped_is_noted(stage: Stage, stopped_s: int, notes: int) -> None:
    stage.recorder.ring.is_stopped = True
    stage.look(at=stopped_s)
    stage.recorder.ring.is_stopped = False
    stage.look(finding(), at=6)
    told = stage.writer.manifests[0].notes
    assert told == ["the ring had stopped: packets of this time are missing"][:notes]


def test_where_the_reports_cannot_be_written_the_manifest_is(stage: Stage) -> None:
    stage.writer.error = "ended with code -11"
    stage.look(finding())
    [name] = manifests.names(str(stage.directory))
    text = (stage.directory / INCIDENTS / name / "manifest.json").read_text()
    assert json.loads(text)["notes"] == ["reports could not be written: ended with code -11"]
    assert stage.said == [f"{name}: ended with code -11"]
    assert stage.announced == [("opened", name)]


def test_lines_of_the_kernel_are_a_sign(stage: Stage) -> None:
    stage.look()
    line = "lockd: server 10.1.84.31 not responding, still trying"
    stage.kernel_log.lines = [KernelLine(START + SECOND, 0, "lockd: server 10.1.84.31 OK"), KernelLine(START, 0, line)]
    stage.now = 2.0
    stage.recorder.tick()
    stage.recorder.tick()
    [manifest] = stage.writer.manifests
    assert (manifest.id, manifest.title) == ("20261122T053139Z-KERNEL-10.1.84.31", line)
    stage.look(finding(), at=8)
    assert stage.writer.manifests[-1].explained_by[0]["finding"] == f"REG001@{SERVER}"
    assert {each.id for each in stage.writer.manifests} == {manifest.id}


@pytest.mark.parametrize("on_node", [False, True])
def test_the_kernels_log_is_that_of_the_node_only(samples: Path, tmp_path: Path, on_node: bool) -> None:
    stage = Stage(samples, tmp_path, on_node=on_node)
    stage.look(finding())
    assert bool(stage.writer.jobs[0].kernel_log) is on_node
    assert stage.writer.jobs[0].on_node is on_node


@pytest.mark.parametrize(("missing", "said"), [("", "no line about NFS"), ("Permission denied", "Permission denied")])
def test_why_there_is_no_kernel_log(samples: Path, tmp_path: Path, missing: str, said: str) -> None:
    stage = Stage(samples, tmp_path, on_node=True)
    stage.kernel_log.content, stage.kernel_log.missing = "", missing
    stage.look(finding())
    assert stage.writer.manifests[0].node == {"kernel.log": said}


def test_more_than_a_dozen_an_hour_are_counted(stage: Stage) -> None:
    stage.look(*(finding(host=f"10.0.0.{number}") for number in range(20)))
    stage.recorder.close()
    assert len({manifest.id for manifest in stage.writer.manifests}) == 12
    assert stage.said == [f"{stage.directory}: more than 12 incidents within an hour; 8 not written"]


def test_what_is_left_is_written_at_the_end(stage: Stage) -> None:
    stage.look(finding())
    stage.look(finding(last=START + SECOND, count=2), at=1)
    assert len(stage.writer.jobs) == 1
    stage.recorder.close()
    assert [manifest.count for manifest in stage.writer.manifests] == [1, 2]


def test_an_incident_of_an_earlier_run_goes_on(samples: Path, tmp_path: Path) -> None:
    first = Stage(samples, tmp_path)
    first.writer.error = "so that its manifest is written here"
    first.look(finding())
    first.recorder.close()
    again = Stage(samples, tmp_path)
    again.look(finding(count=5), at=60)
    assert [manifest.id for manifest in again.writer.manifests] == manifests.names(str(tmp_path))
    assert again.announced == []
