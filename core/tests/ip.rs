//! Packets built here byte by byte give the datagrams they should: headers, padding, offload, fragments in every order,
//! tunnels, and what a snaplen left.

use nfsrpc_core::capture::{CapturedFrame, MAX_FRAME, NO_TIME};
use nfsrpc_core::ip::Datagram;
use nfsrpc_core::oddity::Oddities;
use nfsrpc_core::tunnel::Network;
use proptest::prelude::*;
use std::net::IpAddr;

const RAW: u32 = 101;
const ETHERNET: u32 = 1;
const SECOND: i64 = 1_000_000_000;
const TCP: u8 = 6;
const UDP: u8 = 17;

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    src: String,
    dst: String,
    protocol: u8,
    id: u32,
    payload: Vec<u8>,
    wire_len: usize,
    fragmented: bool,
}

/// A network, and all that it has handed out.
#[derive(Default)]
struct Wire {
    network: Network,
    oddities: Oddities,
    frame: u32,
}

impl Wire {
    fn send(&mut self, time: i64, link_type: u32, data: &[u8], wire_len: usize) -> Vec<Seen> {
        self.frame += 1;
        (self.oddities.place.frame, self.oddities.place.time) = (self.frame, time);
        let frame =
            CapturedFrame { number: self.frame, time, interface: 0, link_type, data, wire_len: wire_len as u32 };
        let as_seen = |datagram: &Datagram<'_>| {
            let Datagram { src, dst, protocol, id, payload, wire_len, fragmented, .. } = *datagram;
            let (src, dst, payload) = (src.to_string(), dst.to_string(), payload.to_vec());
            Seen { src, dst, protocol, id, payload, wire_len, fragmented }
        };
        let mut seen = Vec::new();
        let mut sink = |datagram: &Datagram<'_>, _: &mut Oddities| seen.push(as_seen(datagram));
        self.network.datagram(&frame, &mut self.oddities, &mut sink);
        // The short way gives what the long one does.
        if let Some(plain) = Network::default().plain(&frame) {
            assert_eq!(seen, [as_seen(&plain)]);
        }
        seen
    }

    fn packet(&mut self, packet: &[u8]) -> Vec<Seen> {
        self.send(0, RAW, packet, packet.len())
    }

    /// Kind, frame and detail.
    fn odd(&mut self) -> Vec<(&'static str, u32, u64)> {
        self.oddities.take().into_iter().map(|row| (row.kind, row.frame, row.detail)).collect()
    }

    fn close(&mut self) -> Vec<(&'static str, u32, u64)> {
        self.network.close(&mut self.oddities);
        self.odd()
    }
}

fn seen(packet: &[u8]) -> Vec<Seen> {
    Wire::default().packet(packet)
}

/// Protocol and payload of the one datagram.
fn inside(packet: &[u8]) -> (u8, Vec<u8>) {
    let mut wire = Wire::default();
    let mut seen = wire.packet(packet);
    assert_eq!((seen.len(), wire.odd()), (1, vec![]), "{packet:x?}");
    let Seen { protocol, payload, .. } = seen.remove(0);
    (protocol, payload)
}

fn address(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

struct V4<'a> {
    protocol: u8,
    id: u16,
    /// In bytes.
    offset: u16,
    more: bool,
    options: &'a [u8],
}

impl Default for V4<'_> {
    fn default() -> Self {
        V4 { protocol: TCP, id: 0x1234, offset: 0, more: false, options: &[] }
    }
}

impl V4<'_> {
    fn packet(&self, payload: &[u8]) -> Vec<u8> {
        self.packet_of(20 + self.options.len() + payload.len(), payload)
    }

    fn packet_of(&self, total: usize, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45 + (self.options.len() / 4) as u8, 0];
        packet.extend((total as u16).to_be_bytes());
        packet.extend(self.id.to_be_bytes());
        packet.extend((self.offset / 8 + u16::from(self.more) * 0x2000).to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend([address("10.1.84.41"), address("10.1.84.31"), self.options.to_vec(), payload.to_vec()].concat());
        packet
    }
}

fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    V4 { protocol, ..V4::default() }.packet(payload)
}

fn v6_of(next: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((length as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([address("fd84::41"), address("fd84::31"), payload.to_vec()].concat());
    packet
}

fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    v6_of(next, payload.len(), payload)
}

/// An extension header of so many units of eight bytes beyond the first.
fn extension(next: u8, units: u8) -> Vec<u8> {
    [vec![next, units], vec![0; 6 + usize::from(units) * 8]].concat()
}

fn fragment_header(next: u8, offset: u16, more: bool, id: u32) -> Vec<u8> {
    [vec![next, 0], (offset | u16::from(more)).to_be_bytes().to_vec(), id.to_be_bytes().to_vec()].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    [&700_u16.to_be_bytes()[..], &port.to_be_bytes(), &[0; 4], payload].concat()
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0x52; 12][..], &ethertype.to_be_bytes(), payload].concat()
}

#[test]
fn ipv4_gives_addresses_protocol_identification_and_payload() {
    let expected = Seen {
        src: "10.1.84.41".into(),
        dst: "10.1.84.31".into(),
        protocol: TCP,
        id: 0x1234,
        payload: b"payload".to_vec(),
        wire_len: 7,
        fragmented: false,
    };
    for options in [&[1; 40][..0], &[1; 8], &[1; 40]] {
        let packet = V4 { options, ..V4::default() }.packet(b"payload");
        assert_eq!(seen(&packet), std::slice::from_ref(&expected));
    }
}

#[test]
fn what_has_something_else_to_see_is_not_plain() {
    let plain = |packet: &[u8]| {
        let (number, wire_len) = (1, packet.len() as u32);
        let frame = CapturedFrame { number, time: 0, interface: 0, link_type: RAW, data: packet, wire_len };
        Network::default().plain(&frame).is_some()
    };
    let inner = v4(TCP, b"inside");
    assert!(plain(&inner) && plain(&v4(UDP, &udp(2049, b"datagram"))));
    let (ipip, authentication) = (4, 51);
    let others = [v6(TCP, b"six"), v4(ipip, &inner), v4(UDP, &udp(4789, &inner)), v4(authentication, &[0; 24])];
    assert!(others.iter().all(|packet| !plain(packet)));
    assert!(fragments(1).iter().flatten().all(|packet| !plain(packet)));
    let mut wrong = inner;
    wrong[10] ^= 1;
    assert!(!plain(&wrong));
}

#[test]
fn ipv6_gives_addresses_protocol_and_payload() {
    let expected = Seen {
        src: "fd84::41".into(),
        dst: "fd84::31".into(),
        protocol: UDP,
        id: 0,
        payload: b"payload".to_vec(),
        wire_len: 7,
        fragmented: false,
    };
    assert_eq!(seen(&v6(UDP, b"payload")), [expected]);
}

#[test]
fn the_padding_of_a_short_frame_is_no_payload() {
    for (ethertype, packet) in [(0x0800, v4(TCP, b"ack")), (0x86dd, v6(TCP, b"ack"))] {
        let frame = [ethernet(ethertype, &packet), vec![0; 20]].concat();
        let seen = Wire::default().send(0, ETHERNET, &frame, frame.len());
        assert_eq!((&seen[0].payload[..], seen[0].wire_len), (&b"ack"[..], 3));
    }
}

