"""Captures taken here and now, on loopback: what is sent is there, and what cannot be done is said in one line."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nfsrpc._core import Decoder
from nfsrpc.sources import SourceError
from nfsrpc.sources.live_queue import LiveSource
from nfsrpc.sources.scapy_socket import ScapySocket
from nfsrpc.sources.tcpdump import Tcpdump, tcpdump_command

PORT = 40111  # nobody's
KERNEL_S = 1.2  # libpcap lets the kernel wait a second for more packets
EXPRESSION = f"udp port {PORT}"


def may_capture() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


captures_here = pytest.mark.skipif(not may_capture(), reason="needs CAP_NET_RAW")
has_tcpdump = pytest.mark.skipif(tcpdump_command() is None, reason="tcpdump is not installed")


def tcpdump() -> LiveSource:
    return Tcpdump("lo", EXPRESSION, tcpdump_command() or "tcpdump")


def scapy() -> LiveSource:
    return ScapySocket("lo", EXPRESSION)


@captures_here
@pytest.mark.parametrize("make", [pytest.param(tcpdump, marks=has_tcpdump), scapy])
def test_what_is_sent_is_captured(make: Callable[[], LiveSource]) -> None:
    source = make()
    taken: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        taken.extend(piece for piece in source.pieces() if isinstance(piece, bytes))
        done.set()

    threading.Thread(target=read, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        end = time.monotonic() + 10
        while sum(map(len, taken)) < 100:
            assert time.monotonic() < end
            sender.sendto(b"x" * 100, ("127.0.0.1", PORT))
            time.sleep(0.05)
        sender.sendto(b"last", ("127.0.0.1", PORT))
        time.sleep(KERNEL_S)
    source.stop()
    assert done.wait(3)
    decoder = Decoder()
    decoder.feed(b"".join(taken))
    assert decoder.close()["flows"]["server_port"].tolist() == [PORT]
    assert taken[-1].endswith(b"last")
    assert source.drops == 0


@captures_here
@has_tcpdump
@pytest.mark.parametrize(
    ("interface", "expression", "reason"),
    [
        ("nosuch0", "", "tcpdump on nosuch0: no such interface"),
        ("lo", "bogus words", "tcpdump on lo: bad filter"),
        ("lo", "--version", "tcpdump on lo: bad filter"),
    ],
)
def test_what_tcpdump_refuses(interface: str, expression: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        list(Tcpdump(interface, expression, tcpdump_command() or "").pieces())


@captures_here
def test_what_scapy_refuses() -> None:
    with pytest.raises(SourceError, match="scapy on nosuch0: cannot capture"):
        list(ScapySocket("nosuch0", "").pieces())


@pytest.fixture
def pretended(tmp_path: Path) -> Callable[[str], Tcpdump]:
    """A tcpdump that does what a script says."""
    assert shutil.which("sh")

    def make(script: str, expression: str = "") -> Tcpdump:
        path = tmp_path / "tcpdump"
        path.write_text(f"#!/bin/sh\n{script}\n")
        os.chmod(path, stat.S_IRWXU)
        return Tcpdump("any", expression, str(path))

    return make


def test_without_the_right_to_capture_it_says_what_is_needed(pretended: Callable[[str], Tcpdump]) -> None:
    source = pretended(
        'echo "tcpdump: any: You don\'t have permission to perform this capture on that device" >&2; exit 1'
    )
    with pytest.raises(SourceError) as told:
        list(source.pieces())
    assert str(told.value) == (
        "tcpdump on any: may not capture "
        "(run it as root, or: setcap cap_net_raw,cap_net_admin=ep $(command -v tcpdump))"
    )


def test_a_filter_is_no_option(pretended: Callable[..., Tcpdump]) -> None:
    arguments = b"".join(piece for piece in until_it_ends(pretended("printf '%s\\n' \"$@\"", "-w/tmp/x")))
    assert arguments.splitlines()[-2:] == [b"--", b"-w/tmp/x"]


def until_it_ends(source: Tcpdump) -> Iterator[bytes]:
    with suppress(SourceError):
        for piece in source.pieces():
            assert isinstance(piece, bytes)
            yield piece


def test_one_that_dies_gives_what_it_had_and_says_so(pretended: Callable[[str], Tcpdump]) -> None:
    pieces = pretended("printf abc; kill -KILL $$").pieces()
    assert next(pieces) == b"abc"
    with pytest.raises(SourceError, match="tcpdump on any: was ended by SIGKILL"):
        next(pieces)


def test_counts_are_read_as_it_goes_and_at_the_end(pretended: Callable[[str], Tcpdump]) -> None:
    source = pretended(
        'trap \'echo "9 packets captured" >&2; echo "7 packets dropped by kernel" >&2; printf z; exit 0\' INT\n'
        "echo 'tcpdump: 5 packets captured, 5 packets received by filter, 3 packets dropped by kernel' >&2\n"
        "printf a; while :; do sleep 0.05; done"
    )
    pieces = source.pieces()
    assert next(pieces) == b"a"
    end = time.monotonic() + 5
    while source.drops != 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert source.drops == 3
    source.stop()
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == b"z"
    assert source.drops == 7
