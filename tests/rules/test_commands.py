"""Nothing that a capture holds is run by who pastes what a rule advises.

Three ways to see it: the syntax trees of the rules have only literal templates; every template is filled with every
payload; and all stories of all rules are told again with payloads for names, and what is found is rendered in every
format. A shell that records what it runs gets all of that.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import pytest

import nfsrpc.rules
from nfsrpc import reading
from nfsrpc.decode import decode
from nfsrpc.diagnosis.catalogue import rules
from nfsrpc.diagnosis.faults import fault
from nfsrpc.diagnosis.verdict import diagnose
from nfsrpc.findings.advice import FILTERED, answers, bare, connects, loopback_of, registered, try_lock, wire_of
from nfsrpc.findings.command import Command, Filter, command, either_host, remark, unfitness
from nfsrpc.findings.finding import Diagnosis, Evidence, Finding, Need
from nfsrpc.protocols import PROTOCOLS, layout
from nfsrpc.protocols.xdr import Opaque, String, Struct
from nfsrpc.report import html, markdown, text
from nfsrpc.report import json as as_json
from nfsrpc.report.contents import Report
from nfsrpc.sessions import WANTED, Sessions
from tests.captures_dir import Capture, captures
from tests.report.samples import CAPTURE
from tests.rules.paste import COMMANDS, paste
from tests.rules.stage import Captures, Stage, stories

TOUCH = "touch PWNED"
PAYLOADS = (
    *("web-1;touch${IFS}PWNED;#", f";{TOUCH};#", f"$({TOUCH})", f"`{TOUCH}`", f"a|{TOUCH}", f"a&{TOUCH}&"),
    *(f"a&&{TOUCH}", f"a||{TOUCH}", f"a\n{TOUCH}\n", f"a\r{TOUCH}\r", f"a\u2028{TOUCH}", f"a\x85{TOUCH}"),
    *(">PWNED", "a>PWNED", "a 2>>PWNED", ":>PWNED", f"<({TOUCH})", f"';{TOUCH};'", f'";{TOUCH};"', f"\\\n{TOUCH}\n"),
    *("/usr/bin/touch PWNED", "a;/usr/bin/touch PWNED;#", "$(/usr/bin/touch PWNED)", "a;echo>PWNED;#", "$(echo>PWNED)"),
    *(f"${{x:=$({TOUCH})}}", f"$((a[$({TOUCH})]))", "{a,PWNED}", "*", "~root", "!!", "#", f"#\n{TOUCH}\n", "<<EOF"),
    *(f"EOF\n{TOUCH}\n", f"({TOUCH})", f"\x1b[201~{TOUCH}\n", f"\x03{TOUCH}\n", f"\x1b]0;{TOUCH}\x07"),
    *("-f", "--help", "-oProxyCommand=touch PWNED", "-- -x", "a b", "", "...", "$'\\x74ouch' PWNED", f"é;{TOUCH}"),
    *(f"127.0.0.1 ;{TOUCH}", f"10.0.0.1%$({TOUCH})", f"fe80::1%;{TOUCH}", f"[::1];{TOUCH}", f"\udcff;{TOUCH}"),
    *(f"</pre>\n{TOUCH}\n<pre>", f"```\n{TOUCH}\n```sh", f"\t{TOUCH}", "exit 1", "a;exit;#", "exec /bin/sh"),
    *(f"\u202e;{TOUCH}", f"a\0;{TOUCH}"),
)
LETTERS = "a1;&|<>()$`\\\"' \t\n\r*?[]{}#~=%!-./\x1b\u202e"
AT_RANDOM = tuple("".join(random.Random(seed).choices(LETTERS, k=12)) for seed in range(20))
HOSTILE = (*PAYLOADS, *AT_RANDOM)
# What a field holds that makes messages belong together: a story falls apart when these are something else.
ADDRESS = re.compile(r"[0-9a-f.:]*|(?:tcp|udp)6?")
# An argument as it is meant: a word, a number, an address, a path made of one, a capture filter.
ARGUMENT = re.compile(r"(?:/path/on/|/proc//|sport = :|</dev/tcp/)?[A-Za-z0-9][A-Za-z0-9._:/ %-]*")
MOST_CAPTURES = 4  # of a story
FOLDER = Path(nfsrpc.rules.__file__).parent


# Syntax trees


class Template(NamedTuple):
    """A call of `command` or `remark` as it stands in a rule."""

    place: str
    build: Callable[..., Command]
    line: str
    on: str
    note: str

    @property
    def fields(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", " ".join(self[2:]))

    def filled(self, payload: str) -> Command:
        values = dict.fromkeys(self.fields, payload)
        options = {"on": self.on, "note": self.note} if self.build is command else {"on": self.on}
        return self.build(self.line, **options, **values)


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(FOLDER.parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield f"{file.name}:{node.lineno}", node


def literal(node: ast.expr | None) -> str:
    """Raises ValueError for what is no literal."""
    value = "" if node is None else ast.literal_eval(node)
    if not isinstance(value, str):
        raise ValueError(f"no text: {value!r}")
    return value


@cache
def templates() -> tuple[Template, ...]:
    return tuple(map(template, calls("command", "remark")))


def template(found: tuple[str, ast.Call]) -> Template:
    place, call = found
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    assert None not in options, f"{place}: arguments have names"
    (line,) = call.args
    build = command if isinstance(call.func, ast.Name) and call.func.id == "command" else remark
    return Template(place, build, literal(line), literal(options.get("on")), literal(options.get("note")))


def test_every_template_is_a_literal() -> None:
    assert len(templates()) > 80


def test_every_filter_is_a_literal_or_made_of_addresses() -> None:
    others = [call for place, call in calls("Filter") if not place.startswith("command.py:")]
    assert [literal(call.args[0]) for call in others] == ["not port 22"]
    assert all(isinstance(other, ast.Constant) for _, call in calls("either_host") for other in call.args[1:])


def test_no_rule_makes_a_command_by_hand() -> None:
    by_hand = [place for place, _ in calls("Command") if not place.startswith("command.py:")]
    for file in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("remedy", "verify", "needs"):
                by_hand += [f"{file.name}:{text.lineno}" for text in texts_in(node.value)]
    assert by_hand == []


def texts_in(node: ast.AST) -> Iterator[ast.expr]:
    """Texts in an expression that are not the arguments of what builds commands."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
    built = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    subscript = isinstance(node, ast.Subscript)
    for child in ast.iter_child_nodes(node) if not (built or subscript) else ():
        yield from texts_in(child)