#[test]
fn a_length_of_zero_is_that_of_the_frame() {
    let payload = vec![7; 70_000];
    for packet in [V4::default().packet_of(0, &payload), v6_of(TCP, 0, &payload)] {
        let header = packet.len() - payload.len();
        let whole = seen(&packet);
        assert_eq!((whole[0].payload.len(), whole[0].wire_len), (70_000, 70_000));
        let cut = Wire::default().send(0, RAW, &packet[..header + 100], packet.len());
        assert_eq!((cut[0].payload.len(), cut[0].wire_len), (100, 70_000));
    }
    let jumbo = [v6_of(0, 0, &extension(TCP, 0)), payload].concat();
    assert_eq!(seen(&jumbo)[0].wire_len, 70_000);
    let nothing = [v6_of(59, 0, b""), vec![0; 6]].concat();
    assert_eq!((seen(&nothing)[0].payload.len(), seen(&nothing)[0].wire_len), (0, 0));
}

#[test]
fn what_the_snaplen_cut_off_was_on_the_wire() {
    for packet in [v4(TCP, &[7; 100]), v6(TCP, &[7; 100])] {
        let header = packet.len() - 100;
        for captured in 0..packet.len() {
            let mut wire = Wire::default();
            let seen = wire.send(0, RAW, &packet[..captured], packet.len());
            let lengths: Vec<_> = seen.iter().map(|seen| (seen.payload.len(), seen.wire_len)).collect();
            let expected = if captured < header { vec![] } else { vec![(captured - header, 100)] };
            assert_eq!((lengths, wire.odd(), wire.network.not_ip), (expected, vec![], 0));
        }
    }
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let short_header = [&[0x44][..], &v4(TCP, b"x")[1..]].concat();
    let options_beyond = [&[0x4f][..], &v4(TCP, b"x")[1..]].concat();
    let packets = [
        short_header,
        options_beyond,
        V4::default().packet_of(19, b""),
        v4(TCP, b"")[..19].to_vec(),
        v6(TCP, b"")[..39].to_vec(),
        v6(0, &extension(TCP, 1)[..15]),
        v6(60, &extension(TCP, 0)[..7]),
        v6(51, &[TCP, 4, 0, 0, 0, 0, 0, 0]),
    ];
    for packet in packets {
        let mut wire = Wire::default();
        assert_eq!((wire.packet(&packet), wire.odd()), (vec![], vec![("ip-header", 1, packet.len() as u64)]));
    }
}

#[test]
fn frames_without_ip_are_counted() {
    let mut wire = Wire::default();
    wire.packet(&[0x55; 40]);
    wire.send(0, ETHERNET, &ethernet(0x0806, &[0; 46]), 60);
    wire.send(0, 105, &v4(TCP, b"802.11"), 26);
    wire.packet(&v4(TCP, b"ip"));
    assert_eq!((wire.network.not_ip, wire.odd()), (2, vec![]));
    assert_eq!((wire.network.unread.unread, wire.network.unread.link_type), (1, Some(105)));
}

#[test]
fn extension_headers_are_passed_over() {
    let authentication = [vec![60, 4, 0, 0], vec![9; 20]].concat();
    let chain = [extension(43, 0), extension(51, 2), authentication, extension(TCP, 1), b"payload".to_vec()].concat();
    assert_eq!(inside(&v6(0, &chain)), (TCP, b"payload".to_vec()));
    let atomic = [fragment_header(UDP, 0, false, 77), b"payload".to_vec()].concat();
    assert_eq!(inside(&v6(44, &atomic)), (UDP, b"payload".to_vec()));
    assert_eq!((seen(&v6(44, &atomic))[0].id, seen(&v6(44, &atomic))[0].fragmented), (77, false));
    let authentication = [vec![TCP, 4, 0, 0], vec![9; 20], b"payload".to_vec()].concat();
    assert_eq!(inside(&v4(51, &authentication)), (TCP, b"payload".to_vec()));
}

