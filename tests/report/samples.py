"""Reports made by hand, one of each kind of verdict: what the renderers are tested on without any capture."""

from dataclasses import replace

from nfsrpc.diagnosis.kernel_log_match import ExplainedLine, Reading
from nfsrpc.findings.command import command, remark
from nfsrpc.findings.finding import (
    Broken,
    CannotTell,
    Cause,
    Clear,
    Diagnosis,
    Evidence,
    Finding,
    Hypothesis,
    LogLine,
    Need,
    Settings,
    Verdict,
)
from nfsrpc.report.contents import Capture, ProcedureTraffic, Report
from nfsrpc.report.fleet import HostToFix, NextCapture, NodeAnswer, Overview, SharedQuestion
from nfsrpc.sources import SourceError

START = 1_762_000_000_000_000_000
SECOND = 10**9

SERVER_LOOPBACK = Need(
    "loopback of 10.1.84.31",
    command("tcpdump -i any -s 0 -B 8192 -w 10.1.84.31.pcap 'host 127.0.0.1 or host ::1 or host 10.1.84.41'"),
)
CLIENT_LOOPBACK = Need(
    "loopback of 10.1.84.41", command("tcpdump -i any -s 0 -B 8192 -w 10.1.84.41.pcap 'not port 22'")
)

STATD = Finding(
    rule="REG001",
    name="statd-not-registered",
    severity="error",
    certainty="certain",
    host="10.1.84.31",
    title="rpc.statd is not registered on 10.1.84.31",
    explanation="Before it grants a client's first lock, the server's lockd asks its own rpc.statd to monitor that "
    "client. The portmapper says that there is none (port 0); lockd asks again every 3 s, 20 times, and serves no "
    "other lock request meanwhile.",
    clients=("10.1.84.41",),
    files=("/srv/export/lockfile",),
    count=20,
    first=START,
    last=START + 61_564_000_000,
    evidence=(
        Evidence(0, 102, "LOCK of 10.1.84.41, xid 0x88b6503f, sent 4 times", START),
        Evidence(0, 109, "lockd asks its own portmapper for status (100024): port 0", START + 1_000_000),
        Evidence(0, 336, "LOCK answered GRANTED, 61.6 s after it was asked", START + 61_564_000_000),
    ),
    remedy=(
        command("systemctl enable --now rpcbind rpc-statd"),
        remark("clients granted meanwhile stay unmonitored until they unmount: their locks are lost when it reboots"),
    ),
    verify=(
        command("rpcinfo -t 10.1.84.31 100024"),
        command("time flock -x /mnt/testfile true", on="a client that holds no lock yet"),
    ),
    explains=("LCK002@10.1.84.31",),
)
LIKELY_STATD = replace(STATD, certainty="likely", needs=SERVER_LOOPBACK)
LATE = Finding(
    rule="LCK002",
    name="lock-request-answered-late",
    severity="error",
    certainty="certain",
    host="10.1.84.31",
    title="1 lock request of 10.1.84.41 answered after 61.6 s, sent 4 times",
    explanation="",
    clients=("10.1.84.41",),
    evidence=(Evidence(0, 102, "LOCK"), Evidence(0, 336, "GRANTED")),
)
MOUNT_DENIED = Finding(
    rule="MNT001",
    name="mount-denied",
    severity="warning",
    certainty="certain",
    host="10.1.84.31",
    title="1 mount of /srv/other refused with MNT3ERR_ACCES",
    explanation="",
    evidence=(Evidence(0, 12, "MNT"),),
    remedy=(command("exportfs -v"),),
)

CLOSED = Finding(
    rule="NET001",
    name="service-port-filtered",
    severity="error",
    certainty="likely",
    host="10.1.84.32",
    title="lockd of 10.1.84.32 cannot be reached",
    explanation="10.1.84.41 sent 6 SYNs to port 32803, which were not answered.",
    clients=("10.1.84.41",),
    count=6,
    first=START + 5 * SECOND,
    last=START + 36 * SECOND,
    evidence=(Evidence(0, 31, "SYN to port 32803, 5 more in 31.0 s", START + 5 * SECOND),),
    remedy=(command("nft list ruleset"),),
    explains=("LCK002@10.1.84.32",),
)
THEIRS = replace(LATE, host="10.1.84.32", title="1 lock request of 10.1.84.41 was not sent for 31 s")
LOOPBACK = Finding(
    rule="RPC002",
    name="authentication-rejected",
    severity="warning",
    certainty="certain",
    host="127.0.0.1",
    host_capture="node1-lo.pcap",
    title="127.0.0.1 rejects AUTH_SYS",
    explanation="",
    remedy=(command("rpcinfo -p {host}", host="127.0.0.1 of node1-lo.pcap"),),
)

