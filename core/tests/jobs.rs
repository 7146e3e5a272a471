//! Rows do not depend on how many back ends there are, nor on the pieces in which bytes come.

mod wire;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nfsrpc_core::backends::Chunk;
use nfsrpc_core::batch::{Columns, Values};
use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::matcher::{MAX_SETTLED, MAX_SETTLED_BYTES};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::{Arguments, Fold};
use nfsrpc_core::xdr::{ColumnValues, Kind, Layout, Layouts, Table, code};
use proptest::prelude::*;
use wire::*;

/// Of one table.
type Rows = Vec<Vec<i128>>;

/// Everything that decoding gave, each table's rows in one order.
#[derive(Debug, Default, PartialEq)]
struct Told {
    tables: BTreeMap<String, Rows>,
    addresses: Vec<String>,
    strings: Vec<Vec<u8>>,
    oddities: Vec<(&'static str, u16, u32, u64)>,
}

impl Told {
    fn add(&mut self, batch: Batch) {
        self.table("exchanges", batch.exchanges.into_columns());
        self.table("copies", batch.copies.into_columns());
        self.table("flows", batch.flows.into_columns());
        self.table("captures", batch.captures.into_columns());
        self.table("accesses", batch.accesses.into_columns());
        self.addresses.extend(batch.addresses.iter().map(|(ip, domain)| format!("{ip} {domain}")));
        self.strings.extend(batch.strings);
        self.oddities.extend(batch.oddities.iter().map(|row| (row.kind, row.capture, row.frame, row.detail)));
        for table in batch.decoded {
            self.decoded(table);
        }
        for message in batch.selected.messages {
            let row = vec![message.place.frame.into(), message.exchange.into(), message.copy.into()];
            self.tables.entry("messages".into()).or_default().push(row);
        }
        self.tables.values_mut().for_each(|rows| rows.sort());
    }

    fn table(&mut self, name: &str, columns: Columns) {
        let columns: Vec<Vec<i128>> = columns.into_iter().map(|(_, values)| numbers(values)).collect();
        let rows = self.tables.entry(name.into()).or_default();
        rows.extend((0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()));
    }