/// Four fragments of a datagram of 60 bytes, in either version of IP.
fn fragments(id: u16) -> [Vec<Vec<u8>>; 2] {
    let payload: Vec<u8> = (0..60).collect();
    let parts = [(0, 16), (16, 24), (24, 48), (48, 60)];
    let v4 = |(begin, end): (usize, usize)| {
        V4 { protocol: UDP, id, offset: begin as u16, more: end < 60, ..V4::default() }.packet(&payload[begin..end])
    };
    let v6 = |(begin, end): (usize, usize)| {
        let header = fragment_header(UDP, begin as u16, end < 60, id.into());
        v6(0, &[extension(44, 0), header, payload[begin..end].to_vec()].concat())
    };
    [parts.map(v4).to_vec(), parts.map(v6).to_vec()]
}

fn assert_whole(seen: &[Seen], id: u32) {
    let lengths: Vec<_> = seen.iter().map(|seen| (seen.protocol, seen.id, seen.wire_len, seen.fragmented)).collect();
    assert_eq!(lengths, [(UDP, id, 60, true)]);
    assert_eq!(seen[0].payload, (0..60).collect::<Vec<u8>>());
}

fn orders(of: usize) -> Vec<Vec<usize>> {
    if of == 0 {
        return vec![vec![]];
    }
    let shorter = orders(of - 1);
    let with = |order: &Vec<usize>, at: usize| [&order[..at], &[of - 1], &order[at..]].concat();
    shorter.iter().flat_map(|order| (0..of).map(move |at| with(order, at))).collect()
}

#[test]
fn fragments_join_in_every_order() {
    assert_eq!(orders(4).len(), 24);
    for fragments in fragments(9) {
        for order in orders(4) {
            let mut wire = Wire::default();
            for index in &order[..3] {
                assert_eq!(wire.packet(&fragments[*index]), []);
            }
            assert_whole(&wire.packet(&fragments[order[3]]), 9);
            assert_eq!(wire.close(), []);
        }
    }
}

#[test]
fn fragments_captured_twice_give_one_datagram() {
    for mut fragments in fragments(9) {
        fragments.rotate_right(1);
        let mut wire = Wire::default();
        let seen: Vec<Seen> = fragments.iter().flat_map(|one| [wire.packet(one), wire.packet(one)].concat()).collect();
        assert_whole(&seen, 9);
        assert_eq!(wire.close(), []);
    }
}

#[test]
fn fragments_of_different_datagrams_do_not_mix() {
    let mut wire = Wire::default();
    let ([one, _], [two, six]) = (fragments(1), fragments(2));
    let mut other = one.clone();
    other.iter_mut().for_each(|packet| packet[9] = TCP);
    let mixed =
        (0..4).flat_map(|at| [&one[at], &two[at], &six[at], &other[at]].map(|packet| wire.packet(packet)).concat());
    let seen: Vec<_> = mixed.map(|seen| (seen.protocol, seen.id, seen.src)).collect();
    let expected = [(UDP, 1, "10.1.84.41"), (UDP, 2, "10.1.84.41"), (UDP, 2, "fd84::41"), (TCP, 1, "10.1.84.41")];
    assert_eq!(seen, expected.map(|(protocol, id, src)| (protocol, id, src.to_owned())));
}

fn piece(offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    V4 { protocol: UDP, offset, more, ..V4::default() }.packet(payload)
}

#[test]
fn where_fragments_overlap_the_first_byte_wins() {
    let mut wire = Wire::default();
    wire.packet(&piece(16, true, &[b'a'; 8]));
    wire.packet(&piece(8, true, &[b'b'; 24]));
    wire.packet(&piece(32, false, &[b'c'; 4]));
    let seen = wire.packet(&piece(0, true, &[b'd'; 40 - 8]));
    assert_eq!(String::from_utf8_lossy(&seen[0].payload), "ddddddddbbbbbbbbaaaaaaaabbbbbbbbcccc");
}

