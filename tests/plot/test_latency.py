"""What the picture of latencies shows: quantiles by procedure, dots over time, crosses for silence."""

from __future__ import annotations

import numpy as np
import pytest

from nfsrpc.plot import latency
from nfsrpc.plot.latency import MOST_DOTS, SLOWEST, crosses, dots, extent, field, quantiles, slowest_of
from nfsrpc.plot.rates import distinct_calls
from tests.plot.conftest import Of, Sample
from tests.scenario import Scenario


def test_procedures_the_slowest_first(sample: Sample) -> None:
    first, second, *_ = quantiles(sample("server-without-statd/nfssrv-any.pcap")["programs"])
    assert (first["label"], first["answers"], first["program"]) == ("nlm LOCK", 4, "nlm")
    assert first["max"] == pytest.approx(61.559, abs=0.001)
    assert first["p50"] < 0.001
    assert second["label"] == "mount MNT"


def test_versions_are_named_where_there_are_several(tables: Of) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.call(server, "nlm4", "NULL").reply()
    client.call(server, "nlm3", "NULL").reply(after=0.5)
    client.getattr(server, "/srv")
    client.call(server, "mount3", "NULL").unanswered()
    labels = [row["label"] for row in quantiles(tables(s)["programs"])]
    assert labels[0] == "nlm NULL v3"
    assert set(labels) == {"nlm NULL v3", "nlm NULL v4", "nfs GETATTR"}


def test_a_dot_an_answer_and_a_cross_for_none(tables: Of) -> None:
    s = Scenario(1_700_000_000)
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.call(server, "nfs3", "GETATTR").reply(after=0.25)
    client.lock(server).unanswered()
    s.wait(60)
    client.call(server, "nfs3", "GETATTR").reply(after=0)
    calls = distinct_calls(tables(s)["calls"])
    first, second = dots(calls, np.flatnonzero(calls["state"] == "answered"))
    assert (first["latency"], first["took"], first["hosts"]) == (0.25, "250 ms", "10.0.0.1 → 10.0.0.9")
    assert first["at"] == pytest.approx(1_700_000_000_000, abs=100)
    assert second["latency"] == latency.FASTEST_S  # which has a place on a logarithmic scale
    (cross,) = crosses(calls)
    assert cross["program"] == "nlm"
    assert cross["call"].startswith("nlm LOCK, frame ")


def test_of_many_answers_the_slowest_are_dots() -> None:
    took = np.random.default_rng(1).permutation(10 * MOST_DOTS) / 1000
    rows = np.arange(5, len(took))
    chosen = slowest_of(took, rows)
    assert len(chosen) == SLOWEST
    assert took[chosen].min() > np.delete(took[5:], chosen - 5).max()
    assert slowest_of(took, rows[:MOST_DOTS]).tolist() == rows[:MOST_DOTS].tolist()


def test_the_field_counts_every_answer(sample: Sample) -> None:
    calls = distinct_calls(sample("healthy/nfssrv-any.pcap.zst")["calls"])
    answered = np.flatnonzero(calls["state"] == "answered")
    low, high = extent(calls["latency_s"][answered].tolist())
    cells = field(calls, answered, low, high)
    assert sum(cell["answers"] for cell in cells) == len(answered) == 102
    assert all(low <= cell["low"] < cell["high"] <= high * 1.0001 and cell["at"] < cell["until"] for cell in cells)


def test_the_scale() -> None:
    assert extent([0.0002, 0.3]) == (0.0001, pytest.approx(0.42))
    assert extent([]) == (0.001, 1.0)
