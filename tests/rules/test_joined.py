"""Diagnoses of captures that are judged by themselves, as one."""

from __future__ import annotations

from typing import Any

from nfsrpc.diagnosis.faults import PARTIAL, fault
from nfsrpc.diagnosis.joined import joined
from nfsrpc.findings.command import remark
from nfsrpc.findings.finding import (
    CannotTell,
    Certainty,
    Clear,
    Diagnosis,
    Evidence,
    Finding,
    Hypothesis,
    Lack,
    Rule,
    Verdict,
)

SERVER = "10.9.0.1"
LACKS: tuple[Lack, ...] = ("time", "room")
REG, LCK, NET = (Rule(rule, "made", "error") for rule in ("REG001", "LCK002", "NET001"))


def found(rule: Rule, client: str, title: str = "no statd", certainty: Certainty = "likely", **fields: Any) -> Finding:
    return rule.finding(
        host=SERVER,
        title=title,
        explanation=f"Seen by {client}.",
        certainty=certainty,
        clients=(client,),
        count=2,
        evidence=(Evidence(int(client[-1]), 7, "a frame"),),
        **fields,
    )


def diagnosis(*causes: Finding, effects: tuple[Finding, ...] = (), **fields: Any) -> Diagnosis:
    verdict = fault(causes, causes) if causes else Verdict(None, "healthy", "No fault: 1 lock request was answered.")
    return Diagnosis(verdict, (*causes, *effects), **fields)


def test_one_diagnosis_is_itself() -> None:
    one = diagnosis(found(REG, "10.8.0.1"))
    assert joined([one]) is one


def test_what_several_show_of_a_host_is_one_fault_as_the_surest_says_it() -> None:
    remedy = (remark("{client}: unmonitored.", client="10.8.0.2"),)
    parts = [
        diagnosis(found(REG, "10.8.0.1", "perhaps no statd", wait_s=90.0)),
        diagnosis(found(REG, "10.8.0.2", certainty="certain", wait_s=61.6, remedy=remedy)),
        diagnosis(found(REG, "10.8.0.3", "perhaps no statd")),
    ]
    (one,) = joined(parts).findings
    assert (one.id, one.title, one.certainty) == (f"REG001@{SERVER}", "no statd", "certain")
    assert one.clients == ("10.8.0.1", "10.8.0.2", "10.8.0.3")
    assert (one.count, one.wait_s) == (6, 90.0)
    assert [proof.capture for proof in one.evidence] == [2, 1, 3]
    assert one.explanation == (
        "Seen by 10.8.0.2. The captures of 2 other groups, judged by themselves, show the same of 10.8.0.1 and "
        "10.8.0.3, which waited up to 90.0 s."
    )
    assert [str(line) for line in one.remedy] == [
        "# 10.8.0.2: unmonitored.",
        "# The same for 10.8.0.1 and 10.8.0.3.",
    ]


def test_a_remedy_that_names_no_client_is_that_of_all() -> None:
    parts = [diagnosis(found(REG, f"10.8.0.{number}", remedy=(remark("Start it."),))) for number in (1, 2)]
    (one,) = joined(parts).findings
    assert [str(line) for line in one.remedy] == ["# Start it."]


def test_a_cause_of_one_and_an_effect_in_another_are_two() -> None:
    """What explains a fault in one capture is no explanation of it in another whose time is unknown."""
    cause = found(REG, "10.8.0.1", certainty="certain")
    effect, alone = (found(LCK, f"10.8.0.{number}", "locks waited") for number in (1, 2))
    explaining = diagnosis(
        Finding(**{**vars(cause), "explains": (effect.id,)}),
        effects=(effect,),
        hypotheses=(Hypothesis("REG001", "made", SERVER, "", "", effect.id),),
    )
    whole = joined([diagnosis(alone), explaining])
    assert [(each.rule, each.clients) for each in whole.causes] == [
        ("REG001", ("10.8.0.1",)),
        ("LCK002", ("10.8.0.2",)),
    ]
    ids = {each.clients: each.id for each in whole.findings if each.rule == "LCK002"}
    assert sorted(ids.values()) == [f"LCK002@{SERVER}", f"LCK002@{SERVER}#2"]
    assert whole.causes[0].explains == (ids["10.8.0.1",],)
    assert [each.finding for each in whole.hypotheses] == [ids["10.8.0.1",]]