def test_a_text_is_no_command() -> None:
    with pytest.raises(TypeError, match=r"not built by nfsrpc\.findings\.command"):
        Finding("X", "x", "error", "certain", None, "", "", remedy=("reboot",))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Finding("X", "x", "error", "certain", None, "", "", verify=("reboot",))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Need("wire", "reboot")  # type: ignore[arg-type]


# Arguments


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("10.0.0.9", "x 10.0.0.9"),
        ("2001:db8::9", "x 2001:db8::9"),
        ("fe80::1%eth0.5", "x fe80::1%eth0.5"),
        ("web-1.example.com", "x web-1.example.com"),
        ("A_b", "x A_b"),
        ("1", "x 1"),
        ("a" * 255, f"x {'a' * 255}"),
        (111, "x 111"),
        (0, "x 0"),
        (PurePath("/a b/c'd"), "x '/a b/c'\"'\"'d'"),
        (PurePath("-rf"), "x ./-rf"),
        (Filter("host 10.0.0.1 or port 53"), "x 'host 10.0.0.1 or port 53'"),
    ],
)
def test_an_argument_of_a_command(argument: Any, line: str) -> None:
    assert command("x {argument}", argument=argument).line == line


@pytest.mark.parametrize(
    "argument",
    [*HOSTILE, "a" * 256, "-a", ".a", "_a", "ä", "fe80::1%", "fe80::1%-x", "1::2::3", "１", -1, None, PurePath("a\nb")],
)
def test_what_is_none_is_described(argument: Any) -> None:
    built = command("reboot {name} {port}", on="{name}", note="why", name=argument, port=111)
    assert built.line == ""
    shown = str(built)
    assert shown.startswith("# ")
    assert f"adapt and run by hand: reboot NAME 111 (NAME is {unfitness(argument)}); why" in shown
    assert shown.endswith("; why")
    assert re.fullmatch(r"[\w .,:@/%+\\();#-]*", shown)