#[test]
fn a_fragment_cut_by_the_snaplen_cuts_the_datagram() {
    let mut wire = Wire::default();
    let (first, second, last) = (piece(0, true, &[1; 32]), piece(32, true, &[2; 32]), piece(64, false, &[3; 6]));
    wire.packet(&last);
    wire.send(0, RAW, &second[..20 + 10], second.len());
    let seen = wire.packet(&first);
    assert_eq!((seen[0].payload.clone(), seen[0].wire_len), ([vec![1; 32], vec![2; 10]].concat(), 70));

    let mut wire = Wire::default();
    wire.packet(&second);
    wire.packet(&last);
    let seen = wire.send(0, RAW, &first[..20 + 8], first.len());
    assert_eq!((seen[0].payload.clone(), seen[0].wire_len), (vec![1; 8], 70));
}

#[test]
fn a_copy_with_more_of_a_cut_fragment_adds_to_it() {
    let mut wire = Wire::default();
    let first = piece(0, true, &[1; 32]);
    wire.send(0, RAW, &first[..20 + 8], first.len());
    wire.packet(&first);
    assert_eq!(wire.packet(&piece(32, false, b"end"))[0].payload, [&[1; 32][..], b"end"].concat());
}

#[test]
fn a_joined_datagram_may_begin_with_extension_headers() {
    let rest = [extension(TCP, 0), b"payload".to_vec()].concat();
    let mut wire = Wire::default();
    wire.packet(&v6(44, &[fragment_header(60, 0, true, 5), rest[..8].to_vec()].concat()));
    let seen = wire.packet(&v6(44, &[fragment_header(60, 8, false, 5), rest[8..].to_vec()].concat()));
    assert_eq!((seen[0].protocol, &seen[0].payload[..], seen[0].fragmented), (TCP, &b"payload"[..], true));

    let rest = [vec![TCP, 4, 0, 0], vec![9; 20], b"payload".to_vec()].concat();
    let authenticated =
        |offset, more, payload: &[u8]| V4 { protocol: 51, offset, more, ..V4::default() }.packet(payload);
    wire.packet(&authenticated(0, true, &rest[..16]));
    assert_eq!(wire.packet(&authenticated(16, false, &rest[16..]))[0].payload, b"payload");
}

#[test]
fn impossible_fragments_are_malformed() {
    let packets = [piece(0, true, &[0; 12]), piece(8, true, b""), piece(65_528, false, &[0; 8])];
    for (packet, end) in packets.iter().zip([12, 8, 65_536]) {
        let mut wire = Wire::default();
        assert_eq!((wire.packet(packet), wire.odd()), (vec![], vec![("ip-fragment", 1, end)]));
        assert_eq!(wire.close(), []);
    }
}

#[test]
fn the_largest_datagram_joins() {
    let mut wire = Wire::default();
    wire.packet(&piece(0, true, &[1; 65_512]));
    assert_eq!(wire.packet(&piece(65_512, false, &[2; 23]))[0].wire_len, 65_535);
}

#[test]
fn a_datagram_never_completed_is_reported_with_what_is_missing() {
    let lost = |packets: &[Vec<u8>]| {
        let mut wire = Wire::default();
        packets.iter().for_each(|packet| assert_eq!(wire.packet(packet), []));
        wire.close()
    };
    let [first, second, third, last] = <[Vec<u8>; 4]>::try_from(fragments(1)[0].clone()).unwrap();
    assert_eq!(lost(&[second.clone(), last.clone()]), [("fragments-lost", 1, 16 + 24)]);
    assert_eq!(lost(&[first.clone(), third.clone()]), [("fragments-lost", 1, 8)]);
    assert_eq!(lost(&[last]), [("fragments-lost", 1, 48)]);
    assert_eq!(lost(&[first, second, third]), [("fragments-lost", 1, 0)]);
}

