//! Frames that say something else than what was sent: by checksums, times and record marks.

mod wire;

use std::net::Ipv4Addr;

use nfsrpc_core::decoder::Batch;
use nfsrpc_core::xdr::{Layout, Layouts, code};
use wire::{CLIENT, PROG, SERVER, Wire, call, client, decode, kinds, pairs, record, reply, rows, server, words};

const C: (Ipv4Addr, u16) = (CLIENT, 900);
const S: (Ipv4Addr, u16) = (SERVER, 32_803);
const UNDECIDED: u16 = 4;

/// One's complement sum of big-endian words.
fn sum(bytes: &[u8]) -> u16 {
    let mut total: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// The packets of a capture of raw IP, with their checksums.
fn summed(wire: &Wire) -> Wire {
    let mut wire = wire.clone();
    for at in packets(&wire) {
        let packet = &mut wire.bytes[at..];
        let header = !sum(&packet[..20]);
        packet[10..12].copy_from_slice(&header.to_be_bytes());
        let length = u16::from_be_bytes([packet[2], packet[3]]) as usize;
        let field = if packet[9] == 6 { 36 } else { 26 };
        let pseudo =
            [&packet[12..20], &[0, packet[9]], &(length as u16 - 20).to_be_bytes(), &packet[20..length]].concat();
        let checksum = !sum(&pseudo);
        packet[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    wire
}

/// Where the packets begin.
fn packets(wire: &Wire) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 24;
    while let Some(size) = wire.bytes.get(at + 8..at + 12) {
        found.push(at + 16);
        at += 16 + u32::from_le_bytes(size.try_into().expect("four bytes")) as usize;
    }
    found
}

/// With a bit of the packet of this number flipped.
fn flipped(wire: &Wire, number: usize, at: usize) -> Wire {
    let mut wire = wire.clone();
    let start = packets(&wire)[number];
    wire.bytes[start + at] ^= 1;
    wire
}

/// Two exchanges over UDP.
fn conversation() -> Wire {
    let mut wire = Wire::default();
    for xid in 1..3 {
        wire.udp(f64::from(xid) * 0.1, C, S, &call(xid, 1, &[]));
        wire.udp(f64::from(xid) * 0.1 + 0.01, S, C, &reply(xid, &[]));
    }
    wire
}

#[test]
fn a_wrong_checksum_is_damage_where_others_of_the_sender_are_right() {
    let whole = summed(&conversation());
    assert_eq!(pairs(&whole.decode()), [(1, 2, 0, 0), (3, 4, 0, 0)]);
    // The xid of the second reply.
    let damaged = flipped(&whole, 3, 31).decode();
    assert_eq!(pairs(&damaged), [(1, 2, 0, 0), (3, 0, 0, 0)]);
    assert_eq!(kinds(&damaged), ["checksum"]);
    assert_eq!(rows(&damaged)[1].flags & UNDECIDED, UNDECIDED, "its reply may have been in the damaged frame");
    assert_eq!(damaged.flows.s_damaged, [1]);
}

#[test]
fn a_wrong_checksum_says_nothing_where_the_sender_has_no_right_ones() {
    let mut wire = Wire { udp_checksum: 0xbeef, ..Wire::default() };
    wire.udp(0.0, C, S, &call(1, 1, &[]));
    wire.udp(0.1, S, C, &reply(1, &[]));
    assert_eq!((pairs(&wire.decode()), kinds(&wire.decode())), (vec![(1, 2, 0, 0)], vec![]));
}

#[test]
fn the_first_frame_of_a_sender_may_be_damaged() {
    let damaged = flipped(&summed(&conversation()), 1, 31).decode();
    assert_eq!(kinds(&damaged), [""; 0]);
    let first = rows(&damaged).into_iter().find(|row| row.xid == 1 && row.call_frame == 1).expect("the call");
    assert_eq!((first.reply_frame, first.flags & UNDECIDED), (0, UNDECIDED));
}

#[test]
fn damage_after_a_resend_makes_it_undecided_and_damage_before_it_does_not() {
    let (resend, reply_at) = (0.5, [0.3, 0.7]);
    for (at, expected) in reply_at.iter().zip([0, UNDECIDED]) {
        let mut wire = conversation();
        wire.udp(0.25, C, S, &call(3, 1, &[]));
        let first = *at < resend;
        if first {
            wire.udp(*at, S, C, &reply(9, &[7; 8]));
        }
        wire.udp(resend, C, S, &call(3, 1, &[]));
        if !first {
            wire.udp(*at, S, C, &reply(9, &[7; 8]));
        }
        let damaged = flipped(&summed(&wire), if first { 5 } else { 6 }, 50).decode();
        let row = rows(&damaged).into_iter().find(|row| row.xid == 3).expect("the call");
        assert_eq!((row.retransmits, row.flags & UNDECIDED), (1, expected), "damaged at {at}");
    }
}

#[test]
fn a_header_with_a_wrong_checksum_is_damage() {
    let whole = summed(&conversation());
    for at in [3, 9, 13, 19] {
        let damaged = flipped(&whole, 3, at).decode();
        assert_eq!(pairs(&damaged), [(1, 2, 0, 0), (3, 0, 0, 0)], "byte {at}");
        assert_eq!(rows(&damaged)[1].flags & UNDECIDED, UNDECIDED, "byte {at}");
        assert_eq!(damaged.addresses.len(), 2, "no host is made of a damaged address");
    }
}

#[test]
fn a_single_frame_far_off_in_time_has_the_time_of_the_one_before() {
    for (off, corrected) in [(0.9, 0.9), (1.1, 0.0), (-0.9, -0.9), (-1.1, 0.0), (4e6, 0.0)] {
        let mut wire = Wire::default();
        wire.udp(1_000_000.0, C, S, &call(1, 1, &[]));
        wire.udp(1_000_000.0 + off, C, S, &call(2, 1, &[]));
        wire.udp(1_000_000.0, S, C, &reply(1, &[]));
        let batch = wire.decode();
        let row = rows(&batch).into_iter().find(|row| row.xid == 2).expect("the call");
        let time = row.time as f64 / 1e9 - 1_000_000.0;
        assert!((time - corrected).abs() < 1e-5, "{off} became {time}");
        assert_eq!(kinds(&batch), if off == corrected { vec![] } else { vec!["frame-time"] });
    }
}

#[test]
fn a_capture_of_one_or_two_frames_is_read() {
    let mut wire = Wire::default();
    for (xid, at) in [(1, 0.0), (2, 5.0)] {
        wire.udp(at, C, S, &call(xid, 1, &[]));
        assert_eq!(rows(&wire.decode()).len(), xid as usize);
    }
}

#[test]
fn a_silence_and_a_clock_that_was_set_are_no_wrong_times() {
    for times in [[0.0, 500.0, 500.1, 501.0], [900.0, 1.0, 1.1, 1.2], [0.0, 0.1, 0.2, 5_000.0]] {
        let mut wire = Wire::default();
        for (xid, at) in times.iter().enumerate() {
            wire.udp(1_000_000.0 + at, C, S, &call(xid as u32, 1, &[]));
        }
        // A last frame after 5000 s of silence, where all others took 0.2 s, is taken for wrong.
        let wrong = times[3] == 5_000.0 || times[0] == 900.0;
        assert_eq!(kinds(&wire.decode()).len(), usize::from(wrong), "{times:?}");
    }
}

#[test]
fn a_record_whose_mark_swallows_the_next_one_ends_where_that_begins() {
    let (mut c, mut s) = (client(), server());
    let mut wire = Wire::default();
    wire.connect(0.0, &mut c, &mut s);
    for xid in 1..4 {
        wire.send(f64::from(xid) * 0.1, &mut c, &s, &record(&[&call(xid, 1, &[])]));
    }
    for xid in 1..4 {
        let mut bytes = record(&[&reply(xid, &[0; 8])]);
        if xid == 1 {
            bytes[2] = 8; // a reply of 2 KiB
        }
        wire.send(0.5 + f64::from(xid) * 0.1, &mut s, &c, &bytes);
    }
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(4, 8, 0, 0), (5, 8, 0, 0), (6, 9, 0, 0)]);
    assert_eq!(kinds(&batch), ["record-mark"]);
    assert_eq!(rows(&batch)[0].reply_bytes, 32);
    for chunk in [1, 7, 100] {
        assert_eq!(pairs(&decode(&wire.bytes, chunk, Layouts::default(), Vec::new())), pairs(&batch));
    }
}

