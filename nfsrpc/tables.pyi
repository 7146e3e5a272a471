# Written by docs/stubs.py (make docs); change the declarations in tables.py instead.
from abc import ABCMeta
from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias, overload

from nfsrpc.columns import Array, Coded, Mask, Table, TableSpec
from nfsrpc.columns import Row as AnyRow

_SEVERITIES: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: tuple[_SEVERITIES, ...]
_TRANSPORTS: TypeAlias = Literal["tcp", "udp"]
TRANSPORTS: tuple[_TRANSPORTS, ...]
_ANSWERS: TypeAlias = Literal["answered", "unanswered", "undecided"]
ANSWERS: tuple[_ANSWERS, ...]
_CALL_STATES: TypeAlias = Literal["answered", "unanswered", "undecided", "orphan"]
CALL_STATES: tuple[_CALL_STATES, ...]
PROCEDURES: tuple[str, ...]
_LOCK_PROCEDURES: TypeAlias = Literal[
    "LOCK", "LOCK_MSG", "NM_LOCK", "CANCEL", "CANCEL_MSG", "UNLOCK", "UNLOCK_MSG", "GRANTED", "GRANTED_MSG"
]
LOCK_PROCEDURES: tuple[_LOCK_PROCEDURES, ...]
_LOCK_STATES: TypeAlias = Literal[
    "waiting", "held", "releasing", "released", "replaced", "denied", "cancelled", "unanswered", "undecided"
]
LOCK_STATES: tuple[_LOCK_STATES, ...]
_LOCK_EVENTS: TypeAlias = Literal[
    "requested", "blocked", "granted", "denied", "cancelled", "unlock", "released", "callback", "late_granted"
]
LOCK_EVENTS: tuple[_LOCK_EVENTS, ...]
_GRANTED_BY: TypeAlias = Literal["reply", "poll", "callback", "late-reply"]
GRANTED_BY: tuple[_GRANTED_BY, ...]
_MONITOR_PROCEDURES: TypeAlias = Literal[
    "NULL", "STAT", "MON", "UNMON", "UNMON_ALL", "SIMU_CRASH", "NOTIFY", "DOWNCALL"
]
MONITOR_PROCEDURES: tuple[_MONITOR_PROCEDURES, ...]
_SOURCES: TypeAlias = Literal["GETPORT", "GETADDR", "GETVERSADDR", "GETADDRLIST", "DUMP", "SET", "UNSET"]
SOURCES: tuple[_SOURCES, ...]
_NAMING_PROCEDURES: TypeAlias = Literal[
    "MNT", "LOOKUP", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "READDIRPLUS", "LINK", "RENAME", "REMOVE", "RMDIR"
]
NAMING_PROCEDURES: tuple[_NAMING_PROCEDURES, ...]
_CERTAINTIES: TypeAlias = Literal["certain", "likely"]
CERTAINTIES: tuple[_CERTAINTIES, ...]
_CLOCK_STEPS: TypeAlias = Literal["clock-set-back", "clock-set-forward"]
CLOCK_STEPS: tuple[_CLOCK_STEPS, ...]
CALLS: TableSpec
COPIES: TableSpec
LOCKS: TableSpec
MONITORS: TableSpec
REGISTRATIONS: TableSpec
PATHS: TableSpec
HOSTS: TableSpec
FLOWS: TableSpec
CAPTURES: TableSpec
QUALITY: TableSpec
ODDITIES: TableSpec
PROGRAMS: TableSpec
TALLIES: TableSpec
WRITES: TableSpec
FINDINGS: TableSpec
PROTOCOL_NAMES: tuple[str, ...]
NAMES: tuple[str, ...]
ODDITY_KINDS: dict[str, str]
TABLES: dict[str, TableSpec]

def is_table(name: str) -> bool: ...

