//! One exchange in reach: a call, a reply or both, with what is needed to see that a later message belongs to it.

use slotmap::DefaultKey;

use crate::batch::{ExchangeRow, NO_NUMBER, NO_RPC_STATUS, NO_STATUS, NO_TIME, exchange_flag as flag};
use crate::gss::Gss;
use crate::known_names::Repeats;
use crate::rpc::{Call, RPCSEC_GSS, Reply, UNKNOWN};
use crate::shard::At;
use crate::strings::NO_STRING;
use crate::tally::ByteRange;

/// An exchange's place in the pool, which none that comes later has.
pub type ExchangeId = DefaultKey;

/// So many bytes of arguments are hashed: all of most.
pub const HASHED: usize = 512;

/// One end of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party {
    pub address: u32,
    pub port: u16,
}

/// The connection, or pair of UDP ports, that a message went by, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    pub from: Party,
    pub to: Party,
    pub transport: u8,
    pub flow: u32,
    /// Where the flow table holds it.
    pub at: At,
    /// Which of the flow's two sides `from` is.
    pub side: u8,
}

impl Path {
    /// The same way in the other direction, as a call went that this message answers.
    pub fn back(self) -> Path {
        Path { from: self.to, to: self.from, ..self }
    }
}

/// Thousands are in reach: they are to stay in the processor's cache.
#[derive(Debug, Default)]
pub struct Exchange {
    pub row: ExchangeRow,
    /// Of the latest copy of the call, as the others that follow: a reply comes by the connection that the call went by.
    pub flow: u32,
    at: At,
    side: u8,
    client_port: u16,
    pub server_port: u16,
    /// When it was sent.
    pub last_sent: i64,
    pub end: u32,
    pub args_hash: u64,
    pub gss: Gss,
    /// The number of the layout of its results.
    pub results: Option<u16>,
    pub has_call: bool,
    /// Rows of decoded fields refer to it.
    pub decoded: bool,
    pub repeats: Repeats,
    /// Of what it is done to, as a number of a string.
    pub handle: u32,
    pub bytes: ByteRange,
    /// Its xid stands for another call as well.
    pub xid_reused: bool,
    /// The exchange before it of the same client, server and xid.
    pub older: Option<ExchangeId>,
    /// The beginning of a reply that was captured before its call.
    pub reply_first: Option<Box<Vec<u8>>>,
}

impl Exchange {
    /// An exchange of which nothing is known yet but who takes part in it: `path` as its call goes.
    pub fn new(id: u32, xid: u32, path: Path) -> Exchange {
        let row = ExchangeRow {
            exchange: id,
            client: path.from.address,
            server: path.to.address,
            xid,
            transport: path.transport,
            flow: path.flow,
            reply_time: NO_TIME,
            rpc_status: NO_RPC_STATUS,
            status: NO_STATUS,
            prog: UNKNOWN,
            vers: UNKNOWN,
            proc: UNKNOWN,
            flavor: NO_NUMBER,
            machine: NO_NUMBER,
            uid: NO_NUMBER,
            ..ExchangeRow::default()
        };
        let mut exchange = Exchange { row, handle: NO_STRING, ..Exchange::default() };
        exchange.go_by(path);
        exchange
    }

    /// Its call goes this way.
    #[inline(always)]
    pub fn go_by(&mut self, path: Path) {
        (self.flow, self.at, self.side) = (path.flow, path.at, path.side);
        (self.client_port, self.server_port) = (path.from.port, path.to.port);
    }

    fn path(&self) -> Path {
        let from = Party { address: self.row.client, port: self.client_port };
        let to = Party { address: self.row.server, port: self.server_port };
        Path { from, to, transport: self.row.transport, flow: self.flow, at: self.at, side: self.side }
    }

    pub fn answered(&self) -> bool {
        self.row.reply_frame != 0
    }

    /// Whether it is between these ports.
    pub fn on(&self, client: Party, server: Party, transport: u8) -> bool {
        self.row.transport == transport
            && (self.client_port == client.port || self.row.client_port == client.port)
            && self.server_port == server.port
    }

