"""Captures with pseudonyms: the same messages in the same frames, whatever the frames are like."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nfsrpc
from nfsrpc.carving.anonymize import Anonymized, NotAnonymous, anonymize, capture_of, frames_of, rewrite
from nfsrpc.carving.checksums import total
from nfsrpc.carving.pseudonyms import Pseudonyms
from nfsrpc.trace import Trace
from tests.captures_dir import Capture, captures
from tests.rpc_messages import encode_error
from tests.scenario import Flow, Scenario

KEY = b"the key that the tests have......"
SAME = ["capture", "call_frame", "reply_frame", "time", "program", "vers", "procedure", "xid", "status", "rpc_status"]
SAME += ["state", "retransmits", "duplicates", "call_bytes", "reply_bytes", "transport", "client_port", "server_port"]


def conversation(server: str = "10.1.84.31", client: str = "10.1.84.41") -> Scenario:
    """All kinds of messages: names in credentials, paths, entries of directories, data, locks, callbacks, DNS."""
    s = Scenario()
    one, two = s.host(server, name="server.example.com"), s.host(client, name="client.example.com")
    two.getport(one, "mount3")
    two.call(one, "rpcbind4", "DUMP").reply(
        rpcblist=[{"r_prog": 100024, "r_netid": "tcp", "r_addr": f"{server}.3.77", "r_owner": "statd-user"}]
    )
    two.mount(one, "/export/projects")
    two.lookup(one, "/export/projects", "quarterly-report.xlsx")
    entries = [{"fileid": 900_000 + n, "name": f"customer-{n}", "cookie": n + 1} for n in range(40)]
    call = two.call(one, "nfs3", "READDIR", dir=b"directory-handle", count=4096)
    call.reply(status="OK", reply={"entries": entries, "eof": True})
    call = two.call(one, "nfs3", "READ", file=b"file-handle-of-it", count=3000, fragments=3)
    call.reply(status="OK", count=3000, data=b"confidential " * 230)
    call = two.call(
        one, "nfs3", "WRITE", file=b"file-handle-of-it", count=4000, data=b"internal use" * 333, transport="udp"
    )
    call.reply(status="OK", count=4000)
    two.monitor(one).reply(res_stat="STAT_SUCC", state=3)
    lock = two.lock(one, "/export/projects/quarterly-report.xlsx", svid=4711).granted()
    s.wait(2)
    lock.unlock().granted()
    one.notify(two, 9).reply()
    return s


def anonymized(capture: bytes, key: bytes = KEY) -> Anonymized:
    return anonymize(nfsrpc.read(capture), key)


def check(capture: bytes) -> Anonymized:
    """Anonymizes a capture of which nothing is left out, and compares the calls of both."""
    result = anonymized(capture)
    before, after = nfsrpc.read(capture), nfsrpc.read(result.data)
    assert not result.left_out
    assert len(before.calls)
    assert after.calls[SAME].astype(str).equals(before.calls[SAME].astype(str))
    for name in ("client", "server", "machine"):
        expected = [each and pseudonym(each, result) for each in before.tables["calls"][name].tolist()]
        assert after.tables["calls"][name].tolist() == expected
    return result


def pseudonym(name: str, result: Anonymized) -> str:
    """Of a name, or of a host as tables name it, of which a loopback address has the name of the capture behind it."""
    host, of, capture = name.partition(" of ")
    return result.names.text(host.encode()).decode() + of + capture


@pytest.mark.parametrize("link", ["ethernet", "vlan", "sll", "sll2", "null", "raw", "hdlc", "nflog", "ipoib", "pktap"])
def test_every_link_type(link: Any) -> None:
    assert check(conversation().capture(link=link, on="any")).frames > 50


@pytest.mark.parametrize("tunnel", ["ipip", "gre", "vxlan", "geneve"])
@pytest.mark.parametrize("inside", [False, True])
def test_every_tunnel(tunnel: Any, inside: bool) -> None:
    s = conversation()
    result = check(s.capture(tunnel=tunnel, inside=inside))
    outer = {address for frame in frames_of(nfsrpc.read(s.capture(tunnel=tunnel))) for address in [frame.bytes[26:30]]}
    assert len(outer) >= 2
    assert not any(address in result.data for address in outer)


@pytest.mark.parametrize(
    "options",
    [
        {"mtu": 576},
        {"mtu": 576, "twice": True},
        {"twice": True},
        {"again": dict.fromkeys(range(5, 60), 0.3)},
        {"swapped": range(6, 50, 2)},
        {"lost": range(7, 60, 5)},
        {"lost": range(1, 12)},
        {"snaplen": 200},
        {"snaplen": 96},
        {"since": 0.004},
        {"file": "pcapng"},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_happens_to_frames(options: dict[str, Any]) -> None:
    check(conversation().capture(on="any", **options))


def test_ipv6() -> None:
    check(conversation("2001:db8:84::31", "2001:db8:84::41").capture())
    check(conversation("fe80::5054:ff:fe84:31", "fe80::5054:ff:fe84:41").capture(mtu=1280))


def test_loopbacks_of_two_hosts_in_one_file() -> None:
    """Their connections have the same addresses, ports and sequence numbers, and other contents."""
    s = Scenario()
    hosts = [
        s.host(f"10.1.84.{number}", name=f"{name}.example.com") for number, name in ((31, "server"), (41, "client"))
    ]
    for one, other in (hosts, hosts[::-1]):
        call = one.monitor(other, from_port=700).reply(res_stat="STAT_SUCC", state=3)
        call.flow.number = 1
    result = check(s.capture(hosts, on="any", file="pcapng"))
    texts = [result.names.text(text) for text in (b"server.example.com", b"client.example.com")]
    assert [text in result.data for text in texts] == [True, True]


def test_nothing_of_the_names_and_data_is_left() -> None:
    capture = conversation().capture(on="any")
    left = check(capture).data
    originals = [b"client", b"server", b"example", b"export", b"projects", b"quarterly", b"report", b"xlsx"]
    originals += [b"customer", b"confidential", b"internal", b"statd-user", b"handle", b"10.1.84", bytes((10, 1, 84))]
    assert [each for each in originals if each not in capture] == []
    assert [each for each in originals if each in left] == []


def test_the_key_keeps_pseudonyms_over_captures() -> None:
    one, other = anonymized(conversation().capture()), anonymized(conversation("10.1.84.31", "10.1.84.99").capture())
    servers = [set(nfsrpc.read(each.data).calls["server"].astype(str)) for each in (one, other)]
    assert servers[0] & servers[1] == {one.names.text(b"10.1.84.31").decode()}
    assert anonymized(conversation().capture(), b"another key").data != one.data
    assert anonymized(conversation().capture()).data == one.data


# What cannot be anonymized safely


def header(prog: int, vers: int, proc: int, flavor: int, xid: int = 77, body: bytes = b"") -> bytes:
    return struct.pack("!8I", xid, 0, 2, prog, vers, proc, flavor, len(body)) + body + struct.pack("!2I", 0, 0)


def with_flow(talk: Callable[[Flow, Scenario], None], port: int = 2049) -> bytes:
    s = conversation()
    server, client = s.hosts
    flow = client.reconnect(server, port, same_port=False)
    talk(flow, s)
    return s.capture()


def gss(flow: Flow, s: Scenario) -> None:
    token = struct.pack("!5I", 1, 1, 0, 1, 0)
    flow.send(True, header(100003, 3, 0, 6, body=token) + b"\0\0\0\x14nfs@SERVER.EXAMPLE.COM", s.tick())
    flow.send(False, encode_error(77, "SUCCESS") + b"ticket of alice", s.tick())


def tls(flow: Flow, s: Scenario) -> None:
    flow.send(True, header(100003, 3, 0, 7), s.tick())
    flow.send(False, encode_error(77, "SUCCESS"), s.tick())
    flow.note(s.tick(), True, 24, b"\x16\x03\x01\x00\x20 hello server.example.com")


def tls_from_the_middle(flow: Flow, s: Scenario) -> None:
    flow.note(s.tick(), True, 24, b"\x17\x03\x03\x00\x20 ciphertext ciphertext")


def other_protocol(flow: Flow, s: Scenario) -> None:
    flow.note(s.tick(), True, 24, b"GET /secret HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("talk", "port", "reason"),
    [
        (gss, 2049, "of RPCSEC_GSS"),
        (tls, 2049, "of TLS"),
        (tls_from_the_middle, 2049, "of TLS"),
        (other_protocol, 8080, "without RPC"),
    ],
)
def test_connections_that_are_left_out(talk: Callable[[Flow, Scenario], None], port: int, reason: str) -> None:
    capture = with_flow(talk, port)
    result = anonymized(capture)
    before, after = nfsrpc.read(capture), nfsrpc.read(result.data)
    assert set(result.left_out) == {reason}
    assert result.left_out[reason] == before.captures[0]["frames"] - result.frames >= 1
    assert len(after.flows) == len(before.flows) - 1
    assert len(after.calls) >= len(before.calls) - 1


def test_unknown_programs_lose_their_contents() -> None:
    def talk(flow: Flow, s: Scenario) -> None:
        flow.send(True, header(390113, 1, 7, 0) + b"backup of /secret", s.tick())
        flow.send(False, encode_error(77, "SUCCESS") + b"tape 12", s.tick())

    capture = with_flow(talk, 700)
    result = check(capture)
    assert dict(result.blank) == {"390113 version 1": 1}
    assert b"secret" in capture
    assert b"secret" not in result.data
    assert b"tape" not in result.data


def test_version_4_of_nfs_loses_its_contents() -> None:
    def talk(flow: Flow, s: Scenario) -> None:
        flow.send(True, header(100003, 4, 1, 0) + b"\0\0\0\x06secret\0\0", s.tick())

    assert dict(check(with_flow(talk)).blank) == {"nfs version 4": 1}


def test_a_frame_that_differs_from_what_was_sent_first_is_zero_there() -> None:
    """A retransmission with other bytes: a receiver takes the first ones."""
    s = Scenario()
    server, client = s.host("10.1.84.31"), s.host("10.1.84.41")
    client.mount(server, "/export/abcdefgh")
    client.mount(server, "/export/ijklmnop")
    capture = s.capture(again={4: 0.5})
    assert capture.count(b"abcdefgh") == 2
    at = capture.rindex(b"abcdefgh")
    result = anonymized(capture[:at] + b"secret42" + capture[at + 8 :])
    new = result.names.label(b"abcdefgh")
    assert result.data.count(new) == 1
    assert b"secret" not in result.data


def test_a_damaged_syn_begins_no_connection() -> None:
    """A segment that was captured a second time, with SYN among its flags: what follows goes on as before."""
    s = Scenario()
    server, client = s.host("10.1.84.31"), s.host("10.1.84.41")
    for path in ("/export/abcdefgh", "/export/ijklmnop"):
        client.mount(server, path)
    capture = bytearray(s.capture(again={4: 0.0001}))
    ip = capture.rindex(b"\x45\0", 0, capture.rindex(b"abcdefgh"))
    capture[ip + 33] |= 2
    assert list(check(bytes(capture)).blank) == []


def test_checksums_are_right_where_they_were() -> None:
    result = anonymized(conversation().capture(mtu=576))
    for frame in frames_of(nfsrpc.read(result.data)):
        assert total(frame.bytes[14:34]) == 0
        segment, protocol = frame.bytes[34:], frame.bytes[23]
        if int.from_bytes(frame.bytes[20:22], "big") & 0x3FFF:
            continue
        pseudo = frame.bytes[26:34] + struct.pack("!HH", protocol, len(segment))
        assert total(pseudo + segment) == 0 or segment[6:8] == bytes(2)


# The proof


def rewritten(change: Callable[[Pseudonyms], None], monkeypatch: pytest.MonkeyPatch) -> str:
    original = Pseudonyms.__init__

    def changed(self: Pseudonyms, key: bytes) -> None:
        original(self, key)
        change(self)

    monkeypatch.setattr(Pseudonyms, "__init__", changed)
    with pytest.raises(NotAnonymous) as error:
        anonymized(conversation().capture())
    return str(error.value)


def test_a_host_that_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts with one pseudonym: the analysis is another one."""

    def one_for_all(names: Pseudonyms) -> None:
        names.address = lambda packed: names.used["address"].setdefault(packed, bytes((33, 4, 35, 36)))  # type: ignore[method-assign]

    assert rewritten(one_for_all, monkeypatch).startswith("not written: the analysis of the result differs: ")


