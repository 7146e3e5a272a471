"""From answers to the verdict: the faults that no other explains, or why there is none.

Every fault that no other finding explains is a cause (causes.py), the gravest first; one capture may show several ill
hosts. `healthy` needs evidence: locks were requested and answered in time, and nothing speaks against it. Anything else
is `cannot-tell`, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nfsrpc.columns import Table, isin
from nfsrpc.diagnosis.catalogue import Check, chosen
from nfsrpc.diagnosis.causes import explained, is_fault, numbered, root_causes
from nfsrpc.diagnosis.clock_jumps import CLOCK_SET, confused_by_steps
from nfsrpc.diagnosis.faults import fault, gravity
from nfsrpc.diagnosis.health import doubts, never_granted
from nfsrpc.diagnosis.hypotheses import hypotheses
from nfsrpc.diagnosis.joined import HEALTHY, joined
from nfsrpc.diagnosis.kernel_log import expected
from nfsrpc.diagnosis.run import CUT_SHORT, CutShort, Limited, ask, standing, unlimited
from nfsrpc.diagnosis.timers import fingerprinted
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.other_clocks import ByClock, OtherClocks
from nfsrpc.facts.stalls import LATE_S, late
from nfsrpc.findings.bounds import SCREEN
from nfsrpc.findings.finding import (
    Answer,
    Broken,
    CannotTell,
    Clear,
    Diagnosis,
    Finding,
    Hypothesis,
    Settings,
    Verdict,
    lacking,
)
from nfsrpc.protocols.numbers import NlmProc
from nfsrpc.sessions.aligned import OfClock, of_each_clock
from nfsrpc.sessions.exchanges import ENCRYPTED
from nfsrpc.tables import Calls, Flows, Locks, Quality, Tallies
from nfsrpc.wording import SECOND, duration, named, several

if TYPE_CHECKING:
    from nfsrpc.diagnosis.settings import Settings as Thresholds
    from nfsrpc.sources import SourceError

# A request that waited this long when the capture ended may be in trouble; one sent just before is no evidence.
PATIENT_S = 1.0
OF_ALL = "clocks"  # an input of rules that are about the captures of all clocks
UNATTRIBUTED = "passed over a loopback that several hosts share"
UNDECIDED_SHARE = 0.1  # with more requests whose fate is unknown, the rest cannot be called healthy


def diagnose(
    tables: Mapping[str, Table],
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    settings: Thresholds | None = None,
    file: str | None = None,
    *,
    skipped: Sequence[SourceError] = (),
    limited: Limited = unlimited,
) -> Diagnosis:
    """The diagnosis of some tables. `select` and `ignore` are prefixes of identifiers or names of rules.

    `file` is where these settings stand, if they do; `skipped` are files that could not be read. Where `limited`
    (run.py) cuts it short, what was found stands, and without a fault it is not healthy but unknown.
    """
    in_force = Settings(tuple(select), tuple(ignore), settings or {}, file)
    checks = chosen(in_force.select, in_force.ignore)
    try:
        clocks = limited(lambda: of_each_clock(tables))
        whole = Inputs(tables)
        whole.skipped = tuple(skipped)
        if not clocks:
            return replace(concluded_of(whole, checks, settings, limited), settings=in_force)
        of_each = [check for check in checks if OF_ALL not in check.parameters]
        found = joined([concluded_of(inputs, of_each, settings, limited) for inputs in inputs_of(clocks, whole)])
        found = with_holders(found, clocks, limited)
        found = limited(lambda: across(found, clocks), at_the_end=True)
        answers = ask(whole, [check for check in checks if check not in of_each], settings, limited)
        about = [answer for answer in answers if isinstance(answer, Finding)]
        return replace(found, findings=(*found.findings, *about), settings=in_force)
    except CutShort:
        # Not even what was found: whether a step of the clock explains it has not been looked at.
        cannot_tell = tuple(check.rule.cannot_tell(CUT_SHORT, lacks="time") for check in checks)
        return Diagnosis(UNFINISHED, cannot_tell=cannot_tell, settings=in_force)


def concluded_of(
    inputs: Inputs,
    checks: Sequence[Check],
    settings: Thresholds | None,
    limited: Limited,
) -> Diagnosis:
    """The diagnosis of captures whose times can all be compared."""
    answers = ask(inputs, checks, settings, limited)
    return limited(lambda: concluded(answers, inputs), at_the_end=True)


def with_holders(found: Diagnosis, clocks: Sequence[OfClock], limited: Limited) -> Diagnosis:
    """The diagnosis with what captures by another clock show of holders, where there is time for it."""
    # Of one clock, as most captures are, none of it is asked.
    from nfsrpc.diagnosis.holders_elsewhere import with_holders_elsewhere

    try:
        return limited(lambda: with_holders_elsewhere(found, clocks))
    except CutShort:
        return found


def across(found: Diagnosis, clocks: Sequence[OfClock]) -> Diagnosis:
    """The diagnosis without what no clock by itself shows."""
    from nfsrpc.diagnosis.contested_files import with_contested_files

    return with_contested_files(found, clocks)


def inputs_of(clocks: Sequence[OfClock], whole: Inputs) -> Iterator[Inputs]:
    """The inputs of each clock, with what captures by the others show at whatever time.

    Captures of a loopback alone show no role of its host.
    """
    by_clock = ByClock(clocks)
    for number, clock in enumerate(clocks):
        inputs = Inputs(clock)
        inputs.skipped, inputs.other_clocks = whole.skipped, OtherClocks(by_clock, number)
        if inputs.flows["loopback"].all():
            inputs.roles_elsewhere = whole.roles
        yield inputs


UNFINISHED = Verdict(None, "cannot-tell", f"Cannot tell whether locks work: {CUT_SHORT}.")


def concluded(every_answer: list[Answer], inputs: Inputs) -> Diagnosis:
    confused = confused_by_steps(every_answer, inputs.clock_steps)
    answers = standing(every_answer, confused, inputs)
    found = numbered([answer for answer in answers if isinstance(answer, Finding)])
    findings = sorted(fingerprinted(explained(sorted(found, key=gravity)), inputs), key=gravity)
    causes = root_causes([each for each in findings if is_fault(each)])
    broken = tuple(answer for answer in answers if isinstance(answer, Broken))
    is_confused = any(is_fault(each) for each in confused)
    if causes:
        verdict = fault(causes, findings, answers)
    elif lacking("time", answers):
        verdict = UNFINISHED
    else:
        verdict = without_fault(inputs, is_confused)
    if verdict.state == "healthy" and (gap := left_out(answers, inputs.skipped, inputs.unattributed)):
        verdict = Verdict(None, "cannot-tell", f"Cannot tell whether all locks work: {gap}.")
    leading = set(map(id, causes))
    cannot_tell = tuple(answer for answer in answers if isinstance(answer, CannotTell))
    unjudged = {answer.rule for answer in cannot_tell} | {answer.rule for answer in broken}
    return Diagnosis(
        verdict=verdict,
        findings=(*causes, *(each for each in findings if id(each) not in leading)),
        cannot_tell=cannot_tell,
        clear=tuple(answer for answer in answers if isinstance(answer, Clear) and answer.rule not in unjudged),
        broken=broken,
        hypotheses=tuple(competing(causes, inputs)),
        log=expected(findings, inputs),
        off_the_wire=not (causes or is_confused or lacking("time", answers)) and is_off_the_wire(answers, inputs),
    )


def is_off_the_wire(answers: Sequence[Answer], inputs: Inputs) -> bool:
    """Whether captures show nothing that passes between hosts, as locks do, and nothing that speaks against locks."""
    if not inputs.flows["loopback"].all() or (inputs.quality["frames"].any() and not len(inputs.flows)):
        return False
    if len(inputs.requests) or by_message(inputs.nlm) or unread(inputs.quality):
        return False
    if left_out(answers, inputs.skipped, inputs.unattributed):
        return False
    return next(doubts(inputs), "") == never_granted(inputs)


def competing(causes: Sequence[Finding], inputs: Inputs) -> Iterator[Hypothesis]:
    """The hypotheses for causes whose decisive half was not captured, once per host."""
    asked: set[str | None] = set()
    for cause in causes[: SCREEN.others]:
        found = hypotheses(cause, inputs) if cause.table_host not in asked else ()
        asked |= {cause.table_host} if found else set()
        yield from found


def without_fault(inputs: Inputs, confused: bool) -> Verdict:
    """The verdict without a fault: healthy where locks were requested and answered in time, else cannot-tell.

    `confused`: there are faults, if the clock can be trusted, which was set while it captured.
    """
    requests = inputs.requests
    answered = requests.where((requests["state"] == "answered") & ~late(requests, LATE_S))
    undecided = requests.where(requests["state"] == "undecided")
    asynchronous, counted = async_answers(inputs.locks), inputs.counted_requests
    total = len(requests) + int(counted["exchanges"].sum())
    more = "more than " if inputs.crowded else ""
    if not len(requests) and not asynchronous and (sent := by_message(inputs.nlm)):
        why = f"of {several(sent, 'lock request')} by message, no result was captured"
        return Verdict(None, "cannot-tell", f"Cannot tell whether locks work: {why}.")
    if not len(requests) and not asynchronous:
        return Verdict(None, "cannot-tell", unseen(inputs.flows, inputs.quality, inputs.unattributed))
    if confused:
        return Verdict(None, "cannot-tell", f"Cannot tell whether locks work in time: {CLOCK_SET}.")
    if not len(answered) and not asynchronous:
        why = f"of {more}{several(total, 'lock request')}, {without_reply(undecided, inputs)}"
        return Verdict(None, "cannot-tell", f"Cannot tell whether locks work: {why}.")
    if inputs.span is None:
        return Verdict(None, "cannot-tell", "Cannot tell whether locks work in time: frames have no time stamps.")
    if not answered.valid("status").any() and not asynchronous:
        encrypted = (answered["flags"] & ENCRYPTED != 0).all()
        why = f"the results of all lock requests are {'encrypted' if encrypted else 'cut off (snap length)'}"
        return Verdict(None, "cannot-tell", f"Cannot tell whether locks work: {why}.")
    if waiting(undecided, inputs) or len(undecided) > UNDECIDED_SHARE * total:
        why = f"of {more}{several(total, 'lock request')}, {without_reply(undecided, inputs)}"
        return Verdict(None, "cannot-tell", f"Cannot tell whether all locks work: {why}.")
    if inputs.odd_left_out:
        why = "of those out of the ordinary there are more than there is room for"
        return Verdict(None, "cannot-tell", f"Cannot tell whether all locks work: {why}.")
    if doubt := next(doubts(inputs), ""):
        return Verdict(None, "cannot-tell", f"Cannot tell whether all locks work: {doubt}.")
    if inputs.unexplained_waits:
        return Verdict(None, "cannot-tell", unexplained_wait(inputs))
    return Verdict(None, "healthy", f"{healthy_summary(answered, counted, asynchronous)}{unread(inputs.quality)}.")


def unexplained_wait(inputs: Inputs) -> str:
    """A sentence on the longest wait whose cause is not in the capture."""
    longest = max(inputs.unexplained_waits, key=lambda waiter: waiter.row.wait_s or 0.0).row
    end = "was granted only when the client retried" if longest.granted else "is not granted when the capture ends"
    return (
        f"Cannot tell whether locks are granted in time: a LOCK of {longest.client} waited {duration(longest.wait_s)} "
        f"and {end}; the capture does not show who held the range."
    )


def left_out(answers: Sequence[Answer], skipped: Sequence[SourceError], unattributed: int) -> str:
    """What was not looked at, so that the rest cannot be called healthy; empty where all was."""
    if skipped:
        return f"{several(len(skipped), 'file')} could not be read ({named({error.path for error in skipped})})"
    if failed := sorted(answer.rule for answer in answers if isinstance(answer, Broken)):
        return f"{several(len(failed), 'rule')} failed, which is a bug of nfsrpc ({', '.join(failed)})"
    if rules := lacking("room", answers):
        return f"of {named(rules)} there may be more findings than there is room for"
    if unattributed:
        return f"{several(unattributed, 'lock request')} {UNATTRIBUTED}"
    return ""


def async_answers(locks: Locks) -> int:
    """The number of locks requested by LOCK_MSG to which a result came."""
    return int(((locks["procedure"] == "LOCK_MSG") & locks.valid("status")).sum())


def by_message(nlm: Calls) -> int:
    """The number of lock requests whose result is a message of its own."""
    return int(isin(nlm["proc"], (NlmProc.TEST_MSG, NlmProc.LOCK_MSG, NlmProc.CANCEL_MSG, NlmProc.UNLOCK_MSG)).sum())


def unseen(flows: Flows, quality: Quality, unattributed: int) -> str:
    why = "no lock requests were captured"
    if flows["tls"].any():
        why = "connections are encrypted by TLS, and no lock requests are seen"
    if not flows["rpc"].any():
        why = "what was read of the capture holds no RPC" if unread(quality) else "the capture holds no RPC"
    if unattributed:
        why = f"all lock requests {UNATTRIBUTED}"
    return f"Cannot tell whether locks work: {why}{unread(quality)}."


def unread(quality: Quality) -> str:
    """The end of a sentence on frames that may hold RPC and were not read; nothing where there are none."""
    frames, rdma, rpc = (int(quality[name].sum()) for name in ("unread", "rdma", "rdma_rpc"))
    links = sorted({link for row in quality.rows() for link in row.unread_links or ()})
    parts = []
    if frames:
        parts.append(f"{several(frames, 'frame')} of link type {' and '.join(links)}")
    if rdma:
        parts.append(f"{several(rdma, 'frame')} of RDMA{f' ({rpc} of them with RPC)' if rpc else ''}")
    return f"; not read: {' and '.join(parts)}" if parts else ""


def without_reply(undecided: Calls, inputs: Inputs) -> str:
    if not len(undecided):
        return "none was answered in time"
    number = several(len(undecided), "has", "have")
    span = inputs.span
    captured = all((row.server, row.client) in inputs.sending_pairs for row in undecided.rows())
    if captured and span is not None and ((span.last - undecided["time"]) < 10 * SECOND).all():
        return f"{number} no answer yet when the capture ends"
    return f"{number} no answer in the capture"


def waiting(undecided: Calls, inputs: Inputs) -> bool:
    span = inputs.span
    if span is None:
        return bool(len(undecided))
    return bool(((span.last - undecided["time"]) > PATIENT_S * SECOND).any())


def healthy_summary(answered: Calls, counted: Tallies, asynchronous: int) -> str:
    clients, servers = (answered[end].present() | counted[end].present() for end in ("client", "server"))
    latency = np.concatenate([answered["latency_s"][answered.valid("latency_s")], counted["latency_max_s"]])
    slowest = f", the slowest after {duration(float(latency.max()))}" if len(latency) else ""
    whose = f" of {named(clients)} to {named(servers)}" if clients else ""
    number = len(answered) + counted.counted(int(counted["exchanges"].sum())) + asynchronous
    total = several(number, "lock request was", "lock requests were")
    return f"{HEALTHY}{total} answered{whose and ','}{whose}{slowest}"
