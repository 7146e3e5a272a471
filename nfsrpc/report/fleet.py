"""What a report on a fleet leads with, as plain data and in words: hosts to fix, nodes, and what is still to capture.

A fault that thirty nodes show is one row with thirty clients. What nodes cannot tell is one row per sentence, with the
nodes of which it is true; and of all captures that would show more, the one that would show most is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nfsrpc.findings.finding import Certainty, Finding, Need, State
from nfsrpc.printable import clean
from nfsrpc.wording import digits, duration, named, several

STATES: tuple[tuple[State, str], ...] = (
    ("fault", "with a fault"),
    ("healthy", "healthy"),
    ("cannot-tell", "cannot tell by themselves"),
)


class OpenQuestion(NamedTuple):
    """What captures cannot tell: why, for which rules, and the vantage that would show it."""

    why: str
    rules: tuple[str, ...]
    vantage: str


class NodeAnswer(NamedTuple):
    """What a node's captures say by themselves."""

    name: str
    files: int
    state: State
    summary: str
    unknown: tuple[OpenQuestion, ...] = ()  # where it is important


class HostToFix(NamedTuple):
    """A cause at a host, with all that nodes show of it."""

    finding: Finding  # the gravest one
    certainty: Certainty
    clients: tuple[str, ...]  # affected
    at_least: bool  # whether there may be more of them
    wait_s: float | None  # the longest of a client
    findings: tuple[str, ...]  # identifiers

    @property
    def cause(self) -> str:
        return f"{self.finding.rule} {self.finding.name}"

    @property
    def number(self) -> str:
        """The number of affected clients."""
        return f"{'at least ' if self.at_least else ''}{digits(len(self.clients))}"

    @property
    def wait(self) -> str:
        return duration(self.wait_s) if self.wait_s else ""


class SharedQuestion(NamedTuple):
    """A reason why some nodes cannot tell, and for which rules; without rules, whether locks work at all."""

    why: str
    rules: tuple[str, ...]
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        about = f" ({', '.join(self.rules)})" if self.rules else ""
        return f"{several(len(self.nodes), 'node')}: {self.why.rstrip('.')}{about}: {named(map(clean, self.nodes))}"


class NextCapture(NamedTuple):
    """The capture that would tell most, and the rules of the questions that it would settle, each once."""

    need: Need
    questions: int
    rules: tuple[str, ...]

    def __str__(self) -> str:
        settles = several(self.questions, "open question")
        return f"Capture the {self.need.vantage}: it would settle {settles} ({', '.join(self.rules)})."


class Overview(NamedTuple):
    """What a report on a fleet leads with."""

    hosts_to_fix: tuple[HostToFix, ...]  # the worst first
    nodes: tuple[NodeAnswer, ...]
    unknown: tuple[SharedQuestion, ...]  # what most nodes cannot tell first
    one_more: NextCapture | None
    captures: int
    unaligned: int  # captures that show nothing of how their clock differs from another's
    cached: int  # nodes whose rows were not made anew
    uncached: tuple[str, ...]  # for each node whose rows were not kept, why

    @property
    def counts(self) -> str:
        """How many nodes there are, and how many of them say what by themselves."""
        states = Counter(node.state for node in self.nodes)
        parts = [
            several(len(self.nodes), "node"),
            several(sum(node.files for node in self.nodes), "file"),
            *(f"{states[state]} {words}" for state, words in STATES if states[state]),
        ]
        return ", ".join(parts) + (f"; {self.cached} from the cache" if self.cached else "")

    @property
    def clocks(self) -> str:
        """What is wrong with the clocks, in words; empty where nothing is."""
        if not self.unaligned:
            return ""
        return (
            f"of {several(self.captures, 'capture')}, {several(self.unaligned, 'has', 'have')} no message in common "
            "with those of another node: cannot tell what came first; each node is judged by itself"
        )

    @property
    def cache(self) -> str:
        """What was not kept, and why, in words; empty where all was."""
        if not self.uncached:
            return ""
        return f"the rows of {several(len(self.uncached), 'node')} were not kept: {self.uncached[0]}"

    @property
    def notes(self) -> Sequence[tuple[str, str]]:
        """The sentences on nodes, clocks and cache, each with its label."""
        labelled = (("Nodes", self.counts), ("Clocks", self.clocks), ("Cache", self.cache))
        return [(label, sentence) for label, sentence in labelled if sentence]
