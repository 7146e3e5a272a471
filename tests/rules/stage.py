"""Stories that a rule is told: one in which it must fire, one in which it must not, one that cannot be told.

    @fires("REG001", host=SERVER, certainty="certain")
    def test_lockd_asks_its_own_portmapper(stage): ...

A story plays on a stage (a server, two clients) and returns the capture that somebody took of it, or several. It
becomes a test of its name. `told` keeps which kinds of story each rule has been told, `stories` those after which a
command is advised.
"""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import pytest

from nfsrpc.decode import decode
from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.diagnosis.run import ask, is_last
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.facts.inputs import Inputs
from nfsrpc.findings.finding import Answer, Broken, CannotTell, Clear, Diagnosis, Finding
from nfsrpc.sessions import WANTED, Sessions
from tests.scenario import Exchange, Host, Scenario

SERVER, CLIENT, OTHER = "10.0.0.9", "10.0.0.1", "10.0.0.2"
LOCKD, STATD = 32803, 662
PATH = "/srv/lock"

# Rules whose remedy is seen to work where there is no command for it: in the application, or in the next capture.
NOTHING_TO_VERIFY = {
    "CAP001",
    "CAP002",
    "CBK002",
    "CBK003",
    "LCK003",
    "LCK006",
    "LCK011",
    "LCK012",
    "LCK014",
    "MON005",
    "MON006",
    "MON007",
    "NET005",
    "NFS001",
    "RPC001",
    "RPC004",
}

Captures: TypeAlias = bytes | list[bytes]
Story: TypeAlias = Callable[["Stage"], Captures]

told: defaultdict[str, set[str]] = defaultdict(set)
thresholds_with_stories: defaultdict[str, set[str]] = defaultdict(set)  # thresholds with a story on each side
stories: dict[str, Story] = {}  # those in which something is advised, by their names


