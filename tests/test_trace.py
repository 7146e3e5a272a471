"""The facade: what a notebook sees."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import nfsrpc
from nfsrpc.tables import TABLES
from tests.scenario import Scenario, handle


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    s = Scenario()
    server, client = s.host("10.0.0.9", name="nfssrv"), s.host("10.0.0.1", name="web-1")
    client.lookup(server, "/srv", "a")
    waiting = client.lock(server, "/srv/a").blocked()
    s.wait(3)
    waiting.granted()
    path = tmp_path / "trace.pcap"
    path.write_bytes(s.capture())
    return path


@pytest.fixture
def trace(capture: Path) -> nfsrpc.Trace:
    return nfsrpc.read(capture)


def test_tables_are_data_frames(trace: nfsrpc.Trace) -> None:
    assert trace.calls.columns.tolist()[:4] == ["capture", "call_frame", "reply_frame", "time"]
    assert trace.calls["procedure"].tolist() == ["LOOKUP", "LOCK", "GETPORT", "GRANTED_MSG", "GRANTED_RES"]
    assert trace.locks[["owner", "state", "granted_by"]].values.tolist() == [["1@web-1", "held", "callback"]]
    assert trace.locks is trace.locks
    for name in TABLES.keys() - {"findings", "captures"}:
        assert isinstance(getattr(trace, name), pd.DataFrame), name


def equal(one: nfsrpc.Trace, other: nfsrpc.Trace) -> bool:
    assert other.diagnosis == one.diagnosis
    assert [str(error) for error in other.skipped] == [str(error) for error in one.skipped]
    return all(other.table(name).equals(one.table(name)) for name in TABLES)


@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize("used", [False, True])
def test_a_trace_can_be_pickled(samples: Path, used: bool, count: bool) -> None:
    trace = nfsrpc.read(samples / "server-without-statd", "missing.pcap", count=count)
    if used:
        assert trace.verdict.state == "fault"
        assert equal(trace, trace)
        assert trace.report()
    again = pickle.loads(pickle.dumps(trace))
    assert isinstance(again, nfsrpc.Trace)
    assert equal(trace, again)
    assert again.decoded("nlm4").equals(trace.decoded("nlm4"))
    assert len(again.decoded("nlm4")) == 24
    assert str(again.report()) == str(trace.report())
    assert repr(copy.deepcopy(trace)) == repr(trace)


def test_what_a_process_holds_is_not_pickled(capture: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(capture, "b.pcap")
    data = capture.read_bytes()
    with capture.open("rb") as file:
        for source, name in ((file, str(capture)), (data, "bytes"), (archive, "a.tar/b.pcap"), (iter([data]), "")):
            trace = nfsrpc.read(source)
            pickled = pickle.dumps(trace)
            again = pickle.loads(pickled)
            assert data not in pickled
            assert equal(trace, again)
            assert again.files == trace.files
            with pytest.raises(ValueError, match=f"{name}.* cannot be read again: save the capture to a file first"):
                again.decoded("nlm4")


def test_columns_of_calls_begin_as_the_design_says(trace: nfsrpc.Trace) -> None:
    begins = (
        "capture call_frame reply_frame time reply_time latency_s client client_port server server_port transport xid "
        "prog vers proc program procedure rpc_status status retransmits duplicates state"
    )
    assert trace.calls.columns.tolist()[:22] == begins.split()


def test_decoded_messages_have_every_field(trace: nfsrpc.Trace) -> None:
    nlm = trace.decoded("nlm4")
    assert nlm["procedure"].tolist() == ["LOCK", "GRANTED_MSG", "GRANTED_RES"]
    lock = nlm.iloc[0]
    assert (lock["caller_name"], lock["fh"], lock["svid"]) == ("web-1", handle("/srv/a").hex(), 1)
    assert (lock["exclusive"], lock["res_stat"], lock["res_cookie"]) == (True, 3, lock["cookie"])
    assert pd.isna(lock["stat"])
    assert nlm["stat"].tolist()[2] == 0
    lookup = trace.decoded("nfs3").iloc[0]
    assert (lookup["name"], lookup["res_object"]) == ("a", handle("/srv/a").hex())


def test_lists_are_tables_of_their_own(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    mappings = [{"prog": prog, "vers": 1, "prot": "TCP", "port": 7} for prog in (100024, 100021)]
    client.call(server, "portmap2", "DUMP").reply(mappings=mappings)
    path = tmp_path / "dump.pcap"
    path.write_bytes(s.capture())
    items = nfsrpc.read(path).decoded("portmap2.mappings")
    assert items["prog"].tolist() == [100024, 100021]
    assert items["call_frame"].nunique() == 1
    assert items["index"].tolist() == [0, 1]
    assert "outer" not in items


def test_lists_within_lists_tell_where_they_belong(tmp_path: Path) -> None:
    s = Scenario()
    server, client = s.host("10.0.0.9"), s.host("10.0.0.1")
    groups = {"/a": ["one", "two"], "/b": [], "/c": ["three"]}
    exports = [{"ex_dir": name, "ex_groups": [{"gr_name": group} for group in of]} for name, of in groups.items()]
    client.call(server, "mount3", "EXPORT").reply(exports=exports)
    path = tmp_path / "exports.pcap"
    path.write_bytes(s.capture())
    trace = nfsrpc.read(path)
    both = trace.decoded("mount3.ex_groups").merge(
        trace.decoded("mount3.exports"), left_on=["exchange", "outer"], right_on=["exchange", "index"]
    )
    assert list(zip(both["ex_dir"], both["gr_name"], strict=True)) == [("/a", "one"), ("/a", "two"), ("/c", "three")]


@pytest.mark.parametrize("name", ["nlm9", "nlm4.nothing"])
def test_messages_that_are_not_declared(trace: nfsrpc.Trace, name: str) -> None:
    with pytest.raises(KeyError, match=name):
        trace.decoded(name)


@pytest.mark.parametrize("ask", ["table", "arrow"])
@pytest.mark.parametrize("name", ["lokcs", "locks.args"])
def test_a_table_that_there_is_not(trace: nfsrpc.Trace, ask: str, name: str) -> None:
    with pytest.raises(KeyError, match=rf"no table {name}; did you mean locks\?; there are calls, locks, .*, nlm4, "):
        getattr(trace, ask)(name)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"jobs": 0}, "jobs is 0: it takes at least one processor"), ({"cache": "x"}, "cache is of a fleet")],
)
def test_options_that_do_not_fit(capture: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        nfsrpc.read(capture, **options)


def test_messages_that_do_not_occur_are_an_empty_table(trace: nfsrpc.Trace) -> None:
    assert len(trace.decoded("nsm1")) == 0


def test_facts_of_captures(trace: nfsrpc.Trace, capture: Path) -> None:
    (facts,) = trace.captures
    assert facts["file"] == str(capture)
    assert (facts["linktypes"], facts["vantage"]) == (("ETHERNET",), "wire")
    assert facts["last"] - facts["first"] > 3_000_000_000
    assert facts["quality"]["undecided"] == 0


def test_the_diagnosis_and_its_findings(trace: nfsrpc.Trace) -> None:
    assert trace.verdict is trace.diagnosis.verdict
    assert trace.findings.columns.tolist() == [column.name for column in TABLES["findings"].columns]
    assert len(trace.findings) == len(trace.diagnosis.findings)


def test_standard_input_is_read_once(capture: Path) -> None:
    program = (
        "import nfsrpc\n"
        "trace = nfsrpc.read('-')\n"
        "print(len(trace.calls))\n"
        "try:\n    trace.decoded('nlm4')\nexcept ValueError as error:\n    print(error)"
    )
    with capture.open("rb") as file:
        run = subprocess.run([sys.executable, "-c", program], stdin=file, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["5", "standard input cannot be read again: save the capture to a file first"]


def test_pandas_waits_until_it_is_asked_for(capture: Path) -> None:
    """Importing it takes longer than decoding a million packets."""
    program = (
        "import sys, nfsrpc\n"
        "assert 'numpy' not in sys.modules\n"
        f"trace = nfsrpc.read({str(capture)!r})\n"
        "for name in trace.tables: list(trace.tables[name].rows())\n"
        "trace.captures\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(nfsrpc.SourceError, match=r"nowhere\.pcap: no such file"):
        nfsrpc.read("nowhere.pcap")


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        nfsrpc.nothing  # noqa: B018


def test_messages_are_not_taken_from_fewer_files_than_the_tables(capture: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pcap"
    other.write_bytes(capture.read_bytes())
    trace = nfsrpc.read(other, capture)
    other.unlink()
    with pytest.raises(nfsrpc.SourceError, match=r"other\.pcap: no such file"):
        trace.decoded("nlm4")
