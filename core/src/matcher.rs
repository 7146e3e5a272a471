//! Calls and replies become exchanges: matched by client, server, ports, xid and time.
//!
//! A call that repeats an unanswered one (same xid, program, procedure and arguments from the same client to the same server,
//! whatever the connection) is a resend, at another port of the server only where the program has left the first. So is one
//! that crossed its reply. Any other call with its xid is a new exchange. A reply answers the newest unanswered call on its ports, else it is one more reply of
//! an answered one, else it waits a moment for a call captured after it. An answered exchange stays in reach for a while, for
//! late resends and replies, and leaves as a row. Arguments and results are decoded by layout as they pass; nothing of a body
//! is kept but that of a reply whose call may still come.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use crate::answering::Answering;
use crate::batch::{
    Copies, CopyRow, ExchangeRow, Exchanges, NO_NUMBER, NO_RPC_STATUS, NO_STATUS, NO_TIME, exchange_flag as flag,
};
use crate::bodies::Bodies;
use crate::exchange::{Exchange, ExchangeId, Fates, HASHED, Path};
use crate::gss::Gss;
use crate::known_names::{Decision, Repeats};
use crate::oddity::{Oddities, Place};
use crate::pool::{Pool, XidKey};
use crate::rpc::{self, Call, HEAD, RPCSEC_GSS, Record, Reply, word};
use crate::select::RawMessage;
use crate::shard::SHARDS;
use crate::strings::{NO_STRING, Strings};
use crate::tally::{Counts, Fold};
use crate::xdr::{Numbers, Owner};

/// Calls waiting for a reply, in a shard; at 200 bytes each 6 MB in all, and their strings as much again. Beyond, the
/// oldest is let go, marked so.
pub const MAX_UNANSWERED: usize = (1 << 15) / SHARDS;
/// Answered exchanges in reach of late copies, and for how long: past Linux's third major timeout (60 s each). Only a call
/// that was retransmitted gets late replies; the others stay for an equal reply captured out of order, or for a call captured
/// after its reply, and are few so that they stay in the processor's cache. What leaves is whole: these are horizons, and the
/// room of the beginnings of replies that wait for their calls (4 MiB). Of a shard.
pub const MAX_SETTLED: usize = 1 << 9;
/// Bytes of replies of which rows of fields were made, of those: a list of thousands of mappings, or names, has as many rows.
pub const MAX_SETTLED_BYTES: u64 = (8 << 20) / SHARDS as u64;
pub const MAX_SETTLED_RESENT: usize = (1 << 16) / SHARDS;
const SETTLED_NS: i64 = 300 * SECOND;
/// Exchanges of one client, server and xid in reach. Clients count xids up; more than this is a broken or hostile client.
const MAX_REUSES: usize = 8;
/// How long a reply may be captured before its call.
const REPLY_FIRST_NS: i64 = 2 * SECOND;
/// A client sends a call to another port of its server when its connection has failed, or a retransmission timer has run out:
/// Linux connects again after 3 s (`XS_TCP_INIT_REEST_TO`), and calls over UDP again after 1.1 s.
const MOVED_NS: i64 = SECOND;
/// How long after its reply a call is still a resend that crossed it: a round trip in a local network and a busy client's
/// scheduling take no longer, and a client that begins its xids anew does not send the same call again as soon as that.
const CROSSED_NS: i64 = 5_000_000;
const SECOND: i64 = 1_000_000_000;

#[derive(Default)]
pub struct Matcher {
    pub bodies: Bodies,
    pub output: Output,
    pub oddities: Oddities,
    /// Frames of which messages are handed out as they are.
    wanted: HashSet<(u16, u32)>,
    pool: Box<Pool>,
    queues: Box<Queues>,
    answering: Box<Answering>,
    /// The time of the frame at hand.
    now: i64,
    hasher: DefaultHashBuilder,
}

/// What is in reach in one shard, while another is at hand.
#[derive(Default)]
pub struct Reach {
    pool: Box<Pool>,
    queues: Box<Queues>,
    answering: Box<Answering>,
}

