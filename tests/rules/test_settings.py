"""Thresholds are set by name, and what fits nothing is refused with what was perhaps meant."""

import re

import pytest

from nfsrpc.diagnosis.catalogue import Check, rules
from nfsrpc.diagnosis.settings import checked, merged, setting


@pytest.mark.parametrize("check", [pytest.param(check, id=check.rule.id) for check in rules().values()])
def test_every_threshold_says_what_it_is(check: Check) -> None:
    assert list(check.meanings) == list(check.thresholds)
    assert all(check.meanings.values())
    assert all(type(default) in (int, float) for default in check.thresholds.values())


def test_a_value_has_the_kind_of_the_default() -> None:
    assert setting("lock-request-answered-late.late_s = 3") == ("LCK002", "late_s", 3.0)
    assert isinstance(setting("LCK002.late_s=3")[2], float)
    assert setting("REG003.asks=4")[2] == 4
    assert isinstance(checked("REG003", "asks", 4.0)[2], int)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("LCK002.late=3", "LCK002 has no threshold late; it has: late_s, error_s, reclaim_s; did you mean late_s?"),
        ("LCK02.late_s=3", "no rule LCK02; did you mean LCK012?"),
        ("lock-denied-nolocks.x=3", "no rule lock-denied-nolocks; did you mean lock-denied-no-locks?"),
        ("LCK006.x=3", "LCK006 has no threshold x; it has none"),
        ("LCK002.late_s=", " is not a number of 0 or more"),
        ("LCK002.late_s=nan", "nan is not a number of 0 or more"),
        ("LCK002.late_s=-1", "-1 is not a number of 0 or more"),
        ("REG003.asks=2.5", "2.5 is not a whole number of 0 or more"),
        ("late_s=3", "not of the form RULE.threshold=value"),
        ("LCK002.late_s", "not of the form RULE.threshold=value"),
    ],
)
def test_what_fits_nothing(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text}: {complaint}") + "$"):
        setting(text)


@pytest.mark.parametrize("value", [True, [3], None, "three"])
def test_a_file_may_hold_other_values(value: object) -> None:
    with pytest.raises(ValueError, match="is not a number of 0 or more"):
        checked("LCK002", "late_s", value)


def test_the_last_counts() -> None:
    assert merged([setting("LCK002.late_s=3"), setting("LCK002.error_s=9"), setting("LCK002.late_s=4")]) == {
        "LCK002": {"late_s": 4.0, "error_s": 9.0}
    }
