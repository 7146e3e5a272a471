//! Each link layer, and each layer that an EtherType may announce before IP, gives the packet in it.

use nfsrpc_core::link::{LINK_TYPES, Unread, packet, unread};
use nfsrpc_core::packet_bytes::PacketBytes;
use proptest::prelude::*;

const IP: &[u8] = b"\x45 any bytes";
const MISSING: usize = 1_400;

const TAG: [u8; 4] = [0x81, 0x00, 0x00, 0x54];
const SERVICE_TAG: [u8; 4] = [0x88, 0xa8, 0x20, 0x07];
const OLD_SERVICE_TAG: [u8; 4] = [0x91, 0x00, 0x20, 0x07];
const LABEL: [u8; 4] = [0x00, 0x01, 0x00, 0x40];
const LAST_LABEL: [u8; 4] = [0x00, 0x01, 0x01, 0x40];
const PPPOE: [u8; 8] = [0x88, 0x64, 0x11, 0x00, 0x00, 0x2a, 0x00, 0x0c];
const V4: [u8; 2] = [0x08, 0x00];
const V6: [u8; 2] = [0x86, 0xdd];

/// What stands before IP in a frame of this link type.
fn carriers() -> Vec<(u32, Vec<u8>)> {
    let ethernet = |behind: &[&[u8]]| (1, [&[0x52; 12], &behind.concat()[..]].concat());
    let cooked = |ethertype: [u8; 2]| (113, [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &ethertype].concat());
    let cooked2 = |behind: &[u8]| (276, [&behind[..2], &[0; 18], &behind[2..]].concat());
    vec![
        ethernet(&[&V4]),
        ethernet(&[&V6]),
        ethernet(&[&TAG, &V4]),
        ethernet(&[&SERVICE_TAG, &TAG, &V6]),
        ethernet(&[&OLD_SERVICE_TAG, &TAG, &TAG, &V4]),
        ethernet(&[&[0x88, 0x47], &LAST_LABEL]),
        ethernet(&[&TAG, &[0x88, 0x48], &LABEL, &LABEL, &LAST_LABEL]),
        ethernet(&[&PPPOE, &[0x00, 0x21]]),
        ethernet(&[&TAG, &PPPOE, &[0x00, 0x57]]),
        ethernet(&[&PPPOE, &[0x21]]),
        cooked(V4),
        cooked(V6),
        cooked2(&V4),
        cooked2(&V6),
        cooked2(&[&TAG[..], &V4].concat()),
        (9, vec![0x00, 0x21]),
        (9, vec![0xff, 0x03, 0x00, 0x57]),
        (9, vec![0xff, 0x03, 0x21]),
        (0, vec![2, 0, 0, 0]),
        (0, vec![0, 0, 0, 2]),
        (0, vec![30, 0, 0, 0]),
        (0, vec![28, 0, 0, 0]),
        (0, vec![0, 0, 0, 24]),
        (108, vec![0, 0, 0, 10]),
        (12, vec![]),
        (14, vec![]),
        (101, vec![]),
        (228, vec![]),
        (229, vec![]),
        (9, vec![0x0f, 0x00, 0x08, 0x00]),
        (50, vec![0xff, 0x03, 0x00, 0x21]),
        (50, vec![0x8f, 0x00, 0x86, 0xdd]),
        (51, vec![0x11, 0x00, 0x00, 0x2a, 0x00, 0x0c, 0x00, 0x57]),
        (104, vec![0x0f, 0x00, 0x08, 0x00]),
        (104, [&[0x8f, 0x00][..], &TAG, &V6].concat()),
        (166, vec![0x01, 0x03, 0x00, 0x21]),
        (204, vec![0x00, 0xff, 0x03, 0x00, 0x21]),
        (205, vec![0x01, 0x0f, 0x00, 0x08, 0x00]),
        (242, [&[0; 40][..], &V4, &[0, 0]].concat()),
        (242, [&[7; 20][..], &V6, &[0, 0]].concat()),
        (242, [&V4[..], &[0, 0]].concat()),
        (258, pktap(108, 1, &[&[0x52; 12][..], &V4].concat())),
        (258, pktap(156, 0, &[30, 0, 0, 0])),
        (258, pktap(12, 12, &[])),
    ]
}

