"""Tables of real captures against what an independent parser found in them (truth.json beside each)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nfsrpc.decode import decode
from nfsrpc.protocols.nlm4 import nlm4_stats
from nfsrpc.sessions import WANTED, Sessions
from tests.captures_dir import SETS

LINE = re.compile(
    r"""\#(?P<frame>\d+)\ \S+\ (?P<client>\S+):(?P<client_port>\d+)->(?P<server>\S+):(?P<server_port>\d+)
    /(?P<transport>tcp|udp)\ \w+v(?P<vers>\d+)\.(?P<procedure>\w+)\ (?P<asked>.*?)\ ?
    (retransmitted\ in\ \[(?P<resent>[\d,\ ]+)\]\ )?
    =>\ (NO\ REPLY|reply\ \#(?P<reply>\d+)\ after\ (?P<latency>[\d.]+)s\ ?(?P<answer>.*?)
    (\ duplicate\ replies\ \[(?P<copies>[\d,\ ]+)\])?)$""",
    re.VERBOSE,
)
NAMES = {"RPCB_GETADDR": "GETADDR"}
UNKNOWN_VERSION = "9"  # asked for on purpose; its procedures have no names
# Where that parser is wrong, or means something else.
DIFFERENT = {
    "16-lossy-network": "it takes bytes out of order for other records",
    "21a-vxlan-healthy": "it takes the frame inside a tunnel for a resend of the one outside",
    "24-stale-filehandle": "it takes a call that is tried again after MSG_DENIED for unanswered",
}
# Several messages in a frame, whose fields that parser did not tell apart.
SEVERAL = re.compile(r"=\w*,")


class Told(NamedTuple):
    directory: Path
    capture: dict[str, Any]

    @property
    def exchanges(self) -> Iterator[dict[str, str]]:
        for line in self.capture["rpc_detail"]:
            found = LINE.match(line)
            if found and not SEVERAL.search(line) and "v  netid" not in line and found["vers"] != UNKNOWN_VERSION:
                yield found.groupdict()


def told() -> list[Any]:
    root = SETS["kernel"].found
    captures = [
        pytest.param(Told(path.parent, capture), id=f"{path.parent.name}/{capture['file']}")
        for path in sorted(root.glob("*/truth.json"))
        for capture in json.loads(path.read_text())["captures"]
        if isinstance(capture.get("independent_check"), dict) and (path.parent / capture["file"]).exists()
    ]
    reason = f"no captures in {root}: name their directory in {SETS['kernel'].variable}"
    return captures or [pytest.param(Told(root, {}), id="none", marks=pytest.mark.skip(reason=reason))]


def tables(told: Told) -> Sessions:
    return Sessions(decode([told.directory / told.capture["file"]], WANTED))


@pytest.mark.parametrize("told", told())
def test_calls_and_their_replies(told: Told) -> None:
    if told.directory.name in DIFFERENT:
        pytest.skip(DIFFERENT[told.directory.name])
    read = tables(told)
    calls = {(row.call_frame, row.procedure): row for row in read["calls"].rows()}
    for known in told.exchanges:
        row = calls[int(known["frame"]), NAMES.get(known["procedure"], known["procedure"])]
        assert row.reply_frame == (int(known["reply"]) if known["reply"] else None), known
        assert (row.client_port, row.server_port) == (int(known["client_port"]), int(known["server_port"])), known
        assert row.transport == known["transport"]
        assert row.loopback == (known["client"] in ("127.0.0.1", "::1"))
        if not row.loopback:
            assert (row.client, row.server) == (known["client"], known["server"])
        if known["latency"]:
            assert row.latency_s == pytest.approx(float(known["latency"]), abs=0.0011), known
        assert row.retransmits == len((known["resent"] or "").split(",")) * bool(known["resent"]), known
        assert row.duplicates == len((known["copies"] or "").split(",")) * bool(known["copies"]), known
        if known["answer"] in nlm4_stats.values:
            assert row.status == nlm4_stats.values[known["answer"]], known


@pytest.mark.parametrize("told", told())
def test_what_portmappers_and_statds_said(told: Told) -> None:
    read = tables(told)
    registrations = {row.frame: row for row in read["registrations"].rows()}
    monitors = {row.frame: row for row in read["monitors"].rows()}
    for known in told.exchanges:
        frame, asked, answer = int(known["frame"]), known["asked"], known["answer"] or ""
        if known["procedure"] == "GETPORT":
            row = registrations[frame]
            prog, vers, proto = re.findall(r"\d+", asked)
            assert (row.prog, row.vers, row.transport) == (int(prog), int(vers), {"6": "tcp", "17": "udp"}[proto])
            assert row.port == (int(answer.removeprefix("port ")) if answer else None)
        elif known["procedure"] == "RPCB_GETADDR":
            row = registrations[frame]
            high, low = answer.strip('"').split(".")[-2:]
            assert row.port == 256 * int(high) + int(low)
        elif known["procedure"] == "SM_MON":
            row = monitors[frame]
            fields = dict(pair.split("=") for pair in f"{asked} {answer}".split())
            assert (row.mon_name, row.my_name, row.my_proc) == (
                fields["mon_name"],
                fields["my_name"],
                int(fields["my_proc"]),
            )
            assert (row.result, row.nsm_state) == (int(fields["res"]), int(fields["state"]))


@pytest.mark.parametrize("told", told())
def test_loopback_is_the_capturing_hosts(told: Told) -> None:
    """Each capture is of one host, which truth names with its address; where it is not told it is not guessed."""
    read = tables(told)
    address = re.search(r"\(([\d.]+)\)", told.capture["host"])
    assert address is not None
    mine = [row.addresses for row in read["hosts"].rows() if row.captures]
    for row in read["calls"].rows():
        if row.loopback and " of " not in row.server:
            assert any(row.server in addresses for addresses in mine)
            assert row.server.rpartition(".")[2].rpartition(":")[2] == address[1].rpartition(".")[2], row
