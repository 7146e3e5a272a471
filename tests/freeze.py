"""tshark's answer on a capture, asked once and kept under tests/frozen/, so that tests need no tshark.

    python -m tests.freeze                 asks about each capture of which no answer is kept, and writes it
    python -m tests.freeze all             asks about every capture again

tshark is asked for its packet details, where each RPC message is an element of its own: in its field export the
columns of a frame with several messages cannot be assigned to them. By default it misses segments out of order and
takes reserved ports for other protocols, hence the preferences.
"""

import gzip
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests.captures_dir import Capture, listed
from tests.reference import CALL, UNKNOWN

VERSION = "4.0"
FROZEN = Path(__file__).parent / "frozen"
PREFERENCES = ("tcp.reassemble_out_of_order", "tcp.try_heuristic_first", "udp.try_heuristic_first")
OPTIONS = ["-2", "-n", *(option for name in PREFERENCES for option in ("-o", f"{name}:TRUE"))]
LAYERS = {"ip": ("ip.src", "ip.dst"), "ipv6": ("ipv6.src", "ipv6.dst")}
PORTS = {"tcp": ("tcp.srcport", "tcp.dstport"), "udp": ("udp.srcport", "udp.dstport")}
PEER = {0: "rpc.reqframe", 1: "rpc.repframe"}  # the frame of the reply to a call, and of the call of a reply


class Row(NamedTuple):
    """One message, as every decoder is asked for it."""

    frame: int
    msgtyp: int
    xid: int
    prog: int
    vers: int
    proc: int
    peer: int  # the frame of the reply or call that belongs to it, 0 when there is none
    source: str
    sport: int
    target: str
    dport: int


def version() -> str:
    """The installed tshark's, as far as answers depend on it; empty when there is none."""
    if not shutil.which("tshark"):
        return ""
    output = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=True).stdout
    return ".".join(output.split()[2].split(".")[:2])


def ask(data: bytes) -> list[Row]:
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(data)
        file.flush()
        command = ["tshark", *OPTIONS, "-r", file.name, "-Y", "rpc", "-T", "pdml", "-J", "ip ipv6 tcp udp rpc"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tshark:
            assert tshark.stdout
            packets = (each for _, each in ElementTree.iterparse(tshark.stdout) if each.tag == "packet")
            return sorted(row for packet in packets for row in messages(packet))


def messages(packet: ElementTree.Element) -> Iterator[Row]:
    frame, hosts, ports = 0, ("", ""), (0, 0)
    for layer in packet.iter("proto"):
        name = layer.get("name", "")
        fields: dict[str, str] = {}
        for field in layer.iter("field"):
            fields.setdefault(field.get("name", ""), field.get("show", ""))
        if name == "geninfo":
            frame = int(fields["num"])
        elif name in LAYERS:
            hosts = fields[LAYERS[name][0]], fields[LAYERS[name][1]]
        elif name in PORTS:
            ports = int(fields[PORTS[name][0]]), int(fields[PORTS[name][1]])
        elif name == "rpc" and "rpc.msgtyp" in fields:
            msgtyp = int(fields["rpc.msgtyp"])
            prog, vers, proc = (
                int(fields.get(f"rpc.{each}", UNKNOWN)) for each in ("program", "programversion", "procedure")
            )
            peer = int(fields.get(PEER[msgtyp], 0))
            xid = int(fields["rpc.xid"], 16)
            yield Row(frame, msgtyp, xid, prog, vers, proc, peer, hosts[0], ports[0], hosts[1], ports[1])
    packet.clear()


def place(capture: Capture) -> Path:
    """The larger set's answers are compressed: they are for comparing, the samples' also for reading."""
    return FROZEN / capture.kind / (capture.name + (".tsv" if capture.kind == "samples" else ".tsv.gz"))


def write(capture: Capture, rows: Iterable[Row]) -> None:
    lines = ["\t".join(Row._fields), *("\t".join(map(str, row)) for row in rows)]
    data = ("\n".join(lines) + "\n").encode()
    path = place(capture)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if path.suffix == ".tsv" else gzip.compress(data, mtime=0))


def read(capture: Capture) -> list[Row]:
    data = place(capture).read_bytes()
    lines = (data if data[:2] != b"\x1f\x8b" else gzip.decompress(data)).decode().splitlines()
    return [parse(line) for line in lines[1:]]


def parse(line: str) -> Row:
    *numbers, source, sport, target, dport = line.split("\t")
    frame, msgtyp, xid, prog, vers, proc, peer = map(int, numbers)
    return Row(frame, msgtyp, xid, prog, vers, proc, peer, source, int(sport), target, int(dport))


def main() -> None:
    if version() != VERSION:
        sys.exit(f"the answers are of tshark {VERSION}, installed is {version() or 'none'}: see VERSION in {__file__}")
    again = sys.argv[1:] == ["all"]
    for capture in listed("samples", "kernel"):
        if place(capture).exists() and not again:
            continue
        rows = ask(capture.load())
        write(capture, rows)
        calls = sum(row.msgtyp == CALL for row in rows)
        print(f"{capture.kind}/{capture.name}: {calls} calls, {len(rows) - calls} replies")


if __name__ == "__main__":
    main()