/// A header of this length, as macOS writes it, before a frame of this link type.
fn pktap(length: u32, link_type: u32, frame: &[u8]) -> Vec<u8> {
    let fields = [length, 1, link_type].map(u32::to_le_bytes).concat();
    [&fields[..], &vec![0; length as usize - fields.len()], frame].concat()
}

/// A log of Linux's firewall, of this address family, with the packet as the attribute before the last.
fn nflog(family: u8, order: fn(u16) -> [u8; 2], ethertype: [u8; 2], packet: &[u8]) -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&order(value.len() as u16 + 4)[..], &order(kind), value, &padding].concat()
    };
    let header = [&ethertype[..], &[1, 0]].concat();
    let attributes = [attribute(1, &header), attribute(10, b"a\0"), attribute(9, packet), attribute(17, &[8])].concat();
    [&[family, 0, 0, 5][..], &attributes].concat()
}

#[test]
fn the_packet_is_one_attribute_of_a_firewalls_log() {
    let orders = [u16::to_le_bytes, u16::to_be_bytes];
    for (family, order) in [(2, orders[0]), (10, orders[1]), (7, orders[0]), (0, orders[1])] {
        let tagged = [&TAG[2..], &V4, IP].concat();
        for (ethertype, inside) in [(V4, IP), (V6, IP), ([0, 0], IP), ([0x81, 0x00], &tagged[..])] {
            let frame = nflog(family, order, ethertype, inside);
            let found = packet(239, PacketBytes { bytes: &frame, missing: 0 });
            assert_eq!(found, Some(PacketBytes { bytes: IP, missing: 0 }), "{family} {ethertype:?}");
        }
        let frame = nflog(family, order, [0x08, 0x06], IP);
        assert_eq!(packet(239, PacketBytes { bytes: &frame, missing: 0 }), None);
    }
}

#[test]
fn what_the_snaplen_cut_off_a_logged_packet_is_missing() {
    let frame = nflog(2, u16::to_le_bytes, V4, IP);
    let begin = frame.windows(IP.len()).position(|bytes| bytes == IP).expect("the packet");
    for captured in 0..frame.len() {
        let found = packet(239, PacketBytes { bytes: &frame[..captured], missing: frame.len() - captured });
        let have = captured.saturating_sub(begin).min(IP.len());
        let expected = (captured >= begin).then(|| PacketBytes { bytes: &IP[..have], missing: IP.len() - have });
        assert_eq!(found, expected, "{captured}");
    }
    let lie = [&[2, 0, 0, 0][..], &200_u16.to_le_bytes(), &9_u16.to_le_bytes(), IP].concat();
    assert_eq!(packet(239, PacketBytes { bytes: &lie, missing: 0 }), None);
    assert_eq!(packet(239, PacketBytes { bytes: &[2, 0, 0, 0, 0, 0, 9, 0, 0x45], missing: 0 }), None);
}

#[test]
fn the_link_types_that_are_read_are_those_that_give_packets() {
    let given: std::collections::BTreeSet<u32> = carriers().into_iter().map(|(link_type, _)| link_type).collect();
    let others = [239, 247];
    let read: std::collections::BTreeSet<u32> = LINK_TYPES.into_iter().collect();
    assert_eq!(given.into_iter().chain(others).collect::<std::collections::BTreeSet<_>>(), read);
}

#[test]
fn every_carrier_gives_the_packet_in_it() {
    for (link_type, carrier) in carriers() {
        let frame = [&carrier, IP].concat();
        let found = packet(link_type, PacketBytes { bytes: &frame, missing: MISSING });
        assert_eq!(found, Some(PacketBytes { bytes: IP, missing: MISSING }), "{link_type} {carrier:x?}");
    }
}

