//! Calls and replies become exchanges: matched by client, server, ports, xid and time.
//!
//! A call that repeats an unanswered one (same xid, program, procedure and arguments from the same client to the same server,
//! whatever the connection) is a resend, at another port of the server only where the program has left the first; any other
//! call with its xid is a new exchange. A reply answers the newest unanswered call on its ports, else it is one more reply of
//! an answered one, else it waits a moment for a call captured after it. An answered exchange stays in reach for a while, for
//! late resends and replies, and leaves as a row. Arguments and results are decoded by layout as they pass; nothing of a body
//! is kept but that of a reply whose call may still come.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use crate::batch::{Copies, CopyRow, ExchangeRow, Exchanges, NO_RPC_STATUS, NO_STATUS, NO_TIME, exchange_flag as flag};
use crate::oddity::{Oddities, Place};
use crate::rpc::{self, Auth, Call, HEAD, Record, Reply, UNKNOWN, word};
use crate::select::RawMessage;
use crate::strings::{self, Strings};
use crate::tally::Counts;
use crate::xdr::{Layouts, Owner, Run, Table};

/// Calls waiting for a reply; at 200 bytes each 50 MB. Beyond, the oldest is let go, marked so.
pub const MAX_UNANSWERED: usize = 1 << 18;
/// Answered exchanges in reach of late copies, and for how long: past Linux's third major timeout (60 s each). Only a call
/// that was sent again gets late replies; the others stay for an equal reply captured out of order, or for a call captured
/// after its reply, and are few so that they stay in the processor's cache. What leaves is whole: these are horizons, and the
/// room of the beginnings of replies that wait for their calls (4 MiB).
const MAX_SETTLED: usize = 1 << 12;
const MAX_SETTLED_RESENT: usize = 1 << 16;
const SETTLED_NS: i64 = 300 * SECOND;
/// Exchanges of one client, server and xid in reach. Clients count xids up; more than this is a broken or hostile client.
const MAX_REUSES: usize = 8;
/// How long a reply may be captured before its call.
const REPLY_FIRST_NS: i64 = 2 * SECOND;
/// A client sends a call to another port of its server when its connection has failed, or a retransmission timer has run out:
/// Linux connects again after 3 s (`XS_TCP_INIT_REEST_TO`), and calls over UDP again after 1.1 s.
const MOVED_NS: i64 = SECOND;
/// Places where programs answer that are known: what one capture has of them, with room.
const ANSWERING: usize = 1 << 8;
const SECOND: i64 = 1_000_000_000;

/// Client and server in one word, and the xid.
type Key = (u64, u32);

fn key(client: u32, server: u32, xid: u32) -> Key {
    (u64::from(client) << 32 | u64::from(server), xid)
}

/// Where programs have answered: server, program and port, each in the one place that it may have, whoever stood there before.
#[derive(Debug)]
struct Answering([(u32, u32, u16); ANSWERING]);

impl Default for Answering {
    fn default() -> Self {
        Answering([(NONE, NONE, 0); ANSWERING])
    }
}

impl Answering {
    fn at((server, prog, port): (u32, u32, u16)) -> usize {
        (server.wrapping_mul(31) ^ prog ^ u32::from(port)) as usize % ANSWERING
    }

    #[inline]
    fn note(&mut self, place: (u32, u32, u16)) {
        if let Some(known) = self.0.get_mut(Answering::at(place)) {
            *known = place;
        }
    }

    fn knows(&self, place: (u32, u32, u16)) -> bool {
        self.0.get(Answering::at(place)) == Some(&place)
    }
}

const AUTH_SYS: u32 = 1;
const RPCSEC_GSS: u32 = 6;
const NONE: u32 = u32::MAX;

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
    pub slot: u32,
    /// Which of the flow's two sides `from` is.
    pub side: u8,
}

/// What the flow table knows of an unanswered call's connection.
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

#[derive(Debug, Default)]
struct Exchange {
    row: ExchangeRow,
    /// As of the latest copy of the call: a reply comes by the connection that the call went by.
    path: Path,
    first_client_port: u16,
    /// When the latest copy of the call was sent.
    last_sent: i64,
    args_hash: u64,
    end: u32,
    gss: Gss,
    /// The number of the layout of its results.
    results: Option<usize>,
    has_call: bool,
    /// Rows of decoded fields refer to it.
    decoded: bool,
    /// Of what it is done to, as a number of a string.
    handle: u32,
    /// Its xid stands for another call as well.
    xid_reused: bool,
    older: u32,
    live: bool,
    reply_first: Option<Box<[u8]>>,
}

