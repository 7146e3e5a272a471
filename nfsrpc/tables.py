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

from collections.abc import Mapping

from nfsrpc.columns import Declared, Row, Table, TableSpec, table_spec
from nfsrpc.findings.finding import SEVERITIES
from nfsrpc.protocols import PROTOCOLS

# Labels of columns that hold no others, but for the numbers of procedures that no protocol declares.
TRANSPORTS = ("tcp", "udp")
ANSWERS = ("answered", "unanswered", "undecided")  # the last: the capture cannot tell
CALL_STATES = (*ANSWERS, "orphan")  # a reply without its call
PROCEDURES = tuple(dict.fromkeys(procedure.name for program in PROTOCOLS for procedure in program.procedures))
LOCK_PROCEDURES = (
    *("LOCK", "LOCK_MSG", "NM_LOCK", "CANCEL", "CANCEL_MSG"),
    *("UNLOCK", "UNLOCK_MSG", "GRANTED", "GRANTED_MSG"),
)
# What a lock session came to.
LOCK_STATES = (
    "waiting",  # answered BLOCKED, and nothing since
    "held",  # granted, and not released when the capture ends
    "releasing",  # UNLOCK was called, its answer is not seen
    "released",
    "replaced",  # the same owner locked the range again
    "denied",  # by a status, or by an RPC error
    "cancelled",
    "unanswered",  # no answer to LOCK
    "undecided",  # likewise, but the capture cannot tell
)
LOCK_EVENTS = (
    "requested",
    "blocked",
    "granted",
    "denied",
    "cancelled",
    "unlock",
    "released",
    "callback",
    "late_granted",
)
GRANTED_BY = ("reply", "poll", "callback", "late-reply")
MONITOR_PROCEDURES = ("NULL", "STAT", "MON", "UNMON", "UNMON_ALL", "SIMU_CRASH", "NOTIFY", "DOWNCALL")
SOURCES = ("GETPORT", "GETADDR", "GETVERSADDR", "GETADDRLIST", "DUMP", "SET", "UNSET")
NAMING_PROCEDURES = (
    *("MNT", "LOOKUP", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "READDIRPLUS", "LINK"),
    *("RENAME", "REMOVE", "RMDIR"),
)
CERTAINTIES = ("certain", "likely")
CLOCK_STEPS = ("clock-set-back", "clock-set-forward")

# What a row is about. Null only in frames without time, replies without call, and messages of a loopback that several
# hosts share, which rules leave out beforehand; and the file of a frame is null where the frame is. Type checkers take
# these columns as never null, and all others that may be null as what they are.
KNOWN = frozenset(
    {
        *("time", "first", "last", "frame", "call_frame", "client", "server", "asker", "state", "file", "fh", "path"),
        *("name", "kind", "format", "asked_by_transport", "source", "where", "rule", "severity", "certainty", "title"),
        *(f"{table}.host" for table in ("monitors", "registrations", "hosts")),
        *(f"{table}.transport" for table in ("calls", "flows", "monitors", "tallies")),
        *("locks.owner", "findings.id", "reply_capture", "rst_capture"),
        *(f"{event}_capture" for event in (*LOCK_EVENTS, "until")),
    }
)


def label(name: str, labels: tuple[str, ...], meaning: str) -> Declared:
    """A column of text that holds no other labels."""
    return name, "text", "", meaning, labels


def _frame(event: str, meaning: str) -> tuple[tuple[str, str, str, str], ...]:
    """The time of an event and the frame that shows it: three columns."""
    return (
        (event, "time", "ns", meaning),
        (f"{event}_capture", "u16?", "", f"file of {event}_frame"),
        (f"{event}_frame", "u32?", "", f"the frame that shows {event}"),
    )


