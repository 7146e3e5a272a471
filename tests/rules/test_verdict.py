"""From answers to one verdict: what explains what, and when there is none."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nfsrpc.diagnosis.catalogue import find, rules
from nfsrpc.diagnosis.causes import explained, explains, is_fault, numbered, root_causes
from nfsrpc.diagnosis.faults import fault, gravity, headline
from nfsrpc.diagnosis.ongoing import so_far
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.finding import Answer, Diagnosis, Evidence, Finding
from nfsrpc.sources import SourceError
from tests.records import clock_set
from tests.rules.stage import CLIENT, LOCKD, OTHER, SERVER, STATD, Stage, diagnosed, inputs, starttls
from tests.wire import TCP

SECOND = 1_000_000_000


def found(rule: str, **fields: Any) -> Finding:
    plain: dict[str, Any] = {"severity": "error", "certainty": "certain", "host": SERVER, "clients": (CLIENT,)}
    plain |= {"name": rule.lower(), "title": f"what {rule} says", "explanation": "…", "first": 0, "last": SECOND}
    return Finding(rule=rule, **{**plain, **fields})


def causes(*findings: Finding) -> list[Finding]:
    return root_causes(sorted(filter(is_fault, findings), key=gravity))


def leading(findings: Sequence[Finding]) -> Finding | None:
    return next(iter(causes(*findings)), None)


def test_a_cause_explains_an_effect_on_the_same_host_at_the_same_time() -> None:
    cause = found("REG001")
    assert explains(cause, found("LCK002"))
    assert not explains(cause, found("LCK002", host="10.0.0.8"))
    assert not explains(cause, found("LCK002", first=1000 * SECOND, last=1001 * SECOND))
    assert not explains(found("LCK002"), cause)


def test_what_is_found_at_the_end_of_time_has_causes_as_well() -> None:
    """Clocks of captures say anything."""
    late = 2**63 - 1
    cause, effect = found("REG001", first=late - SECOND, last=late), found("LCK002", first=late, last=late)
    assert leading([effect, cause]) is cause


def test_an_effect_may_be_blamed_on_another_host_than_the_one_to_fix() -> None:
    cause = found("CBK001", host=CLIENT)
    assert explains(cause, found("LCK011", host=OTHER, clients=(CLIENT,)))
    assert not explains(cause, found("LCK011", host=OTHER, clients=(OTHER,)))


def test_what_an_effect_explains_is_explained_as_well() -> None:
    """A statd that hangs leaves a lock behind, for which somebody else waits."""
    wait = found("LCK011", severity="warning", host=CLIENT, clients=(OTHER,))
    hangs, orphan, _ = explained([found("MON003"), found("LCK008", severity="warning"), wait])
    assert hangs.explains == (f"LCK008@{SERVER}", f"LCK011@{CLIENT}")
    assert orphan.explains == (f"LCK011@{CLIENT}",)


def test_information_explains_nothing() -> None:
    assert not explains(found("NET007", severity="info"), found("LCK002"))


def test_the_gravest_unexplained_finding_leads() -> None:
    stale, late, lost = found("REG007"), found("LCK004"), found("NET006", severity="info")
    assert leading([late, stale, lost]) is stale
    assert leading([found("LCK006", severity="warning"), late]) is late
    assert leading([lost, found("CAP001", severity="warning")]) is None


def test_certain_leads_before_likely_and_cause_before_symptom() -> None:
    likely = found("REG001", certainty="likely", host="10.0.0.7")
    assert leading([likely, found("LCK004")]) is not likely
    assert leading([found("LCK004", host="10.0.0.7"), found("NET001")]) is not None


def test_two_findings_that_explain_each_other_still_lead_somewhere() -> None:
    first, second = found("NET001"), found("REG005")
    assert causes(first, second) in ([first], [second])


def test_faults_of_two_hosts_are_two_causes() -> None:
    """A client waits for both servers: what the one lacks is no reason for the other."""
    statd = found("REG001", title=f"{SERVER} has no rpc.statd")
    late, theirs = found("LCK002"), found("LCK002", host=OTHER, severity="warning", title="answered late", wait_s=32.0)
    assert causes(theirs, statd, late) == [statd, theirs]
    findings = explained([statd, theirs, late])
    assert findings[0].explains == (f"LCK002@{SERVER}",)
    verdict = fault(findings[:2], findings)
    assert (verdict.rule, verdict.hosts) == ("REG001", (SERVER, OTHER))
    assert verdict.summary == f"2 faults: {SERVER} has no rpc.statd; answered late ({OTHER})."
    assert [tuple(cause) for cause in verdict.causes] == [
        ("REG001", SERVER, "certain", f"{SERVER} has no rpc.statd; affected: {CLIENT}.", f"REG001@{SERVER}"),
        ("LCK002", OTHER, "certain", f"Answered late; {CLIENT} waited up to 32.0 s.", f"LCK002@{OTHER}"),
    ]


def test_of_many_faults_the_headline_has_the_gravest_and_the_hosts_of_the_others() -> None:
    told = headline(
        [found("REG001", host=f"10.0.0.{number}", title=f"no statd on 10.0.0.{number}") for number in range(6)]
    )
    assert told.startswith("6 faults: no statd on 10.0.0.0; no statd on 10.0.0.1;")
    assert told.endswith("no statd on 10.0.0.3; and 2 more (10.0.0.4 and 10.0.0.5).")


def test_what_several_findings_explain_in_a_circle_has_one_cause() -> None:
    """NET001 and REG005 explain each other; beside an unrelated fault they are one cause and not two, nor none."""
    circle = [found("NET001", host=OTHER), found("REG005", host=OTHER)]
    assert [cause.host for cause in causes(*circle, found("REG001"))] == [SERVER, OTHER]


def test_neither_information_nor_the_capture_is_a_cause() -> None:
    assert causes(found("NET006", severity="info"), found("CAP001", severity="warning")) == []


def test_repeated_findings_are_numbered_by_time() -> None:
    first, second = found("LCK008", first=5), found("LCK008", first=3)
    assert [each.id for each in numbered([first, second])] == [f"LCK008@{SERVER}#2", f"LCK008@{SERVER}"]
    assert [each.id for each in numbered([second, first])] == [f"LCK008@{SERVER}", f"LCK008@{SERVER}#2"]
    assert found("LCK008", host=None).id == "LCK008"


def test_a_loopback_is_a_host_of_its_capture() -> None:
    """Both files have a 127.0.0.1: its address is the host, its file is told apart from it."""
    rule = find("RPC002").rule
    one, other = (rule.finding(host=f"127.0.0.1 of node{number}.pcap", title="", explanation="") for number in (1, 2))
    assert (one.host, one.host_capture, one.table_host) == ("127.0.0.1", "node1.pcap", "127.0.0.1 of node1.pcap")
    assert [each.id for each in numbered([other, one])] == ["RPC002@127.0.0.1#2", "RPC002@127.0.0.1"]
    effect = find("LCK001").rule.finding(host="127.0.0.1 of node2.pcap", title="", explanation="")
    assert explains(replace(other, rule="REG001"), effect)
    assert not explains(replace(one, rule="REG001"), effect)


def test_a_rule_that_could_not_judge_all_is_not_among_those_that_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> list[Answer]:
        rule = find("LCK001").rule
        return [rule.clear("of one server"), rule.cannot_tell("of the other nothing was captured")]

    monkeypatch.setitem(rules(), "LCK001", find("LCK001")._replace(check=check, parameters=()))
    diagnosis = diagnose(inputs(healthy().wire()).tables, select=["LCK001", "LCK002"])
    assert [answer.rule for answer in diagnosis.clear] == ["LCK002"]
    assert [answer.rule for answer in diagnosis.cannot_tell] == ["LCK001"]


@pytest.mark.parametrize(
    ("fields", "summary"),
    [
        ({"wait_s": 61.56}, f"What REG001 says; {CLIENT} waited up to 61.6 s."),
        ({"wait_s": 0.06}, f"What REG001 says; affected: {CLIENT}."),
        ({"wait_s": 61.56, "title": "late, up to 61.6 s"}, f"Late, up to 61.6 s; affected: {CLIENT}."),
        ({"host": CLIENT, "wait_s": 30.0}, f"What REG001 says; {CLIENT} waited up to 30.0 s."),
        (
            {"host": CLIENT, "wait_s": 30.0, "title": f"{CLIENT} lacks it"},
            f"{CLIENT} lacks it; it waited up to 30.0 s.",
        ),
        ({"clients": ()}, "What REG001 says."),
    ],
)
def test_the_summary_says_host_what_who_and_how_long(fields: dict[str, Any], summary: str) -> None:
    assert fault([found("REG001", **fields)], []).summary == summary


def test_whom_a_cause_hurts_is_learnt_from_what_it_explains() -> None:
    lead = found("REG001", clients=())
    effects = [found("LCK002", wait_s=61.0), found("LCK002", host="10.0.0.8", wait_s=99.0, clients=(OTHER,))]
    findings = explained([lead, *effects])
    assert fault(findings[:1], findings).summary == f"What REG001 says; {CLIENT} waited up to 61.0 s."


def test_healthy_needs_locks_that_were_answered_in_time() -> None:
    stage = Stage()
    stage.client.lock(stage.server).granted().unlock().granted()
    verdict = diagnosed(stage.wire()).verdict
    assert (verdict.rule, verdict.state) == (None, "healthy")
    assert "2 lock requests were answered" in verdict.summary


def test_healthy_by_messages() -> None:
    stage = Stage()
    stage.client.lock(stage.server, asynchronous=True).granted()
    assert diagnosed(stage.wire()).verdict.state == "healthy"


def test_requests_by_message_without_a_result_are_lock_requests() -> None:
    stage = Stage()
    stage.client.lock(stage.server, asynchronous=True)
    verdict = diagnose(inputs(stage.wire()).tables, select=["NET"]).verdict
    assert verdict.summary == ("Cannot tell whether locks work: of 1 lock request by message, no result was captured.")


def test_a_notebook_shows_each_of_several_causes() -> None:
    one, other = found("REG001"), found("NET001", host=OTHER)
    shown = fault([one, other], [one, other])._repr_html_()
    assert "REG001, certain: What REG001 says" in shown
    assert "NET001, certain: What NET001 says" in shown
    assert "<li>" not in fault([one], [one])._repr_html_()


def private_lock(stage: Stage) -> None:
    """LOCK and its result with RPCSEC_GSS and privacy (RFC 2203 §5.3.3): krb5p."""
    flow = stage.client.flow(stage.server, LOCKD, TCP)
    credential = struct.pack(">7I", 6, 20, 1, 0, 1, 3, 0)  # version 1, DATA, number 1, privacy, an empty handle
    call = struct.pack(">6I", 0x7777, 0, 2, 100021, 4, 2) + credential + struct.pack(">3I", 0, 0, 200) + bytes(200)
    reply = struct.pack(">7I", 0x7777, 1, 0, 0, 0, 0, 80) + bytes(80)
    flow.send(True, call, stage.scenario.tick())
    flow.send(False, reply, stage.scenario.tick())


def unseen() -> dict[str, bytes]:
    nfs, cut, sudden, results, private, tls = Stage(), Stage(), Stage(), Stage(), Stage(), Stage()
    private_lock(private)
    starttls(tls)
    nfs.nfs()
    cut.client.lock(cut.server).granted()
    cut.client.lock(cut.server, "/srv/b")
    cut.later(5)
    sudden.nfs()
    sudden.client.lock(sudden.server)
    results.client.lock(results.server).granted()
    return {
        "no lock requests were captured": nfs.wire(),
        "the capture holds no RPC": Stage().wire(),
        "of 2 lock requests, 1 has no answer yet when the capture ends": cut.wire(),
        "1 has no answer yet when the capture ends": sudden.wire(),
        "the results of all lock requests are cut off": results.wire(snaplen=90),
        "the results of all lock requests are encrypted": private.wire(),
        "connections are encrypted by TLS": tls.wire(),
    }


@pytest.mark.parametrize(("reason", "capture"), unseen().items(), ids=list(unseen()))
def test_what_cannot_be_known_is_said(reason: str, capture: bytes) -> None:
    verdict = diagnosed(capture).verdict
    assert (verdict.rule, verdict.state) == (None, "cannot-tell")
    assert reason in verdict.summary


def test_a_request_under_way_at_the_end_does_not_spoil_a_healthy_capture() -> None:
    stage = Stage()
    for number in range(20):
        stage.client.lock(stage.server, svid=number).granted()
    stage.client.lock(stage.server, svid=99)
    assert diagnosed(stage.wire()).verdict.state == "healthy"


def healthy() -> Stage:
    stage = Stage()
    stage.client.lock(stage.server).granted()
    return stage


def test_with_a_file_that_could_not_be_read_nothing_is_healthy() -> None:
    tables = inputs(healthy().wire()).tables
    assert diagnose(tables).verdict.state == "healthy"
    unread = [SourceError("ring.pcap1", "is empty"), SourceError("ring.pcap3", "is empty")]
    assert diagnose(tables, skipped=unread).verdict == (
        None,
        "cannot-tell",
        "Cannot tell whether all locks work: 2 files could not be read (ring.pcap1 and ring.pcap3).",
        (),
    )


def test_with_a_rule_that_failed_nothing_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> list[Answer]:
        raise KeyError("status")

    monkeypatch.setitem(rules(), "LCK001", find("LCK001")._replace(check=check, parameters=()))
    tables = inputs(healthy().wire()).tables
    assert diagnose(tables).verdict == (
        None,
        "cannot-tell",
        "Cannot tell whether all locks work: 1 rule failed, which is a bug of nfsrpc (LCK001).",
        (),
    )
    assert diagnose(tables, ignore=["LCK001"]).verdict.state == "healthy"


def test_what_is_left_out_hides_no_fault() -> None:
    stage = Stage()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    tables = inputs(stage.wire()).tables
    assert diagnose(tables, skipped=[SourceError("ring.pcap1", "is empty")]).verdict == diagnose(tables).verdict


def test_a_diagnosis_has_the_settings_that_it_was_made_with() -> None:
    tables = inputs(healthy().wire()).tables
    assert not diagnose(tables).settings
    made = diagnose(tables, ["LCK"], ["LCK001"], {"LCK002": {"late_s": 9.0}}, "nfsrpc.toml").settings
    assert made == (("LCK",), ("LCK001",), {"LCK002": {"late_s": 9.0}}, "nfsrpc.toml")


def test_rules_can_be_left_out() -> None:
    stage = Stage()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    tables = inputs(stage.wire()).tables
    assert diagnose(tables).verdict.rule == "LCK004"
    assert diagnose(tables, ignore=["LCK004"]).verdict.rule is None
    assert diagnose(tables, select=["REG"]).findings == ()


def test_competing_causes_are_ordered_by_what_the_wait_looks_like() -> None:
    def suspected(stage: Stage) -> list[str]:
        return [cause.rule for cause in diagnosed(stage.wire(stage.client)).hypotheses]

    stage = Stage()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS")
    assert suspected(stage)[:2] == ["REG007", "MON001"]
    stage = Stage()
    stage.client.lock(stage.server).granted(after=10.2, resent=[10.1])
    assert suspected(stage)[0] == "MON002"
    stage = Stage()
    stage.nfs()
    stage.client.lock(stage.server).granted(after=61.6, resent=[10.2, 31.7, 60.5])
    assert suspected(stage)[0] == "REG001"
    stage = Stage()
    stage.client.lock(stage.server).denied("DENIED_NOLOCKS", after=60.1)
    assert suspected(stage)[0] == "MON003"


def test_a_merged_capture_may_lack_what_is_decisive() -> None:
    """Without a name in the credentials, the refused connection to statd is nobody's."""
    stage = Stage()
    stage.monitored(stage.client, stage.server)
    lock = stage.client.lock(stage.server)
    stage.server.getport(stage.server, "nsm1")
    stage.server.syn(stage.server, STATD, refused=True)
    lock.denied("DENIED_NOLOCKS")
    diagnosis = diagnosed(stage.wire(on="any"))
    assert (diagnosis.verdict.rule, diagnosis.hypotheses[0].rule) == ("LCK004", "REG007")


