"""Every real capture, from every vantage, alone and combined, gets the verdict that it deserves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.captures_dir import SETS
from tests.rules.expected import Case, cases, problems


def parametrized() -> list[object]:
    found = [pytest.param(case, id=case.name.replace(" ", "")) for case in cases("samples", "kernel", "reports")]
    for kind in ("kernel", "reports"):
        if not SETS[kind].found.is_dir():
            reason = f"no captures in {SETS[kind].found}: name their directory in {SETS[kind].variable}"
            found.append(pytest.param(None, id=kind, marks=pytest.mark.skip(reason=reason)))
    return found


@pytest.mark.parametrize("case", parametrized())
def test_the_verdict_is_right(case: Case) -> None:
    assert problems(case, case.diagnosis()) == []


def test_expected_causes_are_compared_with_those_found() -> None:
    """Each is one of some rules, on a host."""
    case = next(case for case in cases("samples") if case.name == "server-without-statd/nfssrv-any.pcap")

    def wrong(*causes: tuple[list[str], str]) -> list[str]:
        expected = [{"rule": rules, "host": host} for rules, host in causes]
        return problems(replace(case, expected=case.expected | {"causes": expected}), diagnosis)

    diagnosis = case.diagnosis()
    assert wrong((["LCK002", "REG001"], "10.1.84.31")) == []
    assert wrong((["REG001"], "10.1.84.41")) == ["REG001 on 10.1.84.41 is no cause"]
    assert wrong((["REG001"], "10.1.84.31"), (["NET001", "NET003"], "10.1.84.31")) == [
        "NET001 or NET003 on 10.1.84.31 is no cause"
    ]
