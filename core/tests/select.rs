//! Raw messages, frames and packets for who asks for them.

mod wire;

use std::net::IpAddr;

use nfsrpc_core::decoder::{Batch, Decoder};
use nfsrpc_core::select::Select;
use nfsrpc_core::tally::Fold;
use nfsrpc_core::xdr::Layouts;
use wire::*;

fn selected(bytes: &[u8], frames: &[(u16, u32)], flows: &[u32]) -> Batch {
    let select = Select {
        frames: frames.iter().copied().collect(),
        flows: flows.iter().copied().collect(),
        ..Select::default()
    };
    let mut decoder = Decoder::new(Layouts::default(), Vec::new(), 0, Fold::default(), select);
    decoder.feed(bytes).expect("a capture");
    decoder.close().expect("a capture").1
}

#[test]
fn messages_that_are_complete_in_a_frame() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    let message = call(1, 2, &[7; 100]);
    let stream = record(&[&message[..50], &message[50..]]);
    wire.send(1.0, &mut c, &s, &stream[..80]);
    wire.send(1.1, &mut c, &s, &stream[80..]);
    wire.send(1.2, &mut s, &c, &record(&[&reply(1, &[])]));
    wire.send(1.3, &mut s, &c, &record(&[&reply(1, &[])]));
    let found = selected(&wire.bytes, &[(0, 4), (0, 5), (0, 7)], &[]).selected;
    assert_eq!(
        found.messages.iter().map(|raw| (raw.place.frame, raw.reply, raw.copy)).collect::<Vec<_>>(),
        [(5, false, 0), (7, true, 1)]
    );
    assert_eq!(found.messages[0].bytes, message);
    assert_eq!(found.frames.iter().map(|raw| raw.place.frame).collect::<Vec<_>>(), [4, 5, 7]);
    assert!(found.frames[0].bytes.ends_with(&stream[..80]));
}

#[test]
fn frames_of_a_flow() {
    let (mut wire, mut c, mut s) = (Wire::default(), client(), server());
    wire.connect(0.0, &mut c, &mut s);
    wire.udp(0.5, (CLIENT, 900), (SERVER, 111), &call(9, 2, &[]));
    wire.send(1.0, &mut c, &s, &record(&[&call(1, 2, &[])]));
    let packets = selected(&wire.bytes, &[], &[0]).selected.packets;
    assert_eq!(packets.frame, [1, 2, 3, 5]);
    assert_eq!(packets.tcp_flags, [SYN, SYN | ACK, ACK, ACK]);
    assert_eq!(packets.length, [0, 0, 0, 44]);
}

/// The addresses of the capturing host in a cooked capture of one packet, seen with these packet types and ARP types.
fn locals(seen: &[(u8, u16)]) -> Vec<(IpAddr, bool)> {
    let mut raw = Wire::default();
    let start = raw.bytes.len();
    raw.udp(0.0, (SERVER, 111), (CLIENT, 900), &[]);
    let (_, packet) = raw.bytes[start..].split_at(16);
    let mut wire = Wire::default();
    wire.bytes.truncate(20);
    wire.bytes.extend(276_u32.to_le_bytes());
    for (number, (packet_type, hardware)) in seen.iter().enumerate() {
        // LINUX_SLL2 (276): protocol, reserved, interface, ARP type, packet type, address length, address.
        let mut frame = vec![8, 0, 0, 0, 0, 0, 0, 2];
        frame.extend(hardware.to_be_bytes());
        frame.extend([*packet_type, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend(packet);
        wire.frame(number as f64 / 10.0, &frame);
    }
    selected(&wire.bytes, &[], &[]).locals.iter().map(|local| (local.address, local.forwarded)).collect()
}

#[test]
fn the_link_layer_shows_who_captured() {
    assert_eq!(locals(&[(0, 1), (0, 1)]), []);
    assert_eq!(locals(&[(4, 1), (4, 1)]), [(SERVER.into(), false)]);
}

#[test]
fn an_address_that_frames_also_come_from_is_another_hosts() {
    assert_eq!(locals(&[(0, 1), (4, 1), (0, 1)]), [(SERVER.into(), true)]);
    assert_eq!(locals(&[(4, 1), (3, 1)]), [(SERVER.into(), true)]);
    // What a loopback interface receives the host sent itself; a broadcast (1) or multicast (2) may be its own as well.
    assert_eq!(locals(&[(4, 1), (0, 772), (1, 1), (2, 1)]), [(SERVER.into(), false)]);
}