/// What became of exchanges that are out of reach, and copies of messages.
#[derive(Default)]
pub struct Output {
    pub rows: Exchanges,
    /// Those that perhaps repeat a known name.
    pub repeating: Exchanges,
    /// How many of all are not counted elsewhere.
    pub uncounted: usize,
    pub counts: Counts,
    pub copies: Copies,
    pub messages: Vec<RawMessage>,
}

impl Output {
    /// Exchanges and flows get other numbers.
    pub fn renumber(&mut self, exchange: impl Fn(u32) -> u32, flow: impl Fn(u32) -> u32) {
        let Output { rows, repeating, copies, messages, .. } = self;
        [&mut *rows, &mut *repeating].into_iter().for_each(Exchanges::turn);
        copies.turn();
        let exchanges = [&mut rows.exchange, &mut repeating.exchange, &mut copies.exchange].into_iter().flatten();
        exchanges
            .chain(messages.iter_mut().map(|message| &mut message.exchange))
            .for_each(|number| *number = exchange(*number));
        let flows = [&mut rows.flow, &mut repeating.flow, &mut copies.flow].into_iter().flatten();
        flows.for_each(|number| *number = flow(*number));
    }
}

/// Exchanges in the order in which they will leave; some have left already.
#[derive(Default)]
struct Queues {
    unanswered: VecDeque<ExchangeId>,
    /// How many of these wait for their reply yet.
    waiting: usize,
    /// Each with the bytes of its reply, if rows of fields were made of it.
    settled: VecDeque<(ExchangeId, u32)>,
    settled_bytes: u64,
    settled_resent: VecDeque<ExchangeId>,
}

impl Queues {
    fn settle(&mut self, at: ExchangeId, bytes: u32) {
        self.settled.push_back((at, bytes));
        self.settled_bytes += u64::from(bytes);
    }

    /// Whether as many have settled as stay in reach.
    fn is_full(&self) -> bool {
        self.settled.len() > MAX_SETTLED || self.settled_bytes > MAX_SETTLED_BYTES
    }
}

/// What a record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// With its program.
    Call(u32),
    Reply,
    /// A reply to no call that is known.
    Orphan,
    /// A reply after which the connection turns to TLS.
    StartTls,
    /// More than such a message can be.
    TooLong,
}

/// Of a call's arguments.
#[derive(Clone, Copy)]
struct Args {
    hash: u64,
    /// The numbers of the layouts of them and of the results.
    layouts: Numbers,
}

/// What is in reach with the xid of a call.
enum Earlier {
    /// The call itself.
    Same(ExchangeId),
    /// A reply that was captured before its call, which this is.
    ReplyFirst(ExchangeId),
    Others(Others),
}

/// Exchanges with one xid that a message does not belong to.
#[derive(Default)]
struct Others {
    count: usize,
    oldest: Option<ExchangeId>,
    /// The same call was among them, with its answer.
    repeated: bool,
}

impl Others {
    fn add(&mut self, at: ExchangeId) {
        (self.count, self.oldest) = (self.count + 1, Some(at));
    }
}

impl Matcher {
    /// `fold`: which exchanges are counted instead of listed. `wanted`: frames of which messages are handed out as they are.
    pub fn new(bodies: Bodies, fold: Fold, wanted: HashSet<(u16, u32)>) -> Matcher {
        let output = Output { counts: Counts::new(fold), ..Output::default() };
        Matcher { bodies, output, wanted, ..Matcher::default() }
    }

    /// Hashes as others do, whose exchanges it does not see.
    pub fn hash_by(&mut self, hasher: DefaultHashBuilder) {
        self.hasher = hasher;
    }

    /// Puts the shard at hand aside, and takes another one to hand. Numbers go on.
    #[inline]
    pub fn swap(&mut self, reach: &mut Reach, shard: usize) {
        reach.pool.next_number = self.pool.next_number;
        std::mem::swap(&mut self.pool, &mut reach.pool);
        std::mem::swap(&mut self.queues, &mut reach.queues);
        std::mem::swap(&mut self.answering, &mut reach.answering);
        (self.bodies.shard, self.output.counts.shard) = (shard, shard);
    }

