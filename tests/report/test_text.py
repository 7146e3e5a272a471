"""The text report: golden screens, and by data what has to be on them whatever their layout."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from nfsrpc.findings.command import Command, command, remark
from nfsrpc.findings.finding import Broken, CannotTell, Clear, Diagnosis, Evidence, Finding, Need, Verdict
from nfsrpc.report.captures import described
from nfsrpc.report.contents import Report
from nfsrpc.report.needs import HEALTHY_SO_FAR, unknowns
from nfsrpc.report.text import HEADINGS, fitting, render
from tests.report.samples import (
    CANNOT_TELL,
    CAPTURE,
    CERTAIN,
    FLEET,
    HEALTHY,
    LATE,
    LEFT_OUT,
    LIKELY,
    LOGGED,
    OF_TWO,
    SAMPLES,
    SECOND,
    SERVER_LOOPBACK,
    SEVERAL,
    START,
    STATD,
    verdict,
)

GOLDEN = Path(__file__).parent / "golden"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
SCREEN = 40  # lines; of these 24 to the end of the cure


def with_finding(**changes: object) -> Report:
    finding = Finding(**{**vars(STATD), **changes})
    return CERTAIN._replace(diagnosis=Diagnosis(CERTAIN.diagnosis.verdict, (finding,)))


def block(text: str, label: str) -> list[str]:
    """The lines of one block, without its label."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{label} "))
    found = [lines[start].removeprefix(label).strip()]
    for line in lines[start + 1 :]:
        if not line.startswith(" "):
            break
        found.append(line.strip())
    return found


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", SAMPLES)
def test_screens_look_as_they_did(name: str, width: int) -> None:
    """To renew them after a change, and to look at the difference: python -m tests.report.golden."""
    assert render(SAMPLES[name], width) == (GOLDEN / f"{name}-{width}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("name", SAMPLES)
def test_colour_changes_nothing_but_colour(name: str, width: int) -> None:
    coloured = render(SAMPLES[name], width, colour=True).splitlines()
    plain = render(SAMPLES[name], width).splitlines()
    assert [ESCAPES.sub("", line).rstrip() for line in coloured] == plain
    assert coloured[0].startswith("\x1b[1m" if SAMPLES[name].fleet else "\x1b[1;38;5;")


@pytest.mark.parametrize("name", SAMPLES)
def test_only_commands_are_wider_than_the_terminal(name: str) -> None:
    wide = [line for line in render(SAMPLES[name], 80).splitlines() if len(line) > 80]
    assert all("tcpdump" in line for line in wide)


def test_names_in_wide_characters_are_not_wider_than_the_terminal() -> None:
    note = "LOCK of 共有/売上/二千二十六年/十一月/報告書 is not answered; " * 2
    names = ("営業部報告", "經理部報告", "cafe\u0301-報告")
    proof = tuple(Evidence(0, frame, note, START) for frame in (1, 2))
    files = [CAPTURE._replace(file=f"{name}.pcap") for name in names]
    evidence = tuple(Evidence(number, 1, "asks", START) for number in range(3))
    for width in (80, 100):
        lines = render(with_finding(title=note, explanation=note * 3, evidence=proof), width).splitlines()
        assert max(map(cell_len, lines)) in range(width - 6, width + 1)
    report = with_finding(evidence=evidence)._replace(captures=files)
    shown = block(render(report, 80), "Proof")
    assert {cell_len(line[: line.index("asks")]) for line in shown} == {29}
    cells = [
        HEADINGS,
        *((f"10.0.0.9 ({'営業部' * 20})", "REG001 " + "共有" * 30, "certain", "1", "1 s", "") for _ in names),
    ]
    assert max(map(cell_len, fitting(cells, 80))) == 79  # a wide character has no room in the last column


def test_one_fault_fits_one_screen_and_its_cure_the_first_24_lines() -> None:
    lines = render(CERTAIN, 80).splitlines()
    assert len(lines) <= SCREEN
    assert any(line.startswith("Fix") for line in lines[:24])


def test_what_one_screen_has_no_room_for_is_named() -> None:
    unknown = tuple(CannotTell(f"MON00{number}", "not captured", SERVER_LOOPBACK) for number in range(1, 4))
    report = LIKELY._replace(diagnosis=replace(LIKELY.diagnosis, cannot_tell=unknown, clear=HEALTHY.diagnosis.clear))
    text = render(report, 80)
    assert len(text.splitlines()) <= SCREEN
    assert block(text, "Passed") == ["2 checks, 3 could not be judged (--verbose lists them)"]
    assert block(text, "More") == ["traffic, unknown, capture: --verbose"]
    assert {"Also", "Traffic", "Unknown", "Capture"} <= {
        line[:9].strip() for line in render(report, 80, verbose=True).splitlines()
    }


def test_the_verdict_comes_first_with_rule_and_certainty() -> None:
    first, second, *_ = render(CERTAIN, 80).splitlines()
    assert first == " FAULT   REG001 statd-not-registered, certain"
    assert second.startswith("10.1.84.31 runs no rpc.statd")


def test_proof_is_times_and_frames_with_what_each_shows() -> None:
    assert block(render(CERTAIN, 140), "Proof") == [
        "12:26:40.000  nfssrv-any.pcap:102  LOCK of 10.1.84.41, xid 0x88b6503f, sent 4 times",
        "12:26:40.001  nfssrv-any.pcap:109  lockd asks its own portmapper for status (100024): port",
        "0",
        "12:27:41.564  nfssrv-any.pcap:336  LOCK answered GRANTED, 61.6 s after it was asked",
    ]
    assert block(render(CERTAIN, 80), "Filter") == ["frame.number in {102,109,336}"]


def test_frames_of_one_second_are_told_apart() -> None:
    times = [0, 20_000, 2 * 10**9]
    report = with_finding(evidence=tuple(Evidence(0, frame, "sent", time) for frame, time in enumerate(times, 1)))
    assert block(render(report, 80), "Proof") == [
        "00:00:00.000000  nfssrv-any.pcap:1  sent",
        "00:00:00.000020  nfssrv-any.pcap:2  sent",
        "00:00:02.000000  nfssrv-any.pcap:3  sent",
    ]


def test_what_is_likely_has_signs_and_says_how_to_be_sure() -> None:
    text = render(LIKELY, 80)
    assert "\nProof " not in text
    assert block(text, "Signs")[0].startswith("12:26:40.000  nfssrv-any.pcap:102  LOCK of 10.1.84.41,")
    assert block(text, "Be sure")[1].startswith("tcpdump -i any")
    assert text.index("Be sure") < text.index("Fix ")


def test_what_is_certain_does_not_ask_for_another_capture() -> None:
    assert "\nBe sure" in render(with_finding(certainty="likely", needs=SERVER_LOOPBACK), 80)
    assert "\nBe sure" not in render(with_finding(certainty="certain", needs=SERVER_LOOPBACK), 80)


def test_frames_of_several_captures_have_the_names_of_their_files() -> None:
    evidence = (Evidence(0, 7, "sent", 0), Evidence(1, 9, "arrived", 10**9))
    report = with_finding(evidence=evidence)._replace(captures=(CAPTURE, CAPTURE._replace(file="cl1.pcap")))
    assert block(render(report, 80), "Proof") == [
        "00:00:00  nfssrv-any.pcap:7  sent",
        "00:00:01  cl1.pcap:9         arrived",
    ]
    assert block(render(report, 80), "Filter") == [
        "# nfssrv-any.pcap",
        "frame.number in {7}",
        "# cl1.pcap",
        "frame.number in {9}",
    ]


def test_of_much_evidence_the_first_and_the_last_are_shown() -> None:
    report = with_finding(evidence=tuple(Evidence(0, frame, f"number {frame}", 0) for frame in range(90, 111)))
    lines = block(render(report, 80), "Proof")
    assert lines[:7] == [f"00:00:00  nfssrv-any.pcap:{frame}   number {frame}" for frame in range(90, 97)]
    assert lines[7:] == ["… 13 more frames (--verbose)", "00:00:00  nfssrv-any.pcap:110  number 110"]
    assert len(block(render(report, 80, verbose=True), "Proof")) == 21
    assert block(render(report, 80), "Filter") == [f"frame.number in {{{','.join(map(str, range(90, 111)))}}}"]


def test_of_many_clients_the_first_and_how_many_more() -> None:
    report = with_finding(clients=tuple(f"10.0.0.{n}" for n in range(1, 10)))
    assert block(render(report, 80), "Clients") == [
        "10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6 and 3 more"
    ]
    assert block(render(report, 80), "When") == ["2025-11-01 12:26:40 to 12:27:41 UTC (61.6 s)"]


def test_whom_and_when_share_a_line_where_they_fit() -> None:
    assert block(render(CERTAIN, 80), "Clients") == ["10.1.84.41, 2025-11-01 12:26:40 to 12:27:41 UTC (61.6 s)"]


def test_commands_are_never_broken_and_sentences_stay_comments() -> None:
    restart = "systemctl restart" + " very-long-unit.service" * 8
    report = with_finding(remedy=(Command(restart), Command("", note="and then wait a while " * 8)))
    lines = block(render(report, 80), "Fix")
    assert lines[0] == "# on 10.1.84.31"
    assert lines[1] == restart
    assert len(lines) > 3
    assert all(line.startswith("# ") for line in lines[2:])


def test_a_remark_on_a_command_stands_above_it() -> None:
    assert block(render(CERTAIN, 80), "Verify") == [
        "rpcinfo -t 10.1.84.31 100024",
        "# on a client that holds no lock yet",
        "time flock -x /mnt/testfile true",
    ]


def test_explained_findings_are_apart_from_others_and_neither_has_commands() -> None:
    text = render(LIKELY, 80)
    assert block(text, "Explains") == [
        "error LCK002: 1 lock request of 10.1.84.41 answered after 61.6 s,",
        "sent 4 times (frames 102, 336)",
    ]
    text = render(LIKELY, 80, verbose=True)
    assert block(text, "Also") == [
        "warning MNT001: 1 mount of /srv/other refused with MNT3ERR_ACCES",
        "(frame 12)",
    ]


def test_beside_a_proven_fault_what_is_unknown_is_counted() -> None:
    assert block(render(CERTAIN, 80), "Passed") == ["0 checks, 3 could not be judged (--verbose lists them)"]
    none = replace(CERTAIN.diagnosis, cannot_tell=())
    assert "\nPassed" not in render(CERTAIN._replace(diagnosis=none), 80)


def test_several_faults_are_listed_and_each_is_short() -> None:
    text = render(SEVERAL, 80)
    assert block(text, "Faults") == [
        "1.  REG001 statd-not-registered     certain  10.1.84.31",
        "2.  NET001 service-port-filtered    likely   10.1.84.32",
        "3.  RPC002 authentication-rejected  certain  127.0.0.1 (node1-lo.pcap)",
    ]
    assert text.count("\nFix ") == 3
    assert "\nWhy " not in text
    assert block(text, "More") == ["why, affected clients, verify: --verbose"]
    assert render(SEVERAL, 80, verbose=True).count("\nWhy ") == 2


def test_two_faults_have_their_explanations() -> None:
    causes = SEVERAL.diagnosis.verdict.causes[:2]
    two = replace(SEVERAL.diagnosis, verdict=SEVERAL.diagnosis.verdict._replace(causes=causes))
    text = render(SEVERAL._replace(diagnosis=two), 80)
    assert text.count("\nWhy ") == 2
    assert "\nFaults " not in text


def test_rules_that_lack_the_same_share_a_line_and_a_capture() -> None:
    guess = replace(LIKELY.diagnosis, cannot_tell=CERTAIN.diagnosis.cannot_tell)
    lines = block(render(LIKELY._replace(diagnosis=guess), 80, verbose=True), "Unknown")
    assert lines[:2] == [
        "REG002, REG007: the loopback of the client is not in the capture",
        "shown by: loopback of 10.1.84.41",
    ]


def test_rules_without_traffic_share_a_line_and_verbose_says_why() -> None:
    answers = (CannotTell("MON001", "nobody was asked"), CannotTell("REG005", "no portmapper was asked"))
    healthy, unknown = (
        report._replace(diagnosis=replace(report.diagnosis, cannot_tell=answers)) for report in (HEALTHY, CANNOT_TELL)
    )
    for report in (healthy, unknown):
        assert block(render(report, 80), "Unknown") == ["2 checks without traffic to judge (--verbose lists them)"]
        whole = block(render(report, 80, verbose=True), "Unknown")
        first = [HEALTHY_SO_FAR] if report is healthy else []
        assert whole == [*first, "MON001: nobody was asked", "REG005: no portmapper was asked"]


def test_the_lines_of_kernel_logs_to_expect() -> None:
    assert block(render(CERTAIN, 80), "Log") == [
        "of the kernel of 10.1.84.41, to expect:",
        "12:27:40  lockd: server 10.1.84.31 not responding, still trying",
        "12:27:41  lockd: server 10.1.84.31 OK",
    ]
    assert "\nLog" not in render(HEALTHY, 80)


def test_kernel_logs_that_were_given() -> None:
    text = render(LOGGED, 80)
    assert block(text, "Kernel") == [
        "cl1.txt: it has the time of the boot",
        "12:27:40  lockd: server 10.1.84.31 not responding, still trying",
        "(explained by REG001@10.1.84.31, LCK002@10.1.84.31)",
        "12:28:00  lockd: cannot monitor \\x1b[2J (not explained)",
    ]
    assert block(text, "Log") == [
        "of the kernel of 10.1.84.41, not found:",
        "12:27:41  lockd: server 10.1.84.31 OK",
    ]


def test_healthy_says_on_what_evidence() -> None:
    text = render(HEALTHY, 80)
    assert text.startswith(" HEALTHY\n5 lock requests")
    assert block(text, "Passed") == ["2 checks (--verbose lists them)"]
    whole = render(HEALTHY, 80, verbose=True)
    assert block(whole, "Passed") == ["LCK001  5 lock requests, all answered", "LCK002  the slowest took 12 ms"]


def test_of_the_evidence_for_health_that_about_locks_comes_first() -> None:
    rules = ("CAP001", "REG001", "LCK001", "NET001", "MON001", "CBK001", "LCK002", "REG003", "NET002", "CAP002")
    clear = tuple(Clear(rule, f"fine by {rule}") for rule in rules)
    report = HEALTHY._replace(diagnosis=Diagnosis(HEALTHY.diagnosis.verdict, clear=clear))
    ordered = ("LCK001", "LCK002", "CBK001", "REG001", "REG003", "MON001", "NET001", "NET002", "CAP001", "CAP002")
    assert block(render(report, 80, verbose=True), "Passed") == [f"{rule}  fine by {rule}" for rule in ordered]
    assert block(render(report, 80), "Passed") == ["10 checks (--verbose lists them)"]


def test_one_lacking_capture_of_many_hosts_is_told_once() -> None:
    needs = [Need(f"loopback of 10.0.0.{n}", command("tcpdump -w {n}.pcap", n=n)) for n in range(1, 10)]
    answers = tuple(CannotTell("REG002", "not captured", need) for need in needs)
    report = HEALTHY._replace(diagnosis=Diagnosis(HEALTHY.diagnosis.verdict, cannot_tell=answers))
    assert block(render(report, 140), "Unknown") == [
        HEALTHY_SO_FAR,
        "REG002: not captured",
        "shown by: loopback of 10.0.0.1, loopback of 10.0.0.2, loopback of 10.0.0.3, loopback of",
        "10.0.0.4, loopback of 10.0.0.5, loopback of 10.0.0.6 and 3 more",
    ]


def test_a_capture_command_stands_once() -> None:
    answers = (CannotTell("REG007", "not captured", SERVER_LOOPBACK),)
    report = LIKELY._replace(diagnosis=replace(LIKELY.diagnosis, cannot_tell=answers))
    text = render(report, 80, verbose=True)
    assert block(text, "Unknown") == ["REG007: not captured", "shown by: loopback of 10.1.84.31"]
    assert text.count("tcpdump") == 1


def test_the_capture_to_make_comes_first_where_one_cannot_tell() -> None:
    lines = render(CANNOT_TELL, 80).splitlines()
    assert lines[3] == "Do first  Capture the loopback of 10.1.84.31, while a lock hangs:"
    assert lines[4].strip() == str(SERVER_LOOPBACK.command)
    without = replace(CANNOT_TELL.diagnosis, cannot_tell=())
    assert block(render(CANNOT_TELL._replace(diagnosis=without), 80), "Do first") == [
        "Capture on 10.1.84.31, while a lock hangs:",
        "tcpdump -i any -s 0 -B 8192 -w 10.1.84.31.pcap 'not port 22'",
    ]
    assert "Do first" not in render(LEFT_OUT, 80) + render(HEALTHY, 80)


def test_standard_input_is_called_so() -> None:
    report = CERTAIN._replace(captures=(CAPTURE._replace(file="-"),))
    assert block(render(report, 80), "Proof")[0].startswith("12:26:40.000  standard input:102  LOCK")
    assert block(render(report, 80), "Capture")[0].startswith("standard input: pcap, ")


def test_files_are_called_by_their_names_where_these_differ() -> None:
    captures = tuple(CAPTURE._replace(file=file) for file in ("/a/x.pcap", "/b/x.pcap", "/b/y.pcap"))
    report = CERTAIN._replace(captures=captures)
    assert report.file_names() == ["a/x.pcap", "b/x.pcap", "b/y.pcap"]


def test_a_capture_says_what_it_lacks() -> None:
    assert block(render(CANNOT_TELL, 80), "Capture")[-3:] == [
        "the file ends within a record: analysed up to there",
        "1 frame dropped by the capturing system",
        "12 calls whose reply may not have been captured",
    ]


@pytest.mark.parametrize(
    ("offset", "drift", "told"),
    [
        (0.0, 0.0, ""),
        (0.0004, 0.3, ""),
        (2.5, 0.0, ", its clock 2.5 s ahead of the reference capture's"),
        (-0.25, 12.2, ", its clock 250 ms behind the reference capture's, gaining 12 µs per second"),
        (3600.0, -5.0, ", its clock 60 min ahead of the reference capture's, losing 5 µs per second"),
    ],
)
def test_a_clock_that_differs_is_told(offset: float, drift: float, told: str) -> None:
    capture = CAPTURE._replace(offset_s=offset, drift_ppm=drift)
    assert described(capture) == described(CAPTURE) + told


def test_a_remedy_that_says_where_it_is_typed_in_says_that_once() -> None:
    (statd,) = [found for found in CERTAIN.diagnosis.findings if found.rule == STATD.rule]
    for remedy, heading in (
        (command("systemctl start rpcbind"), ["# on 10.1.84.31", "systemctl start rpcbind"]),
        (command("ping 10.1.84.31", on="10.1.84.41", note="dead?"), ["# on 10.1.84.41: dead?", "ping 10.1.84.31"]),
    ):
        findings = (replace(statd, remedy=(remedy,)), *CERTAIN.diagnosis.findings[1:])
        report = CERTAIN._replace(diagnosis=replace(CERTAIN.diagnosis, findings=findings))
        assert block(render(report, 80), "Fix") == heading


def test_other_findings_have_no_commands() -> None:
    no_q = remark("No -Q.")
    one_way = Finding("CAP001", "one-direction-only", "warning", "certain", None, "one way", "…", remedy=(no_q,))
    diagnosis = replace(CANNOT_TELL.diagnosis, findings=(one_way, replace(one_way, title="the other way")))
    also = block(render(CANNOT_TELL._replace(diagnosis=diagnosis), 80), "Also")
    assert also == ["warning CAP001: one way", "warning CAP001: the other way"]


def test_a_capture_without_another_has_no_offset() -> None:
    assert "clock" not in described(CAPTURE)


def test_a_broken_rule_is_told() -> None:
    assert block(render(CANNOT_TELL, 80), "Broken") == ["LCK004 failed, which is a bug of nfsrpc: KeyError: 'status'"]


def test_settings_in_force_and_what_was_skipped_are_told() -> None:
    text = render(LEFT_OUT, 80)
    assert block(text, "Settings") == ["of /srv/nfsrpc.toml; without the rules NFS001; LCK002.late_s = 90"]
    assert block(text, "Skipped") == [
        "ring.pcap1: is empty (tcpdump -U writes packets as they come)",
        "caf\\udce9.pcap: no such file",
    ]
    assert block(text, "Capture")[-1] == "its gzip stream is cut off: analysed up to there"
    assert not {"Settings", "Skipped"} & {line.split(" ")[0] for line in render(HEALTHY, 80).splitlines()}


def test_traffic_is_a_line_a_program() -> None:
    assert [line.split() for line in block(render(CERTAIN, 80), "Traffic")] == [
        ["program", "calls", "unanswered", "resent", "errors", "slowest", "answer"],
        ["portmap", "v2", "26", "0", "0", "0", "GETPORT", "1", "ms"],
        ["nfs", "v3", "23", "0", "0", "1", "WRITE", "12", "ms"],
        ["nlm", "v4", "6", "2", "3", "0", "LOCK", "61.6", "s"],
    ]


def test_nothing_of_a_capture_reaches_the_terminal_as_control() -> None:
    evil = "\x1b]0;owned\x07\r\n\u202e"
    report = Report(
        Diagnosis(
            Verdict("REG001", "fault", evil),
            (
                Finding("REG001", evil, "error", "certain", evil, evil, evil, (evil,), (evil,), 1, 0, 0,
                        (Evidence(0, 1, evil),), (Command(evil, evil), Command("", evil, evil)), (Command(evil),),
                        ("LCK001",), Need(evil, Command(evil))),
                Finding("LCK001", evil, "error", "certain", evil, evil, evil, evidence=(Evidence(0, 1, evil),)),
            ),
            (CannotTell("REG002", evil, Need(evil, Command(evil))),),
            (),
            (Broken("REG003", evil),),
        ),
        (CAPTURE._replace(file=evil, vantage=evil, host=evil, linktypes=(evil,)),),
        CERTAIN.programs,
    )  # fmt: skip
    text = render(report, 80)
    assert all(char.isprintable() for line in text.split("\n") for char in line)


def test_nothing_captured_is_still_a_report() -> None:
    empty = CAPTURE._replace(frames=0, first=None, last=None, vantage=None)
    text = render(CANNOT_TELL._replace(captures=(empty,)), 80)
    assert "nfssrv-any.pcap: pcap, LINUX_SLL2, 0 frames" in text


def test_captures_that_would_only_inform_come_last() -> None:
    wire, loopback = (Need(f"{what} of a", command("tcpdump {what}", what=what)) for what in ("wire", "loopback"))
    answers = (
        CannotTell("LCK013", "one client", wire),
        CannotTell("LCK001", "no locks"),
        CannotTell("REG001", "no loopback", loopback),
    )
    assert [unknown.reasons[0][1] for unknown in unknowns(answers)] == [("REG001",), ("LCK013",), ("LCK001",)]


def test_hosts_that_lack_the_same_share_an_entry_but_for_verbose() -> None:
    def lacking(host: str, why: str, where: str = "loopback") -> CannotTell:
        return CannotTell("REG002", why, Need(f"{where} of {host}", command("tcpdump {host}", host=host)))

    answers = (
        lacking("10.0.0.1", "the loopback of 10.0.0.1 (one) was not captured"),
        lacking("10.0.0.12", "the loopback of 10.0.0.12 was not captured"),
        lacking("fe80::1", "the loopback of fe80::1 (three) was not captured"),
        lacking("10.0.0.4", "nothing of 10.0.0.4 was captured"),
        lacking("10.0.0.5", "the loopback of 10.0.0.5 was not captured", "wire"),
        lacking("10.0.0.6", "the loopback of 10.0.0.60 was not captured"),
    )
    report = CANNOT_TELL._replace(diagnosis=replace(CANNOT_TELL.diagnosis, cannot_tell=answers))
    said = [line for line in render(report, 120).splitlines() if "REG002" in line]
    assert [line.partition("REG002: ")[2] for line in said] == [
        "the loopback of 10.0.0.1 (one) was not captured; likewise of 2 more hosts",
        "nothing of 10.0.0.4 was captured",
        "the loopback of 10.0.0.5 was not captured",
        "the loopback of 10.0.0.60 was not captured",
    ]
    assert sum("REG002: " in line for line in render(report, 120, verbose=True).splitlines()) == len(answers)


def test_a_fleet_leads_with_hosts_to_fix_nodes_and_one_more_capture() -> None:
    text = render(FLEET, 80)
    lines = text.splitlines()
    assert lines[1].split() == (
        ["10.1.84.31", "(nfssrv.stora…", "REG001", "statd-not-re…", "certain", "2", "61.6", "s"]
    )
    assert [line[:10].strip() for line in lines[5 : lines.index(" FAULT")] if line[:1].strip()] == (
        ["Nodes", "Clocks", "Cache", "Unknown", "One more"]
    )
    assert block(render(FLEET, 140), "Unknown") == [
        r"1 node: Cannot tell whether locks work: no lock requests: <b>x</b>\n\x1b[2J",
        "2 nodes: the wire of 10.1.84.32 was not captured (NET001): nfssrv and web|1",
    ]
    assert block(text, "One more") == [
        "Capture the wire of 10.1.84.32: it would settle 1 open question",
        "(NET001).",
        "tcpdump -i any -s 0 -B 8192 -w 10.1.84.32.pcap 'not port 22'",
    ]


def test_a_fleet_that_cannot_tell_has_one_capture_to_make_next() -> None:
    """That of its lead; without one there, the one that any report has."""
    assert FLEET.fleet
    report = CANNOT_TELL._replace(fleet=FLEET.fleet)
    assert "Do first" not in render(report, 80)
    assert render(report, 80).count("tcpdump") == 1
    assert "Do first" in render(report._replace(fleet=FLEET.fleet._replace(one_more=None)), 80)


def test_the_proof_in_brief_is_of_captures_of_one_clock() -> None:
    """Of two nodes with clocks of their own: the first and the last frame of the one that comes first."""
    assert block(render(FLEET, 140), "Proof") == [
        "12:26:40  nfssrv-any.pcap:102  LOCK of 10.1.84.41, xid 0x88b6503f, sent 4 times",
        "12:27:41  nfssrv-any.pcap:336  LOCK answered GRANTED, 61.6 s after it was asked",
    ]


def test_the_proof_of_one_fault_says_how_many_frames_other_clocks_have() -> None:
    diagnosis = replace(CERTAIN.diagnosis, findings=(OF_TWO, LATE))
    report = FLEET._replace(diagnosis=diagnosis, fleet=None)
    proof = block(render(report, 140), "Proof")
    assert [line.split()[1] for line in proof if line[2:3] == ":"] == [f"nfssrv-any.pcap:{n}" for n in (102, 109, 336)]
    assert proof[-1] == "… 2 more frames of captures by other clocks (--verbose)"
    assert "web|1/ring.pcap0:31" in render(report, 140, verbose=True)


@pytest.mark.parametrize("frames", range(1, 12))
@pytest.mark.parametrize("faults", [1, 2])
def test_no_proof_begins_with_what_is_left_out(frames: int, faults: int) -> None:
    """However little room a fault has, the first frame is shown, then how many are left out, then the last one."""
    long = "x" * 300
    evidence = tuple(Evidence(0, frame, long, START + frame * SECOND) for frame in range(1, frames + 1))
    found = replace(STATD, evidence=evidence, explanation=" ".join([long] * 4))
    other = replace(found, rule="REG003", explains=())
    told = verdict(*((each, "It is ill.") for each in (found, other)[:faults]))
    report = CERTAIN._replace(diagnosis=replace(CERTAIN.diagnosis, verdict=told, findings=(found, other)))
    proof = block(render(report, 80), "Proof")
    places = [line.split()[1] for line in proof if line[2:3] == ":"]
    assert places[0] == "nfssrv-any.pcap:1"
    assert places[-1] == f"nfssrv-any.pcap:{frames}"


ROWS = [
    ("10.1.84.31 (nfssrv.storage.example.org)", "REG001 statd-not-registered", "certain", "12", "61.6 s", "a and b"),
    ("2001:db8:1111:2222:3333:4444:5555:6666", "NET001 service-port-filtered", "likely", "at least 1", "", "c"),
]


@pytest.mark.parametrize("width", range(50, 160))
def test_hosts_to_fix_fit_a_width_and_no_address_is_cut(width: int) -> None:
    for rows, least in ((ROWS[:1], 50), (ROWS, 80)):
        lines = fitting([HEADINGS, *rows], width)
        assert max(map(len, lines)) <= max(width, least)
        assert all(row[0].split()[0] in line and row[1][:5] in line for row, line in zip(rows, lines[1:], strict=True))


def test_a_wide_screen_has_the_clients_by_name() -> None:
    whole = max(map(len, fitting([HEADINGS, *ROWS], 1000)))
    assert "a and b" in fitting([HEADINGS, *ROWS], whole)[1]
    assert "statd-not-registered" in fitting([HEADINGS, *ROWS], whole - 1)[1]
    assert "a and b" not in fitting([HEADINGS, *ROWS], whole - 1)[1]
