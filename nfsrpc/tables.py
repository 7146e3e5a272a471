"""Every table, declared once: name, columns, kinds, units and what each column means.

Inside the program a table is numpy columns (`Table`): a mask selects rows, and Python loops run only over the few rows
that a mask has left. pandas costs a third of a second to import, so it appears only at the door (`Table.frame`).
Documentation and DataFrame dtypes are made from the declarations in `TABLES`.

A column is an array, a `Coded` (repeated text), a `Masked` (numbers that may be null), or a function that gives one of
these when the column is first asked for: most columns of a million rows are never looked at.
Times are ns since the epoch, null is `NAT`. A null number is the sentinel of its kind (`NULLS`), so that comparing it
with a real value is false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = npt.NDArray[Any]
Mask: TypeAlias = npt.NDArray[np.bool_]

NAT = int(np.iinfo(np.int64).min)

# kind -> dtype. A "?" after a kind means that it may be null; "time" and "f64" always may.
DTYPES: dict[str, Any] = {
    "bool": np.bool_,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "u64": np.uint64,
    "i32": np.int32,
    "i64": np.int64,
    "f64": np.float64,
    "time": np.int64,
    "texts": np.object_,
}
NULLS: dict[str, Any] = {
    "bool?": False,  # always with a mask: a bool has no value to spare
    "u8?": 0xFF,
    "u16?": 0xFFFF,
    "u32?": 0xFFFFFFFF,
    "u64?": 0xFFFFFFFFFFFFFFFF,
    "i32?": -0x80000000,
    "i64?": NAT,
    "time": NAT,
    "f64": float("nan"),
}


class Column(NamedTuple):
    name: str
    kind: str  # a key of DTYPES, with "?" where it may be null; "text" one string, "texts" a tuple of strings
    unit: str
    meaning: str


class TableSpec:
    """The declaration of a table."""

    def __init__(self, name: str, meaning: str, columns: tuple[Column, ...]) -> None:
        self.name = name
        self.meaning = meaning
        self.columns = columns
        self.names = tuple(column.name for column in columns)
        self.kinds = {column.name: column.kind for column in columns}


def _spec(name: str, meaning: str, *columns: tuple[str, str, str, str]) -> TableSpec:
    return TableSpec(name, meaning, tuple(Column(*column) for column in columns))


def _frame(event: str, meaning: str) -> tuple[tuple[str, str, str, str], ...]:
    """The time of an event and the frame that shows it: three columns."""
    return (
        (event, "time", "ns", meaning),
        (f"{event}_capture", "u16?", "", f"file of {event}_frame"),
        (f"{event}_frame", "u32?", "", f"the frame that shows {event}"),
    )


CALLS = _spec(
    "calls",
    "A row an exchange: a call with its reply, or the lack of one. Sorted by capture and call_frame.",
    ("capture", "u16", "", "file of the call, counted from 0 as given (of the reply, for an orphan)"),
    ("call_frame", "u32?", "", "frame in which the call is complete; null for an orphan"),
    ("reply_frame", "u32?", "", "frame in which the first reply is complete; null without one"),
    ("time", "time", "ns", "of the call (of the reply, for an orphan)"),
    ("reply_time", "time", "ns", "of the first reply"),
    ("latency_s", "f64", "s", "from the first sending of the call to the first reply"),
    ("client", "text", "", "host that calls: its address; for loopback the host that owns it, where known"),
    ("client_port", "u16", "", "its port"),
    ("server", "text", "", "host that is called, likewise"),
    ("server_port", "u16", "", "its port"),
    ("transport", "text", "", "tcp or udp"),
    ("xid", "u32", "", "transaction identifier"),
    ("prog", "u32?", "", "RPC program; null for an orphan"),
    ("vers", "u32?", "", "its version"),
    ("proc", "u32?", "", "procedure; null when the frame is cut before it"),
    ("program", "text", "", "name of the program"),
    ("procedure", "text", "", "name of the procedure"),
    ("rpc_status", "u8?", "", "0-5 accept_stat, 16 RPC_MISMATCH, 32 + auth_stat AUTH_ERROR"),
    ("status", "i32?", "", "the result's own status (nlm4_stats, nfsstat3, ...); null when it has none or is not seen"),
    ("retransmits", "u16", "", "times that the call was sent again, on whichever connection"),
    ("duplicates", "u16", "", "further replies"),
    ("state", "text", "", "answered, unanswered, undecided (the capture cannot tell) or orphan (reply without call)"),
    ("machine", "text", "", "machinename of the AUTH_SYS credential"),
    ("uid", "u32?", "", "its uid"),
    ("flavor", "u32?", "", "credential flavor: 0 NONE, 1 SYS, 6 RPCSEC_GSS, 7 TLS"),
    ("flow", "u32", "", "row of `flows` that carries the call"),
    ("exchange", "u32", "", "number of the exchange: joins copies, registrations, monitors, locks, decoded tables"),
    ("flags", "u16", "", "evidence bits of the core (`nfsrpc.sessions.exchanges`)"),
    ("call_bytes", "u32", "B", "size of the call's record"),
    ("reply_bytes", "u32", "B", "size of the reply's record"),
    ("reply_capture", "u16?", "", "file of the reply"),
    ("loopback", "bool", "", "both ends are one host, over its loopback interface"),
    ("duplicate_of", "u32?", "", "the exchange that counts, when another vantage shows this same exchange; else null"),
    ("vantage", "u16", "", "number of the vantage: the files of one ring share it"),
)

COPIES = _spec(
    "copies",
    "A row a further copy of a call or reply: the evidence of what was sent again.",
    ("exchange", "u32", "", "exchange it belongs to"),
    ("reply", "bool", "", "false: the call sent again; true: one more reply"),
    ("copy", "u16", "", "n-th further call or reply of its exchange, from 1"),
    ("capture", "u16", "", "file"),
    ("frame", "u32", "", "frame"),
    ("time", "time", "ns", "of the frame"),
    ("after_s", "f64", "s", "since the exchange's first call"),
    ("flow", "u32", "", "row of `flows` that carries it"),
    ("rpc_status", "u8?", "", "of a reply, as in calls"),
    ("status", "i32?", "", "of a reply, as in calls"),
)

LOCKS = _spec(
    "locks",
    "A row a lock session: what one owner did to one range of one file, from request to release. Sorted by its start. "
    "What is left when a part of a range is unlocked, or locked otherwise, is a row of its own.",
    ("capture", "u16", "", "file of the session's first frame"),
    ("frame", "u32", "", "its first frame: the LOCK's; the UNLOCK's or grant's without one; or what left it over"),
    ("time", "time", "ns", "of that frame"),
    ("server", "text", "", "host that grants"),
    ("client", "text", "", "host that asks"),
    ("client_port", "u16", "", "port of its first request"),
    ("version", "u32", "", "NLM version"),
    ("procedure", "text", "", "first procedure seen: LOCK, LOCK_MSG, NM_LOCK; UNLOCK... when held before the capture"),
    ("caller_name", "text", "", "the client's name for itself"),
    ("svid", "i32", "", "owner's number on its host (not a pid on Linux)"),
    ("owner", "text", "", "svid@caller_name"),
    ("oh", "text", "", "owner handle: text where printable, else hex"),
    ("fh", "text", "", "file handle in hex"),
    ("file", "text", "", "path where known, else FH:0x and the handle's CRC-32, as Wireshark shows it"),
    ("l_offset", "u64?", "B", "start of the range"),
    ("l_len", "u64?", "B", "length of the range, 0 = to the end of the file"),
    ("exclusive", "bool?", "", "write lock; null when only its UNLOCK was captured"),
    ("block", "bool?", "", "the client is willing to wait"),
    ("reclaim", "bool", "", "first request is a reclaim after a server's reboot"),
    ("state", "text", "", "waiting, held, released, denied, ... (nfsrpc.sessions.locks.STATES)"),
    ("status", "i32?", "", "nlm4_stats of the last answer to LOCK (or of the grant)"),
    ("rpc_status", "u8?", "", "RPC status of the last answer to LOCK; null without answer"),
    ("answer", "text", "", "state of the last LOCK exchange: answered, unanswered, undecided"),
    ("granted_by", "text", "", "reply (to the first LOCK), poll (to a later one), callback, late-reply"),
    ("latency_s", "f64", "s", "from the first LOCK to its first answer, of whatever kind"),
    ("wait_s", "f64", "s", "from the first LOCK to its end: granted, denied, cancelled, or the capture's end"),
    ("hold_s", "f64", "s", "from granted to released, or the capture's end"),
    ("polls", "u32", "", "LOCK asked again with a new xid while waiting"),
    ("resends", "u32", "", "copies of LOCK calls with the same xid"),
    ("replies", "u32", "", "answers to LOCK, all copies counted"),
    ("grace", "u32", "", "answers DENIED_GRACE_PERIOD"),
    ("reclaims", "u32", "", "LOCKs with reclaim while held"),
    *_frame("requested", "first LOCK call"),
    *_frame("blocked", "first answer BLOCKED"),
    *_frame("granted", "reply or callback that granted it, or what it is left of"),
    *_frame("denied", "answer that denied: a status other than GRANTED and BLOCKED, or an RPC error"),
    *_frame("cancelled", "CANCEL call"),
    ("cancel_status", "i32?", "", "answer to CANCEL"),
    *_frame("unlock", "UNLOCK call"),
    ("unlock_status", "i32?", "", "answer to UNLOCK"),
    ("unlock_state", "text", "", "state of the UNLOCK exchange; null without UNLOCK"),
    ("unlock_latency_s", "f64", "s", "from UNLOCK to its answer"),
    *_frame("released", "answer GRANTED to UNLOCK: the range is free"),
    *_frame("callback", "first GRANTED or GRANTED_MSG call of the server for this session"),
    ("callbacks", "u32", "", "GRANTED and GRANTED_MSG calls, all copies counted"),
    ("callback_status", "i32?", "", "the client's answer: of the GRANTED reply or the GRANTED_RES call"),
    ("callback_state", "text", "", "answered (GRANTED_RES counts), unanswered, undecided; null without callback"),
    *_frame("late_granted", "a further reply that granted what was denied, cancelled or released before"),
    ("held_by", "u32?", "", "row of this table: a holder in conflict when this one was first refused or made to wait"),
    ("holder", "text", "", "owner and client of held_by, as 'svid@name (address)'"),
    ("exchange", "u32?", "", "first LOCK exchange"),
    ("last_exchange", "u32?", "", "last LOCK exchange: that of the last poll"),
    ("unlock_exchange", "u32?", "", "UNLOCK exchange"),
    ("cancel_exchange", "u32?", "", "CANCEL exchange"),
    ("callback_exchange", "u32?", "", "first GRANTED or GRANTED_MSG exchange"),
)

MONITORS = _spec(
    "monitors",
    "A row an NSM exchange (STAT, SM_MON, SM_UNMON, SM_NOTIFY, ...) or a downcall of statd to lockd.",
    ("capture", "u16", "", "file of the call"),
    ("frame", "u32?", "", "frame of the call"),
    ("reply_capture", "u16?", "", "file of the reply"),
    ("reply_frame", "u32?", "", "frame of the reply"),
    ("time", "time", "ns", "of the call"),
    ("reply_time", "time", "ns", "of the reply"),
    ("latency_s", "f64", "s", "from call to reply"),
    ("host", "text", "", "host that is asked: whose statd (or lockd, for a downcall) this is"),
    ("asker", "text", "", "host that asks"),
    ("asker_port", "u16", "", "its port"),
    ("port", "u16", "", "port that is asked"),
    ("loopback", "bool", "", "asked over the host's own loopback"),
    ("transport", "text", "", "tcp or udp"),
    ("procedure", "text", "", "NULL, STAT, MON, UNMON, UNMON_ALL, SIMU_CRASH, NOTIFY: without SM_; DOWNCALL"),
    ("mon_name", "text", "", "peer that is monitored, or that rebooted: an address or a name"),
    ("my_name", "text", "", "the asker's name for itself"),
    ("my_prog", "u32?", "", "program to call back"),
    ("my_vers", "u32?", "", "its version"),
    ("my_proc", "u32?", "", "procedure to call back"),
    ("peer", "text", "", "host that mon_name means, where known"),
    ("machine", "text", "", "machinename of the AUTH_SYS credential"),
    ("result", "i32?", "", "STAT_SUCC 0, STAT_FAIL 1"),
    ("nsm_state", "i32?", "", "state number, of the call (NOTIFY, DOWNCALL) or the reply; odd is up"),
    ("rpc_status", "u8?", "", "as in calls"),
    ("resends", "u16", "", "copies of the call"),
    ("state", "text", "", "as in calls"),
    ("exchange", "u32", "", "exchange"),
)

REGISTRATIONS = _spec(
    "registrations",
    "A row an answer of a portmapper or rpcbind about one program (an entry of a DUMP), or the lack of an answer.",
    ("capture", "u16", "", "file of the call"),
    ("frame", "u32?", "", "frame of the call"),
    ("reply_capture", "u16?", "", "file of the reply"),
    ("reply_frame", "u32?", "", "frame of the reply"),
    ("time", "time", "ns", "of the call"),
    ("reply_time", "time", "ns", "of the reply"),
    ("latency_s", "f64", "s", "from call to reply"),
    ("host", "text", "", "host whose portmapper is asked"),
    ("asker", "text", "", "host that asks"),
    ("asker_port", "u16", "", "its port"),
    ("loopback", "bool", "", "asked over the host's own loopback"),
    ("asked_by_transport", "text", "", "transport that carried the question: tcp or udp"),
    ("asked_vers", "u32", "", "2 portmap, 3 and 4 rpcbind"),
    ("source", "text", "", "GETPORT, GETADDR, GETVERSADDR, GETADDRLIST, DUMP; SET and UNSET when a program registers"),
    ("flavor", "u32?", "", "credential: 0 NONE (mount.nfs, statd itself), 1 SYS (kernel)"),
    ("machine", "text", "", "machinename of the AUTH_SYS credential"),
    ("prog", "u32?", "", "program asked for; null for a DUMP that has no entries or no answer"),
    ("program", "text", "", "its name"),
    ("vers", "u32?", "", "version asked for"),
    ("transport", "text", "", "transport of the registration asked for: tcp or udp"),
    ("netid", "text", "", "the same with its family: tcp, tcp6, udp, udp6, local"),
    ("port", "u32?", "", "answer; 0 = not registered; null = no answer"),
    ("address", "text", "", "address in a universal address"),
    ("owner", "text", "", "owner of the registration, in rpcbind v3 and v4"),
    ("complete", "bool", "", "the whole answer was captured: what a DUMP does not list is not registered"),
    ("rpc_status", "u8?", "", "as in calls"),
    ("resends", "u16", "", "copies of the question"),
    ("state", "text", "", "as in calls"),
    ("exchange", "u32", "", "exchange"),
)

PATHS = _spec(
    "paths",
    "A row a name that a file handle had, as replies told it: of MNT, LOOKUP, CREATE, READDIRPLUS, RENAME, ...",
    ("capture", "u16", "", "file of the reply that told it"),
    ("frame", "u32?", "", "frame of that reply"),
    ("time", "time", "ns", "of that reply"),
    ("server", "text", "", "host whose file it is"),
    ("path", "text", "", "path at that time; begins with ... where the way from the export down is not known"),
    ("fh", "text", "", "file handle in hex"),
    ("handle", "text", "", "the same short: FH:0x and its CRC-32, as Wireshark shows it"),
    ("directory", "text", "", "handle of the directory in hex; null for what was mounted"),
    ("name", "text", "", "name in that directory; the path that was mounted"),
    ("procedure", "text", "", "procedure that told it"),
    *_frame("until", "the name was taken away: renamed, removed, or given to another file"),
    ("until_procedure", "text", "", "procedure that took it away"),
    ("exchange", "u32", "", "exchange that told it"),
)

HOSTS = _spec(
    "hosts",
    "A row a host: what is one machine as far as the captures tell.",
    ("host", "text", "", "its name in all tables: the address it is most active under"),
    ("addresses", "texts", "", "every address"),
    ("names", "texts", "", "every name: machinename, caller_name, my_name"),
    ("roles", "texts", "", "client and server of NFS and NLM, or neither"),
    ("loopbacks", "texts", "", "its loopback interfaces that were captured, as 'capture N'"),
    ("captures", "texts", "", "captures that were taken on it, as far as can be told, by number"),
    ("client_calls", "u32", "", "NFS, MOUNT and NLM calls (without callbacks) it sent"),
    ("server_calls", "u32", "", "NFS, MOUNT and NLM calls (without callbacks) it received"),
    ("first", "time", "ns", "first frame of a flow of it"),
    ("last", "time", "ns", "last frame of a flow of it"),
)

FLOWS = _spec(
    "flows",
    "A row a TCP connection or UDP 5-tuple; c is client to server, s is server to client.",
    ("flow", "u32", "", "number of the flow"),
    ("vantage", "u16", "", "number of the vantage"),
    ("capture", "u16", "", "file of its first frame"),
    ("frame", "u32", "", "its first frame"),
    ("first", "time", "ns", "first frame"),
    ("last", "time", "ns", "last frame"),
    ("transport", "text", "", "tcp or udp"),
    ("client", "text", "", "sender of the SYN, else the RPC caller"),
    ("client_port", "u16", "", "its port"),
    ("server", "text", "", "the other end"),
    ("server_port", "u16", "", "its port"),
    ("loopback", "bool", "", "over a loopback interface"),
    ("prog", "u32?", "", "program called on it, else the one that a portmapper named for that port"),
    ("program", "text", "", "its name"),
    ("registered", "bool", "", "a portmapper named this port of this host (111 and 2049 are known without)"),
    *(
        (f"{d}_{name}", kind, unit, f"{way}: {meaning}")
        for d, way in (("c", "client to server"), ("s", "server to client"))
        for name, kind, unit, meaning in (
            ("frames", "u32", "", "frames"),
            ("bytes", "u64", "B", "payload"),
            ("retransmitted", "u32", "", "segments sent again"),
            ("out_of_order", "u32", "", "segments out of order"),
            ("lost_bytes", "u64", "B", "holes never filled"),
            ("cut_frames", "u32", "", "frames cut by the snap length"),
            ("damaged", "u32", "", "frames, or records, that are damaged"),
            ("fin", "u16", "", "FINs"),
            ("rst", "u16", "", "RSTs"),
            ("calls", "u32", "", "RPC calls"),
            ("replies", "u32", "", "RPC replies"),
            ("last", "time", "ns", "last frame"),
        )
    ),
    ("syn", "u16", "", "SYNs of the client: more than one is a retry"),
    ("syn_frame", "u32?", "", "first SYN"),
    ("syn_time", "time", "ns", "first SYN"),
    ("syn_last", "time", "ns", "last SYN"),
    ("synack", "u16", "", "SYN-ACKs of the server"),
    ("synack_frame", "u32?", "", "first SYN-ACK"),
    ("synack_time", "time", "ns", "first SYN-ACK"),
    ("rst_capture", "u16?", "", "file of rst_frame"),
    ("rst_frame", "u32?", "", "first RST"),
    ("rst_time", "time", "ns", "first RST"),
    ("icmp", "u16", "", "ICMP unreachable about this flow"),
    ("icmp_frame", "u32?", "", "the first"),
    ("icmp_time", "time", "ns", "the first"),
    ("icmp_code", "u8?", "", "its code: 3 (IPv4) or 4 (IPv6) port unreachable"),
    ("duplicates", "u32", "", "frames captured twice"),
    ("rpc", "bool", "", "RPC was seen on it"),
    ("superseded", "bool", "", "ended by a new connection on the same four-tuple"),
    ("evicted", "bool", "", "forgotten for want of room"),
    ("tls", "bool", "", "RPC over TLS"),
    ("duplicate_of", "u32?", "", "the flow that counts, when another vantage shows this same flow; else null"),
)

CAPTURES = _spec(
    "captures",
    "A row a file given.",
    ("capture", "u16", "", "number of the file, from 0, as given"),
    ("file", "text", "", "its name"),
    ("format", "text", "", "pcap, pcapng, ..."),
    ("linktypes", "texts", "", "link types of its interfaces"),
    ("interfaces", "texts", "", "names of its interfaces, where the file tells"),
    ("frames", "u32", "", "frames"),
    ("bytes", "u64", "B", "size"),
    ("first", "time", "ns", "first frame"),
    ("last", "time", "ns", "last frame"),
    ("vantage", "u16", "", "number of the vantage: the files of one ring share it"),
    ("where", "text", "", "vantage in words: 'server any', 'client wire', 'wire', ... (nfsrpc.sessions.hosts)"),
    ("host", "text", "", "host it was taken on, where that can be told"),
    ("any_interface", "bool", "", "taken with -i any (SLL, SLL2) or showing loopback: the host's loopback is in it"),
    ("loopback_of", "text", "", "host whose loopback traffic it shows"),
    ("offset_s", "f64", "s", "its clock against the first vantage's, by the exchanges that both show; null if none"),
    ("drift_ppm", "f64", "µs/s", "how fast that clock gains on the first's; 0 too where the captures are too short"),
)

QUALITY = _spec(
    "quality",
    "A row a file: what the capture lacks.",
    ("capture", "u16", "", "number of the file"),
    ("frames", "u32", "", "frames"),
    ("cut_frames", "u32", "", "frames cut by the snap length"),
    ("duplicates", "u32", "", "frames captured twice"),
    ("misordered", "u32", "", "frames earlier than the one before"),
    ("not_ip", "u32", "", "frames that are not IP"),
    ("unread", "u32", "", "frames of link types that are not read"),
    ("unread_links", "texts", "", "those link types"),
    ("rdma", "u32", "", "frames of RDMA (RoCE, InfiniBand, iWARP), which is not read"),
    ("rdma_rpc", "u32", "", "those of them with the header of RPC over RDMA"),
    ("truncated", "bool", "", "the file ends within a record"),
    ("drops", "u64?", "", "frames that the capturing system says it dropped; null when it does not say"),
    ("tcp_frames", "u64", "", "TCP frames of the flows that begin in this file"),
    ("retransmitted", "u64", "", "TCP segments sent again, in the flows that begin in this file"),
    ("out_of_order", "u64", "", "TCP segments out of order, likewise"),
    ("lost_bytes", "u64", "B", "bytes of TCP streams missing from the capture, likewise"),
    ("one_way_flows", "u32", "", "flows with RPC of which only one direction was captured, likewise"),
    ("calls", "u32", "", "calls in this file"),
    ("undecided", "u32", "", "calls of which the capture cannot tell whether they were answered"),
    ("orphans", "u32", "", "replies without their call"),
    ("clock_steps", "u32", "", "steps of the capturing host's clock: rows of oddities, clock-set-back and -forward"),
    ("oddities", "u32", "", "other rows of oddities"),
)

ODDITIES = _spec(
    "oddities",
    "A row anything malformed, a limit that was reached, or a step of the capturing host's clock.",
    ("kind", "text", "", "what, see below"),
    ("capture", "u16", "", "file"),
    ("frame", "u32", "", "frame"),
    ("time", "time", "ns", "of the frame"),
    ("detail", "u64", "", "where, or how much, by kind"),
)

# By kind: what happened, and what `detail` is of it.
ODDITY_KINDS = {
    "accesses-full": "a write not counted in `writes`, which has no room for more; detail: the room",
    "addresses-full": "numbers of addresses begin anew, as in a flood of them: what goes on between two hosts is torn "
    "apart there; detail: the room",
    "call-evicted": "a call no longer waited for, for want of room: it is undecided; detail: the exchange",
    "capture-fraction": "a time stamp with a fraction of a second or more, added to its seconds; detail: the fraction",
    "capture-record": "bytes of the file that are no record: reading goes on at the next one; detail: the offset",
    "capture-time": "a time stamp beyond the year 2262; detail: the stamp",
    "checksum": "a frame whose checksum is wrong, where its sender's are right else: it is left out; detail: bytes",
    "corrupt-syn": "a damaged segment of a connection that goes on, with the flag of one that opens it: not read; "
    "detail: its sequence number",
    "flow-evicted": "a connection forgotten for want of room; detail: the flow",
    "fragments-lost": "an IP datagram of which fragments are missing; detail: bytes missing, as far as known",
    "frame-time": "a time stamp far from those of the frames before and behind: the time of the one before counts; "
    "detail: the difference in ns",
    "header-lost": "a record whose header was not captured; detail: its length",
    "ip-fragment": "a fragment that cannot be one; detail: where it would end",
    "ip-header": "an IP header that contradicts itself; detail: the packet's length",
    "link-header": "an IP header with a right checksum behind a link layer that names no IP: it is read; "
    "detail: the frame's length",
    "late-rpc": "a TCP stream turns out to be RPC that did not begin so: it is read from here on; detail: the xid",
    "locals-full": "an address of the capturing host beyond those that are noted; detail: the room",
    "memory-limit": "bytes of a stream given up for want of room: its records resume behind them; detail: bytes",
    "not-rpc": "a record in a stream of RPC that is neither call nor reply; detail: its length",
    "record-mark": "a record mark that cannot be one, or of more than its procedure's message can be: the next record "
    "is looked for; detail: the mark",
    "rows-full": "a message that would name files not decoded, for want of room; detail: the room",
    "statuses-full": "an error not listed as evidence but counted, its kinds being too many; detail: the room",
    "strings-full": "a text or handle not kept, for want of room; detail: its length",
    "tunnel-nesting": "a tunnel within tunnels, not followed further; detail: the depth",
    "xdr-bool": "a boolean other than 0 and 1; detail: the offset in the body",
    "xdr-enum": "a value that is not declared; detail: the value",
    "xdr-items": "a list with more items than a message can have; detail: the offset in the body",
    "xdr-length": "a length beyond the limit of the declaration; detail: the offset in the body",
    "xdr-short": "a body shorter than its declaration; detail: the offset in the body",
    "xdr-trailing": "bytes behind the end of a body; detail: the offset in the body",
    "xdr-union": "a value for which a union has no arm; detail: the offset in the body",
}

PROGRAMS = _spec(
    "programs",
    "A row a procedure: counts and latencies. Exchanges that several vantages show count once. Where exchanges are "
    "counted instead of listed (`tallies`), quantiles are told to 2 %.",
    ("prog", "u32", "", "program"),
    ("vers", "u32", "", "version"),
    ("proc", "u32?", "", "procedure; null when cut off"),
    ("program", "text", "", "name of the program"),
    ("procedure", "text", "", "name of the procedure"),
    ("calls", "u32", "", "exchanges"),
    ("replies", "u32", "", "of these answered"),
    ("unanswered", "u32", "", "of these unanswered"),
    ("undecided", "u32", "", "of these undecided"),
    ("retransmits", "u32", "", "calls sent again"),
    ("duplicates", "u32", "", "further replies"),
    ("errors", "u32", "", "RPC errors and results whose own status is not OK (NLM's BLOCKED is none)"),
    ("p50", "f64", "s", "latency: median"),
    ("p95", "f64", "s", "latency: 95 %"),
    ("p99", "f64", "s", "latency: 99 %"),
    ("max", "f64", "s", "latency: greatest"),
)

TALLIES = _spec(
    "tallies",
    "A row what one client asked of one server in ten seconds (more in long captures), and how it ended: ordinary NFS "
    "exchanges (answered once, in less than a second) that were counted instead of listed in `calls`. Empty unless "
    "captures are read so.",
    ("capture", "u16", "", "file of the first call"),
    ("vantage", "u16", "", "number of the vantage"),
    ("interval", "time", "ns", "start of the ten seconds"),
    ("client", "text", "", "as in calls"),
    ("server", "text", "", "as in calls"),
    ("transport", "text", "", "tcp or udp"),
    ("prog", "u32", "", "RPC program"),
    ("vers", "u32", "", "its version"),
    ("proc", "u32", "", "procedure"),
    ("program", "text", "", "name of the program"),
    ("procedure", "text", "", "name of the procedure"),
    ("status", "i32?", "", "the result's own status; of each error the first hundred are listed in calls"),
    ("machine", "text", "", "machinename of the AUTH_SYS credential"),
    ("exchanges", "u32", "", "how many"),
    ("first", "time", "ns", "first call"),
    ("first_frame", "u32", "", "its frame"),
    ("last", "time", "ns", "last call"),
    ("latency_min_s", "f64", "s", "latency: least"),
    ("latency_mean_s", "f64", "s", "latency: mean"),
    ("latency_max_s", "f64", "s", "latency: greatest"),
    ("call_bytes", "u64", "B", "size of the calls' records"),
    ("reply_bytes", "u64", "B", "size of the replies' records"),
    ("cut", "u32", "", "of these cut by the snap length"),
    ("encrypted", "u32", "", "of these encrypted by RPCSEC_GSS"),
    ("counted_in", "u16?", "", "the vantage that counts for these hosts then, when it shows more of them; else null"),
)

WRITES = _spec(
    "writes",
    "A row what one client wrote to one file in ten seconds: its WRITE calls that succeeded. Sorted by the first.",
    ("capture", "u16", "", "file of the calls"),
    ("vantage", "u16", "", "number of the vantage"),
    ("interval", "time", "ns", "start of the ten seconds"),
    ("server", "text", "", "host that is written to"),
    ("client", "text", "", "host that writes"),
    ("fh", "text", "", "file handle in hex"),
    ("file", "text", "", "as in locks"),
    ("exchanges", "u32", "", "how many WRITE calls"),
    ("first", "time", "ns", "the first call"),
    ("first_frame", "u32", "", "its frame"),
    ("last", "time", "ns", "the last call"),
    ("last_frame", "u32", "", "its frame"),
)

FINDINGS = _spec(
    "findings",
    "A row a finding of a rule.",
    ("rule", "text", "", "identifier"),
    ("name", "text", "", "name of the rule"),
    ("severity", "text", "", "error, warning or info"),
    ("certainty", "text", "", "certain or likely"),
    ("host", "text", "", "host to fix"),
    ("clients", "texts", "", "clients that suffer"),
    ("files", "texts", "", "files concerned"),
    ("count", "u32", "", "occurrences"),
    ("first", "time", "ns", "first occurrence"),
    ("last", "time", "ns", "last occurrence"),
    ("title", "text", "", "one line"),
    ("explains", "texts", "", "rules whose findings this one explains"),
)

TABLES: dict[str, TableSpec] = {
    spec.name: spec
    for spec in (
        CALLS,
        LOCKS,
        MONITORS,
        REGISTRATIONS,
        PATHS,
        HOSTS,
        FLOWS,
        CAPTURES,
        QUALITY,
        ODDITIES,
        PROGRAMS,
        TALLIES,
        WRITES,
        COPIES,
        FINDINGS,
    )
}


def dtype(kind: str) -> str:
    """Of a column of this kind in a DataFrame.

    >>> [dtype(kind) for kind in ("time", "text", "texts", "u32", "u32?", "i64?", "bool?", "f64")]
    ['datetime64[ns, UTC]', 'category', 'tuple of str', 'uint32', 'UInt32', 'Int64', 'boolean', 'float64']
    """
    names = {"time": "datetime64[ns, UTC]", "text": "category", "texts": "tuple of str", "bool?": "boolean"}
    if kind in names:
        return names[kind]
    name = str(np.dtype(DTYPES[kind.rstrip("?")]))
    return name.replace("int", "Int").replace("u", "U") if kind.endswith("?") else name


def documented(table: TableSpec) -> str:
    """The declaration of a table as a docstring: a line a column, with dtype, unit and meaning."""
    lines = [
        f"{column.name} ({', '.join(filter(None, (dtype(column.kind), column.unit)))}): {column.meaning}"
        for column in table.columns
    ]
    return "\n".join([table.meaning, "", *lines])


class Coded:
    """Repeated text: a code a row (-1 is null) into distinct labels. Compares with a string to a mask.

    Some rows of a large column keep all its labels, but what is asked of them costs no more than they are.
    """

    __slots__ = ("_numbers", "codes", "labels")

    def __init__(self, codes: Array, labels: Sequence[str]) -> None:
        self.codes = codes
        self.labels = labels
        self._numbers: dict[str, int] | None = None

    @classmethod
    def of(cls, texts: Iterable[str | None]) -> Coded:
        numbers: dict[str, int] = {}
        codes = [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
        return cls(np.array(codes, dtype=np.int32), list(numbers))

    @classmethod
    def distinct(cls, codes: Array, labels: Sequence[str | None]) -> Coded:
        """Codes into labels of which some may be equal or None: made one code a text."""
        numbers: dict[str, int] = {}
        mapped = [-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels]
        table = np.array([*mapped, -1], dtype=np.int32)  # index -1 finds the null at the end
        return cls(table[codes], list(numbers))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: Any) -> Coded:
        return Coded(self.codes[rows], self.labels)

    def code(self, label: str) -> int:
        """The code of a label, -2 (which no row has) when no row has it."""
        if self._few:
            return next((code for code in self.codes.tolist() if code >= 0 and self.labels[code] == label), -2)
        if self._numbers is None:
            self._numbers = {known: code for code, known in enumerate(self.labels)}
        return self._numbers.get(label, -2)

    @property
    def _few(self) -> bool:
        return len(self.codes) < len(self.labels)

    def __eq__(self, label: object) -> Any:
        return self.codes == self.code(label) if isinstance(label, str) else NotImplemented

    def __ne__(self, label: object) -> Any:
        return self.codes != self.code(label) if isinstance(label, str) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def isin(self, labels: Iterable[str]) -> Mask:
        wanted = set(labels)
        return self.choose(lambda label: label in wanted)

    def present(self) -> set[str]:
        """The labels that rows have."""
        return {self.labels[code] for code in distinct(self.codes).tolist() if code >= 0}

    def choose(self, condition: Callable[[str], bool]) -> Mask:
        """The rows whose text fulfils a condition, which is asked once a label."""
        if self._few:
            present = distinct(self.codes[self.codes >= 0]).tolist()
            return isin(self.codes, [code for code in present if condition(self.labels[code])])
        table = np.array([*map(condition, self.labels), False], dtype=np.bool_)
        mask: Mask = table[self.codes]
        return mask

    def tolist(self) -> list[str | None]:
        if self._few:
            return [self.labels[code] if code >= 0 else None for code in self.codes.tolist()]
        labels: list[str | None] = [*self.labels, None]
        return [labels[code] for code in self.codes.tolist()]


# So many comparisons are quicker than a search.
FEW = 8


def isin(values: Array, wanted: Iterable[Any]) -> Mask:
    """Which values are among these. numpy's own isin, unique and median import its masked arrays first, for 15 ms."""
    among = wanted if isinstance(wanted, np.ndarray) else np.array(list(wanted), dtype=values.dtype)
    if len(among) <= FEW:
        mask = np.zeros(len(values), dtype=np.bool_)
        for value in among:
            mask |= values == value
        return mask
    among = np.sort(among)
    found: Mask = among[np.minimum(np.searchsorted(among, values), len(among) - 1)] == values
    return found


