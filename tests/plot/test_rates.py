"""What the picture of rates shows: bins by program, and what went wrong in them."""

from __future__ import annotations

import numpy as np
import pytest

from nfsrpc.columns import Array
from nfsrpc.plot.rates import MOST_BINS, bin_length, chart, distinct_calls, rates, troubles
from tests.plot.conftest import Of, Sample
from tests.scenario import Scenario


def times(*seconds: float) -> Array:
    return (np.array(seconds) * 1e9).astype(np.int64)


@pytest.mark.parametrize(
    ("lasts", "length"), [(0.5, 0.01), (1.3, 0.02), (13, 0.2), (64, 1), (1200, 10), (86400, 900), (9e6, 86400)]
)
def test_bins_of_a_length_that_people_count_in(lasts: float, length: float) -> None:
    assert bin_length(times(0, lasts)) == length
    assert lasts / length <= MOST_BINS


@pytest.mark.parametrize("bin_s", [0.0, -1.0, 9e-7, 366 * 86400.1, float("nan"), float("inf")])
def test_a_length_that_no_bin_has(tables: Of, bin_s: float) -> None:
    with pytest.raises(ValueError, match=f"bin_s is {bin_s}: a bin lasts 1 µs to 8784 h"):
        chart(tables(Scenario()), bin_s, dark=False)


@pytest.mark.parametrize("bin_s", [1e-6, 366 * 86400.0])
def test_the_shortest_and_the_longest_bin(tables: Of, bin_s: float) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    assert chart(tables(s), bin_s, dark=False).title["subtitle"].startswith("1 call in bins of ")


@pytest.mark.parametrize(("bin_s", "most"), [(5, "0.2"), (0.1, "10"), (0.15, "6.7"), (0.002, "500")])
def test_headings_in_plain_words(tables: Of, bin_s: float, most: str) -> None:
    s = Scenario()
    s.host("10.0.0.1").getattr(s.host("10.0.0.9"), "/srv")
    drawn = chart(tables(s), bin_s, dark=False).to_dict()
    assert drawn["title"]["text"] == "Calls per second"
    assert drawn["title"]["subtitle"] == f"1 call in bins of {bin_s} s; the busiest has {most} calls per second"
    assert drawn["encoding"]["y"]["title"] == "calls per second"


def test_nothing_has_no_bins() -> None:
    assert bin_length(times()) == 0.01


def test_bars_stand_on_each_other(tables: Of) -> None:
    s = Scenario(1_700_000_000)
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    for _ in range(3):
        client.getattr(server, "/srv")
    client.lock(server).granted()
    s.wait(10)
    client.lock(server, svid=2).granted()
    bars = rates(distinct_calls(tables(s)["calls"]), 5)
    start = 1_700_000_000_000
    assert bars == [
        {"program": "nfs", "from": start, "to": start + 5000, "low": 0.0, "high": 0.6},
        {"program": "nlm", "from": start, "to": start + 5000, "low": 0.6, "high": 0.8},
        {"program": "nlm", "from": start + 10000, "to": start + 15000, "low": 0.0, "high": 0.2},
    ]


def test_what_went_wrong(tables: Of) -> None:
    s = Scenario(1_700_000_000)
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    client.getattr(server, "/srv")
    client.lock(server).granted(after=12, resent=[10.5])
    client.call(server, "nlm4", "NULL").error("PROG_UNAVAIL")
    client.lock(server, svid=2).unanswered()
    s.wait(60)
    client.getattr(server, "/srv")
    found = tables(s)
    trouble = troubles(distinct_calls(found["calls"]), found["copies"], 10)
    middle = 1_700_000_000_000 + 5000
    assert trouble == [
        {"what": "retransmitted", "at": middle + 10000, "count": 1},
        {"what": "unanswered", "at": middle + 10000, "count": 1},
        {"what": "error", "at": middle + 10000, "count": 1},
    ]


def test_every_call_is_in_a_bar(sample: Sample) -> None:
    calls = distinct_calls(sample("server-without-statd/nfssrv-any.pcap")["calls"])
    assert sum(bar["high"] - bar["low"] for bar in rates(calls, 5)) * 5 == pytest.approx(len(calls))


def test_what_two_captures_show_counts_once(samples: object, sample: Sample) -> None:
    from nfsrpc.decode import decode
    from nfsrpc.sessions import WANTED, Sessions

    both = Sessions(decode([f"{samples}/contended/{name}-any.pcap" for name in ("nfssrv", "cl2")], WANTED))
    one = Sessions(decode([f"{samples}/contended/nfssrv-any.pcap"], WANTED))
    wire = distinct_calls(one["calls"])
    assert len(wire) <= len(distinct_calls(both["calls"])) < len(both["calls"])