def test_a_remark_is_one_line_that_means_nothing_to_a_shell() -> None:
    assert (
        str(remark("Open {port} for {name}.", port=1, name="a;b\n$(c)é")) == r"# Open 1 for a\x3bb\x0a\x24\x28c\x29é."
    )


def test_no_word_of_a_remark_is_an_option_where_a_shell_runs_comments() -> None:
    built = command("tcpdump -i any", on="{host}", host="-H 127.0.0.1 of web-1 -z reboot.pcap")
    assert str(built) == r"tcpdump -i any   # on \x2dH 127.0.0.1 of web-1 \x2dz reboot.pcap"


def test_a_filter_is_made_of_addresses() -> None:
    assert either_host(["10.0.0.1", "::1"], "port 53") == Filter("host 10.0.0.1 or host ::1 or port 53")
    assert either_host(["10.0.0.1", "web-1"]) is None
    assert either_host(["10.0.0.1 or net 0.0.0.0/0"]) is None


@pytest.mark.parametrize(
    ("need", "line"),
    [
        (wire_of("10.0.0.9"), "-w 10.0.0.9.pcap 'not port 22'"),
        (wire_of("2001:db8::9", ["2001:db8::1"]), "-w 2001-db8-9.pcap 'host 2001:db8::1'"),
        (wire_of("::1 of a b;c.pcap", ["127.0.0.1 of a"]), "-w 1.pcap 'host 127.0.0.1'"),
        (wire_of("10.0.0.9", ["10.0.0.1", "web-1"]), "-w 10.0.0.9.pcap 'not port 22'"),
        (wire_of("$(reboot)"), "-w reboot.pcap 'not port 22'"),
        (wire_of("::"), "-w capture.pcap 'not port 22'"),
        (wire_of("a", [f"10.0.0.{n}" for n in range(FILTERED)]), f"host 10.0.0.{FILTERED - 1}'"),
        (wire_of("a", [f"10.0.0.{n}" for n in range(FILTERED + 1)]), "'not port 22'"),
        (loopback_of("10.0.0.9", ["10.0.0.1"]), "'host 127.0.0.1 or host ::1 or host 10.0.0.1 or port 53'"),
        (loopback_of("10.0.0.9", ["a or b"]), "'not port 22'"),
    ],
)
def test_a_capture_of_hosts(need: Need, line: str) -> None:
    assert need.command.line.startswith("tcpdump -i any -s 0 -B 8192 -w ")
    assert need.command.line.endswith(line)


@pytest.mark.parametrize("built", [answers("10.0.0.9", 100024), registered("10.0.0.9 of a", 100024), try_lock("::1")])
def test_advice_for_hosts(built: Command) -> None:
    assert built.line


def test_a_port_is_tried_without_any_program_that_may_be_missing() -> None:
    tried = connects("fd00::9", 32803, "10.0.0.1")
    assert tried.line == "timeout 5 bash -c '</dev/tcp/fd00::9/32803' && echo accepted"
    assert all(connects(payload, 32803, payload).line == "" for payload in HOSTILE)
    assert "/dev/tcp/10.0.0.9/PORT' && echo accepted (PORT is not in the capture); " in str(
        connects("10.0.0.9", None, "10.0.0.1")
    )


def test_advice_for_a_host_that_is_not_known() -> None:
    assert str(answers(bare(None), 100024)) == (
        "# adapt and run by hand: rpcinfo -t HOST 100024 (HOST is not in the capture)"
    )