def distinct(values: Array) -> Array:
    """The values, each once, sorted."""
    values = np.sort(values)
    return values[:1] if len(values) < 2 else values[np.r_[True, values[1:] != values[:-1]]]


def median(values: Array | Sequence[float]) -> float:
    """Of some numbers, the one in the middle, or between the two in the middle."""
    middle = len(values) // 2
    ordered = np.partition(values, [max(middle - 1, 0), middle])
    return float(ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


class Masked(NamedTuple):
    """Numbers of which those with `valid` false are null."""

    values: Array
    valid: Mask


Data: TypeAlias = Array | Coded | Masked
Source: TypeAlias = Data | Callable[[], Data]


class Row:
    """A row of a table as Python values, each looked up when asked for: most columns of a row are never looked at."""

    __slots__ = ("_number", "_table")

    def __init__(self, table: Table, number: int) -> None:
        self._table = table
        self._number = number

    def __getattr__(self, name: str) -> Any:
        if name not in self._table.spec.kinds:
            raise AttributeError(f"{self._table.name} has no column {name}")
        return self._table.values(name)[self._number]

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self._table.columns)

    def __repr__(self) -> str:
        return f"{self._table.name}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._table.columns, self, strict=True))


class Table:
    """Columns of equal length, in the order of their declaration."""

    def __init__(self, spec: TableSpec, length: int, columns: Mapping[str, Source]) -> None:
        self.spec = spec
        self._length = length
        self._sources = columns
        self._data: dict[str, Data] = {}
        self._lists: dict[str, list[Any]] = {}

    @classmethod
    def of(cls, spec: TableSpec, rows: Iterable[Sequence[Any]]) -> Table:
        """A table of rows of Python values (None is null) in the order of the columns."""
        lists = list(zip(*rows, strict=True)) or [() for _ in spec.columns]
        if len(lists) != len(spec.columns):
            raise ValueError(f"{spec.name} has {len(spec.columns)} columns, the rows have {len(lists)}")
        columns = {
            column.name: column_of(column.kind, values) for column, values in zip(spec.columns, lists, strict=True)
        }
        return cls(spec, len(lists[0]), columns)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self.spec.names

    def kind(self, name: str) -> str:
        return self.spec.kinds[name]

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} rows of {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        html: str = self.frame().to_html(notebook=True, max_rows=20, max_cols=20, show_dimensions=True)
        return html

    def data(self, name: str) -> Data:
        if name not in self._data:
            source = self._sources[name]
            self._data[name] = source() if callable(source) else source
        return self._data[name]

    def __getitem__(self, name: str) -> Any:
        """The column: an array of its values, or a `Coded` for text."""
        data = self.data(name)
        return data.values if isinstance(data, Masked) else data

    def valid(self, name: str) -> Mask:
        """Which rows are not null in a column."""
        data = self.data(name)
        if isinstance(data, Masked):
            return data.valid
        mask: Mask
        if isinstance(data, Coded):
            mask = data.codes >= 0
            return mask
        kind = self.kind(name)
        if kind not in NULLS:
            return np.ones(len(self), dtype=np.bool_)
        mask = ~np.isnan(data) if kind == "f64" else data != NULLS[kind]
        return mask

    def text(self, name: str) -> Array:
        """A text column as an array of str and None."""
        array: Array = np.array(self[name].tolist() or [], dtype=np.object_)
        return array

    def where(self, mask: Mask) -> Table:
        return self.take(np.flatnonzero(mask))

    def take(self, rows: Array) -> Table:
        """The rows of these numbers, in this order."""
        return Taken(self, rows)

    def values(self, name: str) -> list[Any]:
        """A column as Python values: None for null, int ns for times, str for text."""
        if name not in self._lists:
            self._lists[name] = self._values(name)
        return self._lists[name]

    def _values(self, name: str) -> list[Any]:
        data = self.data(name)
        values: list[Any] = (data.values if isinstance(data, Masked) else data).tolist()
        if isinstance(data, Coded) or not (isinstance(data, Masked) or self.kind(name) in NULLS):
            return values
        valid = self.valid(name)
        if valid.all():
            return values
        return [value if known else None for value, known in zip(values, valid.tolist(), strict=True)]

    def rows(self) -> Iterator[Any]:
        """The rows, as Python values by name."""
        return (Row(self, number) for number in range(len(self)))

    def row(self, number: int) -> Any:
        return next(self.take(np.array([number])).rows())

    def frame(self) -> pd.DataFrame:
        """The table as a pandas DataFrame: UTC times, categorical text, nullable integers."""
        import pandas as pd

        return pd.DataFrame({name: self._series(name) for name in self.columns}, columns=list(self.columns))

    def _series(self, name: str) -> Any:
        import pandas as pd

        data, kind = self.data(name), self.kind(name)
        if isinstance(data, Coded):
            return pd.Categorical.from_codes(data.codes, categories=pd.Index(list(data.labels)))
        values = data.values if isinstance(data, Masked) else data
        if kind == "time":
            return pd.DatetimeIndex(values.view("M8[ns]"), tz="UTC")
        if kind == "bool?":
            return pd.arrays.BooleanArray(values, ~self.valid(name))
        if kind.endswith("?"):
            return pd.arrays.IntegerArray(values, ~self.valid(name))
        return values


class Taken(Table):
    """Some rows of a table, of whose columns those are taken that are asked for."""

    def __init__(self, table: Table, rows: Array) -> None:
        super().__init__(table.spec, len(rows), {})
        self._table = table
        self._taken = rows

    def data(self, name: str) -> Data:
        if name not in self._data:
            data, rows = self._table.data(name), self._taken
            self._data[name] = Masked(data.values[rows], data.valid[rows]) if isinstance(data, Masked) else data[rows]
        return self._data[name]


def column_of(kind: str, values: Sequence[Any]) -> Data:
    """A column of Python values, of which None is null."""
    if kind == "text":
        return Coded.of(values)
    if kind == "texts":
        array = np.empty(len(values), dtype=np.object_)
        for row, value in enumerate(values):
            array[row] = value
        return array
    dtype = DTYPES[kind.rstrip("?")]
    null = NULLS.get(kind)
    filled = np.array([null if value is None else value for value in values], dtype=dtype)
    if kind in ("bool?", "u64?"):  # of these every value may occur
        return Masked(filled, np.array([value is not None for value in values], dtype=np.bool_))
    return filled


def empty(spec: TableSpec) -> Table:
    return Table.of(spec, ())
