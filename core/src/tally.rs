//! Exchanges that are counted instead of listed. A server answers a million GETATTRs a minute; what matters of them is how
//! many there were and how long they took. Which procedures are counted comes from outside, like every meaning.
//!
//! A procedure's exchanges that were answered once, in time, are summed by who asked whom for what, how it ended, and when
//! (to ten seconds), and their latencies by order of magnitude. All others are listed: slow, retransmitted, refused by RPC, with
//! an xid of another call, and the first of each status other than success.
//!
//! Of some procedures it matters what they were done to. Those that succeed are summed by the handle that is their first
//! argument, too, whether they are listed or not, with the lowest and the highest byte of the file that they name.

use std::hash::BuildHasher;

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::batch::{
    AccessRow, Accesses, ExchangeRow, Latencies, LatencyRow, NO_STATUS, NO_TIME, Tallies, TallyRow,
    exchange_flag as flag,
};
use crate::oddity::Oddities;
use crate::procedures::{ByProcedure, Procedure};
use crate::rpc::word;
use crate::shard::SHARDS;
use crate::strings::NO_STRING;

/// Counts are kept for intervals of this: shorter than every clock of the kernel's lock manager that matters here.
pub const INTERVAL_NS: i64 = 10_000_000_000;
/// Exchanges of one procedure and status other than success that are listed all the same, as evidence, of a shard.
const LISTED: u32 = 100;
/// Procedures and statuses of which that is kept in a shard: more than all protocols define. Further ones are counted only.
const MAX_LISTED: usize = 1 << 12;
/// Latencies are told apart to 1/32 of an octave, 2 %: a class is the exponent and five bits of the fraction.
const FRACTION_BITS: u32 = 5;
/// Distinct sums in reach of a shard: in all more client hosts times procedures than a capture of ten minutes has. Then they
/// leave as rows.
const MAX_TALLIES: usize = (1 << 15) / SHARDS;
/// Sums by handle of a shard; at 90 bytes each 24 MB in all. Ten clients that write to a hundred files each, for three quarters
/// of an hour.
const MAX_ACCESSES: usize = (1 << 18) / SHARDS;
/// Handles longer than this are none: NFS knows 64 bytes at most, or 128.
const MAX_HANDLE: usize = 128;

/// Which procedures are counted, and how slow an exchange must be to be listed.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// Each has a number.
    pub procedures: ByProcedure<usize>,
    pub slow_ns: i64,
    /// Procedures that are counted by handle.
    pub by_handle: ByProcedure<Arguments>,
}

/// Where a procedure's arguments have what it is done to: the handle of a file comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    /// The length of the handle where XDR does not tell it (0: it does).
    pub handle: usize,
    /// Where the offset in the file stands, from the end of the handle.
    pub offset: usize,
    /// The offset has 64 bits, else 32.
    pub is_wide: bool,
    /// Where the count of bytes stands, likewise.
    pub count: usize,
}

/// Bytes of a file, the last one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    pub first: u64,
    pub last: u64,
}

impl ByteRange {
    /// Any bytes: the capture does not have the offset.
    pub const ANY: ByteRange = ByteRange { first: 0, last: u64::MAX };

    /// So many bytes from an offset on; nothing if they are none.
    fn of(first: u64, count: u32) -> Option<ByteRange> {
        let further = count.checked_sub(1)?;
        Some(ByteRange { first, last: first.saturating_add(u64::from(further)) })
    }
}

impl Arguments {
    /// The offset and the count in what follows the handle.
    fn bytes(&self, rest: &[u8]) -> Option<(u64, u32)> {
        let high = if self.is_wide { u64::from(word(rest, self.offset)?) << 32 } else { 0 };
        let low = word(rest, if self.is_wide { self.offset + 4 } else { self.offset })?;
        Some((high | u64::from(low), word(rest, self.count)?))
    }
}

