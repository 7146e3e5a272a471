//! A capture without end: the file being read is told as it stands, and what is no longer needed is forgotten.

mod wire;

use nfsrpc_core::batch::NO_TIME;
use nfsrpc_core::decoder::Decoder;
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::{Arguments, Fold};
use nfsrpc_core::xdr::{Kind, Layout, Layouts, Table, code};
use std::net::Ipv4Addr;
use wire::*;

const C: (Ipv4Addr, u16) = (CLIENT, 900);
const S: (Ipv4Addr, u16) = (SERVER, 2049);

/// Keeps the string in the arguments of procedure 1.
fn decoder() -> Decoder {
    let tables = vec![Table::new("t", &[("name".into(), Kind::Bytes)])];
    let mut layouts = Layouts::default();
    let name = [(code::OPAQUE, 0, 64, 0, Vec::new())];
    layouts.add(PROG, 4, 1, false, Layout::new(&name, Some(0), 1024, &tables).expect("a layout"));
    Decoder::new(layouts, tables, 0, Fold::default(), Select::default())
}

fn named(xid: u32, name: &[u8; 4]) -> Vec<u8> {
    call(xid, 1, &[&words(&[4])[..], name].concat())
}

#[test]
fn the_file_being_read_is_told_as_it_stands() {
    let mut wire = Wire::default();
    wire.udp(1.0, C, S, &call(1, 1, &[]));
    wire.udp(3.0, C, S, &call(2, 1, &[]));
    let mut decoder = decoder();
    assert!(decoder.snapshot().captures.frames.is_empty());
    decoder.feed(&wire.bytes).expect("a capture");
    decoder.release();
    let told = decoder.snapshot();
    assert_eq!((told.captures.frames, told.formats), (vec![2], vec!["pcap"]));
    assert_eq!((told.captures.first, told.captures.last), (vec![1_000_000_000], vec![3_000_000_000]));
    assert_eq!(told.interfaces.len(), 1);
    assert!(told.exchanges.reply_time.iter().all(|time| *time == NO_TIME));
}

#[test]
fn handles_of_exchanges_in_reach_are_kept() {
    let fold = Fold { by_handle: [((PROG, 4, 1), Arguments::default())].into_iter().collect(), ..Fold::default() };
    let mut layouts = Layouts::default();
    let results = [(code::ENUM, -1, 0, 0, Vec::new()), (code::STATUS, 0, 0, 0, Vec::new())];
    layouts.add(PROG, 4, 1, true, Layout::new(&results, None, 1024, &[]).expect("a layout"));
    let mut decoder = Decoder::new(layouts, Vec::new(), 0, fold, Select::default());
    let mut wire = Wire::default();
    wire.udp(1.0, C, S, &named(1, b"abcd"));
    wire.udp(2.0, C, S, &named(2, b"efgh"));
    wire.udp(2.5, S, C, &reply(1, &words(&[5])));
    let first = wire.bytes.len();
    wire.udp(3.0, S, C, &reply(2, &words(&[0])));
    let (before, after) = wire.bytes.split_at(first);

    decoder.feed(before).expect("a capture");
    decoder.drain();
    decoder.forget();
    decoder.feed(after).expect("a capture");
    let (_, batch) = decoder.close().expect("a capture");
    let handles: Vec<&[u8]> = batch.accesses.handle.iter().map(|at| &batch.strings[*at as usize][..]).collect();
    assert_eq!(handles, [b"efgh"]);
}

#[test]
fn strings_begin_anew_and_exchanges_go_on() {
    let mut decoder = decoder();
    let mut wire = Wire::default();
    wire.udp(1.0, C, S, &named(1, b"abcd"));
    wire.udp(2.0, C, S, &named(2, b"efgh"));
    let first = wire.bytes.len();
    wire.udp(3.0, C, S, &named(3, b"efgh"));
    wire.udp(4.0, S, C, &reply(1, &[]));
    let (before, after) = wire.bytes.split_at(first);

    decoder.feed(before).expect("a capture");
    decoder.release();
    decoder.forget();
    let batch = decoder.drain();
    assert_eq!(batch.strings, [b"abcd".to_vec(), b"efgh".to_vec()], "what was not drained is not forgotten");

    decoder.forget();
    decoder.feed(after).expect("a capture");
    let (_, batch) = decoder.close().expect("a capture");
    assert_eq!(batch.strings, [b"efgh".to_vec()]);
    assert_eq!(batch.exchanges.exchange, [0, 1, 2]);
    assert_eq!(batch.exchanges.reply_frame, [4, 0, 0]);
    assert_eq!(batch.exchanges.client, [0, 0, 0], "addresses in reach keep their numbers");
}

#[test]
fn strings_begin_anew_and_all_else_goes_on() {
    let mut decoder = decoder();
    let mut wire = Wire::default();
    wire.udp(1.0, C, S, &named(1, b"abcd"));
    wire.udp(1.5, S, C, &reply(1, &[]));
    let first = wire.bytes.len();
    wire.udp(2.0, C, S, &named(2, b"efgh"));
    let (before, after) = wire.bytes.split_at(first);

    decoder.feed(before).expect("a capture");
    decoder.release();
    let batch = decoder.drain();
    assert_eq!((batch.strings, batch.addresses.len()), (vec![b"abcd".to_vec()], 2));

    decoder.forget_strings();
    decoder.feed(after).expect("a capture");
    let (_, batch) = decoder.close().expect("a capture");
    assert_eq!((batch.strings, batch.addresses.len()), (vec![b"efgh".to_vec()], 0));
}