CALLS = table_spec(
    "calls",
    "One row per exchange: a call and its reply, or a call without one. Sorted by capture and call_frame.",
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
    label("transport", TRANSPORTS, "tcp or udp"),
    ("xid", "u32", "", "transaction identifier"),
    ("prog", "u32?", "", "RPC program; null for an orphan"),
    ("vers", "u32?", "", "its version"),
    ("proc", "u32?", "", "procedure; null when the frame is cut before it"),
    ("program", "text", "", "name of the program"),
    label("procedure", PROCEDURES, "name of the procedure"),
    ("rpc_status", "u8?", "", "0-5 accept_stat, 16 RPC_MISMATCH, 32 + auth_stat AUTH_ERROR"),
    ("status", "i32?", "", "the result's own status (nlm4_stats, nfsstat3, ...); null when it has none or is not seen"),
    ("retransmits", "u16", "", "retransmissions of the call, on whichever connection"),
    ("duplicates", "u16", "", "further replies"),
    label(
        "state", CALL_STATES, "answered, unanswered, undecided (the capture cannot tell) or orphan (reply without call)"
    ),
    (
        "status_name",
        "text",
        "",
        "name of status (GRANTED, BLOCKED, STALE, ...), or of rpc_status where that is an error",
    ),
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
    (
        "duplicate_of",
        "u32?",
        "",
        "the exchange that counts, when another vantage, or side of a NAT, shows this one, or what follows; else null",
    ),
    ("vantage", "u16", "", "number of the vantage: the files of one ring share it"),
)

COPIES = table_spec(
    "copies",
    "One row per further copy of a call or reply: the evidence of retransmissions.",
    ("exchange", "u32", "", "exchange it belongs to"),
    ("reply", "bool", "", "false: the call retransmitted; true: one more reply"),
    ("copy", "u16", "", "n-th further call or reply of its exchange, from 1"),
    ("capture", "u16", "", "file"),
    ("frame", "u32", "", "frame"),
    ("time", "time", "ns", "of the frame"),
    ("after_s", "f64", "s", "since the exchange's first call"),
    ("flow", "u32", "", "row of `flows` that carries it"),
    ("rpc_status", "u8?", "", "of a reply, as in calls"),
    ("status", "i32?", "", "of a reply, as in calls"),
)

LOCKS = table_spec(
    "locks",
    "One row per lock session: what one owner did to one range of one file, from request to release, sorted by start; "
    "what is left when a part of a range is unlocked, or locked otherwise, is a row of its own.",
    ("capture", "u16", "", "file of the session's first frame"),
    ("frame", "u32", "", "its first frame: the LOCK's; the UNLOCK's or grant's without one; or what left it over"),
    ("time", "time", "ns", "of that frame"),
    ("server", "text", "", "host that grants"),
    ("client", "text", "", "host that asks"),
    ("client_port", "u16", "", "port of its first request"),
    ("version", "u32", "", "NLM version"),
    label(
        "procedure",
        LOCK_PROCEDURES,
        "first procedure seen: LOCK, LOCK_MSG, NM_LOCK; UNLOCK... when held before the capture",
    ),
    ("caller_name", "text", "", "the client's name for itself"),
    ("svid", "i32", "", "owner's number on its host (not a pid on Linux)"),
    ("owner", "text", "", "svid@caller_name"),
    ("oh", "text", "", "owner handle: text where printable, else hex"),
    ("cookie", "text", "", "of its first message, in hex, in the asynchronous form (_MSG); else null"),
    ("fh", "text", "", "file handle in hex"),
    ("file", "text", "", "path where known, else FH:0x and the handle's CRC-32, as Wireshark shows it"),
    ("l_offset", "u64?", "B", "start of the range"),
    ("l_len", "u64?", "B", "length of the range, 0 = to the end of the file"),
    ("exclusive", "bool?", "", "write lock; null when only its UNLOCK was captured"),
    ("block", "bool?", "", "the client is willing to wait"),
    ("reclaim", "bool", "", "first request is a reclaim after a server's reboot"),
    label("state", LOCK_STATES, "waiting, held, released, denied, ... (nfsrpc.tables.LOCK_STATES)"),
    ("status", "i32?", "", "nlm4_stats of the last answer to LOCK (or of the grant)"),
    ("rpc_status", "u8?", "", "RPC status of the last answer to LOCK; null without answer"),
    ("status_name", "text", "", "name of status, or of rpc_status where that is an error"),
    label("answer", ANSWERS, "state of the last LOCK exchange: answered, unanswered, undecided"),
    label("granted_by", GRANTED_BY, "reply (to the first LOCK), poll (to a later one), callback, late-reply"),
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
    label("unlock_state", ANSWERS, "state of the UNLOCK exchange; null without UNLOCK"),
    ("unlock_latency_s", "f64", "s", "from UNLOCK to its answer"),
    *_frame("released", "answer GRANTED to UNLOCK: the range is free"),
    *_frame("callback", "first GRANTED or GRANTED_MSG call of the server for this session"),
    ("callbacks", "u32", "", "GRANTED and GRANTED_MSG calls, all copies counted"),
    ("callback_status", "i32?", "", "the client's answer: of the GRANTED reply or the GRANTED_RES call"),
    label("callback_state", ANSWERS, "answered (GRANTED_RES counts), unanswered, undecided; null without callback"),
    *_frame("late_granted", "a further reply that granted what was denied, cancelled or released before"),
    ("held_by", "u32?", "", "row of this table: a holder in conflict when this one was first refused or made to wait"),
    ("holder", "text", "", "owner and client of held_by, as 'svid@name (address)'"),
    ("exchange", "u32?", "", "first LOCK exchange"),
    ("last_exchange", "u32?", "", "last LOCK exchange: that of the last poll"),
    ("unlock_exchange", "u32?", "", "UNLOCK exchange"),
    ("cancel_exchange", "u32?", "", "CANCEL exchange"),
    ("callback_exchange", "u32?", "", "first GRANTED or GRANTED_MSG exchange"),
)