impl Fold {
    /// The handle in these arguments, if it matters, and which bytes of that file; nothing where they are no bytes.
    pub fn target<'a>(&self, procedure: Procedure, args: &'a [u8]) -> Option<(&'a [u8], ByteRange)> {
        let at = self.by_handle.get(procedure)?;
        let (from, length) = if at.handle == 0 { (4, word(args, 0)? as usize) } else { (0, at.handle) };
        let rest = args.get(from..)?;
        let handle = rest.get(..length).filter(|handle| handle.len() <= MAX_HANDLE)?;
        let bytes = rest.get(length.next_multiple_of(4)..).and_then(|rest| at.bytes(rest));
        Some((handle, bytes.map_or(Some(ByteRange::ANY), |(first, count)| ByteRange::of(first, count))?))
    }
}

/// What a sum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    capture: u16,
    client: u32,
    server: u32,
    transport: u8,
    procedure: Procedure,
    status: i32,
    machine: u32,
    interval: i64,
}

impl Key {
    #[inline(always)]
    fn of(row: &ExchangeRow, length: i64) -> Key {
        Key {
            capture: row.capture,
            client: row.client,
            server: row.server,
            transport: row.transport,
            procedure: (row.prog, row.vers, row.proc),
            status: row.status,
            machine: row.machine,
            interval: interval(row.time, length),
        }
    }

    /// A sum of nothing, in which this exchange will be the first one.
    fn sum(&self, row: &ExchangeRow) -> TallyRow {
        let (prog, vers, proc) = self.procedure;
        TallyRow {
            capture: row.capture,
            client: row.client,
            server: row.server,
            transport: row.transport,
            prog,
            vers,
            proc,
            status: row.status,
            machine: row.machine,
            interval: self.interval,
            first: row.time,
            first_frame: row.call_frame,
            last: row.time,
            latency_min: u64::MAX,
            ..TallyRow::default()
        }
    }
}

#[inline(always)]
fn add(tally: &mut TallyRow, latency: u64, row: &ExchangeRow) {
    tally.exchanges += 1;
    if row.time < tally.first {
        (tally.first, tally.first_frame) = (row.time, row.call_frame);
    }
    tally.last = tally.last.max(row.time);
    tally.latency_sum += latency;
    tally.latency_min = tally.latency_min.min(latency);
    tally.latency_max = tally.latency_max.max(latency);
    tally.call_bytes += u64::from(row.call_bytes);
    tally.reply_bytes += u64::from(row.reply_bytes);
    tally.cut += u32::from(row.flags & (flag::CALL_CUT | flag::REPLY_CUT) != 0);
    tally.encrypted += u32::from(row.flags & flag::ENCRYPTED != 0);
}

/// Sums that were found last, by a part of their key, each in one possible place.
const LATEST: usize = 1 << 8;

/// Client, server, handle.
type AccessKey = (u32, u32, u32);

/// Sums by their keys.
struct Sums {
    rows: Vec<(Key, TallyRow)>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    latest: [u32; LATEST],
}

impl Default for Sums {
    fn default() -> Self {
        Sums { rows: Vec::new(), index: HashTable::new(), hasher: DefaultHashBuilder::default(), latest: [0; LATEST] }
    }
}

impl Sums {
    /// Where a sum is.
    #[inline]
    fn find(&mut self, key: &Key) -> Option<usize> {
        let part = key.client ^ key.procedure.2.rotate_left(4) ^ (key.status.cast_unsigned() << 2);
        let latest = self.latest.get_mut(part as usize % LATEST)?;
        if self.rows.get(*latest as usize).is_none_or(|(known, _)| known != key) {
            let is_it = |at: &u32| self.rows.get(*at as usize).is_some_and(|(known, _)| known == key);
            *latest = *self.index.find(self.hasher.hash_one(key), is_it)?;
        }
        Some(*latest as usize)
    }

    #[cold]
    fn begin(&mut self, key: Key, row: TallyRow) -> usize {
        let Sums { rows, index, hasher, .. } = self;
        let at = rows.len();
        rows.push((key, row));
        let hash = |at: &u32| rows.get(*at as usize).map_or(0, |(key, _)| hasher.hash_one(key));
        index.insert_unique(hasher.hash_one(key), at as u32, hash);
        at
    }