    /// The number of the next exchange.
    pub fn next_number(&mut self) -> &mut u32 {
        &mut self.pool.next_number
    }

    /// A complete record. Returns what it was, for the flow's counters; if it cannot be so long, nothing was made of it.
    pub fn record(&mut self, path: Path, record: &Record<'_>) -> Option<MessageKind> {
        self.now = record.place.time;
        match rpc::parse_inline(record.data, record.length) {
            Some(rpc::Message::Call(call)) => {
                let layouts = self.bodies.layouts.find(call.prog, call.vers, call.proc);
                if !record.doubted && self.is_too_long(layouts.args, Gss::of(&call.cred), call.args, record) {
                    return Some(MessageKind::TooLong);
                }
                let (at, copy) = self.call(path, &call, layouts, record);
                self.hand_out(at, false, copy, record);
                Some(MessageKind::Call(call.prog))
            }
            Some(rpc::Message::Reply(reply)) => {
                let Some((at, copy)) = self.reply(path, &reply, record) else { return Some(MessageKind::TooLong) };
                self.hand_out(at, true, copy, record);
                let orphan = self.pool.get(at).is_some_and(|known| !known.has_call);
                self.let_go();
                Some(match orphan {
                    _ if reply.verf.body == rpc::STARTTLS => MessageKind::StartTls,
                    true => MessageKind::Orphan,
                    false => MessageKind::Reply,
                })
            }
            None => {
                self.oddities.push(if record.lost { "header-lost" } else { "not-rpc" }, record.length as u64);
                None
            }
        }
    }

    #[inline(always)]
    fn hand_out(&mut self, at: ExchangeId, reply: bool, copy: u16, record: &Record<'_>) {
        if !self.wanted.is_empty() && self.wanted.contains(&(record.place.capture, record.place.frame)) {
            self.copy_out(at, reply, copy, record);
        }
    }

    #[cold]
    fn copy_out(&mut self, at: ExchangeId, reply: bool, copy: u16, record: &Record<'_>) {
        let Some(exchange) = self.pool.get(at).map(|known| known.row.exchange) else { return };
        let Record { data, length, lost, place, .. } = *record;
        self.output.messages.push(RawMessage { place, exchange, reply, copy, length, lost, bytes: data.to_vec() });
    }

    pub fn awaits(&self, path: &Path, xid: u32) -> bool {
        self.awaited(path, xid).is_some()
    }

    /// The call to which this xid is the reply.
    fn awaited(&self, path: &Path, xid: u32) -> Option<&Exchange> {
        let (client, server) = (path.to, path.from);
        let mut chain = self.pool.chain(self.pool.key(client.address, server.address, xid)).map(|(_, known)| known);
        chain.find(|known| !known.answered() && known.on(client, server, path.transport))
    }

    /// How much of a record is worth storing, told from its beginning.
    pub fn keep(&self, path: &Path, head: &[u8]) -> usize {
        let layout = match rpc::parse(head, usize::MAX) {
            Some(rpc::Message::Call(call)) => self.bodies.layouts.find(call.prog, call.vers, call.proc).args,
            Some(rpc::Message::Reply(reply)) => {
                let key = self.pool.key(path.to.address, path.from.address, reply.xid);
                self.pool.newest(key).and_then(|known| known.results)
            }
            None => None,
        };
        self.bodies.layout(layout).map_or(HEAD, |layout| layout.keep)
    }

    /// The longest that a record can be that begins so.
    pub fn most(&self, path: &Path, head: &[u8]) -> usize {
        let (body, gss, layout) = match rpc::parse(head, usize::MAX) {
            Some(rpc::Message::Call(call)) => {
                (call.args, Gss::of(&call.cred), self.bodies.layouts.find(call.prog, call.vers, call.proc).args)
            }
            Some(rpc::Message::Reply(reply)) if reply.status == Some(0) => {
                let known = self.awaited(path, reply.xid);
                let (gss, layout) = known.map_or_else(Default::default, |known| (known.gss, known.results));
                (reply.results, gss, layout)
            }
            _ => (None, Gss::Bare, None),
        };
        match (body, self.bodies.layout(layout)) {
            (Some(body), Some(layout)) if gss == Gss::Bare => layout.most.saturating_add(head.len() - body.len()),
            _ => usize::MAX,
        }
    }

