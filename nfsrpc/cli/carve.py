"""`nfsrpc carve`: the frames that matter, in a capture of their own, each with a comment that says why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nfsrpc.cli import completion
from nfsrpc.cli.ending import say
from nfsrpc.cli.output import (
    check_rules_of,
    fail,
    mention_skipped,
    not_a_capture,
    pcapng_name,
    replacing,
    unknown,
    write,
)
from nfsrpc.cli.progress import progress_bar
from nfsrpc.cli.show import frames_named
from nfsrpc.printable import clean

if TYPE_CHECKING:
    from nfsrpc.carving.choice import Wish
    from nfsrpc.findings.finding import Finding
    from nfsrpc.trace import Trace


WITHOUT_FAULT = "; choose with --where or --frames"


def carve(
    trace: Annotated[str, typer.Argument(metavar="TRACE", help="A capture, or the files of a ring: a directory.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT.pcapng", callback=pcapng_name, help="The capture to write."),
    ],
    finding: Annotated[
        str | None,
        typer.Option(
            "--finding",
            metavar="RULE",
            autocompletion=completion.rule_names,
            help="What proves this finding: LCK001.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="EXPR", help="Calls with their replies: procedure == 'LOCK'")
    ] = None,
    frames: Annotated[
        str | None, typer.Option("--frames", metavar="FRAMES", help="These frames: 1,2,5-9; all: every one")
    ] = None,
    anonymize: Annotated[
        bool, typer.Option("--anonymize", help="With pseudonyms of addresses, names, handles, and without data.")
    ] = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="The same pseudonyms every time; made if missing.")
    ] = None,
    originals: Annotated[
        str | None,
        typer.Option(
            "--map", metavar="FILE", callback=not_a_capture, help="Write which original each pseudonym stands for."
        ),
    ] = None,
) -> None:
    """Write the frames that matter to a capture of their own, each with a comment that says why.

    Without options, those on which the verdict and the other findings stand: as many as it takes for an analysis of
    what is written to come to the same verdict. What opened a connection is always with its messages.

    With --anonymize the capture can be shown to others: it is written only if its analysis comes to the same verdict
    and nothing of what was replaced is found in it. What cannot be replaced safely is left out, and named.
    """
    from nfsrpc.sources import SourceError
    from nfsrpc.trace import read

    if sum(option is not None for option in (finding, where, frames)) > 1:
        fail("--finding, --where and --frames exclude each other")
    if not anonymize and (key or originals):
        fail("--key and --map are of --anonymize")
    if len({os.path.realpath(file) for file in (output, key, originals) if file}) < 1 + bool(key) + bool(originals):
        fail("--output, --key and --map name one file")
    try:
        with progress_bar() as progress:
            found = read(trace, progress=progress)
        mention_skipped(found)
        check(found, output)
        with replacing(output) as part, whole_capture(part, anonymize) as carved:
            if where is None and frames is None:
                written = for_findings(found, chosen(found, finding, WITHOUT_FAULT), carved)
            else:
                written = by_choice(found, wish_of(found, where, frames), carved)
            if anonymize:
                written = anonymized(found, carved, part, key, originals)
    except OSError as error:
        fail(f"{output}: cannot be written: {error.strerror}")
    except (SourceError, ValueError) as error:
        fail(error)
    write([clean(f"{output}: {written}"), "\n"], None)
    check_rules_of(found)


def check(trace: Trace, output: str) -> None:
    if len(trace.tables.decoded.vantages) > 1:
        fail(f"carve one capture at a time, or the files of one ring: {', '.join(trace.files)} overlap in time")
    for file in map(str, trace.tables.decoded.sources):
        if os.path.exists(output) and os.path.exists(file) and os.path.samefile(output, file):
            fail(f"{output} is what is to be carved from: name another file")


def chosen(trace: Trace, rule: str | None, without: str = "") -> list[Finding]:
    """The findings of a rule; without one, all findings that are faults of more than the capture.

    Ends the command where there are none; `without` says what can be done without a fault.
    """
    from nfsrpc.diagnosis.catalogue import find
    from nfsrpc.diagnosis.causes import is_fault

    findings = trace.diagnosis.findings
    if rule is None:
        faults = list(filter(is_fault, findings))
        if not faults:
            fail(f"no fault is found in {', '.join(trace.files)}{without}")
        return faults
    try:
        known = find(rule).rule.id
    except KeyError:
        from nfsrpc.diagnosis.catalogue import rules

        unknown("rule", rule, [name for each in rules().values() for name in (each.rule.id, each.rule.name)])
    return [each for each in findings if each.rule == known] or fail(f"{known} is not found in {trace.files[0]}")


def wish_of(trace: Trace, where: str | None, frames: str | None) -> Wish:
    from nfsrpc.carving.choice import Wish

    wish = Wish()
    if where is not None:
        from nfsrpc.cli.table import rows_where

        calls = rows_where(trace.calls, where, "calls")
        if calls.empty:
            fail(f"--where {where!r}: no call of {', '.join(trace.files)} is so; nothing is written")
        wish.exchange(calls["exchange"].tolist(), where)
    for row in trace.tables["captures"].rows() if frames == "all" else ():
        for number in range(1, row.frames + 1):
            wish.frame((row.capture, number), "asked for")
    for text in frames.split(",") if frames not in (None, "all") else ():
        capture, numbers = frames_named(text.strip())
        within(trace, capture, numbers)
        for frame in numbers:
            wish.frame((capture, frame), "asked for")
            wish.messages.add((capture, frame))
    return wish


def within(trace: Trace, capture: int, numbers: range) -> None:
    if capture >= len(trace.captures):
        fail(f"no capture {capture}: there are {len(trace.captures)}, counted from 0")
    facts = trace.captures[capture]
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= facts["frames"]:
        beyond = numbers[0] if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        fail(f"{facts['file']} has the frames 1-{facts['frames']}, not {beyond}")


def for_findings(trace: Trace, findings: Sequence[Finding], output: str) -> str:
    from nfsrpc.carving.carve import carve as carve_for

    carved = carve_for(trace, findings, output)
    if not carved.same:
        say(f"of the whole capture it was: {trace.verdict.summary}")
    return f"{count(carved.frames, trace)}. {carved.diagnosis.verdict.summary}"


def by_choice(trace: Trace, wish: Wish, output: str) -> str:
    from nfsrpc.carving import carve

    return count(carve.write(trace, wish, output), trace)


def count(frames: int, trace: Trace) -> str:
    return f"{frames} of {sum(capture['frames'] for capture in trace.captures)} frames"


@contextmanager
def whole_capture(part: str, anonymize: bool) -> Iterator[str]:
    """The file to carve into: what is to be anonymized is carved into a directory that only its owner may read."""
    if not anonymize:
        yield part
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="nfsrpc-") as directory:
        yield os.path.join(directory, "carved.pcapng")


def anonymized(trace: Trace, carved: str, output: str, key: str | None, originals: str | None) -> str:
    """Writes what was carved with pseudonyms, and mentions what is left out."""
    from nfsrpc.carving.anonymize import anonymize
    from nfsrpc.carving.owner_files import key_of, write_map
    from nfsrpc.trace import read
    from nfsrpc.wording import count as counted

    try:
        secret = key_of(key)
    except OSError as error:
        fail(f"{key}: cannot be used as a key: {error.strerror}")
    result = anonymize(read(carved), secret)
    for reason, frames in sorted(result.left_out.items()):
        say(clean(f"left out: {counted(frames, 'frame')} {reason}"))
    for program, messages in sorted(result.blank.items()):
        say(clean(f"without arguments and results: {counted(messages, 'call')} of {program}"))
    if not result.same:
        say(f"what is left out changes the verdict, which was: {trace.verdict.summary}")
    with open(output, "wb") as file:
        file.write(result.data)
    try:
        if originals is not None:
            write_map(originals, result.names)
    except OSError as error:
        fail(f"{originals}: cannot be written: {error.strerror}")
    return f"{count(result.frames, trace)}, anonymized. {result.diagnosis.verdict.summary}"