class Tables(Mapping[str, Table], metaclass=ABCMeta):
    @overload
    def __getitem__(self, name: Literal["calls"]) -> Calls: ...
    @overload
    def __getitem__(self, name: Literal["locks"]) -> Locks: ...
    @overload
    def __getitem__(self, name: Literal["monitors"]) -> Monitors: ...
    @overload
    def __getitem__(self, name: Literal["registrations"]) -> Registrations: ...
    @overload
    def __getitem__(self, name: Literal["paths"]) -> Paths: ...
    @overload
    def __getitem__(self, name: Literal["hosts"]) -> Hosts: ...
    @overload
    def __getitem__(self, name: Literal["flows"]) -> Flows: ...
    @overload
    def __getitem__(self, name: Literal["captures"]) -> Captures: ...
    @overload
    def __getitem__(self, name: Literal["quality"]) -> Quality: ...
    @overload
    def __getitem__(self, name: Literal["oddities"]) -> Oddities: ...
    @overload
    def __getitem__(self, name: Literal["programs"]) -> Programs: ...
    @overload
    def __getitem__(self, name: Literal["tallies"]) -> Tallies: ...
    @overload
    def __getitem__(self, name: Literal["writes"]) -> Writes: ...
    @overload
    def __getitem__(self, name: Literal["copies"]) -> Copies: ...
    @overload
    def __getitem__(self, name: Literal["findings"]) -> Findings: ...
    @overload
    def __getitem__(self, name: str) -> Table: ...
    def table(self, name: str) -> Table: ...

_CallsColumn: TypeAlias = Literal[
    "capture",
    "call_frame",
    "reply_frame",
    "time",
    "reply_time",
    "latency_s",
    "client",
    "client_port",
    "server",
    "server_port",
    "transport",
    "xid",
    "prog",
    "vers",
    "proc",
    "program",
    "procedure",
    "rpc_status",
    "status",
    "retransmits",
    "duplicates",
    "state",
    "status_name",
    "machine",
    "uid",
    "flavor",
    "flow",
    "exchange",
    "flags",
    "call_bytes",
    "reply_bytes",
    "reply_capture",
    "loopback",
    "duplicate_of",
    "vantage",
]