    /// Whether this body is longer than any of its layout. What RPCSEC_GSS wraps is longer by what it adds.
    #[inline]
    fn is_too_long(&self, layout: Option<u16>, gss: Gss, body: Option<&[u8]>, record: &Record<'_>) -> bool {
        let (Some(layout), Some(body)) = (self.bodies.layout(layout), body) else { return false };
        gss == Gss::Bare && (body.len() + record.length).saturating_sub(record.data.len()) > layout.most
    }

    /// Returns the exchange's place and which copy of the call this is.
    fn call(&mut self, path: Path, call: &Call<'_>, layouts: Numbers, record: &Record<'_>) -> (ExchangeId, u16) {
        let key = self.pool.key(path.from.address, path.to.address, call.xid);
        let args = Args { hash: self.hash(call, args_length(call, record)), layouts };
        match self.earlier(key, path, call, args.hash, record.place.time) {
            Earlier::ReplyFirst(at) => {
                self.adopt(at, path, call, record, args);
                (at, 0)
            }
            Earlier::Same(at) => (at, self.resend(at, path, record)),
            Earlier::Others(others) => {
                self.make_room(&others);
                let at = self.pool.insert(key, path, others.count > 0);
                self.begin(at, path, call, record, args);
                if others.repeated
                    && let Some(known) = self.pool.get_mut(at)
                {
                    known.row.flags |= flag::REPEATED;
                }
                if others.count > 0 {
                    self.note_reuse(key, at);
                }
                self.await_reply(at);
                (at, 0)
            }
        }
    }

    fn earlier(&self, key: XidKey, path: Path, call: &Call<'_>, args_hash: u64, time: i64) -> Earlier {
        let mut others = Others::default();
        for (at, known) in self.pool.chain(key) {
            others.add(at);
            let close = time.saturating_sub(known.row.reply_time);
            if !known.has_call {
                if known.on(path.from, path.to, path.transport) && close.saturating_abs() <= REPLY_FIRST_NS {
                    return Earlier::ReplyFirst(at);
                }
            } else if known.is_of(call, args_hash) {
                let answered = known.answered();
                let resent =
                    if answered { has_crossed(known, path, time) } else { self.may_be_resend(known, path, time) };
                if resent {
                    return Earlier::Same(at);
                }
                others.repeated |= answered;
            }
        }
        Earlier::Others(others)
    }

    /// Whether the same call goes to the same port, or to where the program is now. A program has moved when it answered at the
    /// first port once; another call with an xid, as scanners send it to every port, does not wait for that.
    fn may_be_resend(&self, known: &Exchange, path: Path, now: i64) -> bool {
        let (row, port) = (&known.row, known.server_port);
        port == path.to.port
            || (now.saturating_sub(row.time) >= MOVED_NS && self.answering.knows((row.server, row.prog, port)))
    }

    /// An xid that stands for different calls of one flow is out of the ordinary.
    fn note_reuse(&mut self, key: XidKey, at: ExchangeId) {
        let Some(row) = self.pool.get(at).map(|known| known.row) else { return };
        let differs = |known: &Exchange| {
            known.has_call && known.row.flow == row.flow && (known.row.prog, known.row.proc) != (row.prog, row.proc)
        };
        let mut reused: Vec<ExchangeId> = self
            .pool
            .chain(key)
            .filter(|(other, known)| *other != at && differs(known))
            .map(|(other, _)| other)
            .collect();
        if !reused.is_empty() {
            reused.push(at);
        }
        for at in reused {
            if let Some(known) = self.pool.get_mut(at) {
                known.xid_reused = true;
            }
        }
    }

    fn hash(&self, call: &Call<'_>, length: usize) -> u64 {
        // A resend under RPCSEC_GSS has a new sequence number and checksum in it; its length must do.
        let args = call.args.filter(|_| call.cred.flavor != RPCSEC_GSS).unwrap_or_default();
        self.hasher.hash_one((length, args.get(..HASHED).unwrap_or(args)))
    }

