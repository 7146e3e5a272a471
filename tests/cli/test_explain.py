"""`nfsrpc explain`: every rule, table and protocol."""

from pathlib import Path

import pytest

from nfsrpc.decode import decode
from nfsrpc.diagnosis.catalogue import SECTIONS, rules
from nfsrpc.protocols import PROTOCOLS, Program
from nfsrpc.tables import TABLES
from tests.cli.command import run


@pytest.mark.parametrize("rule", rules())
def test_a_rule_by_identifier_and_by_name(rule: str) -> None:
    check = rules()[rule]
    result = run("explain", rule)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == f"{rule} {check.rule.name}  {check.rule.severity}"
    assert [line for line in lines if line in SECTIONS] == [title for title in SECTIONS if title in check.sections]
    assert run("explain", check.rule.name).stdout == result.stdout
    assert run("explain", rule.lower()).stdout == result.stdout


@pytest.mark.parametrize("name", TABLES)
def test_a_table_with_the_meaning_of_its_columns(name: str) -> None:
    text = run("explain", name).stdout
    assert all(f"\n{column.name} " in text for column in TABLES[name].columns)


@pytest.mark.parametrize("name", [program.protocol for program in PROTOCOLS])
def test_a_protocol_with_its_procedures(name: str) -> None:
    text = run("explain", name).stdout
    program = next(program for program in PROTOCOLS if program.protocol == name)
    assert text.startswith(f"{name}: {program.title}, program {program.number} version {program.version}\n")
    told = {tuple(line.split()) for line in text.splitlines()}
    assert {(str(procedure.number), procedure.name) for procedure in program.procedures} <= told


def test_the_fields_of_messages() -> None:
    assert "nlm4.args\ncookie, exclusive, caller_name, fh, oh, svid, l_offset, l_len, " in run("explain", "nlm4").stdout


@pytest.mark.parametrize("program", PROTOCOLS, ids=lambda program: program.protocol)
def test_every_table_of_messages_with_all_its_columns(samples: Path, program: Program) -> None:
    decoded = decode([samples / "contended" / "nfssrv-any.pcap"], programs=[program])
    for name, fields in decoded.kinds.items():
        lines = run("explain", name).stdout.splitlines()
        explained = {tuple(line.split()[:2]) for line in lines[3:]}
        assert lines[0] == name
        assert {("call_frame", "u32?"), ("procedure", "text"), ("index", "u32"), ("outer", "u32?")} <= explained
        assert {(field, "text" if kind == "bytes" else f"{kind}?") for field, kind in fields.items()} <= explained


def test_the_columns_that_are_explained_are_those_that_are_printed(samples: Path) -> None:
    capture = samples / "contended" / "nfssrv-any.pcap"
    for name in ("nlm4.args", "nfs3.res"):
        printed = run("table", name, capture, "--format", "csv").stdout.splitlines()[0].split(",")
        lines = run("explain", name).stdout.splitlines()[3:]
        explained = [line.split()[0] for line in lines[: lines.index("")] if not line.startswith(" ")]
        assert [column for column in explained if column != "outer"] == printed


def test_a_misspelt_list() -> None:
    assert "did you mean nfs3.entries?" in run("explain", "nfs3.entires").stderr


def test_without_a_name_everything_is_listed() -> None:
    text = run("explain").stdout
    assert all(f"{check.rule.id}  " in text and check.rule.name in text for check in rules().values())
    assert all(f"\n{name} " in text for name in (*TABLES, *(program.protocol for program in PROTOCOLS)))
    assert all(len(line) <= 80 for line in text.splitlines())


def test_what_is_not_there_is_one_line() -> None:
    result = run("explain", "statd-not-regsitered")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "nfsrpc: no rule, table or protocol statd-not-regsitered; did you mean statd-not-registered? "
        "(nfsrpc explain lists them)\n"
    )