/// How RPCSEC_GSS wraps a body (RFC 2203 section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gss {
    #[default]
    Bare,
    Integrity,
    /// Encrypted, or the context's own messages.
    Opaque,
}

impl Gss {
    fn of(cred: &Auth<'_>) -> Gss {
        const DATA: u32 = 0;
        if cred.flavor != RPCSEC_GSS {
            return Gss::Bare;
        }
        match (word(cred.body, 4), word(cred.body, 12)) {
            (Some(DATA), Some(1)) => Gss::Bare,
            (Some(DATA), Some(2)) => Gss::Integrity,
            _ => Gss::Opaque,
        }
    }

    /// The arguments or results inside a body of `length` bytes, and their length.
    fn open(self, body: &[u8], length: usize) -> Option<(&[u8], usize)> {
        match self {
            Gss::Bare => Some((body, length)),
            Gss::Opaque => None,
            Gss::Integrity => {
                let inner = (word(body, 0)? as usize).checked_sub(4)?;
                let data = body.get(8..)?;
                Some((data.get(..inner).unwrap_or(data), inner))
            }
        }
    }
}

impl Exchange {
    fn answered(&self) -> bool {
        self.row.reply_frame != 0
    }

    fn on(&self, client: Party, server: Party, transport: u8) -> bool {
        self.row.transport == transport
            && (self.path.from.port == client.port || self.first_client_port == client.port)
            && self.path.to.port == server.port
    }
}

#[derive(Default)]
pub struct Messages {
    pub strings: Strings,
    pub layouts: Layouts,
    pub tables: Vec<Table>,
    pub rows: Exchanges,
    pub copies: Copies,
    pub counts: Counts,
    /// Frames of which messages are handed out as they are, and those messages.
    pub wanted: HashSet<(u16, u32)>,
    pub raw: Vec<RawMessage>,
    pool: Vec<Exchange>,
    free: Vec<u32>,
    newest: HashMap<Key, u32>,
    unanswered: VecDeque<(u32, u32)>,
    unanswered_count: usize,
    settled: VecDeque<(u32, u32)>,
    settled_resent: VecDeque<(u32, u32)>,
    next_id: u32,
    latest_machine: u32,
    answering: Answering,
    secondary_rows: u32,
    now: i64,
    hasher: DefaultHashBuilder,
}

impl Messages {
    /// A complete record. Returns what it was, for the flow's counters; if it cannot be so long, nothing was made of it.
    pub fn record(&mut self, path: Path, record: &Record<'_>, oddities: &mut Oddities) -> Option<Kind> {
        self.now = record.place.time;
        match rpc::parse(record.data, record.length) {
            Some(rpc::Message::Call(call)) => {
                let layout = self.layouts.find(call.prog, call.vers, call.proc, false);
                if !record.doubted && self.is_too_long(layout, Gss::of(&call.cred), call.args, record) {
                    return Some(Kind::TooLong);
                }
                let (at, copy) = self.call(path, &call, layout, record, oddities);
                self.hand_out(at, false, copy, record);
                Some(Kind::Call(call.prog))
            }
            Some(rpc::Message::Reply(reply)) => {
                let Some((at, copy)) = self.reply(path, &reply, record, oddities) else { return Some(Kind::TooLong) };
                self.hand_out(at, true, copy, record);
                let orphan = self.exchange(at).is_some_and(|known| !known.has_call);
                self.let_go(oddities);
                Some(match orphan {
                    _ if reply.verf.body == rpc::STARTTLS => Kind::StartTls,
                    true => Kind::Orphan,
                    false => Kind::Reply,
                })
            }
            None => {
                oddities.push(if record.lost { "header-lost" } else { "not-rpc" }, record.length as u64);
                None
            }
        }
    }

    #[inline(always)]
    fn hand_out(&mut self, at: u32, reply: bool, copy: u16, record: &Record<'_>) {
        if !self.wanted.is_empty() && self.wanted.contains(&(record.place.capture, record.place.frame)) {
            self.copy_out(at, reply, copy, record);
        }
    }