class Calls(Table):
    class Row(AnyRow):
        capture: int
        call_frame: int
        reply_frame: int | None
        time: int
        reply_time: int | None
        latency_s: float | None
        client: str
        client_port: int
        server: str
        server_port: int
        transport: _TRANSPORTS
        xid: int
        prog: int | None
        vers: int | None
        proc: int | None
        program: str | None
        procedure: str | None
        rpc_status: int | None
        status: int | None
        retransmits: int
        duplicates: int
        state: _CALL_STATES
        status_name: str | None
        machine: str | None
        uid: int | None
        flavor: int | None
        flow: int
        exchange: int
        flags: int
        call_bytes: int
        reply_bytes: int
        reply_capture: int
        loopback: bool
        duplicate_of: int | None
        vantage: int

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "call_frame",
            "reply_frame",
            "time",
            "reply_time",
            "latency_s",
            "client_port",
            "server_port",
            "xid",
            "prog",
            "vers",
            "proc",
            "rpc_status",
            "status",
            "retransmits",
            "duplicates",
            "uid",
            "flavor",
            "flow",
            "exchange",
            "flags",
            "call_bytes",
            "reply_bytes",
            "reply_capture",
            "duplicate_of",
            "vantage",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(
        self, name: Literal["client", "server", "transport", "program", "procedure", "state", "status_name", "machine"]
    ) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["loopback"]) -> Mask: ...
    def valid(self, name: _CallsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _CallsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_LocksColumn: TypeAlias = Literal[
    "capture",
    "frame",
    "time",
    "server",
    "client",
    "client_port",
    "version",
    "procedure",
    "caller_name",
    "svid",
    "owner",
    "oh",
    "cookie",
    "fh",
    "file",
    "l_offset",
    "l_len",
    "exclusive",
    "block",
    "reclaim",
    "state",
    "status",
    "rpc_status",
    "status_name",
    "answer",
    "granted_by",
    "latency_s",
    "wait_s",
    "hold_s",
    "polls",
    "resends",
    "replies",
    "grace",
    "reclaims",
    "requested",
    "requested_capture",
    "requested_frame",
    "blocked",
    "blocked_capture",
    "blocked_frame",
    "granted",
    "granted_capture",
    "granted_frame",
    "denied",
    "denied_capture",
    "denied_frame",
    "cancelled",
    "cancelled_capture",
    "cancelled_frame",
    "cancel_status",
    "unlock",
    "unlock_capture",
    "unlock_frame",
    "unlock_status",
    "unlock_state",
    "unlock_latency_s",
    "released",
    "released_capture",
    "released_frame",
    "callback",
    "callback_capture",
    "callback_frame",
    "callbacks",
    "callback_status",
    "callback_state",
    "late_granted",
    "late_granted_capture",
    "late_granted_frame",
    "held_by",
    "holder",
    "exchange",
    "last_exchange",
    "unlock_exchange",
    "cancel_exchange",
    "callback_exchange",
]

class Locks(Table):
    class Row(AnyRow):
        capture: int
        frame: int
        time: int
        server: str
        client: str
        client_port: int
        version: int
        procedure: _LOCK_PROCEDURES | None
        caller_name: str | None
        svid: int
        owner: str
        oh: str | None
        cookie: str | None
        fh: str
        file: str
        l_offset: int | None
        l_len: int | None
        exclusive: bool | None
        block: bool | None
        reclaim: bool
        state: _LOCK_STATES
        status: int | None
        rpc_status: int | None
        status_name: str | None
        answer: _ANSWERS | None
        granted_by: _GRANTED_BY | None
        latency_s: float | None
        wait_s: float | None
        hold_s: float | None
        polls: int
        resends: int
        replies: int
        grace: int
        reclaims: int
        requested: int | None
        requested_capture: int
        requested_frame: int | None
        blocked: int | None
        blocked_capture: int
        blocked_frame: int | None
        granted: int | None
        granted_capture: int
        granted_frame: int | None
        denied: int | None
        denied_capture: int
        denied_frame: int | None
        cancelled: int | None
        cancelled_capture: int
        cancelled_frame: int | None
        cancel_status: int | None
        unlock: int | None
        unlock_capture: int
        unlock_frame: int | None
        unlock_status: int | None
        unlock_state: _ANSWERS | None
        unlock_latency_s: float | None
        released: int | None
        released_capture: int
        released_frame: int | None
        callback: int | None
        callback_capture: int
        callback_frame: int | None
        callbacks: int
        callback_status: int | None
        callback_state: _ANSWERS | None
        late_granted: int | None
        late_granted_capture: int
        late_granted_frame: int | None
        held_by: int | None
        holder: str | None
        exchange: int | None
        last_exchange: int | None
        unlock_exchange: int | None
        cancel_exchange: int | None
        callback_exchange: int | None

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "frame",
            "time",
            "client_port",
            "version",
            "svid",
            "l_offset",
            "l_len",
            "status",
            "rpc_status",
            "latency_s",
            "wait_s",
            "hold_s",
            "polls",
            "resends",
            "replies",
            "grace",
            "reclaims",
            "requested",
            "requested_capture",
            "requested_frame",
            "blocked",
            "blocked_capture",
            "blocked_frame",
            "granted",
            "granted_capture",
            "granted_frame",
            "denied",
            "denied_capture",
            "denied_frame",
            "cancelled",
            "cancelled_capture",
            "cancelled_frame",
            "cancel_status",
            "unlock",
            "unlock_capture",
            "unlock_frame",
            "unlock_status",
            "unlock_latency_s",
            "released",
            "released_capture",
            "released_frame",
            "callback",
            "callback_capture",
            "callback_frame",
            "callbacks",
            "callback_status",
            "late_granted",
            "late_granted_capture",
            "late_granted_frame",
            "held_by",
            "exchange",
            "last_exchange",
            "unlock_exchange",
            "cancel_exchange",
            "callback_exchange",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(
        self,
        name: Literal[
            "server",
            "client",
            "procedure",
            "caller_name",
            "owner",
            "oh",
            "cookie",
            "fh",
            "file",
            "state",
            "status_name",
            "answer",
            "granted_by",
            "unlock_state",
            "callback_state",
            "holder",
        ],
    ) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["exclusive", "block", "reclaim"]) -> Mask: ...
    def valid(self, name: _LocksColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _LocksColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_MonitorsColumn: TypeAlias = Literal[
    "capture",
    "frame",
    "reply_capture",
    "reply_frame",
    "time",
    "reply_time",
    "latency_s",
    "host",
    "asker",
    "asker_port",
    "port",
    "loopback",
    "transport",
    "procedure",
    "mon_name",
    "my_name",
    "my_prog",
    "my_vers",
    "my_proc",
    "peer",
    "machine",
    "result",
    "nsm_state",
    "rpc_status",
    "resends",
    "state",
    "exchange",
]

class Monitors(Table):
    class Row(AnyRow):
        capture: int
        frame: int
        reply_capture: int
        reply_frame: int | None
        time: int
        reply_time: int | None
        latency_s: float | None
        host: str
        asker: str
        asker_port: int
        port: int
        loopback: bool
        transport: _TRANSPORTS
        procedure: _MONITOR_PROCEDURES | None
        mon_name: str | None
        my_name: str | None
        my_prog: int | None
        my_vers: int | None
        my_proc: int | None
        peer: str | None
        machine: str | None
        result: int | None
        nsm_state: int | None
        rpc_status: int | None
        resends: int
        state: _ANSWERS
        exchange: int

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "frame",
            "reply_capture",
            "reply_frame",
            "time",
            "reply_time",
            "latency_s",
            "asker_port",
            "port",
            "my_prog",
            "my_vers",
            "my_proc",
            "result",
            "nsm_state",
            "rpc_status",
            "resends",
            "exchange",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(
        self,
        name: Literal["host", "asker", "transport", "procedure", "mon_name", "my_name", "peer", "machine", "state"],
    ) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["loopback"]) -> Mask: ...
    def valid(self, name: _MonitorsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _MonitorsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_RegistrationsColumn: TypeAlias = Literal[
    "capture",
    "frame",
    "reply_capture",
    "reply_frame",
    "time",
    "reply_time",
    "latency_s",
    "host",
    "asker",
    "asker_port",
    "loopback",
    "asked_by_transport",
    "asked_vers",
    "source",
    "flavor",
    "machine",
    "prog",
    "program",
    "vers",
    "transport",
    "netid",
    "port",
    "address",
    "owner",
    "complete",
    "rpc_status",
    "resends",
    "state",
    "exchange",
]

class Registrations(Table):
    class Row(AnyRow):
        capture: int
        frame: int
        reply_capture: int
        reply_frame: int | None
        time: int
        reply_time: int | None
        latency_s: float | None
        host: str
        asker: str
        asker_port: int
        loopback: bool
        asked_by_transport: _TRANSPORTS
        asked_vers: int
        source: _SOURCES
        flavor: int | None
        machine: str | None
        prog: int | None
        program: str | None
        vers: int | None
        transport: _TRANSPORTS | None
        netid: str | None
        port: int | None
        address: str | None
        owner: str | None
        complete: bool
        rpc_status: int | None
        resends: int
        state: _ANSWERS
        exchange: int

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "frame",
            "reply_capture",
            "reply_frame",
            "time",
            "reply_time",
            "latency_s",
            "asker_port",
            "asked_vers",
            "flavor",
            "prog",
            "vers",
            "port",
            "rpc_status",
            "resends",
            "exchange",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(
        self,
        name: Literal[
            "host",
            "asker",
            "asked_by_transport",
            "source",
            "machine",
            "program",
            "transport",
            "netid",
            "address",
            "owner",
            "state",
        ],
    ) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["loopback", "complete"]) -> Mask: ...
    def valid(self, name: _RegistrationsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _RegistrationsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_PathsColumn: TypeAlias = Literal[
    "capture",
    "frame",
    "time",
    "server",
    "path",
    "fh",
    "handle",
    "directory",
    "name",
    "procedure",
    "until",
    "until_capture",
    "until_frame",
    "until_procedure",
    "exchange",
]

class Paths(Table):
    class Row(AnyRow):
        capture: int
        frame: int
        time: int
        server: str
        path: str
        fh: str
        handle: str | None
        directory: str | None
        name: str
        procedure: _NAMING_PROCEDURES | None
        until: int | None
        until_capture: int
        until_frame: int | None
        until_procedure: _NAMING_PROCEDURES | None
        exchange: int

    @overload  # type: ignore[override]
    def __getitem__(
        self, name: Literal["capture", "frame", "time", "until", "until_capture", "until_frame", "exchange"]
    ) -> Array: ...
    @overload
    def __getitem__(
        self, name: Literal["server", "path", "fh", "handle", "directory", "name", "procedure", "until_procedure"]
    ) -> Coded: ...
    def valid(self, name: _PathsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _PathsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_HostsColumn: TypeAlias = Literal[
    "host", "addresses", "names", "roles", "loopbacks", "captures", "client_calls", "server_calls", "first", "last"
]

class Hosts(Table):
    class Row(AnyRow):
        host: str
        addresses: tuple[str, ...]
        names: tuple[str, ...]
        roles: tuple[str, ...]
        loopbacks: tuple[str, ...]
        captures: tuple[str, ...]
        client_calls: int
        server_calls: int
        first: int
        last: int

    @overload  # type: ignore[override]
    def __getitem__(self, name: Literal["host"]) -> Coded: ...
    @overload
    def __getitem__(
        self,
        name: Literal[
            "addresses", "names", "roles", "loopbacks", "captures", "client_calls", "server_calls", "first", "last"
        ],
    ) -> Array: ...
    def valid(self, name: _HostsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _HostsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_FlowsColumn: TypeAlias = Literal[
    "flow",
    "vantage",
    "capture",
    "frame",
    "first",
    "last",
    "transport",
    "client",
    "client_port",
    "server",
    "server_port",
    "loopback",
    "prog",
    "program",
    "registered",
    "c_frames",
    "c_bytes",
    "c_retransmitted",
    "c_out_of_order",
    "c_lost_bytes",
    "c_cut_frames",
    "c_damaged",
    "c_fin",
    "c_rst",
    "c_calls",
    "c_replies",
    "c_last",
    "c_unheard",
    "c_unheard_first",
    "c_unheard_last",
    "s_frames",
    "s_bytes",
    "s_retransmitted",
    "s_out_of_order",
    "s_lost_bytes",
    "s_cut_frames",
    "s_damaged",
    "s_fin",
    "s_rst",
    "s_calls",
    "s_replies",
    "s_last",
    "s_unheard",
    "s_unheard_first",
    "s_unheard_last",
    "syn",
    "syn_frame",
    "syn_time",
    "syn_last",
    "synack",
    "synack_frame",
    "synack_time",
    "rst_capture",
    "rst_frame",
    "rst_time",
    "icmp",
    "icmp_frame",
    "icmp_time",
    "icmp_code",
    "duplicates",
    "rpc",
    "superseded",
    "evicted",
    "tls",
    "duplicate_of",
]

class Flows(Table):
    class Row(AnyRow):
        flow: int
        vantage: int
        capture: int
        frame: int
        first: int
        last: int
        transport: _TRANSPORTS
        client: str
        client_port: int
        server: str
        server_port: int
        loopback: bool
        prog: int | None
        program: str | None
        registered: bool
        c_frames: int
        c_bytes: int
        c_retransmitted: int
        c_out_of_order: int
        c_lost_bytes: int
        c_cut_frames: int
        c_damaged: int
        c_fin: int
        c_rst: int
        c_calls: int
        c_replies: int
        c_last: int | None
        c_unheard: int
        c_unheard_first: int | None
        c_unheard_last: int | None
        s_frames: int
        s_bytes: int
        s_retransmitted: int
        s_out_of_order: int
        s_lost_bytes: int
        s_cut_frames: int
        s_damaged: int
        s_fin: int
        s_rst: int
        s_calls: int
        s_replies: int
        s_last: int | None
        s_unheard: int
        s_unheard_first: int | None
        s_unheard_last: int | None
        syn: int
        syn_frame: int | None
        syn_time: int | None
        syn_last: int | None
        synack: int
        synack_frame: int | None
        synack_time: int | None
        rst_capture: int
        rst_frame: int | None
        rst_time: int | None
        icmp: int
        icmp_frame: int | None
        icmp_time: int | None
        icmp_code: int | None
        duplicates: int
        rpc: bool
        superseded: bool
        evicted: bool
        tls: bool
        duplicate_of: int | None

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "flow",
            "vantage",
            "capture",
            "frame",
            "first",
            "last",
            "client_port",
            "server_port",
            "prog",
            "c_frames",
            "c_bytes",
            "c_retransmitted",
            "c_out_of_order",
            "c_lost_bytes",
            "c_cut_frames",
            "c_damaged",
            "c_fin",
            "c_rst",
            "c_calls",
            "c_replies",
            "c_last",
            "c_unheard",
            "c_unheard_first",
            "c_unheard_last",
            "s_frames",
            "s_bytes",
            "s_retransmitted",
            "s_out_of_order",
            "s_lost_bytes",
            "s_cut_frames",
            "s_damaged",
            "s_fin",
            "s_rst",
            "s_calls",
            "s_replies",
            "s_last",
            "s_unheard",
            "s_unheard_first",
            "s_unheard_last",
            "syn",
            "syn_frame",
            "syn_time",
            "syn_last",
            "synack",
            "synack_frame",
            "synack_time",
            "rst_capture",
            "rst_frame",
            "rst_time",
            "icmp",
            "icmp_frame",
            "icmp_time",
            "icmp_code",
            "duplicates",
            "duplicate_of",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["transport", "client", "server", "program"]) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["loopback", "registered", "rpc", "superseded", "evicted", "tls"]) -> Mask: ...
    def valid(self, name: _FlowsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _FlowsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_CapturesColumn: TypeAlias = Literal[
    "capture",
    "file",
    "format",
    "linktypes",
    "interfaces",
    "frames",
    "bytes",
    "first",
    "last",
    "vantage",
    "where",
    "host",
    "any_interface",
    "loopback_of",
    "clock",
    "offset_s",
    "drift_ppm",
]

class Captures(Table):
    class Row(AnyRow):
        capture: int
        file: str
        format: str
        linktypes: tuple[str, ...]
        interfaces: tuple[str, ...]
        frames: int
        bytes: int
        first: int
        last: int
        vantage: int
        where: str
        host: str | None
        any_interface: bool
        loopback_of: str | None
        clock: int
        offset_s: float | None
        drift_ppm: float | None

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "linktypes",
            "interfaces",
            "frames",
            "bytes",
            "first",
            "last",
            "vantage",
            "clock",
            "offset_s",
            "drift_ppm",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["file", "format", "where", "host", "loopback_of"]) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["any_interface"]) -> Mask: ...
    def valid(self, name: _CapturesColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _CapturesColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_QualityColumn: TypeAlias = Literal[
    "capture",
    "frames",
    "cut_frames",
    "duplicates",
    "misordered",
    "not_ip",
    "unread",
    "unread_links",
    "rdma",
    "rdma_rpc",
    "truncated",
    "drops",
    "tcp_frames",
    "retransmitted",
    "out_of_order",
    "lost_bytes",
    "one_way_flows",
    "calls",
    "undecided",
    "orphans",
    "clock_steps",
    "oddities",
    "unlisted",
    "unlisted_flows",
]

class Quality(Table):
    class Row(AnyRow):
        capture: int
        frames: int
        cut_frames: int
        duplicates: int
        misordered: int
        not_ip: int
        unread: int
        unread_links: tuple[str, ...]
        rdma: int
        rdma_rpc: int
        truncated: bool
        drops: int | None
        tcp_frames: int
        retransmitted: int
        out_of_order: int
        lost_bytes: int
        one_way_flows: int
        calls: int
        undecided: int
        orphans: int
        clock_steps: int
        oddities: int
        unlisted: int
        unlisted_flows: int

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "frames",
            "cut_frames",
            "duplicates",
            "misordered",
            "not_ip",
            "unread",
            "unread_links",
            "rdma",
            "rdma_rpc",
            "drops",
            "tcp_frames",
            "retransmitted",
            "out_of_order",
            "lost_bytes",
            "one_way_flows",
            "calls",
            "undecided",
            "orphans",
            "clock_steps",
            "oddities",
            "unlisted",
            "unlisted_flows",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["truncated"]) -> Mask: ...
    def valid(self, name: _QualityColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _QualityColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_OdditiesColumn: TypeAlias = Literal["kind", "capture", "frame", "time", "detail"]

class Oddities(Table):
    class Row(AnyRow):
        kind: Literal[
            "accesses-full",
            "addresses-full",
            "call-evicted",
            "capture-fraction",
            "capture-record",
            "capture-time",
            "checksum",
            "copies-full",
            "corrupt-syn",
            "exchanges-full",
            "flows-full",
            "flows-summed",
            "flow-evicted",
            "fragments-lost",
            "frame-time",
            "header-lost",
            "hosts-full",
            "ip-fragment",
            "ip-header",
            "link-header",
            "late-rpc",
            "locals-full",
            "locks-full",
            "memory-limit",
            "names-full",
            "not-rpc",
            "record-mark",
            "rows-full",
            "statuses-full",
            "strings-full",
            "tunnel-nesting",
            "xdr-bool",
            "xdr-enum",
            "xdr-items",
            "xdr-length",
            "xdr-short",
            "xdr-trailing",
            "xdr-union",
            "clock-set-back",
            "clock-set-forward",
        ]
        capture: int
        frame: int
        time: int
        detail: int

    @overload  # type: ignore[override]
    def __getitem__(self, name: Literal["kind"]) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["capture", "frame", "time", "detail"]) -> Array: ...
    def valid(self, name: _OdditiesColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _OdditiesColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_ProgramsColumn: TypeAlias = Literal[
    "prog",
    "vers",
    "proc",
    "program",
    "procedure",
    "calls",
    "replies",
    "unanswered",
    "undecided",
    "retransmits",
    "duplicates",
    "errors",
    "p50",
    "p95",
    "p99",
    "max",
]

class Programs(Table):
    class Row(AnyRow):
        prog: int
        vers: int
        proc: int | None
        program: str | None
        procedure: str | None
        calls: int
        replies: int
        unanswered: int
        undecided: int
        retransmits: int
        duplicates: int
        errors: int
        p50: float | None
        p95: float | None
        p99: float | None
        max: float | None

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "prog",
            "vers",
            "proc",
            "calls",
            "replies",
            "unanswered",
            "undecided",
            "retransmits",
            "duplicates",
            "errors",
            "p50",
            "p95",
            "p99",
            "max",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["program", "procedure"]) -> Coded: ...
    def valid(self, name: _ProgramsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _ProgramsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_TalliesColumn: TypeAlias = Literal[
    "capture",
    "vantage",
    "interval",
    "client",
    "server",
    "transport",
    "prog",
    "vers",
    "proc",
    "program",
    "procedure",
    "status",
    "machine",
    "exchanges",
    "first",
    "first_frame",
    "last",
    "latency_min_s",
    "latency_mean_s",
    "latency_max_s",
    "call_bytes",
    "reply_bytes",
    "cut",
    "encrypted",
    "counted_in",
]

class Tallies(Table):
    class Row(AnyRow):
        capture: int
        vantage: int
        interval: int | None
        client: str
        server: str
        transport: _TRANSPORTS
        prog: int
        vers: int
        proc: int
        program: str | None
        procedure: str | None
        status: int | None
        machine: str | None
        exchanges: int
        first: int
        first_frame: int
        last: int
        latency_min_s: float | None
        latency_mean_s: float | None
        latency_max_s: float | None
        call_bytes: int
        reply_bytes: int
        cut: int
        encrypted: int
        counted_in: int | None

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "vantage",
            "interval",
            "prog",
            "vers",
            "proc",
            "status",
            "exchanges",
            "first",
            "first_frame",
            "last",
            "latency_min_s",
            "latency_mean_s",
            "latency_max_s",
            "call_bytes",
            "reply_bytes",
            "cut",
            "encrypted",
            "counted_in",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(
        self, name: Literal["client", "server", "transport", "program", "procedure", "machine"]
    ) -> Coded: ...
    def valid(self, name: _TalliesColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _TalliesColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_WritesColumn: TypeAlias = Literal[
    "capture",
    "vantage",
    "interval",
    "server",
    "client",
    "fh",
    "file",
    "exchanges",
    "first",
    "first_frame",
    "last",
    "last_frame",
    "first_byte",
    "last_byte",
]

class Writes(Table):
    class Row(AnyRow):
        capture: int
        vantage: int
        interval: int | None
        server: str
        client: str
        fh: str
        file: str
        exchanges: int
        first: int
        first_frame: int
        last: int
        last_frame: int
        first_byte: int
        last_byte: int

    @overload  # type: ignore[override]
    def __getitem__(
        self,
        name: Literal[
            "capture",
            "vantage",
            "interval",
            "exchanges",
            "first",
            "first_frame",
            "last",
            "last_frame",
            "first_byte",
            "last_byte",
        ],
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["server", "client", "fh", "file"]) -> Coded: ...
    def valid(self, name: _WritesColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _WritesColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_CopiesColumn: TypeAlias = Literal[
    "exchange", "reply", "copy", "capture", "frame", "time", "after_s", "flow", "rpc_status", "status"
]

class Copies(Table):
    class Row(AnyRow):
        exchange: int
        reply: bool
        copy: int
        capture: int
        frame: int
        time: int
        after_s: float | None
        flow: int
        rpc_status: int | None
        status: int | None

    @overload  # type: ignore[override]
    def __getitem__(
        self, name: Literal["exchange", "copy", "capture", "frame", "time", "after_s", "flow", "rpc_status", "status"]
    ) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["reply"]) -> Mask: ...
    def valid(self, name: _CopiesColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _CopiesColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...

_FindingsColumn: TypeAlias = Literal[
    "id",
    "rule",
    "name",
    "severity",
    "certainty",
    "host",
    "host_capture",
    "clients",
    "files",
    "count",
    "at_least",
    "first",
    "last",
    "title",
    "explains",
]

class Findings(Table):
    class Row(AnyRow):
        id: str
        rule: str
        name: str
        severity: _SEVERITIES
        certainty: _CERTAINTIES
        host: str | None
        host_capture: str | None
        clients: tuple[str, ...]
        files: tuple[str, ...]
        count: int
        at_least: bool
        first: int
        last: int
        title: str
        explains: tuple[str, ...]

    @overload  # type: ignore[override]
    def __getitem__(
        self, name: Literal["id", "rule", "name", "severity", "certainty", "host", "host_capture", "title"]
    ) -> Coded: ...
    @overload
    def __getitem__(self, name: Literal["clients", "files", "count", "first", "last", "explains"]) -> Array: ...
    @overload
    def __getitem__(self, name: Literal["at_least"]) -> Mask: ...
    def valid(self, name: _FindingsColumn) -> Mask: ...  # type: ignore[override]
    def text(self, name: _FindingsColumn) -> Array: ...  # type: ignore[override]
    def rows(self) -> Iterator[Row]: ...
    def row(self, number: int) -> Row: ...
