//! RDMA is recognised by its headers, and RPC in it; IP over InfiniBand is read.

mod wire;

use nfsrpc_core::infiniband::{ROCE_PORT, is_iwarp, iwarp_holds_rpc, roce_v2};
use nfsrpc_core::link::{Unread, packet, unread};
use nfsrpc_core::packet_bytes::PacketBytes;
use nfsrpc_core::xdr::Layouts;
use wire::*;

const INFINIBAND: u32 = 247;
const SEND_ONLY: u8 = 0x04;
const ACKNOWLEDGE: u8 = 0x11;
const DATAGRAM: u8 = 0x64;

/// The header of RPC over RDMA: xid, version, credits, RDMA_MSG and three empty lists; then a call.
fn rpc_over_rdma() -> Vec<u8> {
    [words(&[7, 1, 32, 0, 0, 0, 0]), call(7, 0, &[])].concat()
}

/// A base transport header to this queue pair, with what it carries and a checksum.
fn transport(opcode: u8, queue_pair: u32, payload: &[u8]) -> Vec<u8> {
    let header = [vec![opcode, 0x40, 0xff, 0xff], words(&[queue_pair, 0x8000_0001])].concat();
    [header, payload.to_vec(), vec![0xcc; 4]].concat()
}

fn on_link(next: u8, route: usize, behind: &[u8]) -> Vec<u8> {
    [vec![0, next], vec![0; 6 + route], behind.to_vec()].concat()
}

fn all(bytes: &[u8]) -> PacketBytes<'_> {
    PacketBytes { bytes, missing: 0 }
}

#[test]
fn roce_v2_is_told_from_what_else_goes_to_its_port() {
    let cases = [
        (transport(SEND_ONLY, 18, &rpc_over_rdma()), Some(true)),
        (transport(0x00, 18, &rpc_over_rdma()), Some(true)),
        (transport(0x17, 18, &[words(&[9]), rpc_over_rdma()].concat()), Some(true)),
        (transport(SEND_ONLY, 18, &words(&[7, 2, 32, 0, 0, 0, 0])), Some(false)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 0, 0, 0, 0, 0])), Some(false)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 1, 0, 0, 0, 0])), Some(true)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 65_536, 0, 0, 0, 0])), Some(true)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 65_537, 0, 0, 0, 0])), Some(false)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 32, 5, 0, 0, 0])), Some(false)),
        (transport(SEND_ONLY, 18, &words(&[7, 1, 32, 0, 2, 0, 0])), Some(false)),
        (transport(0x02, 18, &rpc_over_rdma()), Some(false)),
        (transport(ACKNOWLEDGE, 18, &[0; 4]), Some(false)),
        (transport(DATAGRAM, 1, &words(&[0x8001_0000, 1, 0])), Some(false)),
        (transport(DATAGRAM, 1, &words(&[0, 1, 0])), None),
        (transport(SEND_ONLY, 18, &[0; 3]), None),
        (call(0x0400_ffff, 0, &[]), None),
        (reply(0x6440_ffff, &[]), None),
        (vec![0; 11], None),
    ];
    for (datagram, expected) in cases {
        assert_eq!(roce_v2(all(&datagram)), expected, "{datagram:x?}");
    }
}

#[test]
fn frames_of_rdma_say_whether_they_hold_rpc() {
    let (rpc, other) = (transport(SEND_ONLY, 18, &rpc_over_rdma()), transport(ACKNOWLEDGE, 18, &[0; 4]));
    let roce = |tag: &[u8], behind: &[u8]| [&[0x52; 12], tag, &[0x89, 0x15], &[0; 40], behind].concat();
    let cases = [
        (1, roce(&[], &rpc), Unread::Rdma(true)),
        (1, roce(&[0x81, 0, 0, 7], &rpc), Unread::Rdma(true)),
        (1, roce(&[], &other), Unread::Rdma(false)),
        (276, [&[0x89, 0x15][..], &[0; 18], &[0; 40], &rpc].concat(), Unread::Rdma(true)),
        (INFINIBAND, on_link(2, 0, &rpc), Unread::Rdma(true)),
        (INFINIBAND, on_link(3, 40, &rpc), Unread::Rdma(true)),
        (INFINIBAND, on_link(3, 40, &other), Unread::Rdma(false)),
        (INFINIBAND, on_link(0, 40, &rpc), Unread::Rdma(false)),
        (1, [&[0x52; 12][..], &[0x08, 0x06], &[0; 40]].concat(), Unread::NotIp),
        (127, rpc.clone(), Unread::LinkType(127)),
        (258, [&[12, 0, 0, 0, 1, 0, 0, 0, 105, 0, 0, 0][..], &rpc].concat(), Unread::LinkType(105)),
        (258, vec![0xff; 40], Unread::NotIp),
    ];
    for (link_type, frame, expected) in cases {
        assert_eq!((packet(link_type, all(&frame)), unread(link_type, all(&frame))), (None, expected));
    }
}