    fn take(&mut self) -> Vec<(Key, TallyRow)> {
        self.index.clear();
        std::mem::take(&mut self.rows)
    }
}

#[derive(Default)]
pub struct Counts {
    pub fold: Fold,
    sums: [Sums; SHARDS],
    /// How many exchanges there were of each class, by the number of their procedure.
    latencies: Vec<Vec<u64>>,
    /// The shard at hand.
    pub shard: usize,
    listed: [HashMap<(u32, u32, u32, i32), u32>; SHARDS],
    rows: Tallies,
    /// By handle, of the interval that was last seen; those of earlier ones are rows.
    accesses: HashMap<AccessKey, AccessRow>,
    access_rows: Accesses,
    /// How many there were in each shard, with those that have left as rows.
    access_counts: [usize; SHARDS],
    /// Handles that came since rows were taken, each once per pair of hosts, but as often as it comes where it is not counted.
    pub handles: usize,
}

impl Counts {
    pub fn new(fold: Fold) -> Counts {
        Counts { fold, ..Counts::default() }
    }

    /// Counts an exchange, or returns false: it is to be listed.
    pub fn count(&mut self, row: &ExchangeRow, oddities: &mut Oddities) -> bool {
        let procedure = (row.prog, row.vers, row.proc);
        let number = self.fold.procedures.get(procedure).filter(|_| row.reply_frame != 0).copied();
        let Some(number) = number else { return false };
        let latency = row.reply_time.saturating_sub(row.time);
        let in_time = self.is_in_time(row, row.reply_time);
        let ordinary = row.rpc_status == 0
            && row.retransmits == 0
            && row.duplicates == 0
            && row.flags & flag::REPEATED == 0
            && in_time;
        if !ordinary || self.is_evidence(procedure, row.status, oddities) {
            return false;
        }
        self.add(latency as u64, row);
        self.add_latency(number, class(latency as u64));
        true
    }

    /// Whether a reply at this time is none to be listed for its latency.
    #[inline]
    pub fn is_in_time(&self, row: &ExchangeRow, replied: i64) -> bool {
        row.time != NO_TIME && (0..self.fold.slow_ns).contains(&replied.saturating_sub(row.time))
    }

    fn is_evidence(&mut self, (prog, vers, proc): Procedure, status: i32, oddities: &mut Oddities) -> bool {
        if status == 0 || status == NO_STATUS {
            return false;
        }
        let key = (prog, vers, proc, status);
        let Some(known) = self.listed.get_mut(self.shard) else { return false };
        if known.len() >= MAX_LISTED && !known.contains_key(&key) {
            oddities.push("statuses-full", MAX_LISTED as u64);
            return false;
        }
        let listed = known.entry(key).or_insert(0);
        *listed += 1;
        *listed <= LISTED
    }

    /// Counts what was done to these bytes of a handle, if it was.
    pub fn count_access(&mut self, handle: u32, bytes: ByteRange, row: &ExchangeRow, oddities: &mut Oddities) {
        if handle == NO_STRING {
            return;
        }
        if row.reply_frame == 0 || row.rpc_status != 0 || row.status != 0 {
            self.handles += 1;
            return;
        }
        let sum = AccessRow {
            capture: row.capture,
            client: row.client,
            server: row.server,
            handle,
            interval: interval(row.time, INTERVAL_NS),
            first: row.time,
            first_frame: row.call_frame,
            last: row.time,
            last_frame: row.call_frame,
            exchanges: 1,
            first_byte: bytes.first,
            last_byte: bytes.last,
        };
        let Some(count) = self.access_counts.get_mut(self.shard) else { return };
        match self.accesses.entry((row.client, row.server, handle)) {
            Entry::Occupied(mut known) if belongs(known.get(), &sum) => add_access(known.get_mut(), &sum),
            _ if *count >= MAX_ACCESSES => {
                self.handles += 1;
                oddities.push("accesses-full", MAX_ACCESSES as u64);
            }
            Entry::Occupied(mut known) => {
                self.access_rows.push(known.insert(sum));
                *count += 1;
            }
            Entry::Vacant(place) => {
                place.insert(sum);
                self.handles += 1;
                *count += 1;
            }
        }
    }

