"""Every real capture, from every vantage, alone and combined, gets the verdict that it deserves."""

from __future__ import annotations

import pytest

from tests.captures_dir import SETS
from tests.rules.expected import Case, cases, problems


def parametrized() -> list[object]:
    found = [pytest.param(case, id=case.name.replace(" ", "")) for case in cases("samples", "kernel")]
    if not SETS["kernel"].found.is_dir():
        reason = f"no captures in {SETS['kernel'].found}: name their directory in {SETS['kernel'].variable}"
        found.append(pytest.param(None, id="kernel", marks=pytest.mark.skip(reason=reason)))
    return found


@pytest.mark.parametrize("case", parametrized())
def test_the_verdict_is_right(case: Case) -> None:
    found = problems(case, case.diagnosis())
    if case.known_wrong:
        assert found, "it is right now: take it out of KNOWN_WRONG"
        pytest.xfail(", ".join(found))
    assert found == []
