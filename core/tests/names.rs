//! LOOKUPs that give a file the name that is known are counted, and nothing of them is listed.

mod wire;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::procedures::ByProcedure;
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::{Kind, Layout, Layouts, Table, code};
use wire::*;

const S: (Ipv4Addr, u16) = (SERVER, 2049);
const LOOKUP: u32 = 3;
const REMOVE: u32 = 12;

/// Keeps names in arguments and handles in results; of REMOVE the names alone.
fn decoder(jobs: usize) -> Decoder {
    let tables = ["args", "res"].map(|name| Table::new(name, &[("text".into(), Kind::Bytes)])).to_vec();
    let (text, end) = ((code::OPAQUE, 0, 64, 0, Vec::new()), (code::END, 0, 0, 0, Vec::new()));
    let status = [(code::ENUM, -1, 0, 0, Vec::new()), (code::STATUS, 0, 0, 0, Vec::new())];
    let layouts = [
        (LOOKUP, false, vec![text.clone(), end.clone()], Some(0)),
        (LOOKUP, true, [&status[..], &[text.clone(), end.clone()]].concat(), Some(1)),
        (REMOVE, false, vec![text, end.clone()], Some(0)),
        (REMOVE, true, [&status[..], &[end]].concat(), None),
    ];
    let mut known = Layouts::default();
    for (proc, reply, ops, table) in layouts {
        let mut layout = Layout::new(&ops, table, 1024, &tables).expect("a layout");
        layout.secondary = true;
        known.add(PROG, 4, proc, reply, layout);
    }
    let procedures = [(PROG, 4, LOOKUP), (PROG, 4, REMOVE)].into_iter().collect();
    let fold = Fold { procedures, slow_ns: 1_000_000_000, ..Fold::default() };
    let mut decoder = Decoder::with_jobs(jobs, known, tables, 0, fold, Select::default());
    decoder.begin_threads_from(0);
    decoder
}

fn lookups() -> ByProcedure<usize> {
    [((PROG, 4, LOOKUP), 0)].into()
}

fn text(text: &str) -> Vec<u8> {
    let padding = vec![0; text.len().next_multiple_of(4) - text.len()];
    [&words(&[text.len() as u32])[..], text.as_bytes(), &padding].concat()
}

/// The next second, a client asks for this name, and is answered.
fn ask(wire: &mut Wire, xid: u32, client: u8, name: &str, (after, handle): (f64, &str)) {
    let (from, at) = ((Ipv4Addr::new(10, 0, 0, client), 900), f64::from(xid));
    wire.udp(at, from, S, &call(xid, LOOKUP, &text(name)));
    wire.udp(at + after, S, from, &reply(xid, &[words(&[0]), text(handle)].concat()));
}

fn remove(wire: &mut Wire, xid: u32, client: u8) {
    let (from, at) = ((Ipv4Addr::new(10, 0, 0, client), 900), f64::from(xid));
    wire.udp(at, from, S, &call(xid, REMOVE, &text("other")));
    wire.udp(at + 0.1, S, from, &reply(xid, &words(&[0])));
}

/// The xids of the exchanges that are listed, and the sum of those that are counted. All rows of fields are of listed ones.
fn listed(batches: &[Batch]) -> (Vec<u32>, u32) {
    let all = || batches.iter().flat_map(rows);
    let numbers: BTreeSet<u32> = all().map(|row| row.exchange).collect();
    for table in batches.iter().flat_map(|batch| &batch.decoded) {
        let owners: BTreeSet<u32> = table.owners.iter().map(|owner| owner.exchange).collect();
        assert!(owners.is_subset(&numbers), "{} of {owners:?}, listed {numbers:?}", table.name);
        assert!(table.columns.iter().all(|column| column.valid.len() == table.owners.len()));
    }
    let args: usize = batches.iter().map(|batch| batch.decoded[0].owners.len()).sum();
    assert_eq!(args, numbers.len(), "each one that is listed has its arguments");
    let mut xids: Vec<u32> = all().map(|row| row.xid).collect();
    xids.sort_unstable();
    (xids, batches.iter().flat_map(|batch| &batch.tallies.exchanges).sum())
}