    /// Fills in what the call says.
    #[inline(always)]
    fn begin(&mut self, at: ExchangeId, path: Path, call: &Call<'_>, record: &Record<'_>, known_args: Args) {
        let credential = rpc::sys_credential(&call.cred);
        let machine = credential.and_then(|(name, _)| self.bodies.machine(name)).unwrap_or(NO_STRING);
        let Some(known) = self.pool.get_mut(at) else { return };
        known.has_call = true;
        known.go_by(path);
        known.last_sent = record.place.time;
        known.args_hash = known_args.hash;
        known.results = known_args.layouts.results;
        known.end = record.end;
        known.gss = Gss::of(&call.cred);
        let row = &mut known.row;
        row.flow = path.flow;
        row.client_port = path.from.port;
        row.server_port = path.to.port;
        (row.capture, row.call_frame, row.time) = (record.place.capture, record.place.frame, record.place.time);
        (row.prog, row.vers, row.proc) = (call.prog, call.vers, call.proc);
        row.flavor = if call.args.is_some() || !call.cred.body.is_empty() { call.cred.flavor } else { NO_NUMBER };
        row.machine = machine;
        row.uid = credential.map_or(NO_NUMBER, |(_, uid)| uid);
        row.call_bytes = record.length as u32;
        if known.gss == Gss::Opaque {
            row.flags |= flag::ENCRYPTED;
        }
        let owner = Owner { exchange: row.exchange, copy: 0, frame: record.place.frame };
        let Some(args) = call.args else {
            row.flags |= flag::CALL_CUT;
            return;
        };
        let Some((args, length)) = known.gss.open(args, args_length(call, record)) else { return };
        if let Some((handle, bytes)) = self.output.counts.fold.target((call.prog, call.vers, call.proc), args) {
            known.handle = self.bodies.handle(handle, &mut self.oddities);
            known.bytes = bytes;
        }
        known.decoded |= self.bodies.layout(known_args.layouts.args).is_some_and(|layout| layout.fills);
        let outcome = self.bodies.decode(known_args.layouts.args, (args, length), owner, &mut self.oddities);
        let outcome = outcome.unwrap_or_default();
        if outcome.cut {
            row.flags |= flag::CALL_CUT;
        }
        if outcome.malformed {
            row.flags |= flag::UNDECODABLE;
        }
    }

    /// The call of a reply that was captured before it.
    #[cold]
    #[inline(never)]
    fn adopt(&mut self, at: ExchangeId, path: Path, call: &Call<'_>, record: &Record<'_>, args: Args) {
        self.begin(at, path, call, record, args);
        let Some(known) = self.pool.get_mut(at) else { return };
        let Some(data) = known.reply_first.take() else { return };
        let ExchangeRow { reply_capture, reply_frame, reply_time, reply_bytes, .. } = known.row;
        let place = Place { capture: reply_capture, frame: reply_frame, time: reply_time };
        let length = reply_bytes as usize;
        let record = Record { data: &data, length, lost: false, doubted: true, end: 0, place };
        if let Some(rpc::Message::Reply(reply)) = rpc::parse(&data, length) {
            let outcome = self.results(at, &reply, &record, 0);
            if let Some(known) = self.pool.get_mut(at) {
                known.set_status(&reply, outcome);
            }
        }
    }

    fn resend(&mut self, at: ExchangeId, path: Path, record: &Record<'_>) -> u16 {
        let Some(known) = self.pool.get_mut(at) else { return 0 };
        known.row.retransmits = known.row.retransmits.saturating_add(1);
        let copy = known.row.retransmits;
        known.last_sent = record.place.time;
        known.go_by(path);
        known.end = record.end;
        let Place { capture, frame, time } = record.place;
        let (rpc_status, status) = (NO_RPC_STATUS, NO_STATUS);
        let exchange = known.row.exchange;
        let row = CopyRow { exchange, reply: 0, capture, frame, time, flow: path.flow, rpc_status, status };
        self.output.copies.push(row);
        copy
    }

