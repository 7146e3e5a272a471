"""What a terminal shows of a table where no columns are asked for: the columns that matter most, short.

Each table has its columns in the order of what they say about a lock that hangs; as many as fit are shown. A column
without any value is left out; of several captures each frame has its capture before it. Times are times of day where
all are of one day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FIRST: dict[str, str] = {
    "calls": "call_frame time client server procedure status_name latency_s state program retransmits transport xid "
    "reply_frame server_port client_port machine",
    "copies": "frame time reply copy after_s exchange status capture",
    "locks": "time client file owner state wait_s hold_s holder granted_by status_name server exclusive l_offset l_len "
    "frame polls resends",
    "monitors": "frame time host asker procedure mon_name state result latency_s nsm_state resends my_name "
    "loopback port",
    "registrations": "frame time host asker source program vers netid transport port state latency_s resends loopback",
    "paths": "frame time server path procedure until until_procedure handle",
    "hosts": "host names roles addresses client_calls server_calls first last captures",
    "flows": "frame first client client_port server server_port program c_calls s_replies c_retransmitted "
    "s_retransmitted syn synack c_rst s_rst last transport",
    "captures": "capture file where host frames first last offset_s format linktypes",
    "quality": "capture frames drops cut_frames lost_bytes unread undecided orphans retransmitted "
    "out_of_order duplicates one_way_flows clock_steps oddities calls",
    "oddities": "frame time kind detail capture",
    "programs": "program vers procedure calls unanswered retransmits errors p50 p99 max",
    "tallies": "interval client server program procedure exchanges latency_mean_s latency_max_s status",
    "writes": "first client file exchanges first_byte last_byte server last first_frame",
    "findings": "rule severity certainty host title clients count first",
}
# Of messages, before their fields.
MESSAGES = ("call_frame", "time", "client", "server", "procedure")
REDUNDANT = ("rpc_status", "reply_frame", "capture", "exchange")  # of messages, behind their fields
LONGEST = 32  # of a text, in columns of the terminal


def shown_columns(name: str, frame: pd.DataFrame) -> list[str]:
    """The columns that say most, first; without those that are empty, where there are rows."""
    known = list(frame.columns)
    if name in FIRST:
        wanted = [column for column in FIRST[name].split() if column in known]
    else:
        first = [column for column in MESSAGES if column in known]
        last = [column for column in REDUNDANT if column in known]
        wanted = [*first, *(column for column in known if column not in (*first, *last)), *last]
    filled = [column for column in wanted if not len(frame) or frame[column].notna().any()]
    return with_captures(filled or wanted, frame)


def with_captures(columns: list[str], frame: pd.DataFrame) -> list[str]:
    """The columns, with `capture` before the first that has frames, where the rows are of several captures."""
    frames = [place for place, column in enumerate(columns) if column.endswith("frame")]
    if not frames or "capture" not in frame or frame["capture"].nunique() < 2 or "capture" in columns[: frames[0]]:
        return columns
    others = [column for column in columns if column != "capture"]
    return [*others[: frames[0]], "capture", *others[frames[0] :]]


def one_day(frame: pd.DataFrame) -> str:
    """The day that all times are of, as 2026-11-22; empty where there is none, or are several."""
    import numpy as np

    times = [frame[name].dropna().dt.tz_localize(None).to_numpy() for name in frame.select_dtypes("datetimetz").columns]
    days = {str(day) for column in times for day in np.unique(column.astype("M8[D]"))}
    return days.pop() if len(days) == 1 else ""


def short(text: str) -> str:
    """A text in at most LONGEST columns: of a path its end, which distinguishes it from others.

    >>> short("/export/" + "d/" * 20 + "file"), short("10.1.84.31 has no rpc.statd registered")
    ('…/d/d/d/d/d/d/d/d/d/d/d/d/d/file', '10.1.84.31 has no rpc.statd reg…')
    """
    from nfsrpc.report.terminal import cut

    return cut(text, LONGEST, keeps_end="/" in text and " " not in text)


def short_times(times: pd.Series[Any], day: str) -> pd.Series[Any]:
    """Times to the millisecond, without the day where there is only one."""
    return times.str.slice(len(day) + 1 if day else 0, len("2026-11-22 05:31:39.123"))
