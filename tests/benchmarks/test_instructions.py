"""The core takes as many instructions per packet as it did: what noise on the machine does not change."""

import shutil

import pytest

from benchmarks import instructions

BEFORE = {"small": 2000.0, "storm": 1000.0}


@pytest.mark.acceptance
@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_the_core_takes_no_more_instructions_than_before() -> None:
    assert instructions.changed(instructions.of_core(), instructions.known()) == {}, "make instructions writes new ones"


def test_a_figure_is_known_for_each_capture() -> None:
    assert instructions.known().keys() == instructions.PACKETS.keys()


@pytest.mark.parametrize(
    ("small", "beyond"),
    [(2059, {}), (2061, {"small": 1.03}), (1941, {}), (1939, {"small": 0.97}), (1000, {"small": 0.5})],
)
def test_a_change_of_three_percent_is_allowed(small: float, beyond: dict[str, float]) -> None:
    found = instructions.changed({"small": small, "storm": 1000.0}, BEFORE)
    assert {name: round(ratio, 2) for name, ratio in found.items()} == beyond