/// Procedure 1 has arguments and results of at most so many bytes; procedure 2 of any number.
fn bounded(most: usize) -> Layouts {
    let mut layouts = Layouts::default();
    for reply in [false, true] {
        let mut layout = Layout::new(&[(code::END, 0, 0, 0, Vec::new())], None, 1024, &[]).expect("a layout");
        layout.most = most;
        layouts.add(PROG, 4, 1, reply, layout);
    }
    layouts
}

fn decode_bounded(wire: &Wire, most: usize) -> Batch {
    decode(&wire.bytes, wire.bytes.len(), bounded(most), Vec::new())
}

/// Three calls of procedure `proc` and their replies, with 8 bytes of arguments and results, all of a side in segments that
/// end at these places; `marks` is added to the first record's mark.
fn three(proc: u32, cred: &[u32], marks: [u8; 2], cuts: [usize; 2]) -> Wire {
    let (mut c, mut s) = (client(), server());
    let mut wire = Wire::default();
    wire.connect(0.0, &mut c, &mut s);
    let asked = |xid| [words(&[xid, 0, 2, PROG, 4, proc]), words(cred), words(&[0, 0, 7, 7])].concat();
    let mut calls: Vec<u8> = (1..4).flat_map(|xid| record(&[&asked(xid)])).collect();
    let mut replies: Vec<u8> = (1..4).flat_map(|xid| record(&[&reply(xid, &[0; 8])])).collect();
    calls[3] += marks[0];
    replies[3] += marks[1];
    for (bytes, cut, at) in [(calls, cuts[0], 0.1), (replies, cuts[1], 0.2)] {
        let (from, to) = if at < 0.15 { (&mut c, &s) } else { (&mut s, &c) };
        for piece in [&bytes[..cut], &bytes[cut..]] {
            wire.send(at, from, to, piece);
        }
    }
    wire
}

