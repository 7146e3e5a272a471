//! Frames to keep: those of wanted programs, in the order of the capture, as blocks of pcapng.

mod wire;

use nfsrpc_core::decoder::Decoder;
use nfsrpc_core::ring::Blocks;
use nfsrpc_core::select::{Select, Terms};
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::Layouts;
use wire::*;

const WHOLE: usize = 1 << 20;
const HEADERS: usize = 60;

fn decoder(programs: &[(u32, usize)]) -> Decoder {
    decoder_of(1, programs)
}

fn decoder_of(jobs: usize, programs: &[(u32, usize)]) -> Decoder {
    let terms =
        Terms { programs: programs.iter().copied().collect(), others: HEADERS, ports: [53].into_iter().collect() };
    let select = Select { kept: Some(terms), ..Select::default() };
    let mut decoder = Decoder::with_jobs(jobs, Layouts::default(), Vec::new(), 0, Fold::default(), select);
    decoder.begin_threads_from(0);
    decoder
}

/// Time in ms and captured length of each frame kept.
fn frames(blocks: &Blocks) -> Vec<(u64, u32)> {
    let word = |at: usize| u32::from_le_bytes(blocks.bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut found) = (0, Vec::new());
    while at < blocks.bytes.len() {
        let size = word(at + 4) as usize;
        assert_eq!((word(at), word(at + size - 4)), (6, size as u32));
        let time = u64::from(word(at + 12)) << 32 | u64::from(word(at + 16));
        found.push((time / 1_000_000, word(at + 20)));
        at += size;
    }
    assert_eq!(found.len() as u64, blocks.frames);
    found
}

fn kept(wire: &Wire, programs: &[(u32, usize)]) -> Vec<(u64, u32)> {
    let mut decoder = decoder(programs);
    decoder.feed(&wire.bytes).expect("a capture");
    let mut found = frames(&decoder.take_kept(false));
    decoder.close().expect("a capture");
    found.extend(frames(&decoder.take_kept(true)));
    found
}

/// A connection with one call of 44 bytes at 1 s, and its reply of 28.
fn conversation() -> Wire {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.5, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    wire.send(1.1, &mut s, &c, &record(&[&reply(1, &[])]));
    wire
}

#[test]
fn all_frames_of_a_wanted_program_with_its_handshake() {
    let found = kept(&conversation(), &[(PROG, WHOLE)]);
    assert_eq!(found, [(500, 40), (500, 40), (500, 40), (1000, 84), (1100, 68)]);
}

#[test]
fn headers_alone_of_one_that_is_cut() {
    let found = kept(&conversation(), &[(PROG, HEADERS)]);
    assert_eq!(found, [(500, 40), (500, 40), (500, 40), (1000, 60), (1100, 60)]);
    assert_eq!(found, kept(&conversation(), &[(PROG + 1, WHOLE)]), "another program is cut, too");
}

#[test]
fn of_one_that_is_left_out_the_handshake_and_resets() {
    let (mut wire, c, s) = (conversation(), client(), server());
    wire.tcp(2.0, &c, &s, RST, c.seq + 49, &[]);
    assert_eq!(kept(&wire, &[(PROG, 0)]), [(500, 40), (500, 40), (2000, 40)]);
}

#[test]
fn frames_wait_two_seconds_for_the_program_of_their_flow() {
    let after = |pause: f64| {
        let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
        wire.connect(0.5, &mut c, &mut s);
        wire.udp(0.5 + pause, (SERVER, 53), (CLIENT, 900), &[7; 12]);
        wire.send(0.5 + pause, &mut c, &s, &record(&[&call(1, 2, &[])]));
        kept(&wire, &[(PROG, WHOLE)]).len()
    };
    assert_eq!([after(2.0), after(2.001)], [5, 4], "the acknowledgement that ends the handshake is in it, or not");
}

#[test]
fn what_is_no_rpc_is_left_out_but_for_handshakes() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.5, &mut c, &mut s);
    wire.send(1.0, &mut c, &s, b"GET / HTTP/1.1\r\n\r\n");
    wire.udp(1.5, (CLIENT, 900), (SERVER, 123), &[7; 12]);
    wire.udp(1.6, (CLIENT, 900), (SERVER, 53), &[7; 12]);
    assert_eq!(kept(&wire, &[(PROG, WHOLE)]), [(500, 40), (500, 40), (1600, 40)]);
}

#[test]
fn frames_are_in_the_order_of_the_capture() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.5, &mut c, &mut s);
    for step in 0..5 {
        wire.udp(0.6 + f64::from(step) / 10.0, (CLIENT, 900), (SERVER, 53), &[7; 12]);
    }
    let mut decoder = decoder(&[(PROG, WHOLE)]);
    decoder.feed(&wire.bytes).expect("a capture");
    // The handshake's end waits, and so does what comes after it.
    assert_eq!(frames(&decoder.take_kept(false)).len(), 2);
    let start = wire.bytes.len();
    wire.send(1.2, &mut c, &s, &record(&[&call(1, 2, &[])]));
    decoder.feed(&wire.bytes[start..]).expect("a capture");
    let times: Vec<_> = frames(&decoder.take_kept(false)).iter().map(|frame| frame.0).collect();
    assert_eq!(times, [500, 600, 700, 800, 900, 1000, 1200]);
}

