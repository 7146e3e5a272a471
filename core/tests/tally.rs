//! Exchanges that are counted instead of listed: nothing is lost by it, and what is out of the ordinary is still listed.

mod wire;

use nfsrpc_core::batch::exchange_flag;
use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::{Arguments, Fold};
use nfsrpc_core::xdr::{Kind, Layout, Layouts, RawOp, Table, code};
use std::net::Ipv4Addr;
use wire::*;

const C: (Ipv4Addr, u16) = (CLIENT, 900);
const S: (Ipv4Addr, u16) = (SERVER, 2049);

fn folded(wire: &Wire) -> Batch {
    folded_with(wire, &[(code::ENUM, -1, 0, 0, Vec::new()), (code::STATUS, 0, 0, 0, Vec::new())], None, Vec::new())
}

/// With results of this layout.
fn folded_with(wire: &Wire, results: &[RawOp], table: Option<usize>, tables: Vec<Table>) -> Batch {
    let fold = Fold { procedures: [(PROG, 4, 1)].into_iter().collect(), slow_ns: 1_000_000_000, ..Fold::default() };
    let mut layouts = Layouts::default();
    layouts.add(PROG, 4, 1, true, Layout::new(results, table, 1024, &tables).expect("a layout"));
    let mut decoder = Decoder::new(layouts, tables, 0, fold, Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.close().expect("a capture").1
}

fn exchange(wire: &mut Wire, xid: u32, proc: u32, at: f64, after: f64, status: u32) {
    wire.udp(at, C, S, &call(xid, proc, &[]));
    wire.udp(at + after, S, C, &reply(xid, &words(&[status])));
}

#[test]
fn ordinary_exchanges_are_summed_by_interval_and_status() {
    let mut wire = Wire::default();
    for n in 0..200_u32 {
        exchange(&mut wire, n, 1, f64::from(n) * 0.1, 0.001 + f64::from(n % 2) * 0.002, 0);
    }
    let batch = folded(&wire);
    assert!(rows(&batch).is_empty());
    assert_eq!(batch.tallies.interval, [0, 10_000_000_000]);
    assert_eq!(batch.tallies.exchanges, [100, 100]);
    assert_eq!(batch.tallies.first, [0, 10_000_000_000]);
    assert_eq!(batch.tallies.last, [9_900_000_000, 19_900_000_000]);
    assert_eq!(batch.tallies.latency_min, [1_000_000, 1_000_000]);
    assert_eq!(batch.tallies.latency_max, [3_000_000, 3_000_000]);
    assert_eq!(batch.tallies.latency_sum, [200_000_000, 200_000_000]);
    assert_eq!(batch.latencies.exchanges, [100, 100]);
    assert!(
        batch.latencies.latency.iter().zip([1e6, 3e6]).all(|(told, real)| (*told as f64 - real).abs() < 0.02 * real)
    );
}

#[test]
fn what_is_out_of_the_ordinary_is_listed() {
    let mut wire = Wire::default();
    exchange(&mut wire, 1, 1, 0.0, 0.1, 0);
    exchange(&mut wire, 2, 1, 1.0, 1.5, 0);
    exchange(&mut wire, 3, 2, 3.0, 0.1, 0);
    exchange(&mut wire, 4, 1, 4.0, 0.1, 70);
    wire.udp(5.0, C, S, &call(5, 1, &[]));
    exchange(&mut wire, 6, 1, 6.0, 0.1, 0);
    wire.udp(6.2, S, C, &reply(6, &words(&[0, 0])));
    let xids: Vec<u32> = rows(&folded(&wire)).iter().map(|row| row.xid).collect();
    assert_eq!(xids, [2, 3, 4, 5, 6]);
}

#[test]
fn an_xid_of_two_calls_is_out_of_the_ordinary() {
    let mut wire = Wire::default();
    exchange(&mut wire, 1, 1, 0.0, 0.1, 0);
    exchange(&mut wire, 2, 1, 1.0, 0.1, 0);
    exchange(&mut wire, 2, 3, 2.0, 0.1, 0);
    let batch = folded(&wire);
    let listed: Vec<(u32, u32)> = rows(&batch).iter().map(|row| (row.xid, row.proc)).collect();
    assert_eq!(listed, [(2, 1), (2, 3)]);
    assert_eq!(batch.tallies.exchanges, [1]);
}

#[test]
fn what_rows_of_fields_refer_to_is_listed_and_counted() {
    let mut wire = Wire::default();
    exchange(&mut wire, 1, 1, 0.0, 0.1, 0);
    exchange(&mut wire, 2, 1, 1.0, 1.5, 0);
    let tables = vec![Table::new("t", &[("status".into(), Kind::U32)])];
    let batch = folded_with(&wire, &[(code::ENUM, 0, 0, 0, Vec::new())], Some(0), tables);
    let flags: Vec<u16> = rows(&batch).iter().map(|row| row.flags & exchange_flag::COUNTED).collect();
    assert_eq!(flags, [exchange_flag::COUNTED, 0]);
    assert_eq!(batch.tallies.exchanges, [1]);
}

#[test]
fn callers_of_different_names_are_counted_apart() {
    let mut wire = Wire::default();
    for (xid, name) in [(1, b"here"), (2, b"here"), (3, b"away")] {
        let sys = [words(&[1, 24, 0, 4]), name.to_vec(), words(&[0, 0, 0]), words(&[0, 0])].concat();
        let call = [words(&[xid, 0, 2, PROG, 4, 1]), sys].concat();
        wire.udp(f64::from(xid), C, S, &call);
        wire.udp(f64::from(xid) + 0.1, S, C, &reply(xid, &words(&[0])));
    }
    let batch = folded(&wire);
    let named: Vec<&[u8]> = batch.tallies.machine.iter().map(|at| batch.strings[*at as usize].as_slice()).collect();
    assert_eq!(named, [b"here", b"away"]);
    assert_eq!(batch.tallies.exchanges, [2, 1]);
}

#[test]
fn what_waits_to_be_drained_is_known() {
    let mut wire = Wire::default();
    for n in 0..6000_u32 {
        exchange(&mut wire, n, 2, f64::from(n) * 0.1, 0.01, 0);
    }
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    let waiting = decoder.undrained();
    assert!(waiting > 1000);
    assert_eq!(decoder.drain().exchanges.xid.len(), waiting);
    assert_eq!(decoder.undrained(), 0);
}

#[test]
fn a_flow_has_the_program_of_its_first_call() {
    let mut wire = Wire::default();
    exchange(&mut wire, 1, 1, 0.0, 0.1, 0);
    wire.udp(1.0, C, (SERVER, 53), b"something else entirely");
    assert_eq!(folded(&wire).flows.prog, [PROG, u32::MAX]);
}

#[test]
fn of_a_flood_of_errors_the_first_are_listed_and_the_rest_counted() {
    let mut wire = Wire::default();
    for n in 0..250_u32 {
        exchange(&mut wire, n, 1, f64::from(n) * 0.01, 0.001, 2);
    }
    let batch = folded(&wire);
    assert_eq!(rows(&batch).len(), 100);
    assert_eq!(
        (batch.tallies.status.as_slice(), batch.tallies.exchanges.as_slice()),
        ([2].as_slice(), [150].as_slice())
    );
}

#[test]
fn a_snapshot_shows_what_is_not_over_and_changes_nothing() {
    let mut wire = Wire::default();
    wire.udp(5.0, C, S, &call(5, 1, &[]));
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.release();
    let seen = decoder.snapshot();
    assert_eq!((seen.exchanges.xid.as_slice(), seen.flows.client_port.as_slice()), ([5].as_slice(), [900].as_slice()));
    assert_eq!(decoder.undrained(), 0);
    assert!(decoder.drain().exchanges.xid.is_empty());
    assert_eq!(rows(&decoder.close().expect("a capture").1).len(), 1);
}

/// A batch with what procedure 1 did to the handle that is its first argument, of a given length or with its own.
fn by_handle(wire: &Wire, length: usize) -> Batch {
    let at = Arguments { handle: length, offset: 0, is_wide: false, count: 4 };
    let fold = Fold { by_handle: [((PROG, 4, 1), at)].into_iter().collect(), ..Fold::default() };
    let mut layouts = Layouts::default();
    let results = [(code::ENUM, -1, 0, 0, Vec::new()), (code::STATUS, 0, 0, 0, Vec::new())];
    layouts.add(PROG, 4, 1, true, Layout::new(&results, None, 1024, &[]).expect("a layout"));
    let mut decoder = Decoder::new(layouts, Vec::new(), 0, fold, Select::default());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.close().expect("a capture").1
}

fn act(wire: &mut Wire, xid: u32, at: f64, args: &[u8], status: u32) {
    wire.udp(at, C, S, &call(xid, 1, args));
    wire.udp(at + 0.001, S, C, &reply(xid, &words(&[status])));
}

/// Ten bytes of a file, from an offset on.
fn opaque(handle: &[u8; 4], offset: u32) -> Vec<u8> {
    [&words(&[4])[..], handle, &words(&[offset, 10])].concat()
}

#[test]
fn what_is_done_is_summed_by_handle_and_interval() {
    let mut wire = Wire::default();
    act(&mut wire, 1, 1.0, &opaque(b"aaaa", 50), 0);
    act(&mut wire, 2, 2.0, &opaque(b"bbbb", 0), 0);
    act(&mut wire, 3, 3.0, &opaque(b"aaaa", 20), 0);
    act(&mut wire, 4, 4.0, &opaque(b"aaaa", 900), 13);
    act(&mut wire, 5, 11.0, &opaque(b"aaaa", 7), 0);
    exchange(&mut wire, 6, 2, 12.0, 0.1, 0);
    wire.udp(13.0, C, S, &call(7, 1, &opaque(b"aaaa", 0)));
    let batch = by_handle(&wire, 0);
    assert_eq!(rows(&batch).len(), 7, "they are listed all the same");
    let handles: Vec<&[u8]> = batch.accesses.handle.iter().map(|at| &batch.strings[*at as usize][..]).collect();
    assert_eq!(handles, [b"aaaa", b"bbbb", b"aaaa"]);
    assert_eq!(batch.accesses.exchanges, [2, 1, 1]);
    assert_eq!(batch.accesses.interval, [0, 0, 10_000_000_000]);
    assert_eq!(batch.accesses.first_byte, [20, 0, 7]);
    assert_eq!(batch.accesses.last_byte, [59, 9, 16]);
    assert_eq!(batch.accesses.first_frame, [1, 3, 9]);
    assert_eq!(batch.accesses.last_frame, [5, 3, 9]);
    assert_eq!((batch.accesses.first[0], batch.accesses.last[0]), (1_000_000_000, 3_000_000_000));
}

#[test]
fn a_handle_of_fixed_length_is_the_first_argument() {
    let mut wire = Wire::default();
    act(&mut wire, 1, 1.0, b"12345678rest", 0);
    let batch = by_handle(&wire, 8);
    assert_eq!((batch.accesses.handle, batch.strings), (vec![0], vec![b"12345678".to_vec()]));
}

#[test]
fn what_is_no_handle_is_not_counted() {
    let mut wire = Wire::default();
    act(&mut wire, 1, 1.0, &words(&[400, 1]), 0);
    act(&mut wire, 2, 2.0, &[&words(&[132])[..], &[7; 132]].concat(), 0);
    act(&mut wire, 3, 3.0, &[], 0);
    assert!(by_handle(&wire, 0).accesses.handle.is_empty());
}

#[test]
fn handles_beyond_the_limit_are_an_oddity() {
    let mut wire = Wire::default();
    let many = (1_u32 << 15) + 1;
    for n in 0..many {
        act(&mut wire, n, f64::from(n) * 1e-5, &words(&[4, n]), 0);
    }
    let batch = by_handle(&wire, 0);
    assert_eq!(batch.accesses.handle.len(), many as usize - 1);
    assert_eq!(kinds(&batch), ["accesses-full"]);
}