#[test]
fn fragments_are_waited_for_as_long_as_linux_does() {
    let fragments = &fragments(1)[0];
    let late = |wait: i64| {
        let mut wire = Wire::default();
        fragments[..3].iter().for_each(|packet| drop(wire.send(SECOND, RAW, packet, packet.len())));
        let seen = wire.send(SECOND + wait, RAW, &fragments[3], fragments[3].len());
        (seen.len(), wire.odd())
    };
    assert_eq!(late(30 * SECOND), (1, vec![]));
    assert_eq!(late(30 * SECOND + 1), (0, vec![("fragments-lost", 1, 0)]));
    assert_eq!(late(-SECOND), (1, vec![]));
    let mut wire = Wire::default();
    let seen = fragments.iter().flat_map(|packet| wire.send(NO_TIME, RAW, packet, packet.len()));
    assert_whole(&seen.collect::<Vec<_>>(), 1);
}

#[test]
fn the_loss_is_placed_at_the_first_fragment() {
    let mut wire = Wire::default();
    wire.send(5, RAW, &fragments(1)[0][0], 36);
    wire.send(40 * SECOND, RAW, &fragments(2)[0][0], 36);
    let row = wire.oddities.take().remove(0);
    assert_eq!((row.frame, row.time), (1, 5));
    assert_eq!((wire.oddities.place.frame, wire.oddities.place.time), (2, 40 * SECOND));
}

#[test]
fn datagrams_in_pieces_are_limited_in_number() {
    let mut wire = Wire::default();
    for id in 0..=1_024 {
        wire.packet(&V4 { id, more: true, ..V4::default() }.packet(&[0; 8]));
    }
    assert_eq!(wire.odd(), [("fragments-lost", 1, 0)]);
    let last = |id| V4 { id, offset: 8, ..V4::default() }.packet(b"end");
    assert_eq!((wire.packet(&last(0)).len(), wire.packet(&last(1_024)).len()), (0, 1));
}

#[test]
fn datagrams_in_pieces_are_limited_in_bytes() {
    let mut wire = Wire::default();
    for id in 0..300 {
        wire.packet(&V4 { id, offset: 65_000, ..V4::default() }.packet(&[0; 500]));
    }
    let lost = wire.odd();
    assert!((40..50).contains(&lost.len()), "{}", lost.len());
    assert_eq!(lost[0], ("fragments-lost", 1, 65_000));

    let mut wire = Wire::default();
    for id in 0..200 {
        for at in 1..7 {
            wire.packet(&V4 { id, offset: at * 8_000, more: true, ..V4::default() }.packet(&[0; 8_000]));
        }
    }
    assert_eq!(wire.odd(), []);
}

#[test]
fn completed_datagrams_hold_no_bytes() {
    let mut wire = Wire::default();
    for id in 0..1_000 {
        wire.packet(&V4 { id, more: true, ..V4::default() }.packet(&[0; 32_768]));
        assert_eq!(wire.packet(&V4 { id, offset: 32_768, ..V4::default() }.packet(&[0; 20_000])).len(), 1);
    }
    assert_eq!(wire.close(), []);
}

#[test]
fn an_identification_used_again_begins_a_new_datagram() {
    let mut wire = Wire::default();
    wire.packet(&piece(48, false, &[1; 12]));
    wire.packet(&piece(0, true, &[2; 8]));
    assert_eq!(wire.packet(&piece(8, false, b"end"))[..], []);
    assert_eq!(wire.odd(), [("fragments-lost", 1, 40)]);
    assert_eq!(wire.packet(&piece(0, true, &[3; 8]))[0].payload, b"\x03\x03\x03\x03\x03\x03\x03\x03end");

    for (one, two) in
        [((8, false), (8, true)), ((8, false), (16, true)), ((8, true), (8, false)), ((16, false), (8, false))]
    {
        let mut wire = Wire::default();
        wire.packet(&piece(one.0, one.1, &[1; 8]));
        wire.packet(&piece(two.0, two.1, &[1; 8]));
        assert_eq!(wire.odd(), [("fragments-lost", 1, one.0.into())], "{one:?} {two:?}");
    }
}