    /// Returns the exchange's place and which copy of its reply this is; nothing if the reply cannot be so long.
    fn reply(&mut self, path: Path, reply: &Reply<'_>, record: &Record<'_>) -> Option<(ExchangeId, u16)> {
        let (client, server) = (path.to, path.from);
        let key = self.pool.key(client.address, server.address, reply.xid);
        let mut answered = None;
        let mut others = Others::default();
        let mut waiting = None;
        for (at, known) in self.pool.chain(key) {
            others.add(at);
            if !known.on(client, server, path.transport) {
                continue;
            }
            if !known.answered() {
                waiting = Some((at, known));
                break;
            }
            answered = answered.or(Some(at));
        }
        Some(match (waiting, answered) {
            (Some((at, known)), _) => {
                if !record.doubted && self.is_too_long_reply(known, reply, record) {
                    return None;
                }
                self.answer(at, reply, record);
                (at, 0)
            }
            (None, Some(at)) => (at, self.one_more(at, path, reply, record)),
            (None, None) => {
                self.make_room(&others);
                (self.orphan(key, path, reply, record, others.count > 0), 0)
            }
        })
    }

    #[inline]
    fn is_too_long_reply(&self, known: &Exchange, reply: &Reply<'_>, record: &Record<'_>) -> bool {
        reply.status == Some(0) && self.is_too_long(known.results, known.gss, reply.results, record)
    }

    fn answer(&mut self, at: ExchangeId, reply: &Reply<'_>, record: &Record<'_>) {
        let outcome = self.results(at, reply, record, 0);
        let Some(known) = self.pool.get_mut(at) else { return };
        known.set_status(reply, outcome);
        let Place { capture, frame, time } = record.place;
        (known.row.reply_capture, known.row.reply_frame, known.row.reply_time) = (capture, frame, time);
        known.row.reply_bytes = record.length as u32;
        if known.row.rpc_status == 0 {
            self.answering.note((known.row.server, known.row.prog, known.server_port));
        }
        let bytes = if known.decoded { known.row.reply_bytes } else { 0 };
        self.queues.settle(at, bytes);
        self.queues.waiting = self.queues.waiting.saturating_sub(1);
    }

    fn one_more(&mut self, at: ExchangeId, path: Path, reply: &Reply<'_>, record: &Record<'_>) -> u16 {
        let Some(known) = self.pool.get_mut(at) else { return 0 };
        known.row.duplicates = known.row.duplicates.saturating_add(1);
        let (exchange, copy) = (known.row.exchange, known.row.duplicates);
        let (status, _) = self.results(at, reply, record, copy);
        let Place { capture, frame, time } = record.place;
        let rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        let row = CopyRow { exchange, reply: 1, capture, frame, time, flow: path.flow, rpc_status, status };
        self.output.copies.push(row);
        copy
    }

    #[cold]
    fn orphan(&mut self, key: XidKey, path: Path, reply: &Reply<'_>, record: &Record<'_>, again: bool) -> ExchangeId {
        let at = self.pool.insert(key, path.back(), again);
        let Some(known) = self.pool.get_mut(at) else { return at };
        let Place { capture, frame, time } = record.place;
        let row = &mut known.row;
        (row.client_port, row.server_port) = (path.to.port, path.from.port);
        (row.capture, row.reply_capture, row.reply_frame) = (capture, capture, frame);
        (row.time, row.reply_time) = (time, time);
        row.reply_bytes = record.length as u32;
        row.rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        known.reply_first = Some(Box::new(record.data.get(..HEAD).unwrap_or(record.data).to_vec()));
        self.queues.settle(at, 0);
        at
    }

