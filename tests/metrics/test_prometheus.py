"""Prometheus itself: its checks of metrics and alerts, and a server that scrapes `live` while the demo is replayed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.metrics.test_exporter import ROOT, free_port, live, scraped, until

PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")
pytestmark = [
    pytest.mark.skipif(not (PROMTOOL and PROMETHEUS), reason="prometheus is not installed: apt install prometheus"),
    pytest.mark.acceptance,
]
CONTRIB = ROOT / "contrib"
FINDING = 'nfsrpc_finding{certainty="certain",host="10.1.84.31",rule="REG001",severity="error"} 1.0'
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - {{job_name: nfsrpc, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""


def promtool(*arguments: str, stdin: str = "") -> str:
    """What promtool prints; fails where it complains."""
    assert PROMTOOL
    told = subprocess.run(
        [PROMTOOL, *arguments],
        input=stdin,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=CONTRIB / "prometheus",
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    return told.stdout


@contextmanager
def prometheus(directory: Path, scraped_port: int) -> Iterator[str]:
    """The address of a server that scrapes a port each second."""
    assert PROMETHEUS
    port = free_port()
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        CONFIGURATION.format(rules=CONTRIB / "prometheus" / "alerts.yml", port=scraped_port), encoding="utf-8"
    )
    with (
        open(directory / "log", "wb") as log,
        subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as server,
    ):
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            server.terminate()
            server.wait(20)


def answer(address: str, **parameters: str) -> Any:
    """The data of an answer of the API; None while there is none."""
    try:
        with urlopen(f"{address}?{urlencode(parameters)}", timeout=5) as reply:
            return json.load(reply)["data"]
    except (URLError, ConnectionError):
        return None


def test_the_alerts_are_those_of_their_tests() -> None:
    assert "SUCCESS: 5 rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_the_names_of_metrics_keep_to_the_conventions() -> None:
    port = free_port()
    with live("--metrics", str(port)):
        assert promtool("check", "metrics", stdin=scraped(port, FINDING)) == ""


def test_the_alert_fires_and_the_dashboard_has_data(tmp_path: Path) -> None:
    port = free_port()
    with live("--metrics", str(port)), prometheus(tmp_path, port) as api:

        def fault() -> list[dict[str, Any]]:
            alerts = (answer(f"{api}/alerts") or {"alerts": []})["alerts"]
            return [alert for alert in alerts if alert["labels"]["alertname"] == "NfsFault"]

        fired = {alert["labels"]["rule"]: alert for alert in until(fault, 60)}
        alert = fired["REG001"]
        assert alert["state"] == "firing"
        assert alert["labels"]["host"] == "10.1.84.31"
        assert alert["labels"]["severity"] == "error"
        where = f"127.0.0.1:{port}"
        assert alert["annotations"]["summary"] == f"REG001 on 10.1.84.31, certain (seen by {where})"

        dashboard = json.loads((CONTRIB / "grafana" / "nfsrpc.json").read_text(encoding="utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
                found = answer(f"{api}/query", query=query)
                assert found is not None, query
                is_rate = "rate(" in query or re.search("dropped", query)  # one look has none, and a stream no drops
                assert found["result"] or is_rate, query
