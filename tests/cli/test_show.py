"""`nfsrpc show`: frames that hold a message, several, none; of one file and of several; and what is asked wrongly."""

from pathlib import Path

import numpy as np
import pytest

import nfsrpc
from tests.captures_dir import Capture, captures
from tests.cli.command import run, shell
from tests.repro import CAPTURES
from tests.scenario import Scenario, handle

PAGES = 60
LOCK = """\
Frame 11 of {file}, 2023-11-14T22:13:21.001100000Z
  LOCK (nlm version 4) call of 10.0.0.1:998 to 10.0.0.9:4045 (tcp), xid 0x10000003: exclusive, whole file
  answered in frame 12 after 30 ms: BLOCKED
  Lock session 0: exclusive lock of 7@web-1 at 10.0.0.1 on /srv/www/sess.lock: asked in frame 11, told to wait in \
frame 12; waiting

  xid      0x10000003
  mtype    CALL (0)
  rpcvers  2
  prog     100021  nlm
  vers     4
  proc     2  LOCK
  cred
    flavor       AUTH_SYS (1)
    stamp        0
    machinename  "web-1"
    uid          0
    gid          0
    gids         none
  verf
    flavor  AUTH_NONE (0)
  args
    cookie     34120000
    block      true  waits if it must
    exclusive  true
    alock
      caller_name  "web-1"
      fh           {handle}  /srv/www/sess.lock
      oh           37407765622d31  "7@web-1"
      svid         7  owner 7@web-1
      l_offset     0
      l_len        0  to the end of the file
    reclaim    false
    state      0
"""


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "trace.pcap"
    path.write_bytes(CAPTURES["handle-to-path"]())
    return path


def page_of(capture: Path) -> str:
    return LOCK.format(file=capture, handle=handle("/srv/www/sess.lock").hex())


def shown(*args: str | Path) -> list[str]:
    result = run("show", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_a_lock(capture: Path) -> None:
    assert shown(capture, "11") == [*page_of(capture).splitlines(), "", "Wireshark: frame.number in {11}"]


def test_the_filter_for_wireshark_has_every_frame(capture: Path) -> None:
    assert shown(capture, "11", "5-7")[-1] == "Wireshark: frame.number in {5,6,7,11}"


def test_several_frames_and_ranges(capture: Path) -> None:
    lines = shown(capture, "12", "5-7")
    heads = [line.split(" of ")[0] for line in lines if line.startswith("Frame")]
    assert heads == ["Frame 12", "Frame 5", "Frame 6", "Frame 7"]
    assert "    stat    BLOCKED (3)  another holds the range: wait to be called back" in lines
    assert "  No RPC message is complete in it: a part of one, an acknowledgement, or no RPC at all." in lines
    assert '      name  "sess.lock"' in lines


def test_a_message_in_pieces_is_shown_where_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "trace.pcap"
    path.write_bytes(CAPTURES["fragments-out-of-order"]())
    whole = shown(path, "6")
    assert "      svid         7  owner 7@web-1" in whole
    assert not [line for line in shown(path, "4", "5") if line.strip().startswith("svid")]


def test_a_frame_of_another_file(capture: Path, tmp_path: Path) -> None:
    directory = tmp_path / "ring"
    directory.mkdir()
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.lock(server, svid=1, transport="udp").granted()
    s.wait(5)
    client.lock(server, svid=2, transport="udp").granted()
    (directory / "a.pcap0").write_bytes(s.capture(until=2))
    (directory / "a.pcap1").write_bytes(s.capture(since=2))
    (owner,) = (line for line in shown(directory, "1:1") if "svid" in line)
    assert owner.split()[:2] == ["svid", "2"]


def test_the_wrapping_of_a_reply_is_that_of_its_call() -> None:
    """The call of a reply under RPCSEC_GSS is read again too: nothing but the call tells the service."""
    from nfsrpc.decode import decode
    from nfsrpc.report.page import needed
    from nfsrpc.sessions import WANTED, Sessions

    tables = Sessions(decode([CAPTURES["handle-to-path"]()], WANTED))
    tables.decoded.exchanges["flavor"] = np.full_like(tables.decoded.exchanges["flavor"], 6)
    frames, programs = needed(tables, [(0, 12)])
    assert frames == [(0, 11), (0, 12)]
    assert [(program.protocol, [each.name for each in program.procedures]) for program in programs] == [
        ("nlm4", ["LOCK"])
    ]


def test_to_a_file(capture: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.txt"
    assert run("show", capture, "11", "-o", page).stdout == ""
    assert page.read_text() == f"{page_of(capture)}\nWireshark: frame.number in {{11}}\n"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("99", "no frame 99 in {file}: it has 13, counted from 1"),
        ("0", "no frame 0 in {file}: it has 13, counted from 1"),
        ("1:1", "no capture 1: there are 1, counted from 0"),
        ("eleven", "eleven: not a frame; a number, a range as in 5-9, or the number of a file before it as in 1:11"),
        ("9-5", "9-5: ends before it begins"),
        ("1-5000", "5000 frames are more than 1000: nfsrpc table calls lists as many as there are"),
        ("1-9999999999", "9999999999 frames are more than 1000: nfsrpc table calls lists as many as there are"),
    ],
)
def test_what_is_asked_wrongly(capture: Path, frame: str, reason: str) -> None:
    result = run("show", capture, frame)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"nfsrpc: {reason.format(file=capture)}\n"


def test_standard_input_cannot_be_read_again(capture: Path) -> None:
    result = shell("show", "-", "11", stdin=capture.read_bytes())
    assert result.returncode == 2
    assert result.stderr == b"nfsrpc: standard input cannot be read again: save the capture to a file first\n"


def test_no_such_file() -> None:
    result = run("show", "absent.pcap", "1")
    assert result.exit_code == 2
    assert result.stderr.startswith("nfsrpc: absent.pcap")


@pytest.mark.parametrize("capture", captures("samples", "kernel", "public", "repro"))
def test_every_frame_has_its_page(capture: Capture) -> None:
    frames = sum(facts["frames"] for facts in nfsrpc.read(capture.path).captures)
    if frames:
        assert shown(capture.path, f"1-{min(frames, PAGES)}")[0].startswith("Frame 1 of ")
