"""What people write who read a capture in Python, to count its LOCK calls: python -m benchmarks.peers HOW FILE.

`dpkt` and `scapy` look at each segment by itself, without joining streams; `pdml` reads the packet details of a tshark
that it starts, as pyshark does. Each prints the number of LOCK calls that it found.
"""

import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import IO
from xml.etree import ElementTree

NLM4_LOCK = struct.pack(">6I", 0, 2, 100021, 4, 2, 1)  # CALL, RPC version, program, version, procedure, AUTH_SYS
AT = 8  # behind record mark and xid


def dpkt_locks(path: str) -> int:
    import dpkt

    with open(path, "rb") as file:
        frames = (dpkt.ethernet.Ethernet(data) for _, data in dpkt.pcap.Reader(file))
        return sum(is_lock(bytes(frame.data.data.data)) for frame in frames)


def scapy_locks(path: str) -> int:
    from scapy.layers.inet import TCP
    from scapy.utils import PcapReader

    with PcapReader(path) as frames:
        return sum(is_lock(bytes(frame[TCP].payload)) for frame in frames if TCP in frame)


def pdml_locks(path: str) -> int:
    command = ["tshark", "-r", path, "-T", "pdml"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tshark:
        assert tshark.stdout
        return sum(map(has_lock, packets(tshark.stdout)))


def packets(details: IO[bytes]) -> Iterator[ElementTree.Element]:
    for _, element in ElementTree.iterparse(details):
        if element.tag == "packet":
            yield element
            element.clear()


def has_lock(packet: ElementTree.Element) -> bool:
    call = packet.find(".//field[@name='rpc.msgtyp'][@show='0']") is not None
    return call and packet.find(".//field[@name='nlm.procedure_v4'][@show='2']") is not None


def is_lock(payload: bytes) -> bool:
    return payload[AT : AT + len(NLM4_LOCK)] == NLM4_LOCK


COUNTS: dict[str, Callable[[str], int]] = {"dpkt": dpkt_locks, "scapy": scapy_locks, "pdml": pdml_locks}


def main() -> None:
    how, path = sys.argv[1:]
    print(COUNTS[how](path))


if __name__ == "__main__":
    main()