    #[cold]
    fn copy_out(&mut self, at: u32, reply: bool, copy: u16, record: &Record<'_>) {
        let Some(exchange) = self.exchange(at).map(|known| known.row.exchange) else { return };
        let Record { data, length, lost, place, .. } = *record;
        self.raw.push(RawMessage { place, exchange, reply, copy, length, lost, bytes: data.to_vec() });
    }

    pub fn awaits(&self, path: &Path, xid: u32) -> bool {
        self.awaited(path, xid).is_some()
    }

    /// The call to which this xid is the reply.
    fn awaited(&self, path: &Path, xid: u32) -> Option<&Exchange> {
        let (client, server) = (path.to, path.from);
        let chain = self.chain(key(client.address, server.address, xid));
        chain
            .filter_map(|at| self.exchange(at))
            .find(|known| !known.answered() && known.on(client, server, path.transport))
    }

    /// How much of a record is worth storing, told from its beginning.
    pub fn keep(&self, path: &Path, head: &[u8]) -> usize {
        let layout = match rpc::parse(head, usize::MAX) {
            Some(rpc::Message::Call(call)) => self.layouts.find(call.prog, call.vers, call.proc, false),
            Some(rpc::Message::Reply(reply)) => {
                let at = self.newest.get(&key(path.to.address, path.from.address, reply.xid));
                at.and_then(|at| self.exchange(*at)).and_then(|known| known.results)
            }
            None => None,
        };
        self.layouts.get(layout).map_or(HEAD, |layout| layout.keep)
    }

    /// The longest that a record can be that begins so.
    pub fn most(&self, path: &Path, head: &[u8]) -> usize {
        let (body, gss, layout) = match rpc::parse(head, usize::MAX) {
            Some(rpc::Message::Call(call)) => {
                (call.args, Gss::of(&call.cred), self.layouts.find(call.prog, call.vers, call.proc, false))
            }
            Some(rpc::Message::Reply(reply)) if reply.status == Some(0) => {
                let known = self.awaited(path, reply.xid);
                let (gss, layout) = known.map_or_else(Default::default, |known| (known.gss, known.results));
                (reply.results, gss, layout)
            }
            _ => (None, Gss::Bare, None),
        };
        match (body, self.layouts.get(layout)) {
            (Some(body), Some(layout)) if gss == Gss::Bare => layout.most.saturating_add(head.len() - body.len()),
            _ => usize::MAX,
        }
    }

    /// Whether this body is longer than any of its layout. What RPCSEC_GSS wraps is longer by what it adds.
    #[inline]
    fn is_too_long(&self, layout: Option<usize>, gss: Gss, body: Option<&[u8]>, record: &Record<'_>) -> bool {
        let (Some(layout), Some(body)) = (self.layouts.get(layout), body) else { return false };
        gss == Gss::Bare && (body.len() + record.length).saturating_sub(record.data.len()) > layout.most
    }

    fn exchange(&self, at: u32) -> Option<&Exchange> {
        self.pool.get(at as usize)
    }