class Stage:
    """A server and two clients that have it mounted."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.server = self.scenario.host(SERVER, name="nfssrv")
        self.client = self.scenario.host(CLIENT, name="web-1")
        self.other = self.scenario.host(OTHER, name="web-2")

    def wait(self, seconds: float) -> None:
        self.scenario.wait(seconds)

    def nfs(self, client: Host | None = None, times: int = 1) -> None:
        """NFS keeps working: its calls are answered at once."""
        for _ in range(times):
            (client or self.client).getattr(self.server, PATH)

    def later(self, seconds: float, client: Host | None = None) -> None:
        """Time passes, and NFS still goes on."""
        self.wait(seconds)
        self.nfs(client)

    def looks_up(
        self, asker: Host, host: Host, protocol: str, times: int, gap: float = 3.07, nfs: bool = True, **options: Any
    ) -> None:
        """A host looks for a program that is not registered, as kernels do; NFS may go on meanwhile."""
        for _ in range(times):
            asker.getport(host, protocol, **{"port": 0} | options)
            (self.later if nfs else self.wait)(gap)

    def statd_asked(self, host: Host, times: int, port: int = 0, gap: float = 3.07) -> None:
        """The kernel of a host looks for its own statd."""
        self.looks_up(host, host, "nsm1", times, gap, nfs=False, port=port)

    def monitored(self, host: Host, peer: Host, after: float = 0.01) -> None:
        """lockd of a host has its statd watch a peer."""
        host.getport(host, "nsm1")
        host.monitor(peer).reply(res_stat="STAT_SUCC", state=3, after=after)

    def boots(self, host: Host, *peers: Host, state: int = 5) -> list[Exchange]:
        """It tells its peers that it has rebooted."""
        return [host.notify(peer, state).reply() for peer in peers]

    def frames(self) -> int:
        """How many were sent by now."""
        return sum(packet.time <= self.scenario.now for packet in self.scenario.packets())

    def wire(self, at: Host | None = None, **options: Any) -> bytes:
        return self.scenario.capture(at, **options)

    def any(self, at: Host, **options: Any) -> bytes:
        """tcpdump -i any: the wire and the loopback."""
        return self.scenario.capture(at, on="any", link="sll2", **options)


def starttls(stage: Stage) -> None:
    """A connection on which TLS begins after STARTTLS (RFC 9289)."""
    flow = stage.client.flow(stage.server, 2049, 6)
    call = struct.pack(">10I", 0x7777, 0, 2, 100003, 3, 0, 7, 0, 0, 0)
    reply = struct.pack(">5I", 0x7777, 1, 0, 0, 8) + b"STARTTLS" + struct.pack(">I", 0)
    flow.send(True, call, stage.scenario.tick())
    flow.send(False, reply, stage.scenario.tick())


def inputs(captures: Captures) -> Inputs:
    return Inputs(Sessions(decode([captures] if isinstance(captures, bytes) else captures, WANTED)))


def asked(rule: str, captures: Captures, **thresholds: Any) -> list[Answer]:
    """What one rule says of captures."""
    known = inputs(captures)
    checks = [rules()[rule]]
    if is_last(checks[0]):
        checks = list(rules().values())
    answers = ask(known, checks, {rule: thresholds})
    broken = [answer for answer in answers if isinstance(answer, Broken)]
    assert broken == []
    mine = [answer for answer in answers if answer.rule == rule]
    check_words(mine)
    return mine


def diagnosed(captures: Captures) -> Diagnosis:
    diagnosis = diagnose(Sessions(decode([captures] if isinstance(captures, bytes) else captures, WANTED)))
    assert diagnosis.broken == ()
    check_words(diagnosis.findings)
    return diagnosis


def findings(answers: Iterable[Answer]) -> list[Finding]:
    return [answer for answer in answers if isinstance(answer, Finding)]


def rules_of(identifiers: Iterable[str]) -> set[str]:
    """The rules of findings that are given by their identifiers."""
    return {identifier.partition("@")[0] for identifier in identifiers}


def check_words(answers: Iterable[Answer]) -> None:
    """What is said is whole: no sentence is missing, and none has a hole where a name or a number belongs."""
    for answer in answers:
        if isinstance(answer, Finding):
            commands = (*answer.remedy, *answer.verify)
            said = [answer.title, answer.explanation, *(proof.note for proof in answer.evidence), *map(str, commands)]
            assert all(proof.frame > 0 and proof.capture >= 0 for proof in answer.evidence), answer
            assert answer.severity == "info" or (answer.evidence and answer.remedy), answer
            assert answer.severity == "info" or answer.verify or answer.rule in NOTHING_TO_VERIFY, answer
            assert answer.count > 0, answer
            assert (answer.first is None) == (answer.last is None), answer
            assert answer.first is None or answer.last is None or answer.first <= answer.last, answer
        else:
            said = [answer.why if isinstance(answer, CannotTell) else getattr(answer, "evidence", "")]
        assert all(said), answer
        assert not [text for text in said if re.search(r"\bNone\b|\B–\B|host name: \)", text)], said


def remember(story: Story) -> None:
    stories[f"{story.__module__.rpartition('.')[2]}.{getattr(story, '__name__', '')}"] = story


def fires(rule: str, **expected: Any) -> Callable[[Story], Callable[[], None]]:
    """The rule finds something, and what it says of it."""

    def decorate(story: Story) -> Callable[[], None]:
        told[rule].add("fires")
        remember(story)

        def test() -> None:
            found = findings(asked(rule, story(Stage())))
            assert found, f"{rule} does not fire"
            for name, value in expected.items():
                assert getattr(found[0], name) == value, name

        return test

    return decorate


def quiet(rule: str) -> Callable[[Story], Callable[[], None]]:
    """The rule passes, and says on what evidence."""

    def decorate(story: Story) -> Callable[[], None]:
        told[rule].add("quiet")

        def test() -> None:
            answers = asked(rule, story(Stage()))
            assert findings(answers) == []
            passed = [answer for answer in answers if isinstance(answer, Clear)]
            assert passed, answers

        return test

    return decorate


def cannot_tell(rule: str, *, command: bool = False) -> Callable[[Story], Callable[[], None]]:
    """The rule says what is missing; with the command that would show it, where there is one."""

    def decorate(story: Story) -> Callable[[], None]:
        told[rule].add("cannot tell")
        remember(story)

        def test() -> None:
            answers = asked(rule, story(Stage()))
            assert findings(answers) == []
            unknown = [answer for answer in answers if isinstance(answer, CannotTell)]
            assert unknown, answers
            assert any(answer.needs and "tcpdump" in answer.needs.command.line for answer in unknown) or not command

        return test

    return decorate


NEARBY = 0.2  # a story beside a threshold is no farther from it than this part of it, or than 1


def threshold(
    rule: str, name: str, *, fires: float, quiet: float, severity: str | None = None
) -> Callable[[Callable[[Stage, Any], Captures]], Any]:
    """A story with a number: with `fires`, beyond the threshold, the rule finds something, with `quiet` nothing.

    Of thresholds from which a finding is graver only findings of that severity count.
    """

    def decorate(story: Callable[[Stage, Any], Captures]) -> Any:
        thresholds_with_stories[rule].add(name)

        @pytest.mark.parametrize(("value", "is_found"), [(fires, True), (quiet, False)])
        def test(value: float, is_found: bool) -> None:
            default = rules()[rule].thresholds[name]
            assert abs(value - default) <= max(1, NEARBY * default), f"{value} is far from {name}={default}"
            found = findings(asked(rule, story(Stage(), value)))
            assert any(severity in (None, finding.severity) for finding in found) == is_found

        return test

    return decorate
