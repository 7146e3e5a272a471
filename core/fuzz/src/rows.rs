//! Everything a decoder gave, as columns of numbers, and what must hold of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use nfsrpc_core::batch::{Columns, NO_TIME, Values, exchange_flag};
use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::{RawFrame, RawMessage, Select, Terms};
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::{ColumnData, ColumnValues, Kind, Owner, Table};

use crate::layouts;

const NONE: u64 = u32::MAX as u64;

pub type Numbers = BTreeMap<&'static str, Vec<u64>>;

/// How the bytes are fed.
#[derive(Clone, Copy)]
pub struct Pieces {
    pub size: usize,
    /// How often rows are taken before the end.
    pub drains: usize,
}

impl Pieces {
    pub const WHOLE: Pieces = Pieces { size: usize::MAX, drains: 0 };

    /// As an input says it, in bounds that keep a run short.
    pub fn new(size: u16, drains: u8) -> Pieces {
        Pieces { size: usize::from(size.max(1)), drains: usize::from(drains & 7) }
    }
}

/// What is asked for, as the bits of a byte of the input.
#[derive(Clone, Copy)]
pub struct Ask(pub u8);

impl Ask {
    const COUNTS: u8 = 1;
    const RAW: u8 = 2;
    /// The file is read twice, as two of a ring.
    const TWICE: u8 = 4;
    /// Wherever rows are taken, what is no longer needed is forgotten.
    const FORGET: u8 = 8;

    pub fn twice(self) -> bool {
        self.0 & Ask::TWICE != 0
    }

    fn forget(self) -> bool {
        self.0 & Ask::FORGET != 0
    }

    fn fold(self) -> Fold {
        if self.0 & Ask::COUNTS != 0 { layouts::fold() } else { Fold::default() }
    }

    fn select(self) -> Select {
        if self.0 & Ask::RAW == 0 {
            return Select::default();
        }
        let frames = (0..2).flat_map(|capture| (1..50).map(move |frame| (capture, frame)));
        let kept = Some(Terms { others: 60, ..Terms::default() });
        Select { frames: frames.collect(), flows: (0..3).collect(), kept }
    }
}

/// What the numbers of addresses and strings stand for, as hashes of it.
#[derive(Default)]
struct Names {
    addresses: Vec<u64>,
    strings: Vec<u64>,
}

impl Names {
    fn of(names: &[u64], number: u64) -> u64 {
        if number == NONE { NONE } else { *names.get(number as usize).expect("a number that stands for something") }
    }

