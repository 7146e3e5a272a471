"""The core against tshark's frozen answers, message for message: frame, xid, program, parties, and what answers it.

Where they differ the count is exact and the reason stands in DIFFERENCES; there tshark is wrong, or says less.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tests import freeze
from tests.agreement.answer import calls_of_core, decode, is_orphan, messages
from tests.captures_dir import SETS, Capture, captures, listed
from tests.freeze import Row

# tshark is asked about these where it is installed, to see that the answers kept are the answers given.
ASKED_AGAIN = (
    "server-without-statd/nfssrv-any.pcap",
    "one-sided/snap96-srv-any.pcap",
    "healthy/nfssrv-any.pcap.zst",
)


class Differences(NamedTuple):
    reason: str = "none"
    missing: int = 0  # messages of tshark's that the core has not
    extra: int = 0  # messages of the core's that tshark has not
    orphans: int = 0  # the same, replies whose call is not in the capture
    paired: int = 0  # messages of both, with another answer or another call


def differences(theirs: Iterable[Row], ours: Iterable[Row]) -> Differences:
    theirs, ours = list(theirs), list(ours)
    unpaired = (Counter(row._replace(peer=0) for row in rows) for rows in (theirs, ours))
    in_theirs, in_ours = unpaired
    missing, extra = list((in_theirs - in_ours).elements()), list((in_ours - in_theirs).elements())
    orphans = sum(map(is_orphan, extra))
    paired = (Counter(theirs) - Counter(ours)).total() - len(missing)
    return Differences(missing=len(missing), extra=len(extra) - orphans, orphans=orphans, paired=paired)


ORPHAN = "replies whose calls are not in the capture: tshark shows no RPC in their frames"
ONE_SIDED = "replies whose calls were filtered out: tshark shows no RPC in their frames"
CUT_CALL = (
    "tshark does not put together the segments of a cut WRITE: it has the call in its first frame, and in the one that"
    " completes it nothing; of the call behind it the mark is cut off, so its reply is an orphan"
)
CUT = CUT_CALL + "; and it takes cut replies and what follows them on the connection for continuations"
CUT_SHORT = CUT_CALL + "; and of calls that are cut before their procedure it has no replies"
TWICE = "datagrams captured at two interfaces or two hosts: tshark takes the second sight for a resend"
RECONNECTED = "a call that is not answered is retransmitted on a new connection, and is: to tshark, another call"
DENIED = (
    "a denied call is retransmitted with its xid: tshark pairs the second and third with each other's replies crosswise"
)
SNAPPED = "behind a frame cut by the snap length tshark reads no more of that direction where it puts segments in order"
RING = "the start of the WRITEs is in the file before: tshark does not find the next record inside a segment"
DIFFERENCES = {
    "cut/A-midstream-cl1-eth0.pcap": Differences(ORPHAN, orphans=1),
    "one-sided/onesided-Qin-srv-eth0.pcap": Differences(ONE_SIDED, orphans=2),
    "one-sided/onesided-Qout-srv-eth0.pcap": Differences(ONE_SIDED, orphans=64),
    "one-sided/snap96-srv-any.pcap": Differences(CUT_SHORT, missing=1, extra=62, orphans=1, paired=60),
    "connection-forgotten/cl1-eth0.pcap": Differences(RECONNECTED, paired=2),
    "silent-for-minutes/cl1-eth0.pcap": Differences(RECONNECTED, paired=2),
    "silent-for-minutes/nfssrv-eth0.pcap": Differences(RECONNECTED, paired=2),
    "11-server-reboot/cl1-any.pcap": Differences(RECONNECTED, paired=2),
    "11-server-reboot/cl1-eth0.pcap": Differences(RECONNECTED, paired=2),
    "11-server-reboot/nfssrv-any-after-reboot.pcap": Differences(RECONNECTED, paired=2),
    "11-server-reboot/nfssrv-eth0-after-reboot.pcap": Differences(RECONNECTED, paired=2),
    "17-midstream-and-cut/A-midstream-cl1-eth0.pcap": Differences(ORPHAN, orphans=1),
    "18-onesided-snaplen/onesided-Qin-srv-eth0.pcap": Differences(ONE_SIDED, orphans=2),
    "18-onesided-snaplen/onesided-Qout-srv-eth0.pcap": Differences(ONE_SIDED, orphans=64),
    "18-onesided-snaplen/snap96-srv-any.pcap": Differences(CUT_SHORT, missing=1, extra=62, orphans=1, paired=60),
    "18-onesided-snaplen/snap96-srv-eth0.pcap": Differences(CUT, missing=1, extra=3, orphans=1, paired=3),
    "18-onesided-snaplen/snap128-srv-any.pcap": Differences(CUT, missing=1, extra=5, orphans=1, paired=1),
    "18-onesided-snaplen/snap256-srv-any.pcap": Differences(CUT, missing=1, extra=25, orphans=1, paired=9),
    "21a-vxlan-healthy/cl1-any.pcap": Differences(TWICE, missing=14),
    "21a-vxlan-healthy/nfssrv-any.pcap": Differences(TWICE, missing=14),
    "23a-file-formats/22-pcapng-multi-if.pcapng": Differences(TWICE, missing=24),
    "23a-file-formats/23-pcapng-concatenated-not-sorted.pcapng": Differences(TWICE, missing=8),
    "23a-file-formats/24-merged-server-and-client-eth0-duplicates.pcap": Differences(TWICE, missing=8),
    "23a-file-formats/25-pcapng-big-endian-ns-two-if.pcapng": Differences(TWICE, missing=8),
    "23a-file-formats/26-pcapng-le-us-two-if-comments-unknown-blocks.pcapng": Differences(TWICE, missing=8),
    "23b-ring-files/ring1.pcap": Differences(RING, extra=42, orphans=1),
    "23b-ring-files/ring2.pcap": Differences(RING, extra=46, orphans=7),
    "23b-ring-files/ring3.pcap": Differences(RING, extra=6, orphans=9),
    "24-stale-filehandle/cl1-any.pcap": Differences(DENIED, paired=16),
    "24-stale-filehandle/cl1-eth0.pcap": Differences(DENIED, paired=20),
    "24-stale-filehandle/nfssrv-any.pcap": Differences(DENIED, paired=16),
    "24-stale-filehandle/nfssrv-eth0.pcap": Differences(DENIED, paired=16),
    "lab3-s3a-service-address-healthy/client1-any.pcap": Differences(TWICE, missing=8),
    "lab3-s3b-service-address-server-no-statd/client1-any.pcap": Differences(TWICE, missing=8),
    "lab3-s9b-long-network-outage/client1-any.pcap": Differences(SNAPPED, missing=44, extra=1135, paired=30),
    "lab3-s9b-long-network-outage/client1-eth0.pcap": Differences(SNAPPED, missing=44, extra=1135, paired=30),
    "lab3-s9b-long-network-outage/client2-any.pcap": Differences(SNAPPED, missing=50, extra=952, paired=18),
    "lab3-s9b-long-network-outage/client2-eth0.pcap": Differences(SNAPPED, missing=50, extra=952, paired=18),
    "lab3-s9b-long-network-outage/serverA-any.pcap": Differences(SNAPPED, missing=94, extra=2087, paired=51),
    "lab3-s9b-long-network-outage/serverA-eth0.pcap": Differences(SNAPPED, missing=94, extra=2087, paired=51),
}


@pytest.mark.parametrize("capture", captures("samples", "kernel"))
def test_every_message(capture: Capture) -> None:
    found = differences(freeze.read(capture), messages(calls_of_core(decode(capture.load()))))
    expected = DIFFERENCES.get(capture.name, Differences())
    assert found == expected._replace(reason=found.reason)


def test_differences_are_of_captures_that_exist() -> None:
    names = {capture.name for capture in listed("samples", "kernel")}
    if not any(listed("kernel")):
        pytest.skip(f"the captures of some are not here: name their directory in {SETS['kernel'].variable}")
    assert not DIFFERENCES.keys() - names


@pytest.mark.tshark
@pytest.mark.parametrize("name", ASKED_AGAIN)
def test_answers_are_those_of_the_installed_tshark(name: str) -> None:
    if freeze.version() != freeze.VERSION:
        pytest.skip(f"the answers are of tshark {freeze.VERSION}, installed is {freeze.version() or 'none'}")
    capture = Capture("samples", name)
    assert freeze.read(capture) == freeze.ask(capture.load())