fn gre(flags: u16, protocol: u16, fields: usize, payload: &[u8]) -> Vec<u8> {
    [&flags.to_be_bytes()[..], &protocol.to_be_bytes(), &vec![0xcc; 4 * fields], payload].concat()
}

fn vxlan(payload: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, 0x54, 0][..], payload].concat()
}

fn geneve(protocol: u16, options: u8, payload: &[u8]) -> Vec<u8> {
    [&[options, 0][..], &protocol.to_be_bytes(), &[0, 0, 84, 0], &vec![9; usize::from(options) * 4], payload].concat()
}

#[test]
fn every_tunnel_gives_what_it_carries() {
    let (four, six) = (v4(TCP, b"payload"), v6(TCP, b"payload"));
    let tunnels = [
        v4(4, &four),
        v4(4, &V4::default().packet_of(0, b"payload")),
        v4(41, &six),
        v6(4, &four),
        v6(41, &six),
        v4(47, &gre(0, 0x0800, 0, &four)),
        v6(47, &gre(0x2000, 0x86dd, 1, &six)),
        v4(47, &gre(0x1000, 0x0800, 1, &four)),
        v4(47, &gre(0x8000, 0x0800, 1, &four)),
        v4(47, &gre(0xb000, 0x6558, 3, &ethernet(0x0800, &four))),
        v4(UDP, &udp(4789, &vxlan(&ethernet(0x0800, &four)))),
        v4(UDP, &udp(8472, &vxlan(&ethernet(0x8100, &[&[0, 84, 0x86, 0xdd][..], &six].concat())))),
        v6(UDP, &udp(4789, &vxlan(&ethernet(0x86dd, &six)))),
        v4(UDP, &udp(6081, &geneve(0x6558, 0, &ethernet(0x0800, &four)))),
        v4(UDP, &udp(6081, &geneve(0x0800, 2, &four))),
        v4(UDP, &udp(6081, &geneve(0x86dd, 63, &six))),
        v4(4, &v4(47, &gre(0, 0x0800, 0, &v4(UDP, &udp(4789, &vxlan(&ethernet(0x0800, &four))))))),
    ];
    for tunnel in tunnels {
        assert_eq!(inside(&tunnel), (TCP, b"payload".to_vec()), "{tunnel:x?}");
    }
    assert_eq!(inside(&v4(4, &v4(TCP, b""))), (TCP, vec![]));
    assert_eq!(inside(&v4(41, &v6(TCP, b""))), (TCP, vec![]));
}

#[test]
fn what_only_looks_like_a_tunnel_stays_as_it_is() {
    let four = v4(TCP, b"payload");
    let with = |packet: &[u8], at: usize, value: u8| {
        let mut packet = packet.to_vec();
        packet[at] = value;
        packet
    };
    let others = [
        (4, b"neither".to_vec()),
        (4, with(&four, 0, 0x44)),
        (4, with(&four, 3, 255)),
        (4, with(&four, 3, 19)),
        (4, with(&four, 0, 0x4f)),
        (41, with(&v6(TCP, b"x"), 5, 2)),
        (41, v6(TCP, b"")[..39].to_vec()),
        (47, gre(0x0001, 0x0800, 0, &four)),
        (47, gre(0x4000, 0x0800, 1, &four)),
        (47, gre(0, 0x880b, 0, &four)),
        (47, gre(0, 0x0800, 0, b"")),
        (UDP, udp(8472, b"a DNS answer to a client that has this port")),
        (UDP, udp(4789, &with(&vxlan(&ethernet(0x0800, &four)), 0, 0))),
        (UDP, udp(4789, &vxlan(&ethernet(0x0806, &four)))),
        (UDP, udp(4790, &vxlan(&ethernet(0x0800, &four)))),
        (UDP, udp(6081, &geneve(0x0800, 64, &four))),
        (UDP, udp(6081, b"short")),
        (UDP, vec![1, 2, 3]),
    ];
    for (protocol, payload) in others {
        assert_eq!(inside(&v4(protocol, &payload)), (protocol, payload));
    }
}