def test_statd_is_no_suspect_where_nfs_is_late_as_well() -> None:
    stage = Stage()
    stage.nfs()
    lock = stage.client.lock(stage.server)
    stage.client.call(stage.server, "nfs3", "GETATTR", object=b"x" * 8).reply(after=61.0, status="OK", type="REG")
    lock.granted(after=61.6, resent=[10.2, 31.7, 60.5])
    diagnosis = diagnosed(stage.wire(stage.client))
    assert (diagnosis.verdict.rule, diagnosis.hypotheses) == ("LCK002", ())


def test_nothing_competes_with_what_is_proven() -> None:
    stage = Stage()
    stage.nfs(stage.other)
    lock = stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 20)
    lock.granted()
    assert diagnosed(stage.any(stage.server)).hypotheses == ()


@pytest.mark.parametrize("later", [2, 30])
def test_why_no_lock_can_be_judged_says_of_how_many(later: int) -> None:
    stage = Stage()
    stage.nfs()
    for path in ("/srv/a", "/srv/b"):
        stage.client.lock(stage.server, path).granted()
    stage.later(later)
    assert diagnosed(stage.wire(sent_by=stage.client)).verdict.summary == (
        "Cannot tell whether locks work: of 2 lock requests, 2 have no answer in the capture."
    )


