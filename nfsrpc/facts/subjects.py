"""Subjects: what must be in a capture for a rule to judge it at all.

A rule names its subject in its head (`judges`). Where a rule has no answer, its subject decides: it passes where the
subject was captured, and all of it is listed, and otherwise cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nfsrpc.columns import Mask, Table, isin
from nfsrpc.facts.basic import over_udp
from nfsrpc.facts.inputs import Inputs
from nfsrpc.facts.portmappers import answers_about
from nfsrpc.protocols.numbers import MountProc, NlmProc, Prog
from nfsrpc.tables import Calls, Locks, Registrations

OF_HOLDERS = ("granted locks", "answered LOCK")  # of rules that compare a grant with who held that lock before
SYNCHRONOUS_LOCKS = (NlmProc.LOCK, NlmProc.NM_LOCK)  # whose reply is the result


def any_row(table: Table, chosen: Callable[[Table], Mask]) -> bool:
    """Whether the condition is met by any row."""
    return bool(chosen(table).any())


def names_a_port(registrations: Registrations, programs: Sequence[int] = ()) -> bool:
    """Whether a portmapper named a port, of one of these programs if any are given."""
    rows = answers_about(registrations, programs) if programs else registrations
    return bool((rows["port"][rows.valid("port")] > 0).any())


def results(requests: Calls, *procedures: int) -> Mask:
    """Requests of these procedures whose result is in the capture."""
    mask: Mask = isin(requests["proc"], procedures) & requests.valid("status")
    return mask


def messages(locks: Locks) -> Mask:
    """Sessions whose LOCK_MSG has a result in the capture."""
    mask: Mask = (locks["procedure"] == "LOCK_MSG") & locks.valid("status")
    return mask


# The subject, as in "no ... in the capture": whether these tables and facts hold it.
SUBJECTS: dict[str, Callable[[Inputs], bool]] = {
    "answer of a host's own portmapper": lambda inputs: bool(
        (inputs.registrations["loopback"] & inputs.registrations.valid("port")).any()
    ),
    "named port": lambda inputs: names_a_port(inputs.registrations),
    "named port of NFS or MOUNT": lambda inputs: names_a_port(inputs.registrations, (Prog.NFS, Prog.MOUNT)),
    "named port of statd or the lock manager": lambda inputs: names_a_port(inputs.registrations, (Prog.NSM, Prog.NLM)),
    "answers of portmappers": lambda inputs: bool(len(inputs.portmappers.answered)),
    "lock requests": lambda inputs: bool(inputs.roles.lock_pairs),
    "lock requests with their range": lambda inputs: len(inputs.locks) > 0,
    "answered lock requests": lambda inputs: bool(inputs.requests.valid("latency_s").any()),
    "LOCK requests": lambda inputs: bool(isin(inputs.nlm["proc"], (*SYNCHRONOUS_LOCKS, NlmProc.LOCK_MSG)).any()),
    "replies to LOCK": lambda inputs: bool(results(inputs.requests, *SYNCHRONOUS_LOCKS).any()),
    "results of LOCK": lambda inputs: bool(
        results(inputs.requests, *SYNCHRONOUS_LOCKS).any() or messages(inputs.locks).any()
    ),
    "replies to UNLOCK": lambda inputs: bool(results(inputs.requests, NlmProc.UNLOCK).any()),
    "granted locks": lambda inputs: bool(inputs.locks.valid("granted").any()),
    "locks granted in time": lambda inputs: bool(
        (inputs.locks.valid("granted") & (inputs.locks["granted_by"] != "late-reply")).any()
    ),
    "whole lock requests": lambda inputs: bool(inputs.locks.valid("requested").any()),  # not cut before the range
    "answered LOCK": lambda inputs: answered_lock(inputs.requests),
    "TCP or UDP": lambda inputs: bool(len(inputs.flows)),
    "answered SM_MON": lambda inputs: bool(
        ((inputs.monitors["procedure"] == "MON") & (inputs.monitors["state"] == "answered")).any()
    ),
    "notices of a reboot": lambda inputs: bool(inputs.notice_tries),
    "SM_NOTIFY": lambda inputs: any(tries.notices for tries in inputs.notice_tries),
    "frames": lambda inputs: bool(inputs.quality["frames"].any()),
    "RPC": lambda inputs: bool(inputs.flows["rpc"].any()),
    "replies": lambda inputs: bool(len(inputs.counted) or inputs.exchanges.valid("rpc_status").any()),
    "answered calls": lambda inputs: bool(len(inputs.counted) or inputs.exchanges.valid("latency_s").any()),
    "NFS": lambda inputs: bool(inputs.roles.file_servers),
    "mount": lambda inputs: any_row(
        inputs.exchanges,
        lambda rows: (rows["prog"] == Prog.MOUNT) & (rows["proc"] == MountProc.MNT) & rows.valid("status"),
    ),
    "accepted connections": lambda inputs: bool((inputs.connections["synack"] > 0).any()),
    "RPC over UDP": lambda inputs: (
        over_udp(inputs.counted) > 0 or any_row(inputs.exchanges, lambda rows: rows["transport"] == "udp")
    ),
    "RPC over UDP or asynchronous lock requests": lambda inputs: (
        SUBJECTS["RPC over UDP"](inputs) or any_row(inputs.nlm, lambda rows: (rows["proc"] > 5) & (rows["proc"] < 10))
    ),
    "RPC over TCP between hosts": lambda inputs: any_row(
        inputs.connections, lambda rows: (rows["transport"] == "tcp") & rows["rpc"] & ~rows["loopback"]
    ),
}


def is_left_out(subject: str, inputs: Inputs) -> bool:
    """Whether something of a subject may not be listed, for lack of room: that a rule would have found.

    What is in order leaves as sums, and is missed only where it matters who held a lock before.
    """
    if subject == "frames":
        return False
    return inputs.odd_left_out or (subject in OF_HOLDERS and inputs.locks.is_partial)


def answered_lock(requests: Calls) -> bool:
    """Whether a result of LOCK was captured, and when it was asked for."""
    locks = isin(requests["proc"], (NlmProc.LOCK, NlmProc.NM_LOCK)) & requests.valid("status") & requests.valid("time")
    return bool(locks.any())
