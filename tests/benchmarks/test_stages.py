"""What is made of the columns takes less time than making them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import traffic

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("options", [[], ["--listed"]], ids=["counted", "listed"])
def test_sessions_and_rules_take_less_than_importing_and_decoding(options: list[str], tmp_path: Path) -> None:
    traffic.CAPTURES["small"](tmp_path / "small.pcap", 200_000)
    command = [sys.executable, "-m", "benchmarks.stages", tmp_path / "small.pcap", *options]
    seconds = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert seconds["sessions and rules"] < seconds["importing"] + seconds["decoding"]