SILENT = LogLine(
    START + 60_500_000_000,
    "10.1.84.41",
    "10.1.84.31",
    "lockd: server 10.1.84.31 not responding, still trying",
    ("REG001", "LCK002"),
)
WELL = SILENT._replace(time=START + 61_564_000_000, text="lockd: server 10.1.84.31 OK")

QUALITY = {
    "truncated": False,
    "cut_frames": 0,
    "duplicates": 0,
    "misordered": 0,
    "not_ip": 3,
    "unread": 0,
    "unread_links": (),
    "rdma": 0,
    "rdma_rpc": 0,
    "drops": None,
    "tcp_frames": 300,
    "retransmitted": 0,
    "out_of_order": 0,
    "lost_bytes": 0,
    "one_way_flows": 0,
    "calls": 77,
    "undecided": 0,
    "orphans": 0,
    "clock_steps": 0,
    "oddities": 0,
    "unlisted": 0,
    "unlisted_flows": 0,
}
CAPTURE = Capture(
    file="nfssrv-any.pcap",
    format="pcap",
    linktypes=("LINUX_SLL2",),
    frames=401,
    bytes=41252,
    first=START,
    last=START + 64 * SECOND,
    vantage="server any",
    host="10.1.84.31",
    quality=QUALITY,
)
PROGRAMS = (
    ProcedureTraffic("portmap", 2, "GETPORT", 26, 26, 0, 0, 0, 0.0005, 0.001, 0.0011, 0.0012),
    ProcedureTraffic("nfs", 3, "GETATTR", 20, 20, 0, 0, 0, 0.0004, 0.001, 0.001, 0.001),
    ProcedureTraffic("nfs", 3, "WRITE", 3, 3, 0, 0, 1, 0.005, 0.01, 0.012, 0.0123),
    ProcedureTraffic("nlm", 4, "LOCK", 5, 4, 1, 3, 0, 0.001, 61.564, 61.564, 61.564),
    ProcedureTraffic("nlm", 4, "UNLOCK", 1, 0, 1, 0, 0, None, None, None, None),
)


def verdict(*causes: tuple[Finding, str], summary: str = "") -> Verdict:
    told = tuple(Cause(found.rule, found.host, found.certainty, text, found.id) for found, text in causes)
    return Verdict(told[0].rule, "fault", summary or told[0].summary, told)


CERTAIN = Report(
    Diagnosis(
        verdict(
            (STATD, "10.1.84.31 runs no rpc.statd: its lockd stalls, and 1 lock request of 10.1.84.41 waited 61.6 s."),
        ),
        (STATD, LATE),
        (
            CannotTell("REG002", "the loopback of the client is not in the capture", CLIENT_LOOPBACK),
            CannotTell("REG007", "the loopback of the client is not in the capture", CLIENT_LOOPBACK),
            CannotTell("MON001", "nobody was asked to monitor"),
        ),
        log=(SILENT, WELL),
    ),
    (CAPTURE,),
    PROGRAMS,
)
# The same with a kernel log.
LOGGED = CERTAIN._replace(
    logs=(
        Reading(
            "cl1.txt",
            "it has the time of the boot",
            (
                ExplainedLine(SILENT.time, SILENT.text, (STATD.id, LATE.id), True),
                ExplainedLine(START + 80 * SECOND, "lockd: cannot monitor \x1b[2J", (), True),
            ),
            (SILENT,),
        ),
    )
)
LIKELY = Report(
    Diagnosis(
        verdict(
            (
                LIKELY_STATD,
                "10.1.84.31 probably runs no rpc.statd: 1 lock request of 10.1.84.41 waited 61.6 s, NFS at most 12 ms.",
            )
        ),
        (
            LIKELY_STATD,
            LATE,
            MOUNT_DENIED,
        ),
        hypotheses=(
            Hypothesis(
                "REG001",
                "statd-not-registered",
                "10.1.84.31",
                "61.6 s is how long lockd waits for a statd",
                "",
                LIKELY_STATD.id,
            ),
            Hypothesis(
                "MON002",
                "monitor-slow",
                "10.1.84.31",
                "a slow resolver stalls lockd too",
                "61.6 is no multiple of 5",
                LIKELY_STATD.id,
            ),
        ),
    ),
    (CAPTURE._replace(vantage="client wire", host=None),),
    PROGRAMS,
)
SEVERAL = Report(
    Diagnosis(
        verdict(
            (STATD, "10.1.84.31 runs no rpc.statd; 10.1.84.41 waited up to 61.6 s."),
            (CLOSED, "Lockd of 10.1.84.32 cannot be reached; 10.1.84.41 waited up to 31.0 s."),
            (LOOPBACK, "127.0.0.1 rejects AUTH_SYS."),
            summary="3 faults: rpc.statd is not registered on 10.1.84.31; lockd of 10.1.84.32 cannot be reached; "
            "127.0.0.1 rejects AUTH_SYS.",
        ),
        (STATD, CLOSED, LOOPBACK, LATE, THEIRS, MOUNT_DENIED),
        log=(SILENT, WELL),
    ),
    (CAPTURE,),
    PROGRAMS,
)
HEALTHY = Report(
    Diagnosis(
        Verdict(None, "healthy", "5 lock requests of 1 client, all answered within 12 ms."),
        clear=(Clear("LCK001", "5 lock requests, all answered"), Clear("LCK002", "the slowest took 12 ms")),
    ),
    (CAPTURE,),
    PROGRAMS,
)
CANNOT_TELL = Report(
    Diagnosis(
        Verdict(None, "cannot-tell", "No lock was asked for in this capture."),
        cannot_tell=(CannotTell("LCK001", "no lock was asked for", SERVER_LOOPBACK),),
        broken=(Broken("LCK004", "KeyError: 'status'"),),
    ),
    (CAPTURE._replace(quality=QUALITY | {"truncated": True, "undecided": 12, "drops": 1}),),
    (),
)