def test_of_what_passed_while_the_clock_was_set_nothing_is_concluded() -> None:
    stage = Stage()
    stage.client.lock(stage.server, "/srv/first").granted()
    stage.wait(1)
    lock = stage.client.lock(stage.server)
    reply = stage.frames() + 1
    lock.granted()
    stage.later(1)
    forward = diagnosed(clock_set(stage.wire(), reply, 3600))
    assert (forward.verdict.state, forward.findings) == ("cannot-tell", ())
    assert "clock was set" in forward.verdict.summary
    assert "LCK002" in [answer.rule for answer in forward.cannot_tell if "clock was set" in answer.why]
    back = diagnosed(clock_set(stage.wire(), reply, -3600))
    assert back.findings == ()
    assert diagnosed(stage.wire()).verdict.state == "healthy"


def test_what_one_message_proves_is_true_whatever_the_clock_says() -> None:
    stage = Stage()
    stage.client.lock(stage.server)
    stage.statd_asked(stage.server, 3)
    frame = stage.frames() + 1
    stage.statd_asked(stage.server, 3)
    stage.later(1)
    diagnosis = diagnosed(clock_set(stage.any(stage.server), frame, -3600))
    assert diagnosis.verdict.rule == "REG001"


def test_while_a_capture_goes_on_nothing_is_said_to_be_final() -> None:
    proof = Evidence(0, 5, "SYN to port 111, never answered")
    silent = found("LCK001", title=f"1 LOCK to {SERVER} never answered", evidence=(proof,))
    diagnosis = so_far(Diagnosis(fault([silent], []), (silent,)))
    (now,) = diagnosis.causes
    assert now.title == f"1 LOCK to {SERVER} not answered yet"
    assert now.evidence == (proof._replace(note="SYN to port 111, not answered yet"),)
    assert diagnosis.verdict.summary == f"1 LOCK to {SERVER} not answered yet; affected: {CLIENT}."
    assert diagnosis.verdict.causes[0].summary == diagnosis.verdict.summary
    late = found("LCK002")
    assert so_far(Diagnosis(fault([late], []), (late,))).findings == (late,)