MONITORS = table_spec(
    "monitors",
    "One row per NSM exchange (STAT, SM_MON, SM_UNMON, SM_NOTIFY, ...) or a downcall of statd to lockd.",
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
    label("transport", TRANSPORTS, "tcp or udp"),
    label(
        "procedure", MONITOR_PROCEDURES, "NULL, STAT, MON, UNMON, UNMON_ALL, SIMU_CRASH, NOTIFY: without SM_; DOWNCALL"
    ),
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
    label("state", ANSWERS, "as in calls"),
    ("exchange", "u32", "", "exchange"),
)

REGISTRATIONS = table_spec(
    "registrations",
    "One row per answer of a portmapper or rpcbind about one program (an entry of a DUMP), or query without an answer.",
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
    label("asked_by_transport", TRANSPORTS, "transport that carried the question: tcp or udp"),
    ("asked_vers", "u32", "", "2 portmap, 3 and 4 rpcbind"),
    label(
        "source", SOURCES, "GETPORT, GETADDR, GETVERSADDR, GETADDRLIST, DUMP; SET and UNSET when a program registers"
    ),
    ("flavor", "u32?", "", "credential: 0 NONE (mount.nfs, statd itself), 1 SYS (kernel)"),
    ("machine", "text", "", "machinename of the AUTH_SYS credential"),
    ("prog", "u32?", "", "program asked for; null for a DUMP that has no entries or no answer"),
    ("program", "text", "", "its name"),
    ("vers", "u32?", "", "version asked for"),
    label("transport", TRANSPORTS, "transport of the registration asked for: tcp or udp"),
    ("netid", "text", "", "the same with its family: tcp, tcp6, udp, udp6, local"),
    ("port", "u32?", "", "answer; 0 = not registered; null = no answer"),
    ("address", "text", "", "address in a universal address"),
    ("owner", "text", "", "owner of the registration, in rpcbind v3 and v4"),
    ("complete", "bool", "", "the whole answer was captured: what a DUMP does not list is not registered"),
    ("rpc_status", "u8?", "", "as in calls"),
    ("resends", "u16", "", "copies of the question"),
    label("state", ANSWERS, "as in calls"),
    ("exchange", "u32", "", "exchange"),
)