    /// Decodes the results: the procedure's own status, and whether the capture cut them.
    fn results(&mut self, at: ExchangeId, reply: &Reply<'_>, record: &Record<'_>, copy: u16) -> (i32, bool) {
        let Some(known) = self.pool.get_mut(at) else { return (NO_STATUS, false) };
        let captured = record.data.len();
        let Some(results) = reply.results.filter(|_| reply.status == Some(0)) else {
            return (NO_STATUS, captured < record.length && reply.status.is_none_or(|status| status == 0));
        };
        let Some(layout) = self.bodies.layout(known.results) else { return (NO_STATUS, false) };
        known.decoded |= layout.fills;
        let (shows_names, number) = (layout.secondary && known.decoded, known.results);
        let header = captured.saturating_sub(results.len());
        let Some(body) = known.gss.open(results, record.length.saturating_sub(header)) else {
            return (NO_STATUS, false);
        };
        let owner = Owner { exchange: known.row.exchange, copy, frame: record.place.frame };
        if shows_names && copy == 0 {
            self.compare_names(at, body.0, record.place.time);
        }
        let outcome = self.bodies.decode(number, body, owner, &mut self.oddities).unwrap_or_default();
        (outcome.status.map_or(NO_STATUS, |status| status as i32), outcome.cut)
    }

    /// Notes whether results that show names of files repeat what is known.
    #[inline(never)]
    fn compare_names(&mut self, at: ExchangeId, results: &[u8], now: i64) {
        let Some(known) = self.pool.get_mut(at).filter(|_| word(results, 0) == Some(0)) else { return };
        let usual = known.is_usual() && self.output.counts.is_in_time(&known.row, now);
        if self.bodies.repeats(&known.row, (known.whole_args(), usual), results, now) {
            known.repeats = Repeats::Perhaps;
        }
    }

    /// Of exchanges in reach in the shard at hand that perhaps repeat a known name.
    pub fn decide(&mut self, decision: Decision) {
        let becomes = if decision == Decision::Go { Repeats::Yes } else { Repeats::No };
        let perhaps = self.pool.iter_mut().filter(|known| known.repeats == Repeats::Perhaps);
        perhaps.for_each(|known| known.repeats = becomes);
    }

    #[inline(always)]
    fn await_reply(&mut self, at: ExchangeId) {
        let Matcher { pool, queues, .. } = self;
        while queues.unanswered.front().is_some_and(|at| pool.get(*at).is_none_or(Exchange::answered)) {
            queues.unanswered.pop_front();
        }
        queues.unanswered.push_back(at);
        queues.waiting += 1;
        while self.queues.waiting > MAX_UNANSWERED {
            let Some(oldest) = self.queues.unanswered.pop_front() else { break };
            if self.pool.get(oldest).is_some_and(|known| !known.answered()) {
                self.evict(oldest);
            }
        }
        if self.queues.unanswered.len() > 2 * MAX_UNANSWERED {
            let pool = &self.pool;
            self.queues.unanswered.retain(|at| pool.get(*at).is_some_and(|known| !known.answered()));
        }
    }

    /// The oldest of too many exchanges with one xid goes.
    fn make_room(&mut self, others: &Others) {
        let Some(oldest) = others.oldest.filter(|_| others.count >= MAX_REUSES) else { return };
        self.evict(oldest);
    }

    /// Lets go of an exchange that may still be needed: a call without its answer is marked so.
    fn evict(&mut self, at: ExchangeId) {
        let Some(known) = self.pool.get(at) else { return };
        if known.answered() {
            self.finish(at, 0);
        } else {
            self.oddities.push("call-evicted", u64::from(known.row.exchange));
            self.finish(at, flag::EVICTED);
        }
    }

    /// Lets go of settled exchanges that are too old or too many to see further copies.
    fn let_go(&mut self) {
        while let Some((at, bytes)) = self.queues.settled.front().copied() {
            let known = self.pool.get(at);
            if !self.queues.is_full() && !self.is_past(known) {
                break;
            }
            let resent = known.is_some_and(|known| known.row.retransmits > 0);
            self.queues.settled.pop_front();
            self.queues.settled_bytes = self.queues.settled_bytes.saturating_sub(bytes.into());
            if resent {
                self.queues.settled_resent.push_back(at);
            } else {
                self.finish(at, 0);
            }
        }
        while let Some(at) = self.queues.settled_resent.front().copied() {
            if self.queues.settled_resent.len() <= MAX_SETTLED_RESENT && !self.is_past(self.pool.get(at)) {
                break;
            }
            self.queues.settled_resent.pop_front();
            self.finish(at, 0);
        }
    }

