"""Lock sessions of real kernels: what was done (timeline.txt beside each capture) is what the table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nfsrpc.decode import decode
from nfsrpc.sessions import WANTED, Sessions

COLUMNS = ("owner", "state", "status", "granted_by", "polls", "resends", "grace", "reclaims", "callbacks", "holder")
PLAIN: tuple[Any, ...] = (0, "reply", 0, 0, 0, 0, 0, None)


def locks(*paths: Path) -> list[tuple[Any, ...]]:
    table = Sessions(decode(paths, WANTED))["locks"]
    return list(zip(*map(table.values, COLUMNS), strict=True))


CL1, CL2 = "(10.1.84.41)", "(10.1.84.42)"
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    # Sent four times and answered four times after a minute; the later ones at once.
    "02-server-no-statd/nfssrv-any.pcap": [
        ("0@cl1", "released", 0, "reply", 0, 3, 0, 0, 0, None),
        ("1@cl1", "released", *PLAIN),
        ("2@cl1", "released", *PLAIN),
        ("3@cl1", "released", *PLAIN),
    ],
    "03-server-statd-killed/nfssrv-any.pcap": [
        ("0@cl1", "denied", 2, None, 0, 0, 0, 0, 0, None),
        ("1@cl1", "denied", 2, None, 0, 0, 0, 0, 0, None),
    ],
    "07-contended-granted/nfssrv-any.pcap": [
        ("0@cl1", "released", *PLAIN),
        ("0@cl2", "released", 0, "callback", 0, 0, 0, 0, 1, f"0@cl1 {CL1}"),
        ("1@cl1", "released", *PLAIN),
        ("1@cl2", "released", 0, "callback", 0, 0, 0, 0, 1, f"1@cl1 {CL1}"),
    ],
    # The call back never leaves the server: the waiters get their locks by asking again.
    "08-granted-callback-blocked/nfssrv-any.pcap": [
        ("0@cl1", "released", *PLAIN),
        ("0@cl2", "released", 0, "poll", 2, 0, 0, 0, 0, f"0@cl1 {CL1}"),
        ("1@cl1", "released", *PLAIN),
        ("1@cl2", "released", 0, "poll", 1, 0, 0, 0, 0, f"1@cl1 {CL1}"),
    ],
    "09-blocked-lock-cancelled/nfssrv-any.pcap": [
        ("0@cl1", "released", *PLAIN),
        *((f"{svid}@cl2", "cancelled", 3, None, 0, 0, 0, 0, 0, f"0@cl1 {CL1}") for svid in range(3)),
        ("3@cl2", "released", *PLAIN),
    ],
    "11-server-reboot/cl1-any.pcap": [("0@cl1", "released", 0, "reply", 0, 1, 0, 1, 0, None)],
    "11-server-reboot/cl2-any.pcap": [
        ("0@cl2", "released", *PLAIN),
        ("1@cl2", "released", 0, "poll", 18, 0, 18, 0, 0, None),
        ("2@cl2", "denied", 1, None, 0, 0, 0, 0, 0, None),
        ("3@cl2", "released", *PLAIN),
    ],
    "13-client-dead-lock-held/nfssrv-any.pcap": [
        ("0@cl1", "held", *PLAIN),
        ("0@cl2", "waiting", 3, None, 6, 0, 0, 0, 0, f"0@cl1 {CL1}"),
    ],
    "13-client-dead-lock-held/cl2-eth0.pcap": [("0@cl2", "waiting", 3, None, 6, 0, 0, 0, 0, None)],
    "17-midstream-and-cut/B-cut-srv-any.pcap": [("3@cl1", "undecided", None, None, 0, 0, 0, 0, 0, None)],
    # The grant of a lock that was asked for before the capture: its owner is told by the UNLOCK.
    "17-midstream-and-cut/C-granted-only-srv-eth0.pcap": [
        ("4@cl1", "released", None, None, 0, 0, 0, 0, 0, None),
        ("1@cl2", "released", 0, "callback", 0, 0, 0, 0, 1, None),
    ],
    "24-stale-filehandle/nfssrv-any.pcap": [
        ("0@cl1", "released", *PLAIN),
        ("1@cl1", "denied", 7, None, 0, 0, 0, 0, 0, None),
        ("2@cl1", "released", *PLAIN),
        ("3@cl1", "denied", None, None, 2, 0, 0, 0, 0, None),
    ],
    "27-deadlock/nfssrv-any.pcap": [
        ("0@cl1", "released", *PLAIN),
        ("0@cl2", "released", *PLAIN),
        ("0@cl1", "released", 0, "callback", 0, 0, 0, 0, 1, f"0@cl2 {CL2}"),
        ("0@cl2", "denied", 5, None, 0, 0, 0, 0, 0, f"0@cl1 {CL1}"),
        ("1@cl1", "released", *PLAIN),
        ("2@cl1", "released", *PLAIN),
        ("1@cl1", "released", *PLAIN),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_sessions(kernel_captures: Path, name: str) -> None:
    assert locks(kernel_captures / name) == EXPECTED[name]


def test_both_ends_show_the_same_sessions(kernel_captures: Path) -> None:
    directory = kernel_captures / "08-granted-callback-blocked"
    both = locks(directory / "nfssrv-any.pcap", directory / "cl2-any.pcap")
    assert both == EXPECTED["08-granted-callback-blocked/nfssrv-any.pcap"]


def test_a_ring_is_the_whole(kernel_captures: Path) -> None:
    directory = kernel_captures / "23b-ring-files"
    ring = [directory / f"ring{number}.pcap" for number in (3, 0, 4, 1, 2)]
    assert locks(*ring) == locks(directory / "ref-nfssrv-any.pcap.zst")


def test_a_storm(kernel_captures: Path) -> None:
    """24 000 locks in 200 s, of which 732 had to wait: all are granted, and released but for the last."""
    table = Sessions(decode([kernel_captures / "22b-small-message-storm/nfssrv-eth0.pcap.zst"], WANTED))["locks"]
    states, by = table["state"], table["granted_by"]
    assert (len(table), int((states == "released").sum()), int((states == "held").sum())) == (23960, 23959, 1)
    assert ((by == "callback") == table.valid("blocked")).all()
    assert int((by == "callback").sum()) == int(table.valid("held_by").sum()) == 732
    assert (table["callback_status"][by == "callback"] == 0).all()
