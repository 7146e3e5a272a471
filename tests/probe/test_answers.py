"""What a host answered: nothing is called registered that was not seen."""

from __future__ import annotations

import nfsrpc
from nfsrpc.probe.answers import answers, unanswered
from nfsrpc.probe.asking import ANSWERED, Asked, Question
from nfsrpc.probe.questions import Probed
from nfsrpc.probe.wire import Datagrams, End, Wire

HOST = "192.0.2.1"


def test_without_a_whole_list_what_was_not_asked_is_not_found() -> None:
    """DUMP is answered with what is no list: then neither lockd nor statd was found, and nothing is called right."""
    wire = Wire()
    Datagrams(wire, End("192.0.2.2", 700), End(HOST, 111)).sent(b"no RPC")
    asked = tuple(
        Asked(HOST, "tcp", port, Question(prog, vers, proc), ANSWERED, 0.001)
        for prog, vers, proc, port in ((100000, 2, 0, 111), (100000, 2, 4, 111), (100003, 3, 0, 2049))
    )
    probed = Probed(HOST, False, nfsrpc.read(wire.pcapng()), b"", asked)
    assert unanswered(probed) == ["mount not found", "nlm not found", "nsm not found"]
    assert [row.answer for row in answers(probed)] == ["1 ms", "1 ms", *["not found"] * 3]