# Pasting


def harmless(texts: Iterable[str], directory: Path) -> set[str]:
    """The commands that are run of texts that are pasted, when these are as they are meant."""
    found = paste(texts, directory)
    assert found.complaints == []
    assert found.files == []
    assert {name for name, *_ in found.commands} <= COMMANDS
    words = {word.strip("'") for template in templates() for word in re.split(r"[\s;|]+", template.line)}
    options = {word for word in words if word.startswith("-")}
    for argument in {argument for _, *arguments in found.commands for argument in arguments}:
        assert argument in words or ARGUMENT.fullmatch(argument), argument
        assert not argument.startswith("-") or argument in options
    return {name for name, *_ in found.commands}


def test_the_shell_is_no_sham(tmp_path: Path) -> None:
    found = paste(
        ["uname -r; touch x", "echo $(reboot) >PWNED", "cat 'a\nb'; nc -x | tc", "(", "time uptime"], tmp_path
    )
    ran = [["uname", "-r"], ["?touch", "x"], ["?reboot"], ["cat", "a\nb"], ["nc", "-x"], ["tc"], ["uptime"]]
    assert sorted(found.commands) == sorted(ran)
    assert [file.name for file in found.files] == ["PWNED"]
    assert any("syntax error" in line for line in found.complaints)


def test_every_template_with_every_payload(tmp_path: Path) -> None:
    named = [template for template in templates() if template.fields]
    lines = [str(template.filled(payload)) for template in named for payload in HOSTILE]
    assert all("{" not in line for line in lines)
    print(f"{len(named)} templates with names, {len(HOSTILE)} payloads: {len(lines)} lines pasted")
    harmless(lines, tmp_path)


def test_every_command_of_every_template(tmp_path: Path) -> None:
    """With arguments as they are meant; a command that none of them runs has no business in the list."""
    lines = [str(template.filled("10.0.0.9")) for template in templates()]
    assert harmless(lines, tmp_path) == COMMANDS


def test_what_a_finding_says_is_a_comment(tmp_path: Path) -> None:
    """Even of names that reach it as they were sent."""
    said = [
        Finding("X", evil, "error", "certain", evil, evil, evil, (evil,), (evil,), 1, 0, 0, (Evidence(0, 1, evil),))
        for evil in HOSTILE
    ]
    assert harmless(map(str, said), tmp_path) == set()


class Hostile:
    """Puts payloads in the place of names, for equal names equal ones."""

    def __init__(self, first: int, everything: bool) -> None:
        self.first, self.everything = first, everything
        self.known: dict[str | bytes, str] = {}

    def name(self, value: Any) -> Any:
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        if not text or (ADDRESS.fullmatch(text) and not self.everything):
            return value
        if text not in self.known:
            turn, number = divmod(self.first + len(self.known), len(HOSTILE))
            self.known[text] = HOSTILE[number] + (str(turn) if turn > self.first // len(HOSTILE) else "")
        return self.known[text]


def hostile(monkeypatch: pytest.MonkeyPatch, names: Hostile) -> None:
    """In every string that is encoded (RFC 4506, 4.11) and every lock owner."""
    pack_struct, pack_opaque = Struct.pack, Opaque.pack

    def of_struct(self: Struct, value: Any, out: bytearray) -> None:
        pack_struct(self, {**value, "oh": names.name(value["oh"])} if "oh" in value else value, out)

    def of_string(self: String, value: Any, out: bytearray) -> None:
        pack_opaque(self, names.name(value), out)

    monkeypatch.setattr(Struct, "pack", of_struct)
    monkeypatch.setattr(String, "pack", of_string)


def told_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captures]:
    """All stories with hostile names: once in all but addresses, once in all strings."""
    import_module("tests.rules.test_catalogue")  # which imports the stories of all rules
    for number, story in enumerate(stories.values()):
        for everything in (False, True):
            with monkeypatch.context() as patched:
                hostile(patched, Hostile(number * 7 + everything, everything))
                yield story(Stage())


