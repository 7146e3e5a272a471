//! Nothing in a capture panics, hangs, or makes the rows depend on how the bytes were cut into pieces.

mod wire;

use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::Layouts;
use proptest::prelude::*;
use wire::*;

/// Everything at once: two connections with fragments, losses and reordering, UDP, a cut, an ICMP error.
fn everything() -> Wire {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let long = call(1, 7, &[3; 3_000]);
    let pieces: Vec<&[u8]> = long.chunks(900).collect();
    for piece in record(&pieces).chunks(700) {
        wire.send(1.0, &mut c, &s, piece);
    }
    wire.send(1.5, &mut s, &c, &record(&[&reply(1, &[1; 40])]));
    let two = record(&[&call(2, 1, &[])]);
    wire.tcp(2.0, &c, &s, ACK, c.seq + 44, &record(&[&call(3, 1, &[])]));
    wire.tcp(2.1, &c, &s, ACK, c.seq, &two);
    c.seq += 88;
    c.seq += 500;
    wire.send(3.0, &mut c, &s, &record(&[&call(4, 1, &[])]));
    wire.send(4.0, &mut s, &c, &[record(&[&reply(3, &[])]), record(&[&words(&[2, 1, 1, 1, 1])])].concat());
    wire.udp(5.0, (CLIENT, 900), (SERVER, 111), &call(9, 3, &[1; 16]));
    wire.udp(5.1, (SERVER, 111), (CLIENT, 900), &reply(9, &[0; 4]));
    wire.snaplen = 90;
    wire.send(6.0, &mut c, &s, &record(&[&call(5, 1, &[8; 200])]));
    wire.snaplen = 262_144;
    wire.tcp(7.0, &s, &c, RST, s.seq, &[]);
    wire
}

fn summary(batch: &Batch) -> impl PartialEq + std::fmt::Debug + use<> {
    let odd: Vec<_> = batch.oddities.iter().map(|row| (row.kind, row.frame, row.detail)).collect();
    (rows(batch), odd, batch.flows.c_lost_bytes.clone(), batch.captures.frames.clone(), batch.copies.frame.clone())
}

fn survive(bytes: &[u8], chunk: usize) {
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), Select::default());
    for chunk in bytes.chunks(chunk.max(1)) {
        if decoder.feed(chunk).is_err() {
            return;
        }
    }
    let _ = decoder.close();
}

#[test]
fn every_chunking_gives_the_same_rows() {
    let bytes = everything().bytes;
    let whole = summary(&decode(&bytes, usize::MAX, Layouts::default(), Vec::new()));
    for chunk in 1..200 {
        assert_eq!(summary(&decode(&bytes, chunk, Layouts::default(), Vec::new())), whole, "chunks of {chunk}");
    }
}

#[test]
fn every_truncation_ends_well() {
    let bytes = everything().bytes;
    for end in 0..bytes.len() {
        survive(&bytes[..end], 4096);
    }
}

#[test]
fn every_bit_flip_ends_well() {
    let bytes = everything().bytes;
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            survive(&flipped, 4096);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), chunk in 1_usize..500) {
        survive(&bytes, chunk);
        let header = &Wire::default().bytes;
        survive(&[header.as_slice(), &bytes].concat(), chunk);
    }

    #[test]
    fn random_payloads_end_well(payloads in proptest::collection::vec(
        (any::<bool>(), any::<u8>(), 0_u32..4_000, proptest::collection::vec(any::<u8>(), 0..120)), 0..60)) {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        wire.connect(0.0, &mut c, &mut s);
        for (n, (forth, flags, offset, payload)) in payloads.iter().enumerate() {
            let (from, to) = if *forth { (&c, &s) } else { (&s, &c) };
            wire.tcp(n as f64, from, to, *flags, from.seq.wrapping_add(*offset), payload);
            wire.udp(n as f64, (CLIENT, 1), (SERVER, 2), payload);
        }
        survive(&wire.bytes, usize::MAX);
    }
}

#[test]
fn a_flood_of_connections_is_bounded() {
    const MAX_FLOWS: usize = 16_384;
    let mut wire = Wire::default();
    for n in 0..(MAX_FLOWS + 500) as u32 {
        let c = End { ip: std::net::Ipv4Addr::from(0x0a01_0000 + (n >> 12)), port: (n & 0xfff) as u16, seq: n };
        wire.tcp(f64::from(n) * 1e-6, &c, &server(), SYN, n, &[]);
    }
    let batch = wire.decode();
    assert_eq!(batch.flows.flow.len(), MAX_FLOWS + 500);
    assert_eq!(kinds(&batch).len(), 500);
    // Those that went are among the oldest.
    assert!(batch.oddities.iter().all(|oddity| oddity.kind == "flow-evicted" && oddity.detail < 8_192));
}

#[test]
fn a_stream_of_false_starts_is_scanned_once() {
    // A record, then what cannot be a mark, over and over: each record has to be found again.
    let stream: Vec<u8> =
        (0..20_000_u32).flat_map(|xid| [record(&[&call(xid, 1, &[])]), vec![0x7f; 4]].concat()).collect();
    let found = |piece: usize| {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        wire.connect(0.0, &mut c, &mut s);
        stream.chunks(piece).for_each(|piece| wire.send(1.0, &mut c, &s, piece));
        let began = std::time::Instant::now();
        (rows(&wire.decode()).len(), began.elapsed())
    };
    let ((few, small), (many, large)) = (found(1_440), found(57_600));
    assert!(few >= 19_000 && many >= 19_900, "{few} {many}");
    assert!(large < 5 * small, "{large:?} in large segments, {small:?} in small ones");
}

#[test]
fn spoofed_addresses_are_forgotten_and_numbered_again() {
    let mut wire = Wire::default();
    let flood = 1_u32 << 18;
    for n in 0..=flood {
        let ip = std::net::Ipv4Addr::from(if n == flood { 0 } else { n } + 0x0b00_0000);
        wire.udp(f64::from(n) * 1e-6, (ip, 1), (SERVER, 2), &[]);
    }
    let batch = wire.decode();
    let first = std::net::IpAddr::from(std::net::Ipv4Addr::from(0x0b00_0000));
    assert_eq!(batch.addresses.iter().filter(|(ip, _)| *ip == first).count(), 2);
    assert_eq!(batch.addresses.len(), flood as usize + 3);
    assert!(kinds(&batch).contains(&"addresses-full"));
}