# Files that could not be read, and rules that were not asked.
LEFT_OUT = HEALTHY._replace(
    diagnosis=replace(
        HEALTHY.diagnosis,
        verdict=Verdict(None, "cannot-tell", "Cannot tell whether all locks work: 2 files could not be read."),
        settings=Settings((), ("NFS001",), {"LCK002": {"late_s": 90.0}}, "/srv/nfsrpc.toml"),
    ),
    captures=(CAPTURE._replace(quality=QUALITY | {"truncated": True}, damage="its gzip stream is cut off"),),
    skipped=(
        SourceError("ring.pcap1", "is empty", "tcpdump -U writes packets as they come"),
        SourceError("caf\udce9.pcap", "no such file"),
    ),
)
# Of a fleet: captures of two nodes whose clocks cannot be compared show one cause.
OF_TWO = replace(
    STATD,
    clients=("10.1.84.41", "10.1.84.42"),
    evidence=(
        *STATD.evidence,
        Evidence(1, 17, "LOCK of 10.1.84.42, sent 4 times", START - 3600 * SECOND),
        Evidence(1, 31, "its reply, after 61.6 s", START - 3539 * SECOND),
    ),
)
FLEET = Report(
    replace(SEVERAL.diagnosis, findings=(OF_TWO, *SEVERAL.diagnosis.findings[1:])),
    (CAPTURE, CAPTURE._replace(file="web|1/ring.pcap0", vantage="client wire", host="10.1.84.42", clock=1)),
    PROGRAMS,
    names={"10.1.84.31": "nfssrv.storage.example.org", "10.1.84.41": "cl1"},
    fleet=Overview(
        hosts_to_fix=(
            HostToFix(OF_TWO, "certain", OF_TWO.clients, False, 61.564, (OF_TWO.id,)),
            HostToFix(CLOSED, "likely", CLOSED.clients, True, 31.0, (CLOSED.id,)),
            HostToFix(LOOPBACK, "certain", (), False, None, (LOOPBACK.id,)),
        ),
        nodes=(
            NodeAnswer("nfssrv", 1, "fault", "2 faults."),
            NodeAnswer("web|1", 1, "fault", "10.1.84.31 runs no rpc.statd; 10.1.84.42 waited up to 61.6 s."),
            NodeAnswer("<b>x</b>\n\x1b[2J", 3, "cannot-tell", "Cannot tell whether locks work: no lock requests."),
            NodeAnswer("web-3", 1, "healthy", "No fault: 2 lock requests were answered."),
        ),
        unknown=(
            SharedQuestion("Cannot tell whether locks work: no lock requests.", (), ("<b>x</b>\n\x1b[2J",)),
            SharedQuestion("the wire of 10.1.84.32 was not captured", ("NET001",), ("nfssrv", "web|1")),
        ),
        one_more=NextCapture(
            Need("wire of 10.1.84.32", command("tcpdump -i any -s 0 -B 8192 -w 10.1.84.32.pcap 'not port 22'")),
            1,
            ("NET001",),
        ),
        captures=6,
        unaligned=5,
        cached=2,
        uncached=("/cache/x: cannot be written: No space left on device",),
    ),
)

SAMPLES = {
    "certain": CERTAIN,
    "likely": LIKELY,
    "several": SEVERAL,
    "healthy": HEALTHY,
    "cannot-tell": CANNOT_TELL,
    "left-out": LEFT_OUT,
    "fleet": FLEET,
}