    /// There is room for sums by handle again.
    pub fn forget(&mut self) {
        self.access_counts = [0; SHARDS];
    }

    fn add(&mut self, latency: u64, row: &ExchangeRow) {
        let key = Key::of(row, INTERVAL_NS);
        let Some(at) = self.sums().and_then(|sums| sums.find(&key)).or_else(|| self.begin(key, row)) else { return };
        if let Some((_, tally)) = self.sums().and_then(|sums| sums.rows.get_mut(at)) {
            add(tally, latency, row);
        }
    }

    /// Those of the shard at hand.
    #[inline]
    fn sums(&mut self) -> Option<&mut Sums> {
        self.sums.get_mut(self.shard)
    }

    #[cold]
    fn begin(&mut self, key: Key, row: &ExchangeRow) -> Option<usize> {
        let full = self.sums().filter(|sums| sums.rows.len() >= MAX_TALLIES).map(Sums::take);
        self.turn(full.unwrap_or_default());
        Some(self.sums()?.begin(key, key.sum(row)))
    }

    #[inline]
    fn add_latency(&mut self, procedure: usize, class: u16) {
        if self.latencies.len() <= procedure {
            self.latencies.resize(procedure + 1, Vec::new());
        }
        let Some(classes) = self.latencies.get_mut(procedure) else { return };
        if classes.len() <= usize::from(class) {
            classes.resize(usize::from(class) + 1, 0);
        }
        if let Some(exchanges) = classes.get_mut(usize::from(class)) {
            *exchanges += 1;
        }
    }

    fn turn(&mut self, mut sums: Vec<(Key, TallyRow)>) {
        sums.sort_unstable_by_key(|(key, row)| (row.interval, row.first, *key));
        sums.into_iter().for_each(|(_, row)| self.rows.push(row));
    }

    pub fn take_accesses(&mut self) -> Accesses {
        let mut sums: Vec<_> = self.accesses.drain().collect();
        sums.sort_unstable_by_key(|(key, row)| (row.first, *key));
        sums.into_iter().for_each(|(_, row)| self.access_rows.push(row));
        self.handles = 0;
        self.access_rows.take()
    }

    /// Sums that wait to be taken, but for those that go on.
    pub fn undrained(&self) -> usize {
        self.rows.count() + self.access_rows.count()
    }

    pub fn take(&mut self) -> (Tallies, Latencies) {
        let sums = self.sums.iter_mut().flat_map(Sums::take).collect();
        self.turn(sums);
        let mut procedures: Vec<_> = self.fold.procedures.iter().collect();
        procedures.sort_unstable();
        let mut latencies = Latencies::default();
        for ((prog, vers, proc), number) in procedures {
            let classes = self.latencies.get_mut(*number).map(std::mem::take).unwrap_or_default();
            for (class, exchanges) in (0..).zip(classes).filter(|(_, exchanges)| *exchanges > 0) {
                latencies.push(LatencyRow { prog, vers, proc, latency: value(class), exchanges });
            }
        }
        (self.rows.take(), latencies.take())
    }
}

/// Sums of exchanges that were listed, which were answered in time.
#[derive(Default)]
pub struct Listed {
    sums: Sums,
    latencies: HashMap<(i64, Procedure, u16), u64>,
}

impl Listed {
    /// Adds an exchange to the sums of intervals of this length (ns).
    pub fn add(&mut self, row: &ExchangeRow, length: i64) {
        let (key, latency) = (Key::of(row, length.max(1)), row.reply_time.saturating_sub(row.time).max(0) as u64);
        let at = self.sums.find(&key).unwrap_or_else(|| self.sums.begin(key, key.sum(row)));
        if let Some((_, tally)) = self.sums.rows.get_mut(at) {
            add(tally, latency, row);
        }
        *self.latencies.entry((key.interval, key.procedure, class(latency))).or_default() += 1;
    }