const NO_CRED: [u32; 2] = [0, 0];
const CALL_RECORD: u8 = 4 + 48;
const REPLY_RECORD: u8 = 4 + 32;

#[test]
fn a_reply_longer_than_its_procedure_has_ends_where_the_next_one_begins() {
    for swallowed in [REPLY_RECORD, 2 * REPLY_RECORD, REPLY_RECORD + 5] {
        let wire = three(1, &NO_CRED, [0, swallowed], [3 * CALL_RECORD as usize, 3 * REPLY_RECORD as usize]);
        let batch = decode_bounded(&wire, 8);
        assert_eq!(pairs(&batch), [(4, 6, 0, 0); 3], "{swallowed}");
        assert_eq!(rows(&batch)[0].reply_bytes, 32);
        assert_eq!(kinds(&batch), ["record-mark"]);
        assert_eq!(batch.oddities[0].detail, 0x8000_0020 + u64::from(swallowed));
        for chunk in [1, 7, 100] {
            let again = decode(&wire.bytes, chunk, bounded(8), Vec::new());
            assert_eq!((pairs(&again), again.oddities), (pairs(&batch), batch.oddities.clone()));
        }
    }
    // What is not known to be too long is what its mark says.
    let swallowed = three(1, &NO_CRED, [0, REPLY_RECORD], [3 * CALL_RECORD as usize, 3 * REPLY_RECORD as usize]);
    assert_eq!(
        pairs(&decode_bounded(&swallowed, 8 + REPLY_RECORD as usize)),
        [(4, 0, 0, 0), (4, 6, 0, 0), (4, 6, 0, 0)]
    );
}