#[test]
fn a_carrier_cut_short_gives_nothing() {
    for (link_type, carrier) in carriers() {
        for length in 0..carrier.len() {
            assert_eq!(packet(link_type, PacketBytes { bytes: &carrier[..length], missing: MISSING }), None);
        }
    }
}

#[test]
fn what_is_no_ip_gives_nothing() {
    let ethernet = |behind: &[u8]| (1, [&[0x52; 12], behind, &[0x45; 40]].concat());
    let frames = [
        ethernet(&[0x08, 0x06]),
        ethernet(&[0x00, 0x2c]),
        ethernet(&[0x00, 0x2c, 0xaa, 0xaa, 0x03, 0, 0, 0, 0x08, 0x00]),
        ethernet(&[&TAG[..], &[0x08, 0x06]].concat()),
        ethernet(&[&PPPOE[..], &[0xc0, 0x21]].concat()),
        ethernet(&[0x88, 0x63, 0x11, 0x09, 0, 0, 0, 4]),
        (9, vec![0x80, 0x21, 0x45]),
        (0, vec![7, 0, 0, 0, 0x45]),
        (108, vec![0, 2, 0, 0, 0x45]),
        (113, vec![0; 60]),
        (276, vec![0; 60]),
        (105, vec![0x45; 60]),
        (147, vec![0x45; 60]),
        (104, vec![0x0f, 0x00, 0x80, 0x35, 0x45]),
        (104, vec![0xff, 0x03, 0x00, 0x21, 0x45]),
        (242, [&[0; 40][..], &[0x08, 0x06, 0, 0, 0x45]].concat()),
        (242, [&[0; 40][..], &[0x08, 0x00, 0, 1, 0x45]].concat()),
        (258, pktap(108, 258, &pktap(12, 12, &[0x45]))),
        (258, [[200_u32, 1, 12].map(u32::to_le_bytes).concat(), vec![0x45; 60]].concat()),
        (258, [[12_u32, 0, 12].map(u32::to_le_bytes).concat(), vec![0x45; 60]].concat()),
    ];
    for (link_type, frame) in frames {
        assert_eq!(packet(link_type, PacketBytes { bytes: &frame, missing: 0 }), None, "{link_type} {frame:x?}");
    }
}

#[test]
fn a_frame_of_nothing_but_tags_or_labels_ends() {
    for tag in [TAG, LABEL] {
        let frame = [vec![0x52; 12], vec![0x88, 0x47], tag.repeat(100_000)].concat();
        assert_eq!(packet(1, PacketBytes { bytes: &frame, missing: 0 }), None);
        assert_eq!(
            packet(1, PacketBytes { bytes: &[&[0x52; 12], &tag.repeat(100_000)[..]].concat(), missing: 0 }),
            None
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_bytes_are_read_or_said_not_to_be(
        link_type in prop::sample::select(LINK_TYPES.to_vec()),
        frame in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\x00\x01\x04\x08\x09\x89\x15"[..])], 0..120),
        missing in 0_usize..200,
    ) {
        let frame = PacketBytes { bytes: &frame, missing };
        if let Some(found) = packet(link_type, frame) {
            prop_assert!(found.wire_len() <= frame.wire_len());
            prop_assert!(frame.bytes.windows(found.bytes.len().max(1)).any(|part| part == found.bytes) || found.bytes.is_empty());
        }
        prop_assert!(unread(link_type, frame) != Unread::LinkType(link_type));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn any_packet_found_is_the_end_of_its_frame(
        link_type in prop::sample::select(LINK_TYPES.iter().copied().filter(|kind| *kind != 239).collect::<Vec<_>>()),
        frame in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\x08\x00\x81\x88\x47\x64\x21"[..])], 0..60),
    ) {
        if let Some(found) = packet(link_type, PacketBytes { bytes: &frame, missing: 3 }) {
            prop_assert!(frame.ends_with(found.bytes));
            prop_assert_eq!(found.missing, 3);
        }
    }
}
