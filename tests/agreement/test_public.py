"""The core against tshark's answers on third parties' captures, which stand beside each capture.

Those answers are of tshark's default preferences and of its field export: a frame's messages share one line, each field
a list, some fields twice a message, and only messages that have an answer, or a call, list its frame.
"""

import csv
from collections import Counter
from typing import NamedTuple

import pytest

from tests.agreement.answer import calls_of_core, decode, is_orphan, messages
from tests.captures_dir import Capture, captures
from tests.freeze import Row
from tests.reference import CALL, REPLY

Fact = tuple[int, ...]  # frame, type, xid, program, version, procedure
FACTS = ("rpc.msgtyp", "rpc.xid", "rpc.program", "rpc.programversion", "rpc.procedure")
PEER = {CALL: "rpc.reqframe", REPLY: "rpc.repframe"}


class Differences(NamedTuple):
    reason: str = "none"
    missing: int = 0  # messages of tshark's that the core has not
    extra: int = 0  # messages of the core's that tshark has not
    orphans: int = 0  # the same, replies whose call is not in the capture
    paired: int = 0  # frames whose messages have other answers or calls


def numbers(text: str) -> list[int]:
    return [int(number, 0) for number in text.split(",") if number]


def answer(capture: Capture) -> tuple[Counter[Fact], dict[tuple[int, int], list[int]]]:
    """tshark's messages, and for the messages of one type in a frame the frames that belong to them."""
    facts: Counter[Fact] = Counter()
    peers: dict[tuple[int, int], list[int]] = {}
    path = capture.path.with_name(capture.path.name + ".tshark.tsv")
    with path.open(newline="") as lines:
        for line in csv.DictReader(lines, delimiter="\t"):
            frame = int(line["frame.number"])
            columns = [numbers(line[name]) for name in FACTS]
            once = [column[:: len(column) // len(columns[0])] for column in columns if columns[0]]
            facts.update((frame, *fact) for fact in zip(*once, strict=True))
            peers |= {(frame, kind): sorted(numbers(line[name])) for kind, name in PEER.items() if line[name]}
    return facts, peers


def differences(capture: Capture, ours: list[Row]) -> Differences:
    facts, peers = answer(capture)
    own: Counter[Fact] = Counter(row[:6] for row in ours)
    extra = [row for row in ours if row[:6] not in facts]
    orphans = sum(map(is_orphan, extra))
    own_peers: dict[tuple[int, int], list[int]] = {}
    for row in ours:
        if row.peer and row[:6] in facts:
            own_peers.setdefault((row.frame, row.msgtyp), []).append(row.peer)
    paired = sum(sorted(own_peers.get(key, [])) != peers.get(key, []) for key in own_peers.keys() | peers.keys())
    return Differences("", (facts - own).total(), len(extra) - orphans, orphans, paired)


EDITED = "a message was edited and its checksum was not, which tshark does not verify: the core leaves it out"
ORPHAN = "a reply whose call was before the capture"
DIFFERENCES = {
    "epam__nfstrace/eth-ipv4-udp-nfsv3-dup-retransm.pcap": Differences(
        "a reply without its call makes tshark take the conversation for DNS", extra=26, orphans=6
    ),
    "epam__nfstrace/eth-ipv4-udp-nfsv3-reply-first.pcap": Differences(ORPHAN, orphans=1),
    "seladb__PcapPlusPlus/ip-frag.pcap": Differences(ORPHAN, orphans=5),
    "seladb__PcapPlusPlus/ip4_fragments.pcap": Differences(ORPHAN, orphans=3),
    **dict.fromkeys(
        (
            "zeek__zeek/mount-unmount-bad-auth-flavor.pcap",
            "zeek__zeek/mount-unmount-bad-status.pcap",
            "zeek__zeek/nfs_fsinfo_bad_status.pcap",
            "zeek__zeek/nfs_getattr_bad_ftype.pcap",
            "zeek__zeek/nfs_write_bad_stable_how.pcap",
        ),
        Differences(EDITED, missing=1, paired=2),
    ),
}


@pytest.mark.parametrize("capture", captures("public"))
def test_every_message(capture: Capture) -> None:
    found = differences(capture, messages(calls_of_core(decode(capture.load()))))
    expected = DIFFERENCES.get(capture.name, Differences())
    assert found == expected._replace(reason=found.reason)