def test_several_of_one_diagnosis_are_one_with_others_that_say_the_same() -> None:
    parts = [
        diagnosis(*(found(NET, "10.8.0.1", f"port {port}") for port in (1, 2))),
        diagnosis(found(NET, "10.8.0.2", "port 2")),
    ]
    assert {each.title: each.clients for each in joined(parts).findings} == {
        "port 1": ("10.8.0.1",),
        "port 2": ("10.8.0.1", "10.8.0.2"),
    }


def test_locks_on_two_files_are_two() -> None:
    parts = [diagnosis(found(LCK, f"10.8.0.{n}", f"a lock on /f{n} waits", files=(f"/f{n}",))) for n in (1, 2)]
    assert len(joined(parts).findings) == 2


def test_the_verdict_says_that_rules_were_cut_short_or_have_more_findings() -> None:
    alone = diagnosis(found(REG, "10.8.0.1"))
    others = [
        diagnosis(found(REG, "10.8.0.2"), cannot_tell=(CannotTell("LCK011", "too many", lacks=lack),)) for lack in LACKS
    ]
    plain, late, more = (
        joined([alone, other]).verdict.summary for other in (diagnosis(found(REG, "10.8.0.2")), *others)
    )
    assert late == f"{plain} {PARTIAL}"
    assert more == f"{plain} Of LCK011 there may be more findings than are listed."


def test_healthy_only_where_all_are() -> None:
    healthy = diagnosis(clear=(Clear("REG001", "it is"), Clear("NET001", "it is")))
    unknown = Diagnosis(
        Verdict(None, "cannot-tell", "Cannot tell whether locks work: none was asked for."),
        cannot_tell=(CannotTell("REG001", "not captured"),),
    )
    assert joined([healthy, healthy]).verdict.state == "healthy"
    of_clients = [
        Diagnosis(Verdict(None, "healthy", f"{n} requests of 10.8.0.{n} were answered.")) for n in range(1, 5)
    ]
    assert joined(of_clients).verdict.summary == (
        "No fault in 4 groups of captures, judged by themselves. 1 requests of 10.8.0.1 were answered. "
        "2 requests of 10.8.0.2 were answered. 3 requests of 10.8.0.3 were answered. 1 more group has no fault either."
    )
    mixed = joined([healthy, unknown])
    assert mixed.verdict == Verdict(
        None,
        "cannot-tell",
        "Cannot tell whether locks work: none was asked for; of 2 groups of captures 1 is healthy.",
    )
    assert [each.rule for each in mixed.clear] == ["NET001"]
    assert joined([unknown, unknown]).verdict.summary == unknown.verdict.summary


def test_captures_of_loopbacks_leave_the_verdict_to_the_others() -> None:
    healthy = diagnosis()
    unknown = Diagnosis(Verdict(None, "cannot-tell", "Cannot tell whether locks work: no lock requests were captured."))
    loopback = Diagnosis(unknown.verdict, off_the_wire=True)
    assert joined([healthy, loopback]).verdict == healthy.verdict
    assert joined([unknown, loopback]).verdict == unknown.verdict
    assert joined([loopback, loopback]).verdict == unknown.verdict
    assert joined([healthy, unknown, loopback]).verdict.state == "cannot-tell"
    assert joined([loopback, healthy, healthy]).verdict.summary.startswith("No fault in 2 groups of captures")
    assert [joined(parts).off_the_wire for parts in ([loopback, loopback], [healthy, loopback])] == [True, False]