PATHS = table_spec(
    "paths",
    "One row per name that a file handle had, by the replies: of MNT, LOOKUP, CREATE, READDIRPLUS, RENAME, ...",
    ("capture", "u16", "", "file of that reply"),
    ("frame", "u32?", "", "frame of that reply"),
    ("time", "time", "ns", "of that reply"),
    ("server", "text", "", "host whose file it is"),
    ("path", "text", "", "path at that time; begins with ... where the way from the export down is not known"),
    ("fh", "text", "", "file handle in hex"),
    ("handle", "text", "", "the same short: FH:0x and its CRC-32, as Wireshark shows it"),
    ("directory", "text", "", "handle of the directory in hex; null for what was mounted"),
    ("name", "text", "", "name in that directory; the path that was mounted"),
    label("procedure", NAMING_PROCEDURES, "its procedure"),
    *_frame("until", "the name was taken away: renamed, removed, or given to another file"),
    label("until_procedure", NAMING_PROCEDURES, "procedure that took it away"),
    ("exchange", "u32", "", "its exchange"),
)

HOSTS = table_spec(
    "hosts",
    "One row per host: what is one machine as far as the captures show.",
    ("host", "text", "", "its name in all tables: the address it is most active under"),
    ("addresses", "texts", "", "every address, also one that NAT puts in the place of another"),
    ("names", "texts", "", "every name: machinename, caller_name, my_name"),
    ("roles", "texts", "", "client and server of NFS and NLM, or neither"),
    ("loopbacks", "texts", "", "its loopback interfaces that were captured, as 'capture N'"),
    ("captures", "texts", "", "captures that were taken on it, as far as known, by number"),
    ("client_calls", "u32", "", "NFS, MOUNT and NLM calls (without callbacks) it sent"),
    ("server_calls", "u32", "", "NFS, MOUNT and NLM calls (without callbacks) it received"),
    ("first", "time", "ns", "first frame of a flow of it"),
    ("last", "time", "ns", "last frame of a flow of it"),
)

