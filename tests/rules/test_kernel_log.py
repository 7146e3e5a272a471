"""Kernel logs: the lines to expect, and real ones beside a diagnosis, by value."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nfsrpc.diagnosis.catalogue import accounting_for, find
from nfsrpc.diagnosis.kernel_log_match import ExplainedLine, Reading, beside, explained_by
from nfsrpc.findings.finding import Diagnosis, LogLine
from nfsrpc.report.contents import names_of
from nfsrpc.sources.dmesg import Line, log_of, read_log
from nfsrpc.trace import Trace, read
from tests.captures_dir import SETS
from tests.rules.stage import LOCKD, SERVER, Stage, diagnosed

SECOND = 10**9
KERNEL = SETS["kernel"].found


def texts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(line.host, line.text) for line in diagnosis.log]


@pytest.fixture(scope="module")
def statd(samples: Path) -> Trace:
    return read(samples / "server-without-statd" / "nfssrv-any.pcap")


def beside_statd(statd: Trace, text: str) -> Reading:
    facts = statd.captures[0]
    log = log_of("log.txt", text, facts["first"])
    return beside(log, statd.diagnosis, names_of(statd.tables), facts["first"], facts["last"])


def test_a_lock_that_waits_a_minute(statd: Trace) -> None:
    silent, well = statd.diagnosis.log
    assert (silent.host, silent.text) == ("10.1.84.41", "lockd: server 10.1.84.31 not responding, still trying")
    assert (well.host, well.text) == ("10.1.84.41", "lockd: server 10.1.84.31 OK")
    # As the kernel's own log has it, of the same minutes: 05:32:40.071 and 05:32:41.204.
    assert silent.time == pytest.approx(1_795_325_560_071_000_000, abs=0.2 * SECOND)
    assert well.time == pytest.approx(1_795_325_561_204_000_000, abs=0.2 * SECOND)


def test_a_port_that_drops() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    stage.client.syn(stage.server, LOCKD, resend=[1, 3, 7, 15, 31, 63])
    stage.nfs()
    assert texts(diagnosed(stage.wire())) == [
        ("10.0.0.1", f"lockd: server {SERVER} not responding, still trying"),
    ]


def test_a_port_that_refuses() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "nlm4")
    for _ in range(70):
        stage.client.syn(stage.server, LOCKD, refused=True)
        stage.wait(1)
    stage.nfs()
    assert texts(diagnosed(stage.wire())) == [
        ("10.0.0.1", f"lockd: server {SERVER} not responding, still trying"),
    ]


def test_locks_that_are_denied_for_want_of_statd(samples: Path) -> None:
    diagnosis = read(samples / "statd-killed" / "nfssrv-any.pcap").diagnosis
    assert texts(diagnosis) == [("10.1.84.31", "lockd: cannot monitor 10.1.84.41")] * 2


def test_a_client_that_cannot_monitor_its_server(samples: Path) -> None:
    diagnosis = read(samples / "client-without-statd" / "cl1-any.pcap").diagnosis
    assert texts(diagnosis) == [("10.1.84.41", "lockd: cannot monitor 10.1.84.31")]


def test_a_statd_that_hangs() -> None:
    def told(capture: str) -> list[tuple[str, str]]:
        stage = Stage()
        stage.nfs(stage.other)
        lock = stage.client.lock(stage.server)
        stage.server.monitor(stage.client)
        lock.denied("DENIED_NOLOCKS", after=60.2)
        stage.later(20)
        return texts(diagnosed(stage.any(stage.server) if capture == "any" else stage.wire(stage.client)))

    line = (SERVER, "statd: server rpc.statd not responding, timed out")
    assert told("any").count(line) == told("wire").count(line) == 1
    assert (SERVER, "lockd: cannot monitor 10.0.0.1") in told("any")


def test_a_clients_statd_that_hangs() -> None:
    stage = Stage()
    stage.client.getport(stage.server, "mount3")
    stage.client.monitor(stage.server)
    stage.nfs()
    stage.later(70)
    assert texts(diagnosed(stage.any(stage.client))) == [
        ("10.0.0.1", "statd: server rpc.statd not responding, timed out"),
        ("10.0.0.1", f"lockd: cannot monitor {SERVER}"),
    ]


def test_health_lets_nothing_expect(samples: Path) -> None:
    assert read(samples / "contended" / "nfssrv-any.pcap").diagnosis.log == ()


def rules_in_order(line: ExplainedLine) -> tuple[str, ...]:
    return tuple(dict.fromkeys(identifier.partition("@")[0] for identifier in line.findings))


LINES = "{} lockd: server {server} not responding, still trying\n{} lockd: server {server} OK\n{} lockd: odd\n"


@pytest.mark.parametrize(
    ("stamps", "how"),
    [
        (("[  193.1]", "[  194.2]", "[  200.0]"), "aligned by 2 lines that the capture explains"),
        (
            ("[Sun Nov 22 11:02:40 2026]", "[Sun Nov 22 11:02:41 2026]", "[Sun Nov 22 11:02:47 2026]"),
            "aligned by 2 lines that the capture explains",
        ),
        (
            ("2026-11-22T05:32:40+00:00", "2026-11-22T05:32:41+00:00", "2026-11-22T05:32:42+00:00"),
            "its times have a time zone",
        ),
    ],
)
@pytest.mark.parametrize("server", ["10.1.84.31", "nfssrv", "a-name-that-the-capture-does-not-know"])
def test_the_clocks_of_logs_are_aligned(statd: Trace, stamps: tuple[str, ...], how: str, server: str) -> None:
    reading = beside_statd(statd, LINES.format(*stamps, server=server))
    assert reading.clock == how
    silent, well, odd = reading.lines
    both = ("REG001@10.1.84.31", "LCK002@10.1.84.31")
    assert (silent.findings, well.findings, odd.findings) == (both, both, ())
    assert silent.time == pytest.approx(1_795_325_560_071_000_000, abs=SECOND)
    assert reading.seen == statd.diagnosis.log


def test_a_line_about_another_host_is_not_explained(statd: Trace) -> None:
    reading = beside_statd(statd, LINES.format("[1.0]", "[2.0]", "[3.0]", server="10.1.84.41"))
    assert reading.clock == "not aligned: it has no line that the capture explains"
    assert [(line.time, line.findings, line.within) for line in reading.lines] == [(None, (), False)] * 3
    assert reading.seen == ()


def test_a_line_at_another_time_is_not_explained(statd: Trace) -> None:
    text = LINES.format(*(f"2026-11-22T05:32:{second}+00:00" for second in ("00", "01", "02")), server="10.1.84.31")
    reading = beside_statd(statd, text)
    assert [(line.findings, line.within) for line in reading.lines] == [((), True)] * 3


def test_a_grace_period_is_explained_by_the_reboot_that_the_capture_shows() -> None:
    folder = KERNEL / "11-server-reboot"
    if not folder.is_dir():
        pytest.skip(f"no captures in {KERNEL}")
    trace = read(folder / "cl2-any.pcap")
    facts = trace.captures[0]
    log = read_log(str(folder / "nfssrv-dmesg.txt"))
    (line,) = beside(log, trace.diagnosis, names_of(trace.tables), facts["first"], facts["last"]).lines
    assert line.text.startswith("NFSD: starting 90-second grace period")
    assert rules_in_order(line) == ("MON006", "LCK005")


# Folder, capture, log, and the rules that explain its lines within the capture.
REAL = [
    ("02-server-no-statd", "nfssrv-any.pcap", "cl1-dmesg.txt", [("REG001", "LCK002")] * 2),
    ("02-server-no-statd", "cl1-eth0.pcap", "cl1-dmesg.txt", [("REG001", "LCK002")] * 2),
    ("03-server-statd-killed", "nfssrv-any.pcap", "nfssrv-dmesg.txt", [("REG007", "LCK004")] * 2),
    ("05-nlm-port-drop", "cl1-any.pcap", "cl1-dmesg.txt", [("NET001",)]),
    ("08-granted-callback-blocked", "nfssrv-any.pcap", "nfssrv-dmesg.txt", [("CBK001", "NET001")]),
    ("15-client-statd-dead", "cl1-any.pcap", "cl1-dmesg.txt", [("REG002", "REG007")]),
    ("23b-ring-files", "ref-nfssrv-any.pcap.zst", "cl1-dmesg.txt", [("REG001", "LCK002")] * 2),
]


@pytest.mark.parametrize(("folder", "capture", "file", "rules"), REAL)
@pytest.mark.parametrize("told", [True, False], ids=["clock told", "clock found"])
def test_real_logs(folder: str, capture: str, file: str, rules: list[tuple[str, ...]], told: bool) -> None:
    place = KERNEL / folder
    if not place.is_dir():
        pytest.skip(f"no captures in {KERNEL}")
    text = (place / file).read_text()
    trace = read(place / capture)
    facts = trace.captures[0]
    log = log_of(file, text if told else re.sub(r"^# clock.*$", "", text, flags=re.MULTILINE))
    lines = beside(log, trace.diagnosis, names_of(trace.tables), facts["first"], facts["last"]).lines
    assert [rules_in_order(line) for line in lines if line.within] == rules


def test_a_line_belongs_to_findings_about_its_hosts(statd: Trace) -> None:
    finding = statd.diagnosis.findings[0]
    line = LogLine(0, "10.1.84.41", "10.1.84.31", "", ("REG001",))
    assert line.belongs_to(finding)
    assert not line._replace(rules=("LCK001",)).belongs_to(finding)
    assert not line._replace(host="10.0.0.1", about="10.0.0.2").belongs_to(finding)
    assert not line._replace(about="10.0.0.2").belongs_to(finding)  # of the same client, about another server
    assert line._replace(about="10.0.0.2").belongs_to(replace(finding, host="10.1.84.41", clients=()))


@pytest.mark.parametrize(
    ("name", "ours"), [("10.1.84.31", True), ("10.1.84.41", False), ("a-name-that-the-capture-does-not-know", True)]
)
def test_what_nfs_complains_of_is_explained_by_findings_about_that_server(name: str, ours: bool) -> None:
    silent = find("NFS001").rule.finding(host="10.1.84.31", title="", explanation="", first=0, last=90 * SECOND)
    names = {"10.1.84.31": "10.1.84.31", "10.1.84.41": "10.1.84.41"}
    text = f"nfs: server {name} not responding, still trying"
    rules = accounting_for("nfs-silent")
    found = explained_by(Line(1, 30 * SECOND, None, text), 30 * SECOND, [replace(silent, rule=rules[0])], names)
    assert found == ((f"{rules[0]}@10.1.84.31",) if ours else ())