# The wire of a host and its loopback in files of their own, whose clocks no message compares


def with_a_loopback(stage: Stage) -> list[bytes]:
    """What a server exchanges with a client, and over its loopback, captured at once by two tcpdumps."""
    stage.monitored(stage.server, stage.client)
    stage.client.lock(stage.server).granted().unlock().granted()
    return both(stage)


def both(stage: Stage) -> list[bytes]:
    return [stage.wire(stage.server), stage.scenario.capture(stage.server, "lo")]


def test_a_loopback_without_a_fault_leaves_the_verdict_to_the_wire() -> None:
    captures = with_a_loopback(Stage())
    alone, loopback = (diagnosed(capture).verdict for capture in captures)
    assert (alone.state, loopback.state) == ("healthy", "cannot-tell")
    assert diagnosed(captures).verdict == alone == diagnosed(captures[::-1]).verdict


def test_so_does_a_capture_without_a_frame() -> None:
    wire, loopback = with_a_loopback(Stage())
    assert diagnosed([wire, loopback[:24]]).verdict == diagnosed(wire).verdict


def test_not_so_where_the_loopback_speaks_against_locks() -> None:
    stage = Stage()
    with_a_loopback(stage)
    stage.server.call(stage.server, "nsm1", "NULL")
    stage.later(30)
    stage.statd_asked(stage.server, 1, STATD)
    verdict = diagnosed(both(stage)).verdict
    assert verdict.state == "cannot-tell"
    assert "of 2 groups of captures 1 is healthy" in verdict.summary


def test_nor_where_a_wire_without_lock_requests_is_the_other() -> None:
    stage, other = Stage(), Stage()
    other.wait(500)
    other.scenario.xids = iter(range(1, 100))
    other.nfs()
    verdict = diagnosed([with_a_loopback(stage)[0], other.wire()]).verdict
    assert verdict.state == "cannot-tell"
    assert "no lock requests were captured; of 2 groups of captures 1 is healthy" in verdict.summary


def test_nor_where_the_other_holds_frames_that_are_not_read() -> None:
    """Most likely a wire, of which nothing is known."""
    wire, loopback = with_a_loopback(Stage())
    unknown = loopback[:20] + struct.pack("<I", 147) + loopback[24:]
    assert diagnosed([wire, unknown]).verdict.state == "cannot-tell"