def test_names_that_are_left_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_changes(names: Pseudonyms) -> None:
        names.label = lambda original: names.used["name"].setdefault(original, original)  # type: ignore[method-assign]

    assert "is its own pseudonym" in rewritten(nothing_changes, monkeypatch)


@pytest.mark.parametrize("capture", captures("samples"))
def test_the_analysis_says_the_same(capture: Capture) -> None:
    same_analysis(capture)


@pytest.mark.acceptance
@pytest.mark.parametrize("capture", captures("kernel", "reports", "hostile", "public", "foreign", "repro"))
def test_the_analysis_says_the_same_of_others_captures(capture: Capture) -> None:
    same_analysis(capture)


def same_analysis(capture: Capture) -> None:
    """The proof does not fail; beyond it, all exchanges of programs that are known are there."""
    trace = nfsrpc.read(capture.load())
    result = anonymize(trace, KEY)
    assert result.frames + result.left_out.total() == len(frames_of(trace))
    if not result.left_out.keys() & {"of RPCSEC_GSS", "of TLS"}:
        before, after = calls_of(trace), calls_of(nfsrpc.read(result.data))
        assert after == before


def calls_of(trace: Trace) -> list[tuple[Any, ...]]:
    calls = trace.tables["calls"]
    columns = [calls[name].tolist() for name in ("xid", "prog", "vers", "proc", "status", "rpc_status", "call_bytes")]
    return sorted(zip(*columns, strict=True), key=str)