fn decoded(wire: &Wire, jobs: usize) -> Batch {
    let mut decoder = decoder(jobs);
    decoder.begin_to_know_names(&lookups());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.close().expect("a capture").1
}

/// The rows of parts of a capture, taken after each.
fn in_parts<const N: usize>(jobs: usize, parts: [&dyn Fn(&mut Wire); N]) -> Vec<Batch> {
    let (mut wire, mut decoder, mut batches) = (Wire::default(), decoder(jobs), Vec::new());
    decoder.begin_to_know_names(&lookups());
    for part in parts {
        part(&mut wire);
        decoder.feed(&wire.bytes).expect("a capture");
        decoder.release();
        batches.push(decoder.drain());
        wire.bytes.clear();
    }
    batches.push(decoder.close().expect("a capture").1);
    batches
}

#[test]
fn a_known_name_of_the_same_file_is_counted_only() {
    for (jobs, other) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
        let known = |wire: &mut Wire| {
            ask(wire, 1, 1, "log", (0.1, "one"));
            ask(wire, 2, 1, "log", (0.1, "one"));
            ask(wire, 3, 1, "log", (0.1, "two")); // it was replaced
            ask(wire, 4, 1, "log", (0.1, "two"));
        };
        // Of another client: its back end may be later than the one that sees the LOOKUP.
        let removed = |wire: &mut Wire| {
            remove(wire, 5, other);
            ask(wire, 6, 1, "log", (0.1, "two"));
        };
        let linked = |wire: &mut Wire| {
            ask(wire, 7, other, "old", (0.1, "two"));
            ask(wire, 8, 1, "log", (0.1, "two"));
        };
        let found = listed(&in_parts(jobs, [&known, &removed, &linked]));
        assert_eq!(found, (vec![1, 3, 5, 6, 7, 8], 8), "{jobs} {other}");
        let both = |wire: &mut Wire| {
            known(wire);
            removed(wire);
        };
        assert_eq!(listed(&in_parts(jobs, [&both])), ((1..=6).collect(), 6), "where names change nothing goes");
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_listed_with_its_fields() {
    let mut wire = Wire::default();
    ask(&mut wire, 1, 1, "log", (0.1, "one"));
    ask(&mut wire, 2, 1, "log", (1.0, "one")); // slow
    ask(&mut wire, 3, 1, "log", (0.1, "one"));
    ask(&mut wire, 4, 1, "log", (0.1, "one"));
    wire.udp(4.5, (CLIENT, 900), S, &call(5, LOOKUP, &text("log")));
    ask(&mut wire, 5, 1, "log", (0.1, "one")); // sent twice
    for jobs in [1, 3] {
        assert_eq!(listed(&[decoded(&wire, jobs)]), (vec![1, 2, 5], 3));
    }
}

#[test]
fn without_being_asked_for_all_names_are_listed() {
    let mut wire = Wire::default();
    (1..=3).for_each(|xid| ask(&mut wire, xid, 1, "log", (0.1, "one")));
    let mut decoder = decoder(1);
    decoder.feed(&wire.bytes).expect("a capture");
    let (_, batch) = decoder.close().expect("a capture");
    assert_eq!(listed(&[batch]), (vec![1, 2, 3], 3));
}

/// Rows are taken at each place of the capture; what was taken of an exchange before its reply is not missed later.
#[test]
fn rows_may_be_taken_at_any_time() {
    let mut wire = Wire::default();
    for xid in 1..40 {
        ask(&mut wire, xid, 1 + (xid % 3) as u8, "log", (0.1, "one"));
    }
    let whole = listed(&[decoded(&wire, 1)]);
    assert_eq!(whole, (vec![1, 2, 3], 39));
    for (jobs, size) in [(1, 100), (1, 333), (1, 1000), (3, 100), (3, 333)] {
        let mut decoder = decoder(jobs);
        decoder.begin_to_know_names(&lookups());
        let mut batches = Vec::new();
        for piece in wire.bytes.chunks(size) {
            decoder.feed(piece).expect("a capture");
            batches.push(decoder.drain());
            decoder.forget_strings();
        }
        batches.push(decoder.close().expect("a capture").1);
        let (xids, counted) = listed(&batches);
        assert_eq!(counted, 39);
        assert!(whole.0.iter().all(|xid| xids.contains(xid)), "{xids:?}");
        assert!(xids.len() < 39, "{jobs} {size}");
    }
}

#[test]
fn replies_may_come_in_any_order() {
    let (mut wire, from) = (Wire::default(), (CLIENT, 900));
    ask(&mut wire, 1, 1, "log", (0.1, "one"));
    for xid in 2..20 {
        wire.udp(f64::from(xid) / 100.0 + 2.0, from, S, &call(xid, LOOKUP, &text("log")));
    }
    for xid in (2..20).rev() {
        wire.udp(2.5, S, from, &reply(xid, &[words(&[0]), text("one")].concat()));
    }
    assert_eq!(listed(&[decoded(&wire, 1)]), (vec![1], 19));
}

#[test]
fn a_second_reply_takes_no_fields_away() {
    let mut wire = Wire::default();
    ask(&mut wire, 1, 1, "log", (0.1, "one"));
    wire.udp(1.5, S, (Ipv4Addr::new(10, 0, 0, 1), 900), &reply(1, &[words(&[0]), text("one")].concat()));
    assert_eq!(listed(&[decoded(&wire, 1)]).0, [1]);
}

#[test]
fn names_of_which_the_end_was_not_captured_are_listed() {
    let mut wire = Wire { snaplen: 20 + 8 + 40 + 8, ..Wire::default() };
    ask(&mut wire, 1, 1, "logs/a", (0.1, ""));
    ask(&mut wire, 2, 1, "logs/b", (0.1, ""));
    assert_eq!(listed(&[decoded(&wire, 1)]).0, [1, 2]);
}

#[test]
fn numbers_that_begin_anew_hide_nothing() {
    for jobs in [1, 3] {
        let tens =
            |part: u32| move |wire: &mut Wire| (1..=10).for_each(|n| ask(wire, 10 * part + n, 1, "log", (0.1, "one")));
        let batches = in_parts(jobs, [&tens(0), &tens(1), &tens(2)]);
        assert_eq!(listed(&batches), (vec![1], 30), "{jobs}");
    }
}

/// What repeats is known by its number: when that changes, its rows go all the same.
#[test]
fn numbers_that_are_made_final_before_rows_are_taken_hide_nothing() {
    let mut wire = Wire::default();
    for xid in 1..=60 {
        ask(&mut wire, xid, 1 + (xid % 5) as u8, "log", (0.1, "one"));
    }
    for apart in [0, 5, usize::MAX] {
        let mut decoder = decoder(3);
        decoder.begin_to_know_names(&lookups());
        decoder.number_from(apart);
        wire.bytes.chunks(700).for_each(|piece| assert_eq!(decoder.feed(piece), Ok(None)));
        let found = listed(&[decoder.close().expect("a capture").1]);
        assert_eq!(found, ((1..=5).collect(), 60), "{apart}");
    }
}

/// Of what is counted no row is ever taken; the order in which it was numbered would grow with the capture.
#[test]
fn numbers_are_made_final_where_nothing_is_listed() {
    let mut decoder = decoder(2);
    decoder.begin_threads_from(u64::MAX);
    decoder.number_from(50);
    let mut wire = Wire::default();
    let provisional = [1, 24, 25, 26, 27].map(|xid| {
        remove(&mut wire, xid, xid as u8);
        decoder.feed(&std::mem::take(&mut wire.bytes)).expect("a capture");
        decoder.release();
        decoder.numbered()
    });
    assert_eq!(provisional, [2, 4, 6, 8, 10], "an exchange and a flow each");
    for xid in 28..70 {
        remove(&mut wire, xid, 1);
    }
    decoder.feed(&wire.bytes).expect("a capture");
    assert_eq!(decoder.numbered(), 0, "of more than fifty");
}
