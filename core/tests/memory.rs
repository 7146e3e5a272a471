//! Memory stays under its named limits, whatever a capture makes the decoder hold. One process measures one thing at a time.

mod wire;

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use nfsrpc_core::decoder::Decoder;
use nfsrpc_core::rpc::MAX_STORED;
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::{Kind, Layout, Layouts, Table, code};
use wire::*;

static ALONE: Mutex<()> = Mutex::new(());

/// How much the peak resident size of this process grows meanwhile, in bytes.
fn growth<T>(work: impl FnOnce() -> T) -> (T, usize) {
    // Linux resets the peak when 5 is written here (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let before = peak();
    let result = work();
    (result, peak().saturating_sub(before))
}

fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}

#[test]
fn segments_ahead_of_holes_are_bounded() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wire = Wire::default();
    let payload = vec![0xaa; 8_000];
    let (connections, segments) = (60, 200);
    assert!(connections * segments * payload.len() > MAX_STORED);
    for n in 0..connections {
        let (mut c, mut s) = (End { port: 1_000 + n as u16, ..client() }, server());
        wire.connect(0.0, &mut c, &mut s);
        wire.send(0.5, &mut c, &s, &record(&[&call(1, 1, &[])]));
        c.seq += 1;
        for _ in 0..segments {
            wire.send(1.0, &mut c, &s, &payload);
        }
    }
    let (batch, grown) = growth(|| wire.decode());
    assert!(grown < 2 * MAX_STORED, "grew by {grown}");
    assert!(batch.flows.c_lost_bytes.iter().all(|lost| *lost >= 1));
}

#[test]
fn tiny_segments_ahead_of_holes_are_bounded_too() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut wire = Wire::default();
    let (connections, segments) = (300, 3_000);
    for n in 0..connections {
        let (mut c, mut s) = (End { port: 1_000 + n as u16, ..client() }, server());
        wire.connect(0.0, &mut c, &mut s);
        for _ in 0..segments {
            c.seq = c.seq.wrapping_add(2);
            wire.tcp(1.0, &c, &s, ACK, c.seq, &[1]);
        }
    }
    let (batch, grown) = growth(|| wire.decode());
    assert!(grown < 2 * MAX_STORED, "grew by {grown}");
    assert!(batch.flows.c_lost_bytes.iter().all(|lost| *lost >= 1));
}

#[test]
fn buffers_of_unfinished_records_are_given_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut layouts = Layouts::default();
    let everything = [(code::END, 0, 0, 0, Vec::new())];
    layouts.add(PROG, 4, 1, false, Layout::new(&everything, None, 1 << 20, &[]).expect("a layout"));
    let mut wire = Wire::default();
    let first = [words(&[1_100_000]), call(1, 1, &[0; 30_000])].concat();
    for n in 0..150_u16 {
        let (mut c, mut s) = (End { port: 1_000 + n, ..client() }, server());
        wire.connect(0.0, &mut c, &mut s);
        wire.send(1.0, &mut c, &s, &first);
        for _ in 0..32 {
            wire.send(1.0, &mut c, &s, &[0; 30_000]);
        }
        wire.tcp(2.0, &c, &s, ACK, c.seq.wrapping_add(0x7000_0000), &[0; 8]);
    }
    let (_, grown) = growth(|| decode(&wire.bytes, 1 << 20, layouts, Vec::new()));
    assert!(grown < MAX_STORED, "grew by {grown}");
}

/// Feeds so many frames as they are made, takes the rows as they come, and tells how many oddities there were of this kind
/// and how much memory grew by. Only a thousand rows of one kind are told, and of strings one.
fn flood(count: u32, kind: &str, frame: impl Fn(&mut Wire, u32)) -> (usize, usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tables = vec![Table::new("t", &[("handle".into(), Kind::Bytes)])];
    let mut layouts = Layouts::default();
    let handle = [(code::OPAQUE, 0, 1_024, 0, Vec::new()), (code::END, 0, 0, 0, Vec::new())];
    layouts.add(PROG, 4, 2, false, Layout::new(&handle, Some(0), 1_024, &tables).expect("a layout"));
    let mut decoder = Decoder::new(layouts, tables, 0, Fold::default(), Select::default());
    let mut wire = Wire::default();
    growth(|| {
        let mut told = 0;
        for number in 0..count {
            frame(&mut wire, number);
            if wire.bytes.len() > 1 << 20 || number + 1 == count {
                decoder.feed(&wire.bytes).expect("a capture");
                wire.bytes.clear();
                told += kinds(&decoder.drain()).iter().filter(|known| **known == kind).count();
            }
        }
        told
    })
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a01_0000 + number)
}

#[test]
fn a_flood_of_half_open_connections_is_bounded() {
    let (told, grown) = flood(150_000, "flow-evicted", |wire, number| {
        let client = End { ip: address(number >> 4), port: (number & 15) as u16, seq: number };
        wire.tcp(1.0, &client, &server(), SYN, number, &[]);
    });
    assert_eq!(told, 1_000);
    assert!(grown < 150 << 20, "grew by {grown}");
}

#[test]
fn a_flood_of_unanswered_calls_is_bounded() {
    let (told, grown) = flood(600_000, "call-evicted", |wire, number| {
        wire.udp(1.0, (CLIENT, 900), (SERVER, 2049), &call(number, 1, &[]));
    });
    assert_eq!(told, 1_000);
    assert!(grown < 150 << 20, "grew by {grown}");
}

#[test]
fn a_flood_of_fragments_is_bounded() {
    let (told, grown) = flood(60_000, "fragments-lost", |wire, number| {
        let header = [0x45, 0, 0x05, 0xdc, (number >> 8) as u8, number as u8, 0x20, 0, 64, 17, 0, 0];
        let ends = [address(number >> 16).octets(), SERVER.octets()].concat();
        wire.frame(1.0, &[&header[..], &ends, &[7; 1_480]].concat());
    });
    assert_eq!(told, 1_000);
    assert!(grown < 40 << 20, "grew by {grown}");
}

#[test]
fn a_flood_of_distinct_handles_is_bounded() {
    let (told, grown) = flood(250_000, "strings-full", |wire, number| {
        let handle = [words(&[400, number]), vec![7; 396]].concat();
        wire.udp(1.0, (CLIENT, 900), (SERVER, 2049), &call(number & 0xff, 2, &handle));
    });
    assert_eq!(told, 1);
    assert!(grown < 75 << 20, "grew by {grown}");
}