FLOWS = table_spec(
    "flows",
    "One row per TCP connection or UDP 5-tuple; c is client to server, s is server to client.",
    ("flow", "u32", "", "number of the flow"),
    ("vantage", "u16", "", "number of the vantage"),
    ("capture", "u16", "", "file of its first frame"),
    ("frame", "u32", "", "its first frame"),
    ("first", "time", "ns", "first frame"),
    ("last", "time", "ns", "last frame"),
    label("transport", TRANSPORTS, "tcp or udp"),
    ("client", "text", "", "sender of the SYN, else the RPC caller"),
    ("client_port", "u16", "", "its port"),
    ("server", "text", "", "the other end"),
    ("server_port", "u16", "", "its port"),
    ("loopback", "bool", "", "over a loopback interface"),
    ("prog", "u32?", "", "program called on it, else the one that a portmapper named for that port"),
    ("program", "text", "", "its name"),
    ("registered", "bool", "", "a portmapper named this port of this host in the captures"),
    *(
        (f"{d}_{name}", kind, unit, f"{way}: {meaning}")
        for d, way in (("c", "client to server"), ("s", "server to client"))
        for name, kind, unit, meaning in (
            ("frames", "u32", "", "frames"),
            ("bytes", "u64", "B", "payload"),
            ("retransmitted", "u32", "", "segments retransmitted"),
            ("out_of_order", "u32", "", "segments out of order"),
            ("lost_bytes", "u64", "B", "holes never filled"),
            ("cut_frames", "u32", "", "frames cut by the snap length"),
            ("damaged", "u32", "", "frames, or records, that are damaged"),
            ("fin", "u16", "", "FINs"),
            ("rst", "u16", "", "RSTs"),
            ("calls", "u32", "", "RPC calls"),
            ("replies", "u32", "", "RPC replies"),
            ("last", "time", "ns", "last frame"),
            ("unheard", "u32", "", "segments retransmitted in the longest stretch without a frame of the other side"),
            ("unheard_first", "time", "ns", "first data sent in that stretch"),
            ("unheard_last", "time", "ns", "what ended it: a frame of the other side, or else the last frame"),
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
    ("evicted", "bool", "", "dropped for lack of room"),
    ("tls", "bool", "", "RPC over TLS"),
    (
        "duplicate_of",
        "u32?",
        "",
        "the flow that counts, when another vantage, or side of a NAT, shows this one too; else null",
    ),
)

CAPTURES = table_spec(
    "captures",
    "One row per file given.",
    ("capture", "u16", "", "number of the file, from 0, as given"),
    ("file", "text", "", "its name"),
    ("format", "text", "", "pcap, pcapng, ..."),
    ("linktypes", "texts", "", "link types of its interfaces"),
    ("interfaces", "texts", "", "names of its interfaces, where the file names them"),
    ("frames", "u32", "", "frames"),
    ("bytes", "u64", "B", "size"),
    ("first", "time", "ns", "first frame"),
    ("last", "time", "ns", "last frame"),
    ("vantage", "u16", "", "number of the vantage, 0 for what shows the most hosts: the files of one ring share it"),
    ("where", "text", "", "vantage in words: 'server any', 'client wire', 'wire', ... (nfsrpc.sessions.hosts)"),
    ("host", "text", "", "host it was taken on, where known"),
    ("any_interface", "bool", "", "taken with -i any (SLL, SLL2) or showing loopback: the host's loopback is in it"),
    ("loopback_of", "text", "", "host whose loopback traffic it shows"),
    (
        "clock",
        "u16",
        "",
        "the first vantage with which its times can be compared: they have messages, or the host, in common",
    ),
    ("offset_s", "f64", "s", "its clock against that one's, by the exchanges that both show; null if it is alone"),
    ("drift_ppm", "f64", "µs/s", "how fast it gains on that one; 0 too where the captures are too short"),
)

QUALITY = table_spec(
    "quality",
    "One row per file: what the capture lacks.",
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
    ("retransmitted", "u64", "", "TCP segments retransmitted, in the flows that begin in this file"),
    ("out_of_order", "u64", "", "TCP segments out of order, likewise"),
    ("lost_bytes", "u64", "B", "bytes of TCP streams missing from the capture, likewise"),
    ("one_way_flows", "u32", "", "flows with RPC of which only one direction was captured, likewise"),
    ("calls", "u32", "", "calls in this file"),
    ("undecided", "u32", "", "calls whose reply may not have been captured"),
    ("orphans", "u32", "", "replies without their call"),
    ("clock_steps", "u32", "", "steps of the capturing host's clock: rows of oddities, clock-set-back and -forward"),
    ("oddities", "u32", "", "other rows of oddities, but for those that the next columns count"),
    ("unlisted", "u64", "", "exchanges that are counted, not listed, for lack of room: exchanges-full and locks-full"),
    ("unlisted_flows", "u64", "", "connections that are not listed for lack of room: flows-full"),
)

# By kind: what happened, and what `detail` is of it.
ODDITY_KINDS = {
    "accesses-full": "a write not counted in `writes`, for lack of room; detail: the room, or how many rows",
    "addresses-full": "numbers of addresses begin anew, as in a flood of them: exchanges between two hosts are "
    "split there; detail: the room",
    "call-evicted": "a call dropped for lack of room before its reply: it is undecided; detail: the exchange",
    "capture-fraction": "a time stamp with a fraction of a second or more, added to its seconds; detail: the fraction",
    "capture-record": "bytes of the file that are no record: reading resumes at the next one; detail: the offset",
    "capture-time": "a time stamp beyond the year 2262; detail: the stamp",
    "checksum": "a frame whose checksum is wrong, where others of its sender are right: it is left out; detail: bytes",
    "copies-full": "copies of messages that are not listed, for lack of room; detail: how many",
    "corrupt-syn": "a damaged segment with SYN in a connection that goes on: not read; detail: its sequence number",
    "exchanges-full": "exchanges out of the ordinary, counted and not listed for lack of room; detail: how many",
    "flows-full": "connections that are not listed, for lack of room; detail: how many",
    "flows-summed": "connections of a client with a port, without anything odd, that are part of the row of the first, "
    "for lack of room; detail: how many",
    "flow-evicted": "a connection dropped for lack of room; detail: the flow",
    "fragments-lost": "an IP datagram of which fragments are missing; detail: bytes missing, as far as known, and in "
    "the upper 32 bits the xid of an RPC message over UDP",
    "frame-time": "a time stamp far from those of the frames before and after: the time of the one before counts; "
    "detail: the difference in ns",
    "header-lost": "a record whose header was not captured; detail: its length",
    "hosts-full": "sums of ordinary exchanges that are not kept by host, for lack of room; detail: how many",
    "ip-fragment": "an IP fragment that is impossible; detail: where it would end",
    "ip-header": "an IP header that contradicts itself; detail: the packet's length",
    "link-header": "an IP header with a right checksum behind a link layer that names no IP: it is read; "
    "detail: the frame's length",
    "late-rpc": "a TCP stream that did not begin with RPC carries it later: it is read from here on; detail: the xid",
    "locals-full": "an address of the capturing host beyond those that are noted; detail: the room",
    "locks-full": "other exchanges of locks and portmappers, counted and not listed for lack of room; detail: how many",
    "memory-limit": "bytes of a stream dropped for lack of room: its records resume behind them; detail: bytes",
    "names-full": "exchanges whose names of files are not kept, for lack of room; detail: how many",
    "not-rpc": "a record in a stream of RPC that is neither call nor reply; detail: its length",
    "record-mark": "an impossible record mark, or one of more bytes than its procedure's message can have: reading "
    "resumes at the next record; detail: the mark",
    "rows-full": "a message with names of files not decoded, for lack of room; detail: the room",
    "statuses-full": "an error that is counted but not listed as evidence, for lack of room; detail: the room",
    "strings-full": "a text or handle not stored, for lack of room; detail: its length",
    "tunnel-nesting": "a tunnel within tunnels, not followed further; detail: the depth",
    "xdr-bool": "a boolean other than 0 and 1; detail: the offset in the body",
    "xdr-enum": "a value that is not declared; detail: the value",
    "xdr-items": "a list with more items than a message can have; detail: the offset in the body",
    "xdr-length": "a length beyond the limit of the declaration; detail: the offset in the body",
    "xdr-short": "a body shorter than its declaration; detail: the offset in the body",
    "xdr-trailing": "bytes behind the end of a body; detail: the offset in the body",
    "xdr-union": "a value for which a union has no arm; detail: the offset in the body",
}

ODDITIES = table_spec(
    "oddities",
    "One row per malformed piece, limit that was reached, or step of the capturing host's clock.",
    label("kind", (*ODDITY_KINDS, *CLOCK_STEPS), "what, see below"),
    ("capture", "u16", "", "file"),
    ("frame", "u32", "", "frame"),
    ("time", "time", "ns", "of the frame"),
    ("detail", "u64", "", "where, or how much, by kind"),
)

PROGRAMS = table_spec(
    "programs",
    "One row per procedure: counts and latencies. Exchanges that several vantages show count once. Where exchanges are "
    "counted instead of listed (`tallies`), quantiles are exact to 2 %.",
    ("prog", "u32", "", "program"),
    ("vers", "u32", "", "version"),
    ("proc", "u32?", "", "procedure; null when cut off"),
    ("program", "text", "", "name of the program"),
    label("procedure", PROCEDURES, "name of the procedure"),
    ("calls", "u32", "", "exchanges"),
    ("replies", "u32", "", "of these answered"),
    ("unanswered", "u32", "", "of these unanswered"),
    ("undecided", "u32", "", "of these undecided"),
    ("retransmits", "u32", "", "calls retransmitted"),
    ("duplicates", "u32", "", "further replies"),
    ("errors", "u32", "", "RPC errors and results whose own status is not OK (NLM's BLOCKED is none)"),
    ("p50", "f64", "s", "latency: median"),
    ("p95", "f64", "s", "latency: 95 %"),
    ("p99", "f64", "s", "latency: 99 %"),
    ("max", "f64", "s", "latency: greatest"),
)

TALLIES = table_spec(
    "tallies",
    "One row per client, server, procedure and ten seconds (more in long captures): ordinary exchanges of NFS, of "
    "locks that are over, and of repeated questions (answered once, in less than a second), that were counted "
    "instead of listed in `calls`. Empty unless captures are read so.",
    ("capture", "u16", "", "file of the first call"),
    ("vantage", "u16", "", "number of the vantage"),
    ("interval", "time", "ns", "start of the ten seconds"),
    ("client", "text", "", "as in calls"),
    ("server", "text", "", "as in calls"),
    label("transport", TRANSPORTS, "tcp or udp"),
    ("prog", "u32", "", "RPC program"),
    ("vers", "u32", "", "its version"),
    ("proc", "u32", "", "procedure"),
    ("program", "text", "", "name of the program"),
    label("procedure", PROCEDURES, "name of the procedure"),
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
    (
        "counted_in",
        "u16?",
        "",
        "the vantage that counts for these hosts then, when it shows more of them, or both sides of a NAT; else null",
    ),
)

WRITES = table_spec(
    "writes",
    "One row per client, file and ten seconds: the WRITE calls that succeeded. Sorted by the first.",
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
    ("first_byte", "u64", "B", "lowest byte of the file that they write; 0 where an offset is not captured"),
    ("last_byte", "u64", "B", "highest one, likewise; 2^64 - 1 where an offset is not captured"),
)

FINDINGS = table_spec(
    "findings",
    "One row per finding of a rule, the causes first.",
    ("id", "text", "", "identifier of the finding: rule@host, with #2 on repetition"),
    ("rule", "text", "", "identifier of the rule"),
    ("name", "text", "", "name of the rule"),
    label("severity", SEVERITIES, "error, warning or info"),
    label("certainty", CERTAINTIES, "certain or likely"),
    ("host", "text", "", "address of the host to fix"),
    ("host_capture", "text", "", "capture that a loopback address belongs to, where its owner is not known"),
    ("clients", "texts", "", "affected clients"),
    ("files", "texts", "", "files concerned"),
    ("count", "u32", "", "occurrences"),
    ("at_least", "bool", "", "there was no room to list all: there may be more, and other clients affected"),
    ("first", "time", "ns", "first occurrence"),
    ("last", "time", "ns", "last occurrence"),
    ("title", "text", "", "one line"),
    ("explains", "texts", "", "identifiers of the findings that this one explains"),
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

# Tables have these names, or that of a list in the messages of a protocol ("nfs3.entries").
PROTOCOL_NAMES = tuple(program.protocol for program in PROTOCOLS)
NAMES = (*TABLES, *PROTOCOL_NAMES)


def is_table(name: str) -> bool:
    """Whether it is a table's name, as far as declarations say: what lists a protocol has, its messages show."""
    return name in TABLES or name.partition(".")[0] in PROTOCOL_NAMES


class Tables(Mapping[str, Table]):
    """The tables of a trace by name."""

    def __getitem__(self, name: str) -> Table:
        return self.table(name)

    def table(self, name: str) -> Table:
        raise NotImplementedError


# A class for each. Type checkers read tables.pyi instead, which names the columns of each (docs/stubs.py writes it).
(
    Calls,
    Locks,
    Monitors,
    Registrations,
    Paths,
    Hosts,
    Flows,
    Captures,
    Quality,
    Oddities,
    Programs,
    Tallies,
    Writes,
    Copies,
    Findings,
) = (type(spec.name.capitalize(), (Table,), {"Row": Row}) for spec in TABLES.values())