    fn value(&self, column: &str, value: u64) -> u64 {
        match column {
            "client" | "server" | "source" => Names::of(&self.addresses, value),
            "machine" | "handle" => Names::of(&self.strings, value),
            _ => value,
        }
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Addresses and strings are hashes of them, so that rows are equal however they are numbered.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    pub exchanges: Numbers,
    pub copies: Numbers,
    pub flows: Numbers,
    pub captures: Numbers,
    pub oddities: Vec<(u16, u32, &'static str, u64)>,
    /// Of each table that has rows: exchanges, copies, frames, indices, and the columns declared.
    pub decoded: BTreeMap<usize, Vec<Vec<u64>>>,
    /// Exchanges counted, their latencies and bytes; and exchanges by latency.
    pub counted: [u64; 4],
    pub latencies: BTreeMap<[u64; 4], u64>,
    /// Exchanges by file, client, server, handle and time.
    pub accesses: BTreeMap<[u64; 5], u64>,
    pub packets: Numbers,
    pub raw_messages: Vec<RawMessage>,
    pub raw_frames: Vec<RawFrame>,
    pub formats: Vec<&'static str>,
    pub ends: Vec<String>,
}

/// Decodes `files` as one ring; the refusal if one of them is no capture.
pub fn decode(files: &[&[u8]], pieces: Pieces, ask: Ask) -> Result<Rows, String> {
    let mut decoder = Decoder::new(layouts::all(), layouts::tables(), 0, ask.fold(), ask.select());
    let (mut rows, mut names) = (Rows::default(), Names::default());
    for (number, file) in files.iter().enumerate() {
        if number > 0 {
            rows.ends.push(format!("{:?}", decoder.next_capture().map_err(|refusal| refusal.0)?));
        }
        let between = file.len().div_ceil(pieces.size).div_ceil(pieces.drains + 1);
        for (at, piece) in (1..).zip(file.chunks(pieces.size)) {
            if let Err(refusal) = decoder.feed(piece) {
                assert_eq!(decoder.feed(piece), Err(refusal.clone()), "a file refused stays refused");
                assert_eq!(decoder.close().err(), Some(refusal.clone()), "a file refused has no end");
                return Err(refusal.0);
            }
            if pieces.drains > 0 && at % between == 0 {
                rows.append(decoder.drain(), &mut names);
                if ask.forget() {
                    decoder.forget();
                    names.strings.clear();
                }
                rows.foresee(&mut decoder);
            }
        }
    }
    let (end, batch) = decoder.close().map_err(|refusal| refusal.0)?;
    rows.ends.push(format!("{end:?}"));
    rows.append(batch, &mut names);
    rows.oddities.sort_unstable();
    let more = decoder.close().map_err(|refusal| refusal.0)?.1;
    assert_eq!((more.exchanges.exchange.len(), more.flows.flow.len()), (0, 0), "what is closed is given");
    Ok(rows)
}

fn extend(numbers: &mut Numbers, columns: Columns, names: &Names) {
    for (name, values) in columns {
        let values: Vec<u64> = match values {
            Values::U8(values) => values.into_iter().map(u64::from).collect(),
            Values::U16(values) => values.into_iter().map(u64::from).collect(),
            Values::U32(values) => values.into_iter().map(u64::from).collect(),
            Values::U64(values) => values,
            Values::I32(values) => values.into_iter().map(|value| i64::from(value) as u64).collect(),
            Values::I64(values) => values.into_iter().map(|value| value as u64).collect(),
        };
        numbers.entry(name).or_default().extend(values.into_iter().map(|value| names.value(name, value)));
    }
}

/// The values of a column, with a number that no value is where there is none.
fn values(column: &ColumnData, names: &Names) -> Vec<u64> {
    let all: Vec<u64> = match &column.values {
        ColumnValues::Narrow(values) => values.iter().map(|value| u64::from(*value)).collect(),
        ColumnValues::Wide(values) => values.clone(),
    };
    let value = |(value, valid): (u64, &bool)| match (column.kind, valid) {
        (_, false) => value.wrapping_add(1 << 40),
        (Kind::Bytes, true) => Names::of(&names.strings, value),
        (_, true) => value,
    };
    all.into_iter().zip(&column.valid).map(value).collect()
}

fn all_columns<'a>(table: &'a Table, names: &'a Names) -> impl Iterator<Item = Vec<u64>> + 'a {
    let owners = |value: fn(&Owner) -> u64| table.owners.iter().map(value).collect();
    let copies = owners(|owner| owner.copy.into());
    let places = [owners(|owner| owner.exchange.into()), copies, owners(|owner| owner.frame.into())];
    let numbers = |numbers: &[u32]| numbers.iter().map(|number| (*number).into()).collect();
    let items = [numbers(&table.indices), numbers(&table.outers)];
    places.into_iter().chain(items).chain(table.columns.iter().map(|column| values(column, names)))
}

/// A table's columns are of one length, and its strings are in the pool of `strings`.
pub fn check_table(table: &Table, strings: usize) {
    assert_eq!(table.indices.len(), table.owners.len(), "indices of {}", table.name);
    assert_eq!(table.outers.len(), table.owners.len(), "outer items of {}", table.name);
    for column in &table.columns {
        let values = match &column.values {
            ColumnValues::Narrow(values) => values.len(),
            ColumnValues::Wide(values) => values.len(),
        };
        let lengths = (values, column.valid.len());
        assert_eq!(lengths, (table.owners.len(), table.owners.len()), "{}.{}", table.name, column.name);
        if let (Kind::Bytes, ColumnValues::Narrow(values)) = (column.kind, &column.values) {
            let known = |value: &u32| (*value as usize) < strings || u64::from(*value) == NONE;
            let bad = values.iter().zip(&column.valid).find(|(value, valid)| **valid && !known(value));
            assert_eq!(bad, None, "{}.{} is of {strings} strings", table.name, column.name);
        }
    }
}

impl Rows {
    fn append(&mut self, batch: Batch, names: &mut Names) {
        names.addresses.extend(batch.addresses.iter().map(hash));
        names.strings.extend(batch.strings.iter().map(hash));
        assert_unique(&names.strings, "string");
        extend(&mut self.exchanges, batch.exchanges.into_columns(), names);
        extend(&mut self.copies, batch.copies.into_columns(), names);
        extend(&mut self.flows, batch.flows.into_columns(), names);
        extend(&mut self.captures, batch.captures.into_columns(), names);
        extend(&mut self.packets, batch.selected.packets.into_columns(), names);
        self.oddities.extend(batch.oddities.iter().map(|row| (row.capture, row.frame, row.kind, row.detail)));
        self.raw_messages.extend(batch.selected.messages);
        self.raw_frames.extend(batch.selected.frames);
        self.formats.extend(batch.formats);
        for (number, table) in batch.decoded.iter().enumerate().filter(|(_, table)| !table.owners.is_empty()) {
            check_table(table, names.strings.len());
            let columns = self.decoded.entry(number).or_insert_with(|| vec![Vec::new(); 5 + table.columns.len()]);
            columns.iter_mut().zip(all_columns(table, names)).for_each(|(all, new)| all.extend(new));
        }
        let tallies = &batch.tallies;
        self.counted[0] += tallies.exchanges.iter().map(|count| u64::from(*count)).sum::<u64>();
        for (sum, column) in
            self.counted[1..].iter_mut().zip([&tallies.latency_sum, &tallies.call_bytes, &tallies.reply_bytes])
        {
            *sum += column.iter().sum::<u64>();
        }
        let mut accesses = Numbers::new();
        extend(&mut accesses, batch.accesses.into_columns(), names);
        for at in 0..column(&accesses, "exchanges").len() {
            let key = ["capture", "client", "server", "handle", "interval"].map(|name| accesses[name][at]);
            *self.accesses.entry(key).or_default() += accesses["exchanges"][at];
        }
        let sums = &batch.latencies;
        for at in 0..sums.prog.len() {
            let class = [sums.prog[at].into(), sums.vers[at].into(), sums.proc[at].into(), sums.latency[at]];
            *self.latencies.entry(class).or_default() += sums.exchanges[at];
        }
    }

    /// What a decoder says it holds is not among what it gave.
    fn foresee(&self, decoder: &mut Decoder) {
        let snapshot = decoder.snapshot();
        let given: HashSet<u64> = column(&self.exchanges, "exchange").iter().copied().collect();
        assert!(
            snapshot.exchanges.exchange.iter().all(|id| !given.contains(&u64::from(*id))),
            "an exchange given is held"
        );
        let given: HashSet<u64> = column(&self.flows, "flow").iter().copied().collect();
        assert!(snapshot.flows.flow.iter().all(|id| !given.contains(&u64::from(*id))), "a flow given is held");
    }

    /// What holds of all rows, whatever the capture was.
    pub fn check(&self) {
        let frames = column(&self.captures, "frames");
        self.check_exchanges(frames);
        self.check_copies(frames);
        self.check_flows(frames);
        let known: HashSet<u64> = column(&self.exchanges, "exchange").iter().copied().collect();
        for (name, table) in &self.decoded {
            assert!(table[0].iter().all(|id| known.contains(id)), "a row of table {name} is of no exchange listed");
        }
    }

    fn check_exchanges(&self, frames: &[u64]) {
        let get = |name| column(&self.exchanges, name);
        let (calls, replies) = (get("call_frame"), get("reply_frame"));
        assert_unique(get("exchange"), "exchange");
        for at in 0..calls.len() {
            assert!(calls[at] != 0 || replies[at] != 0, "an exchange has a call or a reply");
            assert!(calls[at] <= frames[get("capture")[at] as usize], "call_frame");
            assert!(replies[at] <= frames[get("reply_capture")[at] as usize], "reply_frame");
            if replies[at] == 0 {
                assert_eq!(get("reply_time")[at], NO_TIME as u64, "no reply has a time");
                assert_eq!(get("rpc_status")[at], 255, "no reply has a status");
            }
            if calls[at] == 0 {
                assert_eq!((get("prog")[at], get("retransmits")[at]), (NONE, 0), "an orphan has no call");
            }
        }
    }

    /// Copies are of exchanges there are, and as many as these say.
    fn check_copies(&self, frames: &[u64]) {
        let (exchanges, replies) = (column(&self.copies, "exchange"), column(&self.copies, "reply"));
        let mut counts: HashMap<(u64, u64), u64> = HashMap::new();
        for (exchange, reply) in exchanges.iter().zip(replies) {
            *counts.entry((*exchange, *reply)).or_default() += 1;
        }
        for (id, (resent, again)) in column(&self.exchanges, "exchange")
            .iter()
            .zip(column(&self.exchanges, "retransmits").iter().zip(column(&self.exchanges, "duplicates")))
        {
            let mut count = |reply| counts.remove(&(*id, reply)).unwrap_or(0).min(u16::MAX.into());
            assert_eq!((count(0), count(1)), (*resent, *again), "copies of exchange {id}");
        }
        assert!(counts.is_empty(), "copies of no exchange: {counts:?}");
        for (frame, capture) in column(&self.copies, "frame").iter().zip(column(&self.copies, "capture")) {
            assert!((1..=frames[*capture as usize]).contains(frame), "frame of a copy");
        }
    }

    /// Each message is counted by its flow, and is a call or a reply of an exchange, or a copy of one.
    fn check_flows(&self, frames: &[u64]) {
        let flow = |name| column(&self.flows, name);
        let sum = |names: &[&'static str]| names.iter().flat_map(|name| flow(name)).sum::<u64>();
        assert_unique(flow("flow"), "flow");
        let known: HashSet<u64> = flow("flow").iter().copied().collect();
        for table in [&self.exchanges, &self.copies] {
            assert!(column(table, "flow").iter().all(|flow| known.contains(flow)), "a message is of no flow");
        }
        let listed = |flags: &&u64| **flags & u64::from(exchange_flag::COUNTED) == 0;
        let some = |name| {
            let rows = column(&self.exchanges, name).iter().zip(column(&self.exchanges, "flags"));
            rows.filter(|(frame, flags)| **frame != 0 && listed(flags)).count() as u64
        };
        let copies = |kind| column(&self.copies, "reply").iter().filter(|reply| **reply == kind).count() as u64;
        let counted = self.counted[0];
        assert_eq!(sum(&["c_calls", "s_calls"]), some("call_frame") + copies(0) + counted, "calls");
        assert_eq!(sum(&["c_replies", "s_replies"]), some("reply_frame") + copies(1) + counted, "replies");
        assert_eq!(self.latencies.values().sum::<u64>(), counted, "latencies");
        assert_eq!(sum(&["duplicates"]), column(&self.captures, "duplicates").iter().sum::<u64>(), "duplicates");
        assert!(sum(&["c_frames", "s_frames"]) <= frames.iter().sum::<u64>(), "frames of flows");
    }
}

pub fn column<'a>(numbers: &'a Numbers, name: &str) -> &'a [u64] {
    numbers.get(name).map(Vec::as_slice).unwrap_or_default()
}

fn assert_unique(ids: &[u64], what: &str) {
    let distinct: HashSet<&u64> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "each {what} is one row");
}