    /// Whether an exchange has left, or settled too long before the frame at hand: one corrupt time stamp far ahead must not age
    /// all that come after it.
    fn is_past(&self, known: Option<&Exchange>) -> bool {
        known.is_none_or(|known| {
            let settled = known.row.reply_time.max(known.row.time);
            settled != NO_TIME && self.now != NO_TIME && self.now.saturating_sub(settled) > SETTLED_NS
        })
    }

    /// The capture has ended: everything leaves as rows.
    pub fn finish_all(&mut self, fates: &impl Fates) {
        let left: Vec<_> = self.pool.iter().map(|(at, known)| (at, known.fate_flags(fates))).collect();
        left.into_iter().for_each(|(at, flags)| self.finish(at, flags));
        *self.queues = Queues::default();
    }

    /// The exchanges in reach in the shard at hand, as they stand.
    pub fn in_reach(&self, fates: &impl Fates, rows: &mut Exchanges) {
        for (_, known) in self.pool.iter() {
            rows.push(ExchangeRow { flags: known.row.flags | known.fate_flags(fates), ..known.row });
        }
    }

    /// Exchanges in reach in the shard at hand get other numbers, of themselves and of their flows.
    pub fn renumber(&mut self, exchange: impl Fn(u32) -> u32, flow: impl Fn(u32) -> u32) {
        for known in self.pool.iter_mut() {
            known.row.exchange = exchange(known.row.exchange);
            (known.row.flow, known.flow) = (flow(known.row.flow), flow(known.flow));
        }
    }

    /// Exchanges in reach in the shard at hand get other numbers of strings.
    pub fn renew_strings(&mut self, mut renewed: impl FnMut(&mut Strings, u32) -> u32) {
        let strings = &mut self.bodies.strings;
        for known in self.pool.iter_mut() {
            known.row.machine = renewed(strings, known.row.machine);
            known.handle = renewed(strings, known.handle);
        }
    }

    /// The addresses of exchanges in reach in the shard at hand.
    pub fn addresses(&self) -> impl Iterator<Item = u32> {
        self.pool.iter().flat_map(|(_, known)| [known.row.client, known.row.server])
    }

    /// Takes one exchange out of reach and makes its row.
    fn finish(&mut self, at: ExchangeId, flags: u16) {
        let Some(Exchange { row, handle, bytes, decoded, repeats, xid_reused, .. }) = self.pool.get_mut(at) else {
            return;
        };
        row.flags |= flags;
        if row.reply_frame == 0 {
            self.queues.waiting = self.queues.waiting.saturating_sub(1);
        }
        let Output { rows, repeating, uncounted, counts, .. } = &mut self.output;
        if *handle != NO_STRING {
            counts.count_access(*handle, *bytes, row, &mut self.oddities);
        }
        let counted = !*xid_reused && counts.count(row, &mut self.oddities);
        if counted && *decoded {
            row.flags |= flag::COUNTED;
        }
        *uncounted += usize::from(!counted);
        match (counted, *repeats) {
            (false, _) => rows.push(*row),
            (true, Repeats::No) if *decoded => rows.push(*row),
            (true, Repeats::Perhaps) => repeating.push(*row),
            _ => {}
        }
        self.pool.remove(at);
    }
}

/// Whether the same call was on its way when its reply came: by the same connection, about the time of the reply. After a
/// reply that refuses it, a client sends the call again on purpose: Linux with a new credential.
fn has_crossed(known: &Exchange, path: Path, now: i64) -> bool {
    let since = now.saturating_sub(known.row.reply_time).saturating_abs();
    known.row.rpc_status == 0 && known.flow == path.flow && now != NO_TIME && since <= CROSSED_NS
}

/// Length of the arguments on the wire.
fn args_length(call: &Call<'_>, record: &Record<'_>) -> usize {
    let captured = call.args.map_or(0, <[u8]>::len);
    captured + record.length.saturating_sub(record.data.len())
}