#[test]
fn a_cut_tunnel_cuts_what_it_carries() {
    let packet = v4(UDP, &udp(4789, &vxlan(&ethernet(0x0800, &v4(TCP, &[7; 1_000])))));
    let seen = Wire::default().send(0, RAW, &packet[..150], packet.len());
    assert_eq!((seen[0].protocol, seen[0].payload.len(), seen[0].wire_len), (TCP, 150 - 28 - 8 - 14 - 20, 1_000));
    let headers = Wire::default().send(0, RAW, &packet[..60], packet.len());
    assert_eq!((headers[0].protocol, headers[0].payload.len()), (UDP, 40));
}

#[test]
fn a_tunnel_in_fragments_and_fragments_in_a_tunnel_join() {
    let carried = v4(4, &v4(TCP, b"payload"))[20..].to_vec();
    let outer = |offset: u16, more, payload: &[u8]| V4 { protocol: 4, offset, more, ..V4::default() }.packet(payload);
    let mut wire = Wire::default();
    assert_eq!(wire.packet(&outer(0, true, &carried[..16])), []);
    let seen = wire.packet(&outer(16, false, &carried[16..]));
    assert_eq!((seen[0].protocol, &seen[0].payload[..]), (TCP, &b"payload"[..]));

    for fragments in fragments(3) {
        let mut wire = Wire::default();
        let version = if fragments[0][0] >> 4 == 4 { 4 } else { 41 };
        let seen: Vec<Seen> = fragments.iter().flat_map(|one| wire.packet(&v4(version, one))).collect();
        assert_whole(&seen, 3);
        assert_eq!(wire.close(), []);
    }
}

#[test]
fn tunnels_are_followed_only_so_deep() {
    let nested = |depth| (0..depth).fold(v4(TCP, b"payload"), |packet, _| v4(4, &packet));
    assert_eq!(inside(&nested(8)), (TCP, b"payload".to_vec()));
    let mut wire = Wire::default();
    assert_eq!(wire.packet(&nested(9))[0].protocol, 4);
    assert_eq!(wire.odd(), [("tunnel-nesting", 1, 8)]);
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    let [four, six] = fragments(7);
    let mut seeds = vec![
        v4(TCP, &[7; 30]),
        v6(
            0,
            &[extension(43, 0), extension(51, 1), extension(44, 0), fragment_header(UDP, 8, true, 1), vec![0; 16]]
                .concat(),
        ),
        v4(UDP, &udp(4789, &vxlan(&ethernet(0x8847, &[&[0, 0, 1, 0][..], &four[1]].concat())))),
        v4(47, &gre(0xb000, 0x6558, 3, &ethernet(0x86dd, &six[2]))),
        v6(41, &v4(UDP, &udp(6081, &geneve(0x0800, 3, &four[0])))),
        vec![0x45; MAX_FRAME / 1_024],
    ];
    seeds.extend(four);
    seeds.extend(six);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = any::<prop::sample::Index>();
    (prop::sample::select(seeds), edits, cut).prop_map(|(mut packet, edits, cut)| {
        edits.into_iter().for_each(|(at, byte)| {
            let at = at.index(packet.len());
            packet[at] = byte;
        });
        packet.truncate(cut.index(packet.len() * 2));
        packet
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn no_packet_does_harm(packets in prop::collection::vec((anything(), 0_usize..3_000, 0..100 * SECOND), 1..40)) {
        let mut wire = Wire::default();
        for (packet, missing, time) in &packets {
            for seen in wire.send(*time, RAW, packet, packet.len() + missing) {
                prop_assert!(seen.payload.len() <= seen.wire_len);
            }
        }
        wire.close();
    }
}