#[test]
fn the_program_of_a_connection_that_has_ended_is_known() {
    let (mut wire, mut slow, mut server_of_slow) = (Wire::default(), client(), server());
    let (mut c, mut s) = (End { port: 701, ..client() }, server());
    wire.connect(0.5, &mut slow, &mut server_of_slow);
    wire.connect(0.6, &mut c, &mut s);
    wire.send(0.7, &mut c, &s, &record(&[&call(1, 2, &[])]));
    let (mut again, mut s_again) = (End { seq: 500_000, ..c }, End { seq: 600_000, ..s });
    wire.connect(0.8, &mut again, &mut s_again);
    wire.send(0.9, &mut slow, &server_of_slow, &record(&[&call(2, 2, &[])]));
    let times: Vec<_> = kept(&wire, &[(PROG, WHOLE)]).iter().map(|frame| frame.0).collect();
    assert_eq!(times, [500, 500, 500, 600, 600, 600, 700, 800, 800, 900]);
}

#[test]
fn frames_are_kept_alike_however_many_jobs_there_may_be() {
    let wire = conversation();
    let mut decoder = decoder_of(8, &[(PROG, WHOLE)]);
    decoder.feed(&wire.bytes).expect("a capture");
    let mut found = frames(&decoder.take_kept(false));
    decoder.close().expect("a capture");
    found.extend(frames(&decoder.take_kept(true)));
    assert_eq!(found, kept(&wire, &[(PROG, WHOLE)]));
}

#[test]
fn nothing_waits_longer_than_who_takes_it() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.5, &mut c, &mut s);
    let mut decoder = decoder(&[(PROG, WHOLE)]);
    decoder.feed(&wire.bytes).expect("a capture");
    assert_eq!(frames(&decoder.take_kept(true)).len(), 2);
    assert_eq!(frames(&decoder.take_kept(true)).len(), 0);
}

/// A datagram with a call in two fragments, the second one first.
fn fragments(wire: &mut Wire, at: f64, message: &[u8]) {
    let datagram = [&[2, 188, 0x80, 0x23, 0, (8 + message.len()) as u8, 0, 0], message].concat();
    for (offset, more, piece) in [(24, 0, &datagram[24..]), (0, 0x20, &datagram[..24])] {
        let mut packet = vec![0x45, 0, 0, (20 + piece.len()) as u8, 0, 9, more, offset / 8, 64, 17, 0, 0];
        packet.extend(CLIENT.octets());
        packet.extend(SERVER.octets());
        packet.extend(piece);
        wire.frame(at, &packet);
    }
}

#[test]
fn a_fragment_belongs_to_its_datagram() {
    let mut wire = Wire::default();
    fragments(&mut wire, 1.0, &call(1, 2, &[]));
    assert_eq!(kept(&wire, &[(PROG, WHOLE)]), [(1000, 44), (1000, 44)]);
    assert_eq!(kept(&wire, &[(PROG, 0)]), []);
}

#[test]
fn so_many_frames_of_a_flow_without_a_call_wait() {
    let with = |count: u32| {
        let (mut wire, c, s) = (Wire::default(), client(), server());
        for step in 0..count {
            wire.tcp(1.0 + f64::from(step) / 1000.0, &c, &s, ACK, c.seq, &[]);
        }
        let mut caller = c;
        wire.send(1.5, &mut caller, &s, &record(&[&call(1, 2, &[])]));
        kept(&wire, &[(PROG, WHOLE)]).len()
    };
    assert_eq!([with(64), with(65)], [65, 65]);
}

#[test]
fn interfaces_are_numbered_by_their_first_frame() {
    let mut decoder = decoder(&[(PROG, WHOLE)]);
    decoder.feed(&conversation().bytes).expect("a capture");
    decoder.take_kept(true);
    let found = decoder.kept_interfaces(0);
    assert_eq!(found.iter().map(|interface| interface.link_type).collect::<Vec<_>>(), [101]);
    assert!(decoder.kept_interfaces(1).is_empty());
}

#[test]
fn whatever_is_damaged_blocks_are_whole() {
    let mut wire = conversation();
    fragments(&mut wire, 1.5, &call(2, 2, &[]));
    wire.udp(1.6, (CLIENT, 900), (SERVER, 53), &[7; 12]);
    for at in 24..wire.bytes.len() {
        for flipped in [0x80, 0xff] {
            let mut damaged = wire.clone();
            damaged.bytes[at] ^= flipped;
            let mut decoder = decoder(&[(PROG, WHOLE)]);
            if decoder.feed(&damaged.bytes).is_ok() && decoder.close().is_ok() {
                frames(&decoder.take_kept(true));
            }
        }
    }
}