    /// Whether this call, with such arguments, is its own once more.
    pub fn is_of(&self, call: &Call<'_>, args_hash: u64) -> bool {
        let row = &self.row;
        (row.prog, row.vers, row.proc) == (call.prog, call.vers, call.proc) && self.args_hash == args_hash
    }

    /// The hash of its arguments, where it stands for all of them.
    pub fn whole_args(&self) -> Option<u64> {
        let row = &self.row;
        let whole = row.flags == 0 && row.flavor != RPCSEC_GSS && row.call_bytes as usize <= HASHED;
        whole.then_some(self.args_hash)
    }

    /// Whether its call was sent once, by an xid of its own.
    pub fn is_usual(&self) -> bool {
        self.row.retransmits == 0 && !self.xid_reused
    }

    /// How it ended: by its reply, and as the results say, if the capture did not cut them.
    pub fn set_status(&mut self, reply: &Reply<'_>, (status, cut): (i32, bool)) {
        self.row.rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        self.row.status = status;
        if cut {
            self.row.flags |= flag::REPLY_CUT;
        }
    }

    /// What the fate of its connection adds to its flags, if it has no answer.
    pub fn fate_flags(&self, fates: &impl Fates) -> u16 {
        if self.answered() { 0 } else { fates.fate(&self.path()).map_or(0, |fate| self.judge(&fate)) }
    }

    fn judge(&self, fate: &Fate) -> u16 {
        let after = fate.reply_side_frames > 0 && fate.reply_side_last >= self.row.time;
        let acked = fate.acked.is_some_and(|acked| acked.wrapping_sub(self.end) as i32 >= 0);
        let loss = fate.reply_side_loss.is_some_and(|at| at >= self.row.time)
            // A client that had its answer would not have called again.
            || fate.reply_side_damage.is_some_and(|at| at >= self.last_sent);
        let bits = [
            (fate.reply_side_frames > 0, flag::REPLY_SIDE_SEEN),
            (after, flag::REPLY_SIDE_SEEN_AFTER),
            (loss, flag::REPLY_SIDE_LOSS),
            (fate.died, flag::CONNECTION_DIED),
            (acked, flag::CALL_ACKED),
        ];
        bits.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit)
    }
}

/// The state of an unanswered call's connection in the flow table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    pub reply_side_frames: u32,
    pub reply_side_last: i64,
    pub reply_side_loss: Option<i64>,
    /// When a frame was damaged that may have held a reply.
    pub reply_side_damage: Option<i64>,
    pub died: bool,
    pub acked: Option<u32>,
}

/// The flow table, as the source of the state of an unanswered call's connection.
pub trait Fates {
    /// None where the connection is no longer known.
    fn fate(&self, path: &Path) -> Option<Fate>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_stands_for_all_arguments_of_a_usual_call() {
        let usual = Exchange::new(1, 2, Path::default());
        let changed = |change: &dyn Fn(&mut Exchange)| {
            let mut exchange = Exchange::new(1, 2, Path::default());
            (exchange.args_hash, exchange.row.call_bytes) = (7, HASHED as u32);
            change(&mut exchange);
            exchange.whole_args()
        };
        assert!(usual.whole_args().is_some());
        assert_eq!(changed(&|_| {}), Some(7));
        assert_eq!(changed(&|exchange| exchange.row.call_bytes += 1), None);
        assert_eq!(changed(&|exchange| exchange.row.flavor = RPCSEC_GSS), None);
        assert_eq!(changed(&|exchange| exchange.row.flags = flag::CALL_CUT), None);
    }

    #[test]
    fn a_call_that_is_sent_again_is_not_usual() {
        let usual = |change: &dyn Fn(&mut Exchange)| {
            let mut exchange = Exchange::new(1, 2, Path::default());
            change(&mut exchange);
            exchange.is_usual()
        };
        assert!(usual(&|_| {}));
        assert!(!usual(&|exchange| exchange.row.retransmits = 1));
        assert!(!usual(&|exchange| exchange.xid_reused = true));
    }

    #[test]
    fn thousands_stay_in_a_second_level_cache() {
        assert_eq!(size_of::<Exchange>(), 176);
    }
}
