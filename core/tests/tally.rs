//! Exchanges that are counted instead of listed: nothing is lost by it, and what is out of the ordinary is still listed.

mod wire;

use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::{Kind, Layout, Layouts, Table};
use std::net::Ipv4Addr;
use wire::*;

const C: (Ipv4Addr, u16) = (CLIENT, 900);
const S: (Ipv4Addr, u16) = (SERVER, 2049);

fn folded(wire: &Wire) -> Batch {
    let fold = Fold { procedures: [(PROG, 4, 1)].into_iter().collect(), slow_ns: 1_000_000_000 };
    let mut layouts = Layouts::default();
    let status = [(4, -1, 0, 0, Vec::new()), (15, 0, 0, 0, Vec::new())];
    layouts.add(
        PROG,
        4,
        1,
        true,
        Layout::new(&status, None, 1024, &[Table::new("t", &[("a".into(), Kind::U32)])]).expect("a layout"),
    );
    let mut decoder = Decoder::new(layouts, Vec::new(), 0, fold, Select::default());
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
    let seen = decoder.snapshot();
    assert_eq!((seen.exchanges.xid.as_slice(), seen.flows.client_port.as_slice()), ([5].as_slice(), [900].as_slice()));
    assert!(decoder.drain().exchanges.xid.is_empty());
    assert_eq!(rows(&decoder.close().expect("a capture").1).len(), 1);
}