class Pre(HTMLParser):
    """What is copied of the blocks of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside, self.copied = False, ""
        self.feed(page)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.inside = self.inside or tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "pre"
        self.copied += "\n" if tag == "pre" else ""

    def handle_data(self, data: str) -> None:
        self.copied += data if self.inside else ""


def in_html(page: str) -> Iterator[str]:
    yield from Pre(page).copied.splitlines()


def in_markdown(page: str) -> Iterator[str]:
    for _, block in re.findall(r"^(`{3,})sh\n(.*?)\n\1$", page, re.DOTALL | re.MULTILINE):
        yield from block.split("\n")


def in_json(page: str) -> Iterator[str]:
    document = json.loads(page)
    for finding in document["findings"]:
        yield from (*finding["remedy"], *finding["verify"])
    yield from (unknown["needs"]["command"] for unknown in document["cannot_tell"] if unknown["needs"])


def in_text(page: str) -> Iterator[str]:
    """Beside the labels of blocks with commands; prose in them, which says what they capture, is left out."""
    label = ""
    for line in page.splitlines():
        label = line[:10].strip() or (label if line.strip() else "")
        beside = line[10:]
        if label in ("Fix", "Verify") or (label in ("Be sure", "Do first") and beside.startswith(("tcpdump", "#"))):
            yield beside


FORMATS: dict[str, Callable[[Finding, Report], Iterable[str]]] = {
    "str": lambda finding, _: [str(finding)],
    "notebook": lambda finding, _: in_html(finding._repr_html_()),
    "text": lambda _, report: in_text(text.render(report)),
    "json": lambda _, report: in_json(as_json.render(report)),
    "markdown": lambda _, report: in_markdown(markdown.render(report)),
    "html": lambda _, report: in_html(html.render(report)),
}


def diagnosed(captures: Captures) -> Diagnosis:
    return diagnose(Sessions(decode([captures] if isinstance(captures, bytes) else captures, WANTED)))


def advised(diagnosis: Diagnosis) -> Iterator[tuple[str, str, list[str]]]:
    """Rule, format and texts to be copied of each finding, which leads a report, with the captures that are missing."""
    missing = tuple(answer for answer in diagnosis.cannot_tell if answer.needs)
    for finding in diagnosis.findings:
        alone = Diagnosis(fault([finding], []), (finding,), missing)
        report = Report(alone, (CAPTURE,) * MOST_CAPTURES, ())
        for name, render in FORMATS.items():
            texts = list(render(finding, report))
            copied = {line.partition("   # ")[0] for shown in texts for line in shown.split("\n")}
            verify = finding.verify if name != "str" else ()
            assert {known.line for known in (*finding.remedy, *verify) if known.line} <= copied, name
            yield finding.rule, name, texts


def test_what_is_advised_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = layout.compile(PROTOCOLS, WANTED)  # once; it takes longer than all the rest of a story
    monkeypatch.setattr(reading, "compile", lambda *_: compiled)
    pasted: dict[str, set[str]] = {name: set() for name in FORMATS}
    told, fired = 0, Counter[str]()
    for told, story in enumerate(told_again(monkeypatch), 1):  # noqa: B007
        diagnosis = diagnosed(story)
        assert diagnosis.broken == ()
        for rule, name, texts in advised(diagnosis):
            pasted[name].update(texts)
            fired[rule] += len(texts)
    assert fired.keys() == rules().keys()
    lines = ", ".join(f"{name} {len(texts)}" for name, texts in pasted.items())
    print(f"{told} captures, {len(fired)} rules, {fired.total()} texts; of these different: {lines}")
    harmless(set(chain.from_iterable(pasted.values())), tmp_path)


@pytest.mark.parametrize("capture", captures("hostile"))
def test_captures_with_payloads_in_their_names(capture: Capture, tmp_path: Path) -> None:
    found = list(advised(diagnosed(capture.load())))
    assert found
    harmless(chain.from_iterable(texts for _, _, texts in found), tmp_path)