    /// The sums, and how many had which latency, with the interval of each.
    pub fn take(mut self) -> (Tallies, Vec<i64>, Latencies) {
        let mut sums = self.sums.take();
        sums.sort_unstable_by_key(|(key, _)| *key);
        let (mut tallies, mut intervals, mut latencies) = (Tallies::default(), Vec::new(), Latencies::default());
        sums.into_iter().for_each(|(_, row)| tallies.push(row));
        let mut counts: Vec<_> = self.latencies.into_iter().collect();
        counts.sort_unstable();
        for ((interval, (prog, vers, proc), class), exchanges) in counts {
            intervals.push(interval);
            latencies.push(LatencyRow { prog, vers, proc, latency: value(class), exchanges });
        }
        (tallies.take(), intervals, latencies.take())
    }
}

fn belongs(known: &AccessRow, access: &AccessRow) -> bool {
    (known.capture, known.interval) == (access.capture, access.interval)
}

fn add_access(sum: &mut AccessRow, access: &AccessRow) {
    sum.exchanges += access.exchanges;
    sum.first_byte = sum.first_byte.min(access.first_byte);
    sum.last_byte = sum.last_byte.max(access.last_byte);
    if access.first < sum.first {
        (sum.first, sum.first_frame) = (access.first, access.first_frame);
    }
    if access.last >= sum.last {
        (sum.last, sum.last_frame) = (access.last, access.last_frame);
    }
}

#[inline(always)]
fn interval(time: i64, length: i64) -> i64 {
    time.div_euclid(length).saturating_mul(length)
}

/// The class of a latency: exponent and leading bits of the fraction, as in a floating point number.
fn class(latency: u64) -> u16 {
    let exponent = latency.max(1).ilog2();
    let fraction = if exponent >= FRACTION_BITS {
        latency >> (exponent - FRACTION_BITS)
    } else {
        latency << (FRACTION_BITS - exponent)
    };
    ((exponent << FRACTION_BITS) as u16) | (fraction as u16 & ((1 << FRACTION_BITS) - 1))
}

