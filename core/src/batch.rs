//! Rows as columns: every table that the core fills is declared here once, a vector a column, ready to become arrays.
//! Rows are collected in small blocks, in the processor's cache, and turned into columns a block at a time.

/// A column by its element type.
#[derive(Debug, PartialEq)]
pub enum Values {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

macro_rules! values_from {
    ($($variant:ident $type:ty),*) => {
        $(impl From<Vec<$type>> for Values {
            fn from(values: Vec<$type>) -> Self {
                Values::$variant(values)
            }
        })*
    };
}
values_from!(U8 u8, U16 u16, U32 u32, U64 u64, I32 i32, I64 i64);

pub type Columns = Vec<(&'static str, Values)>;

/// Rows turned into columns at once: a block of the widest table is 128 KiB, half of a small second-level cache.
const BLOCK: usize = 1024;

macro_rules! rows {
    ($rows:ident of $row:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $row {
            $(pub $field: $type,)*
        }

        #[derive(Debug, Default)]
        pub struct $rows {
            block: Vec<$row>,
            $(pub $field: Vec<$type>,)*
        }

        impl $rows {
            pub fn push(&mut self, row: $row) {
                self.block.push(row);
                if self.block.len() == BLOCK {
                    self.turn();
                }
            }

            /// All rows are in the columns then.
            pub fn turn(&mut self) {
                $(self.$field.extend(self.block.iter().map(|row| row.$field));)*
                self.block.clear();
            }

            pub fn count(&self) -> usize {
                let turned = [$(self.$field.len()),*];
                self.block.len() + turned.first().copied().unwrap_or_default()
            }

            pub fn append(&mut self, mut rows: $rows) {
                self.turn();
                rows.turn();
                $(self.$field.append(&mut rows.$field);)*
            }

            /// The rows so far.
            pub fn take(&mut self) -> $rows {
                self.turn();
                std::mem::take(self)
            }

            pub fn into_columns(self) -> Columns {
                vec![$((stringify!($field), self.$field.into()),)*]
            }
        }
    };
}

/// No time, no reply: NumPy's NaT.
pub use crate::capture::NO_TIME;
pub const NO_NUMBER: u32 = u32::MAX;
pub const NO_STATUS: i32 = i32::MIN;
pub const NO_RPC_STATUS: u8 = u8::MAX;

/// Bits of [`ExchangeRow::flags`].
pub mod exchange_flag {
    pub const REPLY_SIDE_SEEN: u16 = 1;
    pub const REPLY_SIDE_SEEN_AFTER: u16 = 2;
    pub const REPLY_SIDE_LOSS: u16 = 4;
    pub const EVICTED: u16 = 8;
    pub const CALL_CUT: u16 = 16;
    pub const REPLY_CUT: u16 = 32;
    pub const CONNECTION_DIED: u16 = 64;
    pub const CALL_ACKED: u16 = 128;
    pub const ENCRYPTED: u16 = 256;
    /// The same call with the same xid was answered before, and not just now: a client that does not count its xids up, or a
    /// resend that crossed its reply on a slow path.
    pub const REPEATED: u16 = 512;
    /// A row of tallies counts this exchange; it is listed all the same, because rows of decoded fields refer to it.
    pub const COUNTED: u16 = 1024;
    /// The arguments contradict their declaration: only a part of the call is known.
    pub const UNDECODABLE: u16 = 2048;
}

/// Bits of [`FlowRow::flags`].
pub mod flow_flag {
    pub const RPC: u16 = 1;
    pub const SUPERSEDED: u16 = 2;
    pub const EVICTED: u16 = 4;
    pub const TLS: u16 = 8;
}

rows!(Exchanges of ExchangeRow {
    exchange: u32, capture: u16, call_frame: u32, reply_capture: u16, reply_frame: u32, time: i64, reply_time: i64,
    client: u32, server: u32, client_port: u16, server_port: u16, transport: u8, flow: u32, xid: u32,
    prog: u32, vers: u32, proc: u32, rpc_status: u8, status: i32, retransmits: u16, duplicates: u16, flags: u16,
    flavor: u32, machine: u32, uid: u32, call_bytes: u32, reply_bytes: u32,
});

rows!(Copies of CopyRow {
    exchange: u32, reply: u8, capture: u16, frame: u32, time: i64, flow: u32, rpc_status: u8, status: i32,
});

rows!(Flows of FlowRow {
    flow: u32, transport: u8, client: u32, client_port: u16, server: u32, server_port: u16,
    first: i64, last: i64, first_capture: u16, first_frame: u32,
    c_frames: u32, c_bytes: u64, c_retransmitted: u32, c_out_of_order: u32, c_lost_bytes: u64, c_cut_frames: u32, c_damaged: u32,
    c_fin: u16, c_rst: u16, c_calls: u32, c_replies: u32, c_last: i64, c_seq: u32,
    c_unheard: u32, c_unheard_first: i64, c_unheard_last: i64,
    s_frames: u32, s_bytes: u64, s_retransmitted: u32, s_out_of_order: u32, s_lost_bytes: u64, s_cut_frames: u32, s_damaged: u32,
    s_fin: u16, s_rst: u16, s_calls: u32, s_replies: u32, s_last: i64, s_seq: u32,
    s_unheard: u32, s_unheard_first: i64, s_unheard_last: i64,
    syn: u16, syn_frame: u32, syn_time: i64, syn_last: i64, synack: u16, synack_frame: u32, synack_time: i64,
    rst_capture: u16, rst_frame: u32, rst_time: i64,
    icmp: u16, icmp_frame: u32, icmp_time: i64, icmp_code: u8, duplicates: u32, flags: u16, prog: u32,
});

rows!(Tallies of TallyRow {
    capture: u16, client: u32, server: u32, transport: u8, prog: u32, vers: u32, proc: u32, status: i32,
    machine: u32, interval: i64, first: i64, first_frame: u32, last: i64, exchanges: u32, latency_min: u64,
    latency_sum: u64, latency_max: u64, call_bytes: u64, reply_bytes: u64, cut: u32, encrypted: u32,
});

rows!(Latencies of LatencyRow {
    prog: u32, vers: u32, proc: u32, latency: u64, exchanges: u64,
});

rows!(Accesses of AccessRow {
    capture: u16, client: u32, server: u32, handle: u32, interval: i64, first: i64, first_frame: u32, last: i64,
    last_frame: u32, exchanges: u32, first_byte: u64, last_byte: u64,
});

rows!(Packets of PacketRow {
    capture: u16, frame: u32, flow: u32, source: u32, source_port: u16, tcp_flags: u8, length: u32, kind: u8,
});

rows!(Captures of CaptureRow {
    capture: u16, frames: u32, bytes: u64, first: i64, last: i64, cut_frames: u32, misordered: u32, duplicates: u32,
    not_ip: u32, unread: u32, unread_type: u32, rdma: u32, rdma_rpc: u32, truncated: u8,
});