    fn chain(&self, key: Key) -> impl Iterator<Item = u32> + '_ {
        let first = self.newest.get(&key).copied();
        std::iter::successors(first, |at| self.exchange(*at).map(|known| known.older).filter(|older| *older != NONE))
    }

    /// Returns the exchange's place and which copy of the call this is.
    fn call(
        &mut self,
        path: Path,
        call: &Call<'_>,
        layout: Option<usize>,
        record: &Record<'_>,
        oddities: &mut Oddities,
    ) -> (u32, u16) {
        let key = key(path.from.address, path.to.address, call.xid);
        let length = args_length(call, record);
        let args = Args { hash: self.hash(call, length), layout };
        let mut reuses = 0;
        let mut found = None;
        let mut oldest = NONE;
        let mut repeated = false;
        for at in self.chain(key) {
            let Some(known) = self.exchange(at) else { break };
            (reuses, oldest) = (reuses + 1, at);
            let close = record.place.time.saturating_sub(known.row.reply_time);
            if !known.has_call {
                if known.on(path.from, path.to, path.transport) && close.saturating_abs() <= REPLY_FIRST_NS {
                    found = Some((at, true));
                    break;
                }
            } else if same_call(known, call, args.hash) {
                if !known.answered() && self.may_be_resend(known, path, record.place.time) {
                    found = Some((at, false));
                    break;
                }
                repeated |= known.answered();
            }
        }
        match found {
            Some((at, true)) => {
                self.adopt(at, path, call, record, args, oddities);
                (at, 0)
            }
            Some((at, false)) => (at, self.resend(at, path, record)),
            None => {
                if reuses >= MAX_REUSES {
                    self.make_room(oldest, oddities);
                }
                let at = self.insert(key, path);
                self.begin(at, path, call, record, args, oddities);
                if let Some(known) = self.pool.get_mut(at as usize).filter(|_| repeated) {
                    known.row.flags |= flag::REPEATED;
                }
                if reuses > 0 {
                    self.note_reuse(key, at);
                }
                self.await_reply(at, oddities);
                (at, 0)
            }
        }
    }

    /// Whether the same call goes to the same port, or to where the program is now. A program has moved when it answered at the
    /// first port once; another call with an xid, as scanners send it to every port, does not wait for that.
    fn may_be_resend(&self, known: &Exchange, path: Path, now: i64) -> bool {
        let (row, port) = (&known.row, known.path.to.port);
        port == path.to.port
            || (now.saturating_sub(row.time) >= MOVED_NS && self.answering.knows((row.server, row.prog, port)))
    }

    /// An xid that stands for different calls of one flow is out of the ordinary.
    fn note_reuse(&mut self, key: Key, at: u32) {
        let Some(row) = self.exchange(at).map(|known| known.row) else { return };
        let chain: Vec<u32> = self.chain(key).filter(|other| *other != at).collect();
        for other in chain {
            let Some(known) = self.pool.get_mut(other as usize) else { continue };
            if known.has_call && known.row.flow == row.flow && (known.row.prog, known.row.proc) != (row.prog, row.proc)
            {
                known.xid_reused = true;
                if let Some(known) = self.pool.get_mut(at as usize) {
                    known.xid_reused = true;
                }
            }
        }
    }

    fn hash(&self, call: &Call<'_>, length: usize) -> u64 {
        // A resend under RPCSEC_GSS has a new sequence number and checksum in it; its length must do.
        const ENOUGH: usize = 512;
        let args = call.args.filter(|_| call.cred.flavor != RPCSEC_GSS).unwrap_or_default();
        self.hasher.hash_one((length, args.get(..ENOUGH).unwrap_or(args)))
    }

    fn insert(&mut self, key: Key, path: Path) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.pool.push(Exchange::default());
            (self.pool.len() - 1) as u32
        });
        let older = self.newest.insert(key, at).unwrap_or(NONE);
        let row = ExchangeRow {
            exchange: self.next_id,
            client: (key.0 >> 32) as u32,
            server: key.0 as u32,
            xid: key.1,
            transport: path.transport,
            flow: path.flow,
            reply_time: NO_TIME,
            rpc_status: NO_RPC_STATUS,
            status: NO_STATUS,
            prog: UNKNOWN,
            vers: UNKNOWN,
            proc: UNKNOWN,
            flavor: NONE,
            machine: NONE,
            uid: NONE,
            ..ExchangeRow::default()
        };
        self.next_id = self.next_id.wrapping_add(1);
        if let Some(slot) = self.pool.get_mut(at as usize) {
            *slot = Exchange { row, path, older, live: true, handle: strings::NONE, ..Exchange::default() };
        }
        at
    }

    /// Fills in what the call says.
    fn begin(
        &mut self,
        at: u32,
        path: Path,
        call: &Call<'_>,
        record: &Record<'_>,
        known_args: Args,
        oddities: &mut Oddities,
    ) {
        let credential = sys_credential(&call.cred);
        let machine = credential.and_then(|(name, _)| self.machine(name)).unwrap_or(strings::NONE);
        let Some(known) = self.pool.get_mut(at as usize) else { return };
        known.has_call = true;
        known.path = path;
        known.first_client_port = path.from.port;
        known.last_sent = record.place.time;
        known.args_hash = known_args.hash;
        known.results = self.layouts.find(call.prog, call.vers, call.proc, true);
        known.end = record.end;
        known.gss = Gss::of(&call.cred);
        let row = &mut known.row;
        row.flow = path.flow;
        row.client_port = path.from.port;
        row.server_port = path.to.port;
        (row.capture, row.call_frame, row.time) = (record.place.capture, record.place.frame, record.place.time);
        (row.prog, row.vers, row.proc) = (call.prog, call.vers, call.proc);
        row.flavor = if call.args.is_some() || !call.cred.body.is_empty() { call.cred.flavor } else { NONE };
        row.machine = machine;
        row.uid = credential.map_or(NONE, |(_, uid)| uid);
        row.call_bytes = record.length as u32;
        let gss = known.gss;
        if gss == Gss::Opaque {
            row.flags |= flag::ENCRYPTED;
        }
        let owner = Owner { exchange: row.exchange, copy: 0, frame: record.place.frame };
        let Some(args) = call.args else {
            known.row.flags |= flag::CALL_CUT;
            return;
        };
        let Some((args, length)) = gss.open(args, args_length(call, record)) else { return };
        if let Some(handle) = self.counts.fold.handle((call.prog, call.vers, call.proc), args) {
            known.handle = self.strings.intern(handle, true).unwrap_or(strings::NONE);
            if known.handle == strings::NONE {
                oddities.push("strings-full", handle.len() as u64);
            }
        }
        let Some(layout) = self.layouts.get(known_args.layout) else { return };
        let rows = &mut self.secondary_rows;
        let mut run = Run { tables: &mut self.tables, strings: &mut self.strings, oddities, owner, rows };
        known.decoded |= layout.fills;
        let outcome = run.run(layout, args, length);
        if outcome.cut {
            known.row.flags |= flag::CALL_CUT;
        }
        if outcome.malformed {
            known.row.flags |= flag::UNDECODABLE;
        }
    }

    /// The number of a machine's name, which is mostly that of the call before.
    fn machine(&mut self, name: &[u8]) -> Option<u32> {
        if self.strings.get(self.latest_machine) != Some(name) {
            self.latest_machine = self.strings.intern(name, false)?;
        }
        Some(self.latest_machine)
    }

    /// The call of a reply that was captured before it.
    fn adopt(
        &mut self,
        at: u32,
        path: Path,
        call: &Call<'_>,
        record: &Record<'_>,
        args: Args,
        oddities: &mut Oddities,
    ) {
        self.begin(at, path, call, record, args, oddities);
        let Some(known) = self.pool.get_mut(at as usize) else { return };
        let Some(data) = known.reply_first.take() else { return };
        let length = known.row.reply_bytes as usize;
        if let Some(rpc::Message::Reply(reply)) = rpc::parse(&data, length) {
            let place =
                Place { capture: known.row.reply_capture, frame: known.row.reply_frame, time: known.row.reply_time };
            let outcome = self.results(at, &reply, data.len(), length, place, 0, oddities);
            self.set_status(at, &reply, outcome);
        }
    }

    fn resend(&mut self, at: u32, path: Path, record: &Record<'_>) -> u16 {
        let Some(known) = self.pool.get_mut(at as usize) else { return 0 };
        known.row.retransmits = known.row.retransmits.saturating_add(1);
        let copy = known.row.retransmits;
        known.last_sent = record.place.time;
        known.path = path;
        known.end = record.end;
        let Place { capture, frame, time } = record.place;
        let (rpc_status, status) = (NO_RPC_STATUS, NO_STATUS);
        let exchange = known.row.exchange;
        self.copies.push(CopyRow { exchange, reply: 0, capture, frame, time, flow: path.flow, rpc_status, status });
        copy
    }

    /// Returns the exchange's place and which copy of its reply this is; nothing if the reply cannot be so long.
    fn reply(
        &mut self,
        path: Path,
        reply: &Reply<'_>,
        record: &Record<'_>,
        oddities: &mut Oddities,
    ) -> Option<(u32, u16)> {
        let (client, server) = (path.to, path.from);
        let key = key(client.address, server.address, reply.xid);
        let mut answered = None;
        let mut waiting = None;
        let (mut reuses, mut oldest) = (0, NONE);
        for at in self.chain(key) {
            (reuses, oldest) = (reuses + 1, at);
            let Some(known) = self.exchange(at).filter(|known| known.on(client, server, path.transport)) else {
                continue;
            };
            if !known.answered() {
                waiting = Some(at);
                break;
            }
            answered = answered.or(Some(at));
        }
        Some(match (waiting, answered) {
            (Some(at), _) => {
                if !record.doubted && self.is_too_long_reply(at, reply, record) {
                    return None;
                }
                self.answer(at, reply, record, oddities);
                (at, 0)
            }
            (None, Some(at)) => (at, self.one_more(at, path, reply, record, oddities)),
            (None, None) => {
                if reuses >= MAX_REUSES {
                    self.make_room(oldest, oddities);
                }
                (self.orphan(key, path, reply, record), 0)
            }
        })
    }

    #[inline]
    fn is_too_long_reply(&self, at: u32, reply: &Reply<'_>, record: &Record<'_>) -> bool {
        let Some(known) = self.exchange(at).filter(|_| reply.status == Some(0)) else { return false };
        self.is_too_long(known.results, known.gss, reply.results, record)
    }

    fn answer(&mut self, at: u32, reply: &Reply<'_>, record: &Record<'_>, oddities: &mut Oddities) {
        let outcome = self.results(at, reply, record.data.len(), record.length, record.place, 0, oddities);
        self.set_status(at, reply, outcome);
        let Some(known) = self.pool.get_mut(at as usize) else { return };
        let Place { capture, frame, time } = record.place;
        (known.row.reply_capture, known.row.reply_frame, known.row.reply_time) = (capture, frame, time);
        known.row.reply_bytes = record.length as u32;
        let place = (known.row.server, known.row.prog, known.path.to.port);
        self.settled.push_back((at, known.row.exchange));
        if known.row.rpc_status == 0 {
            self.answering.note(place);
        }
        self.unanswered_count = self.unanswered_count.saturating_sub(1);
    }

    fn one_more(
        &mut self,
        at: u32,
        path: Path,
        reply: &Reply<'_>,
        record: &Record<'_>,
        oddities: &mut Oddities,
    ) -> u16 {
        let Some(known) = self.pool.get_mut(at as usize) else { return 0 };
        known.row.duplicates = known.row.duplicates.saturating_add(1);
        let (exchange, copy) = (known.row.exchange, known.row.duplicates);
        let (status, _) = self.results(at, reply, record.data.len(), record.length, record.place, copy, oddities);
        let Place { capture, frame, time } = record.place;
        let rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        self.copies.push(CopyRow { exchange, reply: 1, capture, frame, time, flow: path.flow, rpc_status, status });
        copy
    }

    fn orphan(&mut self, key: Key, path: Path, reply: &Reply<'_>, record: &Record<'_>) -> u32 {
        let at = self.insert(key, Path { from: path.to, to: path.from, ..path });
        let Some(known) = self.pool.get_mut(at as usize) else { return at };
        let Place { capture, frame, time } = record.place;
        known.first_client_port = path.to.port;
        let row = &mut known.row;
        (row.client_port, row.server_port) = (path.to.port, path.from.port);
        (row.capture, row.reply_capture, row.reply_frame) = (capture, capture, frame);
        (row.time, row.reply_time) = (time, time);
        row.reply_bytes = record.length as u32;
        row.rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        known.reply_first = Some(record.data.get(..HEAD).unwrap_or(record.data).into());
        self.settled.push_back((at, known.row.exchange));
        at
    }

    /// Decodes the results: the procedure's own status, and whether the capture cut them.
    #[allow(clippy::too_many_arguments)]
    fn results(
        &mut self,
        at: u32,
        reply: &Reply<'_>,
        captured: usize,
        length: usize,
        place: Place,
        copy: u16,
        oddities: &mut Oddities,
    ) -> (i32, bool) {
        let Some(known) = self.pool.get_mut(at as usize) else { return (NO_STATUS, false) };
        let Some(results) = reply.results.filter(|_| reply.status == Some(0)) else {
            return (NO_STATUS, captured < length && reply.status.is_none_or(|status| status == 0));
        };
        let row = &known.row;
        let Some(layout) = self.layouts.get(known.results) else { return (NO_STATUS, false) };
        known.decoded |= layout.fills;
        let header = captured.saturating_sub(results.len());
        let Some((body, length)) = known.gss.open(results, length.saturating_sub(header)) else {
            return (NO_STATUS, false);
        };
        let owner = Owner { exchange: row.exchange, copy, frame: place.frame };
        let rows = &mut self.secondary_rows;
        let mut run = Run { tables: &mut self.tables, strings: &mut self.strings, oddities, owner, rows };
        let outcome = run.run(layout, body, length);
        (outcome.status.map_or(NO_STATUS, |status| status as i32), outcome.cut)
    }

    fn set_status(&mut self, at: u32, reply: &Reply<'_>, (status, cut): (i32, bool)) {
        let Some(known) = self.pool.get_mut(at as usize) else { return };
        known.row.rpc_status = reply.status.unwrap_or(NO_RPC_STATUS);
        known.row.status = status;
        if cut {
            known.row.flags |= flag::REPLY_CUT;
        }
    }

    fn await_reply(&mut self, at: u32, oddities: &mut Oddities) {
        let Some(id) = self.exchange(at).map(|known| known.row.exchange) else { return };
        self.unanswered.push_back((at, id));
        self.unanswered_count += 1;
        while self.unanswered_count > MAX_UNANSWERED {
            let Some((oldest, id)) = self.unanswered.pop_front() else { break };
            if self.waits(oldest, id) {
                oddities.push("call-evicted", u64::from(id));
                self.finish(oldest, flag::EVICTED, oddities);
            }
        }
        if self.unanswered.len() > 2 * MAX_UNANSWERED {
            let mut queue = std::mem::take(&mut self.unanswered);
            queue.retain(|(at, id)| self.waits(*at, *id));
            self.unanswered = queue;
        }
    }

    /// The oldest of too many exchanges with one xid goes.
    fn make_room(&mut self, oldest: u32, oddities: &mut Oddities) {
        let Some(known) = self.exchange(oldest) else { return };
        if known.answered() {
            self.finish(oldest, 0, oddities);
        } else {
            oddities.push("call-evicted", u64::from(known.row.exchange));
            self.finish(oldest, flag::EVICTED, oddities);
        }
    }

    fn waits(&self, at: u32, id: u32) -> bool {
        self.exchange(at).is_some_and(|known| known.live && known.row.exchange == id && !known.answered())
    }

    /// Lets go of settled exchanges that are too old or too many to see further copies.
    fn let_go(&mut self, oddities: &mut Oddities) {
        while let Some((at, id)) = self.settled.front().copied() {
            if self.settled.len() <= MAX_SETTLED && !self.aged(at, id) {
                break;
            }
            self.settled.pop_front();
            let Some(known) = self.exchange(at).filter(|known| known.live && known.row.exchange == id) else {
                continue;
            };
            if known.row.retransmits > 0 {
                self.settled_resent.push_back((at, id));
            } else {
                self.finish(at, 0, oddities);
            }
        }
        while let Some((at, id)) = self.settled_resent.front().copied() {
            if self.settled_resent.len() <= MAX_SETTLED_RESENT && !self.aged(at, id) {
                break;
            }
            self.settled_resent.pop_front();
            if self.exchange(at).is_some_and(|known| known.live && known.row.exchange == id) {
                self.finish(at, 0, oddities);
            }
        }
    }

    /// Compared with the frame at hand: one corrupt time stamp far ahead must not age all that come after it.
    fn aged(&self, at: u32, id: u32) -> bool {
        self.exchange(at).is_none_or(|known| {
            let settled = known.row.reply_time.max(known.row.time);
            let aged = settled != NO_TIME && self.now != NO_TIME && self.now.saturating_sub(settled) > SETTLED_NS;
            !known.live || known.row.exchange != id || aged
        })
    }

    /// The capture has ended: everything leaves as rows.
    pub fn finish_all(&mut self, fates: &impl Fates, oddities: &mut Oddities) {
        for at in 0..self.pool.len() as u32 {
            let Some(known) = self.exchange(at).filter(|known| known.live) else { continue };
            let flags =
                if known.answered() { 0 } else { fates.fate(&known.path).map_or(0, |fate| judge(&fate, known)) };
            self.finish(at, flags, oddities);
        }
        self.unanswered.clear();
        self.settled.clear();
        self.settled_resent.clear();
    }

    /// The exchanges still in reach, as they stand.
    pub fn in_reach(&self, fates: &impl Fates) -> Exchanges {
        let mut rows = Exchanges::default();
        for known in self.pool.iter().filter(|known| known.live) {
            let flags =
                if known.answered() { 0 } else { fates.fate(&known.path).map_or(0, |fate| judge(&fate, known)) };
            rows.push(ExchangeRow { flags: known.row.flags | flags, ..known.row });
        }
        rows.take()
    }

    /// Begins anew with the numbers of strings, with those that exchanges in reach use, and with the count of secondary rows.
    pub fn forget(&mut self) {
        let string = |number| self.strings.get(number).map(<[u8]>::to_vec);
        let live = self.pool.iter().zip(0..).filter(|(known, _)| known.live);
        let used: Vec<(usize, _)> =
            live.map(|(known, at)| (at, [string(known.row.machine), string(known.handle)])).collect();
        if !self.strings.forget() {
            return;
        }
        self.secondary_rows = 0;
        self.counts.forget();
        self.latest_machine = strings::NONE;
        for (at, strings) in used {
            let [machine, handle] = strings
                .map(|string| string.and_then(|string| self.strings.intern(&string, false)).unwrap_or(strings::NONE));
            if let Some(known) = self.pool.get_mut(at) {
                (known.row.machine, known.handle) = (machine, handle);
            }
        }
    }

    /// The addresses of exchanges in reach.
    pub fn addresses(&self) -> HashSet<u32> {
        let live = self.pool.iter().filter(|known| known.live);
        live.flat_map(|known| [known.row.client, known.row.server]).collect()
    }

    /// Takes one exchange out of reach and makes its row.
    fn finish(&mut self, at: u32, flags: u16, oddities: &mut Oddities) {
        let Some(known) = self.pool.get_mut(at as usize).filter(|known| known.live) else { return };
        known.live = false;
        known.reply_first = None;
        known.row.flags |= flags;
        if !known.answered() {
            self.unanswered_count = self.unanswered_count.saturating_sub(1);
        }
        let Exchange { older, decoded, .. } = *known;
        self.counts.count_access(known.handle, &known.row, oddities);
        let counted = !known.xid_reused && self.counts.count(&known.row, oddities);
        if counted && decoded {
            known.row.flags |= flag::COUNTED;
        }
        if !counted || decoded {
            self.rows.push(known.row);
        }
        let ExchangeRow { client, server, xid, .. } = known.row;
        self.unlink(key(client, server, xid), at, older);
        self.free.push(at);
    }

    fn unlink(&mut self, key: Key, at: u32, older: u32) {
        if let Entry::Occupied(mut newest) = self.newest.entry(key)
            && *newest.get() == at
        {
            if older == NONE {
                newest.remove();
            } else {
                *newest.get_mut() = older;
            }
            return;
        }
        let newer = self.chain(key).find(|newer| self.exchange(*newer).is_some_and(|known| known.older == at));
        if let Some(known) = newer.and_then(|newer| self.pool.get_mut(newer as usize)) {
            known.older = older;
        }
    }
}