#[test]
fn a_call_longer_than_its_procedure_has_ends_where_the_next_one_begins() {
    let ends = [3 * CALL_RECORD as usize, 3 * REPLY_RECORD as usize];
    let batch = decode_bounded(&three(1, &NO_CRED, [CALL_RECORD, 0], ends), 8);
    assert_eq!((pairs(&batch), kinds(&batch)), (vec![(4, 6, 0, 0); 3], vec!["record-mark"]));
    assert_eq!(rows(&batch)[0].call_bytes, 48);
}

#[test]
fn a_message_that_is_too_long_may_come_in_any_segments() {
    for cut in 1..=REPLY_RECORD as usize {
        let wire = three(1, &NO_CRED, [0, REPLY_RECORD], [3 * CALL_RECORD as usize, cut]);
        let batch = decode_bounded(&wire, 8);
        assert_eq!((pairs(&batch), kinds(&batch)), (vec![(4, 7, 0, 0); 3], vec!["record-mark"]), "cut at {cut}");
        assert_eq!(rows(&batch)[0].reply_bytes, 32, "cut at {cut}");
    }
}

#[test]
fn what_may_lie_under_a_message_that_is_too_long_is_undecided() {
    for (results, odd) in [(8, false), (12, true)] {
        let (mut c, mut s) = (client(), server());
        let mut wire = Wire::default();
        wire.connect(0.0, &mut c, &mut s);
        for xid in [1, 2] {
            wire.send(0.1, &mut c, &s, &record(&[&call(xid, 1, &[])]));
        }
        wire.send(0.2, &mut s, &c, &record(&[&reply(1, &vec![0; results])]));
        wire.send(0.3, &mut c, &s, &record(&[&call(3, 1, &[])]));
        wire.send(0.4, &mut s, &c, &record(&[&reply(3, &[0; 8])]));
        let batch = decode_bounded(&wire, 8);
        assert_eq!(pairs(&batch), [(4, 6, 0, 0), (5, 0, 0, 0), (7, 8, 0, 0)], "{results} bytes");
        assert_eq!(kinds(&batch), if odd { vec!["record-mark"] } else { vec![] });
        let waits = rows(&batch).into_iter().find(|row| row.xid == 2).expect("the call");
        assert_eq!(waits.flags & UNDECIDED, if odd { UNDECIDED } else { 0 }, "{results} bytes");
        assert_eq!(rows(&batch).iter().find(|row| row.xid == 1).expect("it").reply_bytes, 24 + results as u32);
    }
}

/// RFC 2203 section 5.3: integrity (2) and privacy (3) wrap the body; service 1 does not.
#[test]
fn what_is_wrapped_or_of_any_length_is_not_too_long() {
    for (proc, service, odd) in [(1, 1, true), (1, 2, false), (1, 3, false), (2, 1, false)] {
        let cred = [6, 20, 1, 0, 1, service, 0];
        let ends = [3 * (CALL_RECORD as usize + 20), 3 * REPLY_RECORD as usize];
        let kinds = kinds(&decode_bounded(&three(proc, &cred, [0, 0], ends), 4));
        assert_eq!(kinds, if odd { vec!["record-mark"; 6] } else { vec![] }, "procedure {proc}, service {service}");
    }
}

#[test]
fn replies_to_no_call_may_be_those_of_calls_that_wait() {
    let mut wire = conversation();
    wire.udp(0.5, C, S, &call(3, 1, &[]));
    wire.udp(0.6, S, C, &reply(0x0300_0003, &[]));
    let rows = rows(&wire.decode());
    assert_eq!(rows.iter().map(|row| (row.xid, row.flags & UNDECIDED)).collect::<Vec<_>>()[2], (3, UNDECIDED));
}

#[test]
fn what_only_begins_like_a_reply_may_be_that_of_a_call_that_waits() {
    const FLAVOR: usize = 15;
    let mut wire = conversation();
    wire.udp(0.5, C, S, &call(3, 1, &[]));
    let mut other = reply(9, &[]);
    other[FLAVOR] = 99;
    wire.udp(0.6, S, C, &other);
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(1, 2, 0, 0), (3, 4, 0, 0), (5, 0, 0, 0)]);
    assert_eq!(rows(&batch)[2].flags & UNDECIDED, UNDECIDED);
}