# Wireshark

SOME = ("server-without-statd/nfssrv-any.pcap", "one-sided/snap96-srv-any.pcap", "resolver-silent/nfssrv-eth0.pcap")
FIELDS = (
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "rpc.procedure",
    "icmp.type",
)
RIGHT = "1"  # of a checksum


@pytest.mark.tshark
@pytest.mark.parametrize("name", SOME)
def test_wireshark_finds_what_it_found(name: str, samples: Path, tmp_path: Path) -> None:
    same_dissection(nfsrpc.read(samples / name), tmp_path)


@pytest.mark.tshark
@pytest.mark.acceptance
@pytest.mark.parametrize("capture", captures("samples", "kernel", "reports", "hostile", "public", "foreign", "repro"))
def test_wireshark_finds_what_it_found_in_others_captures(capture: Capture, tmp_path: Path) -> None:
    same_dissection(nfsrpc.read(capture.load()), tmp_path)


def same_dissection(trace: Trace, directory: Path) -> None:
    """No frame is malformed that was not, right checksums are right, and the messages are in the same frames."""
    frames, names = frames_of(trace), Pseudonyms(KEY)
    written, _, _ = rewrite(frames, names)
    kept = [frames[number] for number in written]
    (directory / "before").write_bytes(capture_of(trace, kept, names))
    new = [frame._replace(bytes=data) for frame, data in zip(kept, written.values(), strict=True)]
    (directory / "after").write_bytes(capture_of(trace, new, names))
    before, after = dissected(directory / "before"), dissected(directory / "after")
    assert len(before) == len(after) == len(kept)
    for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
        assert one[0] or not other[0], f"frame {number} is malformed"
        if one[5]:  # what an ICMP error quotes is no message, and has no checksum
            continue
        assert all(now == then for then, now in zip(one[1:4], other[1:4], strict=True) if then == RIGHT)
        assert one[4] in ("", other[4])


def dissected(path: Path) -> list[list[str]]:
    command = ["tshark", "-r", str(path), "-T", "fields"]
    command += [part for name in ("ip", "tcp", "udp") for part in ("-o", f"{name}.check_checksum:TRUE")]
    command += [part for name in FIELDS for part in ("-e", name)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in output.splitlines()]