/// Of a call's arguments.
#[derive(Clone, Copy)]
struct Args {
    hash: u64,
    /// The number of their layout.
    layout: Option<usize>,
}

/// What a record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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

/// The flow table, asked about the connection of an unanswered call.
pub trait Fates {
    /// None where the connection is no longer known.
    fn fate(&self, path: &Path) -> Option<Fate>;
}

fn judge(fate: &Fate, known: &Exchange) -> u16 {
    let after = fate.reply_side_frames > 0 && fate.reply_side_last >= known.row.time;
    let acked = fate.acked.is_some_and(|acked| acked.wrapping_sub(known.end) as i32 >= 0);
    let loss = fate.reply_side_loss.is_some_and(|at| at >= known.row.time)
        // A client that had its answer would not have called again.
        || fate.reply_side_damage.is_some_and(|at| at >= known.last_sent);
    let bits = [
        (fate.reply_side_frames > 0, flag::REPLY_SIDE_SEEN),
        (after, flag::REPLY_SIDE_SEEN_AFTER),
        (loss, flag::REPLY_SIDE_LOSS),
        (fate.died, flag::CONNECTION_DIED),
        (acked, flag::CALL_ACKED),
    ];
    bits.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit)
}

fn same_call(known: &Exchange, call: &Call<'_>, args_hash: u64) -> bool {
    let row = &known.row;
    (row.prog, row.vers, row.proc) == (call.prog, call.vers, call.proc) && known.args_hash == args_hash
}

/// Length of the arguments on the wire.
fn args_length(call: &Call<'_>, record: &Record<'_>) -> usize {
    let captured = call.args.map_or(0, <[u8]>::len);
    captured + record.length.saturating_sub(record.data.len())
}

/// machinename and uid of an AUTH_SYS credential (RFC 5531 appendix A).
fn sys_credential<'a>(cred: &Auth<'a>) -> Option<(&'a [u8], u32)> {
    const MAX_MACHINE_NAME: usize = 255;
    if cred.flavor != AUTH_SYS {
        return None;
    }
    let length = word(cred.body, 4).map(|length| length as usize).filter(|length| *length <= MAX_MACHINE_NAME)?;
    let name = cred.body.get(8..8 + length)?;
    let uid = word(cred.body, 8 + length.next_multiple_of(4))?;
    Some((name, uid))
}