#[test]
fn ip_over_infiniband_is_read_on_its_own_link() {
    let inside = [&[0x80, 1, 0, 0][..], &[0, 0, 0, 9], &[0x08, 0x00, 0, 0], b"\x45 any bytes"].concat();
    let datagram = transport(DATAGRAM, 0x550, &inside);
    for frame in [on_link(2, 0, &datagram), on_link(3, 40, &datagram)] {
        assert_eq!(packet(INFINIBAND, all(&frame)).map(|found| found.bytes[0]), Some(0x45));
        for length in 0..frame.len() - 15 {
            assert_eq!(packet(INFINIBAND, all(&frame[..length])), None);
        }
    }
    assert_eq!(packet(INFINIBAND, all(&on_link(2, 0, &transport(SEND_ONLY, 0x550, &inside)))), None);
}

#[test]
fn iwarp_is_told_by_its_negotiation_or_by_rpc_in_it() {
    let send = [&[0, 100, 0x41, 0x43][..], &[0; 4], &words(&[0, 1, 0]), &rpc_over_rdma()].concat();
    assert!(is_iwarp(b"MPA ID Req Frame\x40\x01\0\0") && is_iwarp(b"MPA ID Rep Frame\x40\x01\0\0"));
    assert!(is_iwarp(&send) && iwarp_holds_rpc(&send));
    assert!(!iwarp_holds_rpc(b"MPA ID Req Frame\x40\x01\0\0") && !is_iwarp(&record(&[&call(1, 1, &[0; 40])])));
    for at in [2, 3, 27, 28] {
        let mut other = send.clone();
        other[at] ^= 0xff;
        assert!(!is_iwarp(&other), "{at}");
    }
}

#[test]
fn a_file_counts_what_was_not_read_of_it() {
    let mut wire = Wire::default();
    let (roce, rpc) = ((CLIENT, 51_191), transport(SEND_ONLY, 18, &rpc_over_rdma()));
    wire.udp(0.0, roce, (SERVER, ROCE_PORT), &rpc);
    wire.udp(0.1, roce, (SERVER, ROCE_PORT), &transport(ACKNOWLEDGE, 18, &[0; 4]));
    wire.udp(0.2, (CLIENT, 900), (SERVER, ROCE_PORT), &call(1, 1, &[]));
    wire.udp(0.3, (SERVER, ROCE_PORT), (CLIENT, 900), &reply(1, &[]));
    let (mut c, mut s) = (client(), server());
    wire.connect(1.0, &mut c, &mut s);
    wire.send(1.1, &mut c, &s, b"MPA ID Req Frame\x40\x01\0\0");
    wire.send(1.2, &mut s, &c, b"MPA ID Rep Frame\x40\x01\0\0");
    let send = [&[0, 100, 0x41, 0x43][..], &[0; 4], &words(&[0, 1, 0]), &rpc_over_rdma()].concat();
    wire.send(1.3, &mut c, &s, &send);
    wire.send(1.4, &mut s, &c, &[0x5a; 30]);
    let batch = wire.decode();
    assert_eq!(pairs(&batch), [(3, 4, 0, 0)]);
    assert_eq!((batch.captures.rdma[0], batch.captures.rdma_rpc[0]), (2 + 4, 1 + 1));
    assert_eq!((batch.captures.unread[0], batch.captures.unread_type[0], batch.captures.not_ip[0]), (0, u32::MAX, 0));

    let mut radio = wire.bytes.clone();
    radio[20..24].copy_from_slice(&127_u32.to_le_bytes());
    let batch = decode(&radio, radio.len(), Layouts::default(), Vec::new());
    let (captures, frames) = (&batch.captures, batch.captures.frames[0]);
    assert_eq!((captures.unread[0], captures.unread_type[0], captures.rdma[0]), (frames, 127, 0));
}