/// The middle of a class.
fn value(class: u16) -> u64 {
    let (exponent, fraction) = (u32::from(class) >> FRACTION_BITS, u64::from(class) & ((1 << FRACTION_BITS) - 1));
    let twice = (1 << (FRACTION_BITS + 1)) | fraction << 1 | 1;
    if exponent > FRACTION_BITS {
        twice << (exponent - FRACTION_BITS - 1)
    } else {
        twice >> (FRACTION_BITS + 1 - exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCEDURE: Procedure = (100, 1, 6);

    /// Counts of one procedure that takes less than a second.
    fn counts() -> Counts {
        Counts::new(Fold { procedures: [PROCEDURE].into(), slow_ns: 1_000, ..Fold::default() })
    }

    fn answered(status: i32, time: i64) -> ExchangeRow {
        let (prog, vers, proc) = PROCEDURE;
        ExchangeRow { prog, vers, proc, status, time, reply_time: time + 10, reply_frame: 2, ..ExchangeRow::default() }
    }

    #[test]
    fn times_are_summed_by_ten_seconds() {
        const TEN: i64 = 10_000_000_000;
        assert_eq!([0, TEN - 1, TEN, -1].map(|time| interval(time, INTERVAL_NS)), [0, 0, TEN, -TEN]);
    }

    #[test]
    fn what_was_listed_is_summed_as_what_is_counted() {
        let (mut counts, mut oddities, mut listed) = (counts(), Oddities::default(), Listed::default());
        for (number, (client, time)) in (0..).zip([(1, 7), (2, 5), (1, INTERVAL_NS), (1, 3), (2, 6), (1, 2)]) {
            let row = ExchangeRow { client, call_frame: 9 - number, call_bytes: number, ..answered(0, time) };
            let row = ExchangeRow { reply_time: time + 100 * i64::from(number), ..row };
            assert!(counts.count(&row, &mut oddities));
            listed.add(&row, INTERVAL_NS);
        }
        let ((counted, latencies), (summed, intervals, its_latencies)) = (counts.take(), listed.take());
        let rows = |tallies: &Tallies| {
            let key = tallies.client.iter().zip(&tallies.interval).zip(&tallies.first).zip(&tallies.first_frame);
            let sums =
                tallies.exchanges.iter().zip(&tallies.latency_sum).zip(&tallies.latency_max).zip(&tallies.call_bytes);
            let mut rows: Vec<_> = key.zip(sums).zip(&tallies.last).map(|row| format!("{row:?}")).collect();
            rows.sort();
            rows
        };
        assert_eq!(rows(&summed), rows(&counted));
        assert_eq!(summed.count(), 3);
        assert_eq!((intervals.len(), intervals.iter().max()), (6, Some(&INTERVAL_NS)));
        let mut told = its_latencies.latency.clone();
        told.sort_unstable();
        assert_eq!((told, its_latencies.exchanges), (latencies.latency, latencies.exchanges));
    }

    #[test]
    fn intervals_of_listed_exchanges_may_be_longer() {
        let sums = |length: i64| {
            let mut listed = Listed::default();
            [6 * INTERVAL_NS, 6 * INTERVAL_NS - 1, 0].iter().for_each(|time| listed.add(&answered(0, *time), length));
            let (tallies, intervals, _) = listed.take();
            (tallies.exchanges, intervals)
        };
        assert_eq!(sums(6 * INTERVAL_NS), (vec![2, 1], vec![0, 6 * INTERVAL_NS]));
        assert_eq!(sums(INTERVAL_NS), (vec![1; 3], vec![0, 5 * INTERVAL_NS, 6 * INTERVAL_NS]));
        assert_eq!(sums(0), (vec![1; 3], vec![0, 6 * INTERVAL_NS - 1, 6 * INTERVAL_NS]), "not less than 1 ns");
    }

    #[test]
    fn what_is_as_slow_as_that_is_listed() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let after = |latency: i64| ExchangeRow { reply_time: 50 + latency, ..answered(0, 50) };
        let counted = [-1, 0, 999, 1_000].map(|latency| counts.count(&after(latency), &mut oddities));
        assert_eq!(counted, [false, true, true, false]);
    }

    #[test]
    fn a_hundred_of_each_status_are_listed() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let counted = (0..102).filter(|_| counts.count(&answered(5, 0), &mut oddities)).count();
        assert_eq!(counted, 2);
        assert!(!counts.count(&answered(6, 0), &mut oddities), "another status");
        assert!(counts.count(&answered(NO_STATUS, 0), &mut oddities) && counts.count(&answered(0, 0), &mut oddities));
    }

    #[test]
    fn so_many_statuses_are_told_apart() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        assert!((1..=4_096).all(|status| !counts.count(&answered(status, 0), &mut oddities)));
        assert!(!counts.count(&answered(1, 0), &mut oddities), "one that is known");
        assert_eq!(oddities.count("statuses-full"), 0);
        assert!(counts.count(&answered(4_097, 0), &mut oddities));
        assert_eq!(oddities.count("statuses-full"), 1);
    }

    #[test]
    fn so_many_sums_are_in_reach() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let of = |machine: u32| ExchangeRow { machine, ..answered(0, 0) };
        (0..4_096).chain(0..1).for_each(|machine| assert!(counts.count(&of(machine), &mut oddities)));
        counts.shard = 1;
        counts.count(&of(4_096), &mut oddities);
        let lengths = |counts: &Counts| (counts.rows.count(), [0, 1].map(|shard| counts.sums[shard].rows.len()));
        assert_eq!(lengths(&counts), (0, [4_096, 1]), "each shard has its own");
        counts.shard = 0;
        counts.count(&of(4_096), &mut oddities);
        assert_eq!(lengths(&counts), (4_096, [1, 1]));
    }

    #[test]
    fn every_column_of_a_sum() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let first = ExchangeRow {
            capture: 3,
            client: 4,
            server: 5,
            transport: 17,
            machine: 6,
            call_frame: 70,
            call_bytes: 100,
            reply_bytes: 1_000,
            ..answered(0, 500)
        };
        let flags = [flag::CALL_CUT, flag::REPLY_CUT | flag::ENCRYPTED, flag::REPLY_SIDE_SEEN];
        let times = [(500, 80, 70), (400, 30, 60), (450, 50, 65)];
        for ((time, latency, call_frame), flags) in times.into_iter().zip(flags) {
            let row = ExchangeRow { time, reply_time: time + latency, call_frame, flags, ..first };
            assert!(counts.count(&row, &mut oddities));
        }
        let mut expected = Tallies::default();
        expected.push(TallyRow {
            capture: 3,
            client: 4,
            server: 5,
            transport: 17,
            prog: 100,
            vers: 1,
            proc: 6,
            status: 0,
            machine: 6,
            interval: 0,
            first: 400,
            first_frame: 60,
            last: 500,
            exchanges: 3,
            latency_min: 30,
            latency_sum: 160,
            latency_max: 80,
            call_bytes: 300,
            reply_bytes: 3_000,
            cut: 2,
            encrypted: 1,
        });
        let (sums, latencies) = counts.take();
        assert_eq!(sums.into_columns(), expected.take().into_columns());
        assert_eq!((latencies.exchanges, latencies.latency), (vec![1, 1, 1], vec![30, 50, 81]));
    }

    #[test]
    fn a_clock_may_be_before_1970() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        [-7, -5, -6].into_iter().for_each(|time| assert!(counts.count(&answered(0, time), &mut oddities)));
        let (sums, _) = counts.take();
        assert_eq!((sums.first, sums.last, sums.interval), (vec![-7], vec![-5], vec![-INTERVAL_NS]));
    }

    #[test]
    fn every_column_of_what_is_done_to_a_handle() {
        const TEN: i64 = 10_000_000_000;
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let row = |time: i64, call_frame: u32| ExchangeRow {
            capture: 3,
            client: 4,
            server: 5,
            call_frame,
            ..answered(0, time)
        };
        let bytes = |first: u64, last: u64| ByteRange { first, last };
        for (time, frame, bytes) in [
            (TEN + 5, 50, bytes(300, 309)),
            (TEN + 3, 30, bytes(200, 209)),
            (TEN + 4, 40, bytes(250, 400)),
            (2 * TEN, 60, bytes(7, 8)),
        ] {
            counts.count_access(9, bytes, &row(time, frame), &mut oddities);
        }
        for not in [
            ExchangeRow { reply_frame: 0, ..row(TEN, 1) },
            ExchangeRow { rpc_status: 1, ..row(TEN, 1) },
            ExchangeRow { status: 1, ..row(TEN, 1) },
        ] {
            counts.count_access(9, ByteRange::ANY, &not, &mut oddities);
        }
        counts.count_access(NO_STRING, ByteRange::ANY, &row(TEN, 1), &mut oddities);
        assert_eq!(counts.handles, 4, "the one that is counted, and of each exchange that is not");
        counts.access_counts[0] = MAX_ACCESSES;
        counts.count_access(10, ByteRange::ANY, &row(TEN, 1), &mut oddities);
        assert_eq!((counts.handles, oddities.count("accesses-full")), (5, 1));
        counts.access_counts[0] = 2;
        let sum = AccessRow {
            capture: 3,
            client: 4,
            server: 5,
            handle: 9,
            interval: TEN,
            first: TEN + 3,
            first_frame: 30,
            last: TEN + 5,
            last_frame: 50,
            exchanges: 3,
            first_byte: 200,
            last_byte: 400,
        };
        let next = AccessRow {
            interval: 2 * TEN,
            first: 2 * TEN,
            first_frame: 60,
            last: 2 * TEN,
            last_frame: 60,
            exchanges: 1,
            first_byte: 7,
            last_byte: 8,
            ..sum
        };
        let mut expected = Accesses::default();
        [sum, next].into_iter().for_each(|row| expected.push(row));
        assert_eq!(counts.take_accesses().into_columns(), expected.take().into_columns());
        assert_eq!((counts.access_counts[0], counts.handles), (2, 0));
        counts.forget();
        assert_eq!(counts.access_counts[0], 0);
    }

    #[test]
    fn what_is_sent_or_answered_again_or_refused_is_listed() {
        let (mut counts, mut oddities) = (counts(), Oddities::default());
        let plain = answered(0, 50);
        assert!(counts.count(&plain, &mut oddities));
        for listed in [
            ExchangeRow { reply_frame: 0, ..plain },
            ExchangeRow { proc: 7, ..plain },
            ExchangeRow { rpc_status: 1, ..plain },
            ExchangeRow { retransmits: 1, ..plain },
            ExchangeRow { duplicates: 1, ..plain },
            ExchangeRow { flags: flag::REPEATED, ..plain },
            ExchangeRow { time: NO_TIME, reply_time: NO_TIME, ..plain },
        ] {
            assert!(!counts.count(&listed, &mut oddities), "{listed:?}");
        }
    }

    #[test]
    fn handles_are_as_long_as_nfs_has_them() {
        let by = |handle: usize| {
            let at = Arguments { handle, ..Arguments::default() };
            Fold { by_handle: [(PROCEDURE, at)].into(), ..Fold::default() }
        };
        let args = |length: u32| [&length.to_be_bytes()[..], &[9; 200]].concat();
        let found = |length: u32| by(0).target(PROCEDURE, &args(length)).map(|(handle, _)| handle.len());
        assert_eq!([0, 128, 129].map(found), [Some(0), Some(128), None]);
        assert_eq!(by(32).target(PROCEDURE, &[7; 32]), Some((&[7; 32][..], ByteRange::ANY)));
        assert_eq!(by(32).target(PROCEDURE, &[7; 31]), None);
        assert_eq!(by(32).target((100, 1, 7), &[7; 40]), None);
    }

    #[test]
    fn bytes_are_those_from_the_offset_on() {
        let wide = Arguments { offset: 0, is_wide: true, count: 8, ..Arguments::default() };
        let narrow = Arguments { handle: 4, offset: 4, is_wide: false, count: 12 };
        let found = |at: Arguments, words: &[u32]| {
            let fold = Fold { by_handle: [(PROCEDURE, at)].into(), ..Fold::default() };
            let args: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            fold.target(PROCEDURE, &args).map(|(_, ByteRange { first, last })| (first, last))
        };
        // Of three bytes of a handle the fourth is padding.
        assert_eq!(found(wide, &[3, 9, 1, 5, 10]), Some(((1 << 32) + 5, (1 << 32) + 14)));
        assert_eq!(found(wide, &[3, 9, 0, 5, 1]), Some((5, 5)));
        assert_eq!(found(wide, &[3, 9, 0, 5, 0]), None, "no bytes");
        assert_eq!(found(wide, &[3, 9, u32::MAX, u32::MAX, 2]), Some((u64::MAX, u64::MAX)));
        assert_eq!(found(wide, &[3, 9, 1, 5]), Some((0, u64::MAX)), "cut");
        assert_eq!(found(narrow, &[9, 77, 5, 88, 10]), Some((5, 14)));
    }

    #[test]
    fn a_class_tells_its_latency_to_two_per_cent() {
        for latency in (1..5_000).chain((0..40).map(|shift| 12_345_u64 << shift)) {
            let told = value(class(latency));
            assert!(told.abs_diff(latency) <= latency / 50 + 1, "{latency} told as {told}");
        }
    }
}