    fn decoded(&mut self, table: Table) {
        let rows = self.tables.entry(table.name).or_default();
        for (row, owner) in table.owners.iter().enumerate() {
            let mut cells = vec![owner.exchange.into(), owner.copy.into(), owner.frame.into()];
            for column in &table.columns {
                let ColumnValues::Narrow(values) = &column.values else { continue };
                cells.push(if column.valid[row] { values[row].into() } else { -1 });
            }
            rows.push(cells);
        }
    }
}

fn numbers(values: Values) -> Vec<i128> {
    match values {
        Values::U8(values) => values.into_iter().map(Into::into).collect(),
        Values::U16(values) => values.into_iter().map(Into::into).collect(),
        Values::U32(values) => values.into_iter().map(Into::into).collect(),
        Values::U64(values) => values.into_iter().map(Into::into).collect(),
        Values::I32(values) => values.into_iter().map(Into::into).collect(),
        Values::I64(values) => values.into_iter().map(Into::into).collect(),
    }
}

/// Keeps the string in the arguments of procedure 1, sums procedure 2 by handle; each result has a status.
fn decoder(jobs: usize) -> Decoder {
    let tables = vec![Table::new("t", &[("name".into(), Kind::Bytes)])];
    let (mut layouts, end) = (Layouts::default(), (code::END, 0, 0, 0, Vec::new()));
    let name = [(code::OPAQUE, 0, 64, 0, Vec::new()), end.clone()];
    let status = [(code::ENUM, -1, 0, 0, Vec::new()), (code::STATUS, 0, 0, 0, Vec::new()), end];
    for proc in [1, 2] {
        layouts.add(PROG, 4, proc, false, Layout::new(&name, Some(0), 1024, &tables).expect("a layout"));
        layouts.add(PROG, 4, proc, true, Layout::new(&status, None, 1024, &tables).expect("a layout"));
    }
    let fold = Fold { by_handle: [((PROG, 4, 2), Arguments::default())].into_iter().collect(), ..Fold::default() };
    let select = Select { frames: (0..50).map(|frame| (0, frame * 7)).collect(), ..Select::default() };
    let mut decoder = Decoder::with_jobs(jobs, layouts, tables, 0, fold, select);
    decoder.begin_threads_from(0);
    decoder
}

/// How bytes are fed.
#[derive(Clone, Copy, Debug)]
struct Feeding {
    jobs: usize,
    size: usize,
    shared: bool,
    drained: bool,
    /// How many numbers may be provisional.
    apart: usize,
}

const PLAIN: Feeding = Feeding { jobs: 1, size: usize::MAX, shared: false, drained: false, apart: usize::MAX };

fn fed_so(how: Feeding) -> Decoder {
    let mut decoder = decoder(how.jobs);
    decoder.number_from(how.apart);
    decoder
}

fn told(bytes: &[u8], how: Feeding) -> Told {
    let (mut decoder, mut told) = (fed_so(how), Told::default());
    for piece in bytes.chunks(how.size) {
        if how.shared {
            let chunk: Chunk = Arc::new(piece.to_vec());
            decoder.feed_chunk(&chunk, 0).expect("a capture");
        } else {
            decoder.feed(piece).expect("a capture");
        }
        if how.drained {
            told.add(decoder.drain());
        }
    }
    told.add(decoder.close().expect("a capture").1);
    told
}

/// What was told at each stop where so much waits, which is asked after every so many frames, and at the end.
fn stops(bytes: &[u8], how: Feeding, full: usize, frames: u32) -> Vec<Told> {
    let (mut decoder, mut all) = (fed_so(how), Vec::new());
    decoder.stop_at(full, frames);
    let mut take = |batch| {
        let mut told = Told::default();
        told.add(batch);
        all.push(told);
    };
    for piece in bytes.chunks(how.size) {
        let (chunk, mut from): (Chunk, usize) = (Arc::new(piece.to_vec()), 0);
        loop {
            let fed = if how.shared { decoder.feed_chunk(&chunk, from) } else { decoder.feed(&piece[from..]) };
            let Some(used) = fed.expect("a capture") else { break };
            from += used;
            take(decoder.drain());
        }
    }
    take(decoder.close().expect("a capture").1);
    all
}

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Calls of many clients to three servers, by UDP and TCP, of which some are lost, retransmitted, damaged, or never answered.
fn traffic(seed: u64, messages: u32) -> Vec<u8> {
    let (mut dice, mut wire) = (Dice(seed), Wire { udp_checksum: 0, ..Wire::default() });
    let server = |number: u64| Ipv4Addr::new(10, 9, 0, number as u8 + 1);
    let client = |number: u64| Ipv4Addr::new(10, 1, 0, number as u8 + 1);
    let mut streams = BTreeMap::new();
    for xid in 1..=messages {
        let (at, who, whom) = (f64::from(xid) * 1e-3, dice.roll(11), dice.roll(3));
        let name = [b"name".to_vec(), dice.roll(40).to_be_bytes().to_vec()].concat();
        let arguments = [words(&[12]), name, vec![dice.roll(200) as u8; 4 * dice.roll(40) as usize]].concat();
        let (call, reply) =
            (call(xid, 1 + dice.roll(2) as u32, &arguments), reply(xid, &words(&[dice.roll(2) as u32])));
        let fate = dice.roll(12);
        if who < 5 {
            let (c, s) = ((client(who), 700), (server(whom), 2049));
            wire.udp(at, c, s, &call);
            if fate == 0 {
                wire.udp(at + 0.002, c, s, &call);
            }
            if fate > 2 {
                wire.udp(at + 0.000_2, s, c, &reply);
            }
            continue;
        }
        let (mut c, mut s) = streams.remove(&(who, whom)).unwrap_or_else(|| {
            let mut c = End { ip: client(who), port: 800, seq: xid };
            let mut s = End { ip: server(whom), port: 2049, seq: 7 * xid };
            wire.connect(at, &mut c, &mut s);
            (c, s)
        });
        match fate {
            // The segment is captured after the next one, or not at all.
            0 => {
                let (first, second) = (record(&[&call]), record(&[&nfsrpc_call(xid + 1_000_000)]));
                let before = c.seq;
                c.seq = c.seq.wrapping_add(first.len() as u32);
                wire.send(at, &mut c, &s, &second);
                wire.tcp(at + 0.000_1, &c, &s, ACK, before, &first);
            }
            1 => c.seq = c.seq.wrapping_add(40),
            _ => wire.send(at, &mut c, &s, &record(&[&call])),
        }
        if fate > 2 {
            wire.send(at + 0.000_3, &mut s, &c, &record(&[&reply]));
        }
        if fate != 3 {
            streams.insert((who, whom), (c, s));
        }
    }
    wire.bytes
}

fn nfsrpc_call(xid: u32) -> Vec<u8> {
    call(xid, 1, &words(&[4, 0x6162_6364]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]
    #[test]
    fn rows_are_those_of_one_job(
        seed in any::<u64>(),
        jobs in 2_usize..8,
        size in prop_oneof![Just(997), Just(66_000), Just(usize::MAX)],
        shared in any::<bool>(),
        drained in any::<bool>(),
        apart in prop_oneof![Just(0), Just(100), Just(usize::MAX)],
    ) {
        let bytes = traffic(seed, 1_500);
        prop_assert_eq!(told(&bytes, Feeding { jobs, size, shared, drained, apart }), told(&bytes, PLAIN));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]
    #[test]
    fn decoding_stops_after_the_same_frames(
        seed in any::<u64>(),
        jobs in 1_usize..8,
        size in prop_oneof![Just(997), Just(66_000), Just(usize::MAX)],
        shared in any::<bool>(),
        full in 1_usize..150,
        frames in 1_u32..200,
        apart in prop_oneof![Just(0), Just(100), Just(usize::MAX)],
    ) {
        let bytes = traffic(seed, 1_500);
        let one = stops(&bytes, PLAIN, full, frames);
        let how = Feeding { jobs, size, shared, drained: false, apart };
        prop_assert!(stops(&bytes, how, full, frames) == one);
    }
}

#[test]
fn decoding_stops_where_so_much_waited_when_it_was_asked_before() {
    let mut wire = Wire::default();
    for xid in 0..20_u32 {
        // Exchanges that are answered at once are kept for late copies; of two calls with one xid the first leaves at once.
        wire.udp(f64::from(xid), (CLIENT, 900), (SERVER, 2049), &call(1, 1, &words(&[4, xid])));
    }
    let rows = |full| -> Vec<usize> {
        stops(&wire.bytes, PLAIN, full, 1).iter().map(|told| told.tables["exchanges"].len()).collect()
    };
    let (all, some) = (rows(usize::MAX), rows(3));
    assert_eq!((all.len(), all.iter().sum::<usize>()), (1, 20));
    assert_eq!(some.iter().sum::<usize>(), 20);
    assert!(some[..some.len() - 1].iter().all(|rows| *rows == 4), "one more than when it was asked: {some:?}");
}

/// More strings than several back ends may have apart, where rows are taken at any time.
#[test]
fn no_rows_are_taken_before_decoding_stops() {
    const FILES: u32 = 135_000;
    // As many as are in reach when they were answered, and some that have left.
    const ANSWERED: u32 = MAX_SETTLED as u32 + 100;
    let mut wire = Wire { udp_checksum: 0, ..Wire::default() };
    for (xid, file) in (1..).zip((0..FILES).chain(0..100)) {
        let number = if file < ANSWERED { 0 } else { file % 7 };
        let (client, at) = (Ipv4Addr::new(10, 1, 0, number as u8), f64::from(xid) * 6e-5);
        wire.udp(at, (client, 800), (SERVER, 2049), &call(xid, 2, &words(&[4, file])));
        if file < ANSWERED {
            wire.udp(at, (SERVER, 2049), (client, 800), &reply(xid, &words(&[0])));
        }
    }
    let accesses = |jobs| -> Vec<usize> {
        let how = Feeding { jobs, size: 1 << 17, shared: true, drained: false, ..PLAIN };
        let stops = stops(&wire.bytes, how, usize::MAX - 1, 1_000);
        stops.iter().map(|told| told.tables["accesses"].len()).collect()
    };
    assert_eq!([1, 3].map(accesses), [[ANSWERED as usize]; 2]);
}

/// Rows of fields are made of procedure 1, and none of procedure 3.
#[test]
fn of_long_replies_fewer_stay_in_reach() {
    const LENGTH: usize = MAX_SETTLED_BYTES as usize / 32;
    let in_reach = |proc: u32, length: usize| {
        let (mut wire, mut decoder) = (Wire { udp_checksum: 0, ..Wire::default() }, decoder(1));
        for xid in 1..=100 {
            let (at, reply) = (f64::from(xid), [reply(xid, &words(&[0])), vec![0; length]].concat());
            wire.udp(at, (CLIENT, 800), (SERVER, 2049), &call(xid, proc, &words(&[4, xid])));
            wire.udp(at, (SERVER, 2049), (CLIENT, 800), &reply[..length.max(28)]);
        }
        decoder.feed(&wire.bytes).expect("a capture");
        decoder.release();
        decoder.drain();
        decoder.exchanges_in_reach().count()
    };
    assert_eq!([in_reach(1, LENGTH), in_reach(1, LENGTH + 1)], [32, 31]);
    assert_eq!([in_reach(1, 28), in_reach(3, LENGTH)], [100; 2]);
}

#[test]
fn that_traffic_has_something_of_everything() {
    let told = told(&traffic(7, 1_500), PLAIN);
    for name in ["exchanges", "copies", "flows", "captures", "accesses", "t", "messages"] {
        assert!(!told.tables[name].is_empty(), "{name}");
    }
    assert!(told.strings.len() > 30 && told.addresses.len() == 14 && !told.oddities.is_empty());
}

#[test]
fn flows_and_calls_are_let_go_alike() {
    let mut wire = Wire::default();
    for number in 0..70_000_u32 {
        let server = Ipv4Addr::new(10, 9, 0, (number % 5) as u8);
        let client = End { ip: Ipv4Addr::from(0x0a01_0000 + number / 900), port: (number % 900) as u16, seq: number };
        match number % 100 {
            0 => wire.udp(1.0, (client.ip, 800), (server, 2049), &nfsrpc_call(number)),
            _ => wire.tcp(1.0, &client, &End { ip: server, port: 2049, seq: 0 }, SYN, number, &[]),
        }
    }
    let one = told(&wire.bytes, PLAIN);
    assert!(one.oddities.iter().any(|(kind, ..)| *kind == "flow-evicted"));
    assert_eq!(told(&wire.bytes, Feeding { jobs: 3, size: 1 << 17, shared: true, drained: true, ..PLAIN }), one);
}

/// A datagram in two fragments.
fn fragmented(wire: &mut Wire, at: f64, id: u16, datagram: &[u8]) {
    let (first, second) = datagram.split_at(datagram.len() / 16 * 8);
    for (part, offset, more) in [(first, 0, 0x2000), (second, first.len() as u16 / 8, 0)] {
        let [size, id, place] = [20 + part.len() as u16, id, offset | more].map(u16::to_be_bytes);
        let header = [&[0x45, 0][..], &size, &id, &place, &[64, 17, 0, 0], &CLIENT.octets(), &SERVER.octets()].concat();
        wire.frame(at, &[&header[..], part].concat());
    }
}

#[test]
fn what_is_copied_may_be_more_than_a_batch_within_one_chunk() {
    let mut wire = Wire::default();
    for number in 0..60_u16 {
        let message = call(number.into(), 1, &[&words(&[12]), &[b'a'; 12][..], &[number as u8; 20_000]].concat());
        let ports = [&900_u16.to_be_bytes()[..], &2049_u16.to_be_bytes(), &(8 + message.len() as u16).to_be_bytes()];
        fragmented(&mut wire, f64::from(number), number + 1, &[&ports.concat(), &[0, 0][..], &message].concat());
        wire.udp(f64::from(number), (CLIENT, 800), (SERVER, 2049), &nfsrpc_call(1_000 + u32::from(number)));
    }
    let one = told(&wire.bytes, PLAIN);
    assert_eq!(one.tables["t"].len(), 120);
    assert_eq!(told(&wire.bytes, Feeding { jobs: 2, shared: true, ..PLAIN }), one);
}

/// What a capture without end gives: rows, what is in reach, and what is known after it was forgotten.
fn lively(bytes: &[u8], jobs: usize) -> Vec<Told> {
    let (mut decoder, mut all) = (decoder(jobs), Vec::new());
    for piece in bytes.chunks(30_000) {
        decoder.feed(piece).expect("a capture");
        let (mut rows, mut reach) = (Told::default(), Told::default());
        rows.add(decoder.drain());
        let snapshot = decoder.snapshot();
        reach.table("exchanges", snapshot.exchanges.into_columns());
        reach.table("flows", snapshot.flows.into_columns());
        reach.tables.values_mut().for_each(|rows| rows.sort());
        decoder.forget();
        all.extend([rows, reach]);
    }
    all
}

/// After forgetting, strings in reach are listed again in an order of their own: numbers of strings differ.
fn without_strings(told: &Told) -> (Vec<Rows>, Vec<Vec<u8>>) {
    const MACHINE: usize = 23;
    let cut = |name: &str, rows: &Rows| -> Rows {
        let keep = |row: &Vec<i128>| match name {
            "exchanges" => [&row[..MACHINE], &row[MACHINE + 1..]].concat(),
            "t" => row[..3].to_vec(),
            "accesses" => [&row[..3], &row[4..]].concat(),
            _ => row.clone(),
        };
        let mut rows: Rows = rows.iter().map(keep).collect();
        rows.sort();
        rows
    };
    let mut strings = told.strings.clone();
    strings.sort();
    (told.tables.iter().map(|(name, rows)| cut(name, rows)).collect(), strings)
}

#[test]
fn what_is_in_reach_is_that_of_one_job() {
    let bytes = traffic(11, 1_500);
    let [one, three] = [1, 3].map(|jobs| lively(&bytes, jobs).iter().map(without_strings).collect::<Vec<_>>());
    assert!(one.len() > 10);
    assert_eq!(three, one);
}

/// A thread names itself once it runs, and leaves `/proc` a moment after it was joined: both take as long as the
/// scheduler pleases.
fn becomes(count: impl Fn() -> usize, wanted: usize) -> bool {
    const LIMIT: Duration = Duration::from_secs(20);
    let start = Instant::now();
    while count() != wanted {
        if start.elapsed() > LIMIT {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

#[test]
fn what_was_taken_waits_no_more() {
    let mut decoder = decoder(2);
    decoder.feed(&traffic(11, 20_000)).expect("a capture");
    let begin = Instant::now();
    while decoder.undrained() < 1_000 && begin.elapsed() < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    assert!(decoder.undrained() >= 1_000);
    decoder.drain();
    let rest = decoder.undrained();
    decoder.feed(&[0]).expect("a part of a record"); // the back ends are in their threads again
    assert_eq!((decoder.undrained(), rest), (0, 0));
}

#[test]
fn threads_end_with_their_decoder() {
    let alive = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        // Other tests have fewer back ends.
        tasks.map(name).filter(|name| name.starts_with("nfsrpc-core-7")).count()
    };
    let mut decoder = decoder(8);
    decoder.feed(&traffic(3, 1_500)).expect("a capture");
    assert!(becomes(alive, 1));
    drop(decoder);
    assert!(becomes(alive, 0));
}
