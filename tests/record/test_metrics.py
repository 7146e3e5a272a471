"""A recorder serves the metrics that `live` has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import shell

pytest.importorskip("prometheus_client")

FINDING = 'nfsrpc_finding{certainty="certain",host="10.1.84.31",rule="REG001",severity="error"} 1.0'


def test_a_recorder_writes_metrics_for_node_exporter(tmp_path: Path) -> None:
    capture = Path("captures/server-without-statd/nfssrv-any.pcap").read_bytes()
    file = tmp_path / "nfsrpc.prom"
    command = ("record", "-", "--directory", tmp_path / "ring", "--no-drop", "--textfile", file)
    assert shell(*command, stdin=capture).returncode == 1
    assert FINDING in file.read_text().splitlines()
    assert (tmp_path / "ring" / "incidents" / "20261122T053139Z-REG001-10.1.84.31" / "report.txt").exists()
