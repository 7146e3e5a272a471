//! Files built here byte by byte give the frames, interfaces, oddities and endings they should, in any chunking and cut
//! anywhere.

use nfsrpc_core::capture::{CapturedFrame, Ending, Frames, Interface, MAX_FRAME, NO_TIME, NotACapture, Reader};
use nfsrpc_core::oddity::Oddities;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
/// 2026-11-22 in the epoch's seconds.
const NOW: u32 = 1_795_325_498;

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    number: u32,
    time: i64,
    interface: u32,
    link_type: u32,
    data: Vec<u8>,
    wire_len: u32,
}

#[derive(Debug, PartialEq)]
struct Read {
    frames: Vec<Seen>,
    ending: Result<Ending, NotACapture>,
    interfaces: Vec<Interface>,
    oddities: Vec<(&'static str, u32, u64)>,
    format: &'static str,
}

/// Keeps frames, and stops after every so many.
struct Kept {
    frames: Vec<Seen>,
    every: usize,
}

impl Frames for Kept {
    fn take(&mut self, frame: CapturedFrame<'_>, oddities: &mut Oddities) -> bool {
        assert_eq!((oddities.place.frame, oddities.place.time), (frame.number, frame.time));
        let CapturedFrame { number, time, interface, link_type, data, wire_len } = frame;
        self.frames.push(Seen { number, time, interface, link_type, data: data.to_vec(), wire_len });
        !self.frames.len().is_multiple_of(self.every)
    }
}

fn read_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Read {
    read_stopping(chunks, usize::MAX)
}

fn read_stopping<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, every: usize) -> Read {
    let (mut reader, mut oddities, mut kept) = (Reader::new(), Oddities::default(), Kept { frames: Vec::new(), every });
    let mut parts = chunks.into_iter().map(Some).chain([None]);
    let read = parts.try_for_each(|mut part| {
        while let Some(used) = reader.read(part, &mut kept, &mut oddities)? {
            assert!(kept.frames.len().is_multiple_of(every), "it stops where it is asked to");
            part = part.map(|part| &part[used..]);
        }
        Ok(())
    });
    let ending = read.and_then(|()| reader.finish());
    let oddities = oddities.take().into_iter().map(|row| (row.kind, row.frame, row.detail)).collect();
    let Kept { frames, .. } = kept;
    Read { frames, ending, interfaces: reader.interfaces().to_vec(), oddities, format: reader.format() }
}

fn read(file: &[u8]) -> Read {
    read_chunks([file])
}

/// Numbers and bytes of the frames.
fn frames(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    read(file).frames.into_iter().map(|frame| (frame.number, frame.data)).collect()
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Order::Little => value.to_le_bytes(),
            Order::Big => value.to_be_bytes(),
        }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }
}

use Order::{Big, Little};

const ORDERS: [Order; 2] = [Little, Big];

fn pcap_header(order: Order, magic: u32, link_type: u32) -> Vec<u8> {
    [order.u32(magic).to_vec(), order.u16(2).to_vec(), order.u16(4).to_vec(), order.words(&[0, 0, 65_535, link_type])]
        .concat()
}

fn pcap_record(order: Order, fraction: u32, wire: u32, extra: usize, data: &[u8]) -> Vec<u8> {
    [order.words(&[NOW, fraction, data.len() as u32, wire]), vec![0; extra], data.to_vec()].concat()
}

/// A frame of Ethernet that holds an IPv4 packet of nonsense.
fn ethernet(filling: u8, length: usize) -> Vec<u8> {
    [&[filling; 12][..], &[0x08, 0x00], &vec![filling; length]].concat()
}

fn plain_pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let records = frames.iter().map(|frame| pcap_record(Little, 7, frame.len() as u32, 0, frame));
    std::iter::once(pcap_header(Little, 0xa1b2_c3d4, 1)).chain(records).flatten().collect()
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = order.u32(padded as u32 + 12);
    [&order.u32(kind)[..], &length, body, &vec![0; padded - body.len()], &length].concat()
}

fn section(order: Order) -> Vec<u8> {
    let version = [order.u16(1), order.u16(0)].concat();
    block(order, 0x0a0d_0d0a, &[&order.u32(0x1a2b_3c4d)[..], &version, &order.u64(u64::MAX)].concat())
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
    [&order.u16(code)[..], &order.u16(value.len() as u16), value, &padding].concat()
}

fn interface(order: Order, link_type: u16, snaplen: u32, options: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [&order.u16(link_type)[..], &[0, 0], &order.u32(snaplen)].concat();
    block(order, 1, &[fixed, options.concat()].concat())
}

fn packet(order: Order, interface: u32, stamp: u64, wire: u32, data: &[u8]) -> Vec<u8> {
    let fixed = order.words(&[interface, (stamp >> 32) as u32, stamp as u32, data.len() as u32, wire]);
    block(order, 6, &[fixed, data.to_vec(), vec![0; data.len().next_multiple_of(4) - data.len()]].concat())
}

fn microseconds(fraction: u32) -> u64 {
    u64::from(NOW) * 1_000_000 + u64::from(fraction)
}

fn snoop_header(version: u32, data_link: u32) -> Vec<u8> {
    [b"snoop\0\0\0".to_vec(), Big.words(&[version, data_link])].concat()
}

fn snoop_record(drops: u32, wire: u32, padding: usize, data: &[u8]) -> Vec<u8> {
    let (captured, length) = (data.len() as u32, (24 + data.len() + padding) as u32);
    [Big.words(&[wire, captured, length, drops, NOW, 7]), data.to_vec(), vec![0; padding]].concat()
}

/// A file of each format with two frames, and where its records end.
fn samples() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let (one, two) = (ethernet(1, 21), ethernet(2, 46));
    let pcap = |magic, order, extra| {
        vec![
            pcap_header(order, magic, 1),
            pcap_record(order, 7, 35, extra, &one),
            pcap_record(order, 8, 60, extra, &two),
        ]
    };
    let pcapng = |order| {
        vec![
            section(order),
            interface(order, 1, 0, &[option(order, 2, b"eth0"), option(order, 0, b"")]),
            packet(order, 0, microseconds(7), 35, &one),
            block(order, 0x77, b"unknown"),
            packet(order, 0, microseconds(8), 60, &two),
        ]
    };
    vec![
        ("pcap", pcap(0xa1b2_c3d4, Little, 0)),
        ("pcap (ns)", pcap(0xa1b2_3c4d, Big, 0)),
        ("modified pcap", pcap(0xa1b2_cd34, Little, 8)),
        ("Nokia pcap", pcap(0xa1b2_c3d4, Big, 4)),
        ("pcapng", pcapng(Little)),
        ("pcapng", pcapng(Big)),
        ("snoop", vec![snoop_header(2, 4), snoop_record(0, 35, 1, &one), snoop_record(0, 60, 0, &two)]),
    ]
}

#[test]
fn every_variant_of_pcap_gives_its_frames() {
    let variants = [
        (0xa1b2_c3d4, 0, 1_000, "pcap"),
        (0xa1b2_3c4d, 0, 1, "pcap (ns)"),
        (0xa1b2_cd34, 8, 1_000, "modified pcap"),
        (0xa1b2_c3d4, 4, 1_000, "Nokia pcap"),
    ];
    for order in ORDERS {
        for (magic, extra, unit, format) in variants {
            let (one, two) = (ethernet(1, 21), ethernet(2, 46));
            let records =
                [pcap_record(order, 13, 1_514, extra, &one), pcap_record(order, 999_999, 60, extra, &two)].concat();
            let read = read(&[pcap_header(order, magic, 1), records].concat());
            let frame = |number, fraction: i64, wire_len, data: &Vec<u8>| Seen {
                number,
                time: i64::from(NOW) * SECOND + fraction * unit,
                interface: 0,
                link_type: 1,
                data: data.clone(),
                wire_len,
            };
            assert_eq!(read.frames, [frame(1, 13, 1_514, &one), frame(2, 999_999, 60, &two)], "{format} {order:?}");
            assert_eq!((read.format, read.ending, read.oddities), (format, Ok(Ending::Complete), vec![]));
            assert_eq!(read.interfaces, [Interface { link_type: 1, snaplen: 65_535, ..Interface::default() }]);
        }
    }
}

#[test]
fn the_link_type_of_pcap_stands_in_the_lower_half() {
    let read = read(&pcap_header(Big, 0xa1b2_c3d4, 0x2400_0114));
    assert_eq!(read.interfaces[0].link_type, 276);
}

#[test]
fn the_length_on_the_wire_is_at_least_that_captured() {
    let file = [pcap_header(Little, 0xa1b2_c3d4, 1), pcap_record(Little, 0, 3, 0, &ethernet(0, 50))].concat();
    assert_eq!(read(&file).frames[0].wire_len, 64);
}

#[test]
fn a_first_frame_that_is_no_plain_ip_does_not_make_a_file_nokias() {
    let spanning_tree = [&[1; 12][..], &[0, 38, 0x42, 0x42, 3, 0, 0, 0]].concat();
    let arp = [&[1; 12][..], &[8, 6, 0, 1, 8, 0, 6, 4]].concat();
    let two_tags = [&[1; 12][..], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 8, 0]].concat();
    let session = [&[1; 12][..], &[0x88, 0x64, 0x11, 0, 8, 0, 0, 42, 0, 0x21]].concat();
    for frame in [spanning_tree, arp, two_tags, session, vec![], vec![9; 17]] {
        let like_nokias = [&[1; 16][..], &[8, 0], &[2; 40]].concat();
        let file = plain_pcap(&[frame.clone(), like_nokias.clone(), ethernet(3, 40)]);
        assert_eq!(frames(&file), [(1, frame), (2, like_nokias), (3, ethernet(3, 40))]);
        assert_eq!(read(&file).format, "pcap");
    }
}

#[test]
fn only_ethernet_by_the_plain_magic_can_be_nokias() {
    let packet_to_8_0_0_1 = [&[0x45; 16][..], &[8, 0, 0, 1]].concat();
    for (magic, link_type) in [(0xa1b2_c3d4, 101), (0xa1b2_3c4d, 1)] {
        let record = pcap_record(Big, 0, 20, 0, &packet_to_8_0_0_1);
        let file = [pcap_header(Big, magic, link_type), record.clone(), record].concat();
        assert_eq!(read(&file).frames.len(), 2);
    }
}

#[test]
fn a_frame_within_a_chunk_is_not_copied() {
    let file = plain_pcap(&[ethernet(1, 40), ethernet(2, 40)]);
    let mut places = Vec::new();
    let mut sink = |frame: CapturedFrame<'_>, _: &mut Oddities| places.push(frame.data.as_ptr() as usize);
    Reader::new().read(Some(&file), &mut sink, &mut Oddities::default()).unwrap();
    let begin = file.as_ptr() as usize;
    assert_eq!(places, [begin + 24 + 16, begin + 24 + 16 + 54 + 16]);
}

#[test]
fn pcapng_reads_every_kind_of_packet_block() {
    for order in ORDERS {
        let old = [&order.u16(0)[..], &order.u16(0xffff), &order.words(&[0, 5, 3, 90]), b"old\0"].concat();
        let file = [
            section(order),
            interface(order, 1, 0, &[]),
            packet(order, 0, 3 << 32 | 4, 100, b"enhanced!"),
            block(order, 2, &old),
            block(order, 3, &[&order.u32(6)[..], b"simple"].concat()),
        ];
        let seen: Vec<_> = read(&file.concat()).frames.into_iter().map(|f| (f.time, f.data, f.wire_len)).collect();
        let time = ((3 << 32) + 4) * 1_000;
        let expected =
            [(time, b"enhanced!".to_vec(), 100), (5_000, b"old".to_vec(), 90), (NO_TIME, b"simple".to_vec(), 6)];
        assert_eq!(seen, expected, "{order:?}");
    }
}

#[test]
fn a_simple_packet_block_is_cut_at_the_snaplen() {
    let simple = block(Little, 3, &[&Little.u32(1_000)[..], &[7; 8]].concat());
    let file = [section(Little), interface(Little, 1, 6, &[]), simple].concat();
    let frame = &read(&file).frames[0];
    assert_eq!((&frame.data[..], frame.wire_len), (&[7; 6][..], 1_000));
}

#[test]
fn interfaces_have_clocks_of_their_own() {
    let resolution = |value: u8| option(Little, 9, &[value]);
    let offset = |value: i64| option(Little, 14, &value.to_le_bytes());
    let clocks: [(Vec<Vec<u8>>, u64, i64); 11] = [
        (vec![], 1_500_000, 1_500_000_000),
        (vec![resolution(0)], 3, 3 * SECOND),
        (vec![resolution(3)], 1_500, 1_500_000_000),
        (vec![resolution(6)], 1_500_000, 1_500_000_000),
        (vec![resolution(9)], 1_500_000_001, 1_500_000_001),
        (vec![resolution(12)], 1_500_000_001_999, 1_500_000_001),
        (vec![resolution(0x80 | 1)], 3, 1_500_000_000),
        (vec![resolution(0x80 | 20)], 3 << 19, 1_500_000_000),
        (vec![resolution(0x80 | 127)], u64::MAX, 0),
        (vec![resolution(127)], 10_000_000_000, 0),
        (vec![offset(-7), resolution(9)], 8 * SECOND as u64, SECOND),
    ];
    let interfaces = clocks.iter().map(|(options, _, _)| interface(Little, 1, 0, options));
    let packets = clocks.iter().enumerate().map(|(index, (_, stamp, _))| packet(Little, index as u32, *stamp, 0, b""));
    let file: Vec<u8> = std::iter::once(section(Little)).chain(interfaces).chain(packets).flatten().collect();
    let times: Vec<i64> = read(&file).frames.iter().map(|frame| frame.time).collect();
    assert_eq!(times, clocks.map(|(_, _, time)| time));
}

#[test]
fn a_time_beyond_the_year_2262_is_none() {
    let stamps = [
        (u64::MAX, vec![]),
        (u64::MAX, vec![option(Little, 9, &[0x80])]),
        (0, vec![option(Little, 14, &i64::MAX.to_le_bytes())]),
    ];
    for (stamp, options) in stamps {
        let file = [section(Little), interface(Little, 1, 0, &options), packet(Little, 0, stamp, 0, b"")].concat();
        let read = read(&file);
        assert_eq!((read.frames[0].time, read.oddities), (NO_TIME, vec![("capture-time", 1, stamp)]));
    }
}

#[test]
fn interfaces_run_on_over_sections_of_either_byte_order() {
    let file = [
        section(Little),
        interface(Little, 276, 0, &[option(Little, 1, b"a comment"), option(Little, 2, b"any")]),
        packet(Little, 0, 1, 4, b"one "),
        section(Big),
        interface(Big, 1, 96, &[option(Big, 2, b"eth0")]),
        interface(Big, 101, 0, &[option(Big, 0, b""), option(Big, 2, b"behind the end")]),
        packet(Big, 1, 2, 4, b"two "),
        packet(Big, 0, 3, 4, b"tree"),
    ];
    let read = read(&file.concat());
    let seen: Vec<_> = read.frames.iter().map(|f| (f.number, f.time, f.interface, f.link_type, &f.data[..])).collect();
    assert_eq!(seen, [(1, 1_000, 0, 276, &b"one "[..]), (2, 2_000, 2, 101, b"two "), (3, 3_000, 1, 1, b"tree")]);
    let named = |link_type, name: &str, snaplen| Interface { link_type, name: name.into(), snaplen, drops: 0 };
    assert_eq!(read.interfaces, [named(276, "any", 0), named(1, "eth0", 96), named(101, "", 0)]);
}

#[test]
fn the_last_statistics_tell_what_was_dropped() {
    let statistics = |interface: u32, options: &[Vec<u8>]| {
        block(Big, 5, &[Big.words(&[interface, 0, 0]), options.concat()].concat())
    };
    let count = |code, value| option(Big, code, &Big.u64(value));
    let file = [
        section(Big),
        interface(Big, 1, 0, &[]),
        section(Big),
        interface(Big, 1, 0, &[]),
        interface(Big, 1, 0, &[]),
        statistics(1, &[count(4, 1_000), count(5, 2)]),
        statistics(1, &[count(4, 2_000), count(5, 30), count(7, 12)]),
        statistics(0, &[count(4, 9), option(Big, 5, b"bad")]),
    ];
    let drops: Vec<u64> = read(&file.concat()).interfaces.iter().map(|interface| interface.drops).collect();
    assert_eq!(drops, [0, 0, 42]);
}

#[test]
fn blocks_without_a_frame_are_skipped_and_numbered_as_by_wireshark() {
    let file = [
        section(Little),
        interface(Little, 1, 0, &[]),
        block(Little, 4, &[0; 8]),
        packet(Little, 0, 0, 1, b"1"),
        block(Little, 0x0bad, b"\0\0\x30\x39custom"),
        packet(Little, 0, 0, 1, b"3"),
        block(Little, 0x4000_0bad, b"\0\0\x30\x39custom"),
        block(Little, 9, b"__REALTIME_TIMESTAMP=1\n"),
        block(Little, 0x77, &[0xff; 4_000]),
        block(Little, 0x77, b""),
        block(Little, 0x77, &vec![0xff; (16 << 20) - 12]),
        packet(Little, 0, 0, 1, b"6"),
    ];
    assert_eq!(frames(&file.concat()), [(1, b"1".to_vec()), (3, b"3".to_vec()), (6, b"6".to_vec())]);
}

#[test]
fn a_block_that_contradicts_itself_costs_only_itself() {
    let overlong = block(Little, 6, &[Little.words(&[0, 0, 0, 9, 9]), vec![1; 8]].concat());
    let bad = [
        packet(Little, 1, 0, 3, b"an interface that is not there"),
        overlong,
        block(Little, 6, &[0; 16]),
        block(Little, 3, &Little.words(&[100, 0])),
        block(Little, 1, &[1, 0]),
        block(Little, 5, &Little.words(&[7, 0, 0])),
        packet(Little, 0, 0, 0, &vec![0; MAX_FRAME + 1]),
        // A packet under a type that no block has.
        block(Little, 0x77, &[Little.words(&[0, 0, 3, 4, 4]), b"data".to_vec()].concat()),
    ];
    for bad in bad {
        let begin = [section(Little), interface(Little, 1, 0, &[]), packet(Little, 0, 0, 1, b"1")].concat();
        let read = read(&[begin.clone(), bad, packet(Little, 0, 0, 1, b"2")].concat());
        assert_eq!(read.frames.iter().map(|frame| &frame.data[..]).collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(read.oddities, [("capture-record", 2, begin.len() as u64)]);
        assert_eq!(read.interfaces.len(), 1);
    }
}

#[test]
fn interfaces_are_limited() {
    let mut file = section(Little);
    (0..=1 << 16).for_each(|_| file.extend(interface(Little, 1, 0, &[])));
    let read = read(&file);
    assert_eq!((read.interfaces.len(), read.oddities.len()), (1 << 16, 1));
}

#[test]
fn names_of_interfaces_are_limited() {
    let name = option(Little, 2, &[b'x'; 300]);
    let read = read(&[section(Little), interface(Little, 1, 0, &[name])].concat());
    assert_eq!(read.interfaces[0].name, "x".repeat(256));
}

#[test]
fn pcapng_goes_on_behind_a_corrupt_block() {
    let begin = [section(Big), interface(Big, 1, 0, &[]), packet(Big, 0, 0, 4, b"one ")].concat();
    let good = packet(Big, 0, 0, 4, b"two ");
    let with = |at: usize, value: u32| {
        let mut block = packet(Big, 0, 0, 4, b"lost");
        block[at..at + 4].copy_from_slice(&value.to_be_bytes());
        block
    };
    let corrupt = [with(4, 0), with(4, 11), with(4, 34), with(4, 40), with(4, 17 << 20), with(32, 40), vec![0xff; 999]];
    for bad in corrupt {
        let read = read(&[&begin[..], &bad, &good, &good].concat());
        let data: Vec<_> = read.frames.iter().map(|frame| &frame.data[..]).collect();
        assert_eq!(data, [b"one ", b"two ", b"two "], "{bad:x?}");
        assert_eq!(read.oddities, [("capture-record", 2, begin.len() as u64)]);
        assert_eq!(read.ending, Ok(Ending::Complete));
    }
}

#[test]
fn pcapng_goes_on_at_a_section_of_the_other_byte_order() {
    let file = [section(Little), vec![0xff; 99], section(Big), interface(Big, 1, 0, &[]), packet(Big, 0, 0, 1, b"1")];
    assert_eq!(frames(&file.concat()), [(1, b"1".to_vec())]);
}

#[test]
fn snoop_gives_its_frames() {
    let records = [snoop_record(0, 1_514, 2, b"one!!!"), snoop_record(5, 4, 40, b"two!")].concat();
    let read = read(&[snoop_header(2, 4), records].concat());
    let time = i64::from(NOW) * SECOND + 7_000;
    let frame =
        |number, data: &[u8], wire_len| Seen { number, time, interface: 0, link_type: 1, data: data.into(), wire_len };
    assert_eq!(read.frames, [frame(1, b"one!!!", 1_514), frame(2, b"two!", 4)]);
    assert_eq!((read.format, read.ending), ("snoop", Ok(Ending::Complete)));
    assert_eq!(read.interfaces, [Interface { link_type: 1, drops: 5, ..Interface::default() }]);
}

#[test]
fn snoop_goes_on_behind_a_corrupt_record() {
    let good = snoop_record(0, 4, 0, b"good");
    let with = |at: usize, value: u32| {
        let mut record = snoop_record(0, 4, 0, b"lost");
        record[at..at + 4].copy_from_slice(&value.to_be_bytes());
        record
    };
    let too_long = [Big.words(&[9, MAX_FRAME as u32 + 1, MAX_FRAME as u32 + 25, 0, NOW, 0]), vec![0; 30]].concat();
    for bad in [with(4, u32::MAX), with(8, 27), with(8, 24 + 4 + 65), too_long] {
        let read = read(&[&snoop_header(2, 4)[..], &good, &bad, &good, &good].concat());
        assert_eq!(read.frames.len(), 3);
        assert_eq!(read.oddities, [("capture-record", 2, 16 + 28)]);
    }
}

#[test]
fn snoop_of_an_unknown_kind_is_refused() {
    let refusal = |version, data_link| read(&snoop_header(version, data_link)).ending.unwrap_err().0;
    assert_eq!(refusal(6, 4), "this is a snoop capture of version 6, which is not known");
    assert_eq!(refusal(2, 8), "this is a snoop capture of data link type 8, which is not known");
    assert_eq!(read(&snoop_header(2, 0)).interfaces[0].link_type, 1);
    assert_eq!(read(&snoop_header(2, 14)).interfaces[0].link_type, 0);
    // IP over InfiniBand.
    assert_eq!(read(&snoop_header(2, 26)).interfaces[0].link_type, 242);
}

#[test]
fn pcap_goes_on_behind_a_corrupt_record() {
    let with = |words: [u32; 4], length| [Little.words(&words), vec![0x5a; length]].concat();
    let corrupt = [
        with([NOW, 0, MAX_FRAME as u32 + 1, 60], 60),
        with([NOW, 0, u32::MAX, u32::MAX], 60),
        with([0, 1_000_000, 61, 60], 61),
        [with([0, 1_000_000, 50, 60], 50), vec![0xff; 16]].concat(),
        with([NOW, 0, u32::MAX, u32::MAX], 0).repeat(2),
        vec![0xff; 77],
        vec![0xff; 100_000],
    ];
    for bad in corrupt {
        let begin = plain_pcap(&[ethernet(1, 46)]);
        let rest = plain_pcap(&[ethernet(2, 46), ethernet(3, 400), ethernet(4, 46)]);
        let read = read(&[&begin[..], &bad, &rest[24..]].concat());
        let data: Vec<_> = read.frames.iter().map(|frame| (frame.number, frame.data[0])).collect();
        assert_eq!(data, [(1, 1), (2, 2), (3, 3), (4, 4)]);
        assert_eq!(read.oddities, [("capture-record", 2, begin.len() as u64)]);
        assert_eq!(read.ending, Ok(Ending::Complete));
    }
}

#[test]
fn one_record_header_alone_does_not_prove_that_reading_may_go_on() {
    let record = |seconds: u32, captured: u32| [Little.words(&[seconds, 0, captured, 60]), vec![0; 60]].concat();
    let lone = [vec![0xff; 40], record(NOW, 60), vec![0xff; 40]].concat();
    let far = [vec![0xff; 40], record(NOW - 200_000, 60), record(NOW - 200_000, 60)].concat();
    let empty = [&[0xff; 40][..], &record(NOW, 0)[..16].repeat(2), &[0xff; 40]].concat();
    let unlike = [vec![0xff; 40], record(NOW, 60), record(NOW + 200_000, 60)].concat();
    for bad in [lone, far, empty, unlike] {
        let read = read(&[plain_pcap(&[ethernet(1, 46)]), bad].concat());
        assert_eq!((read.frames.len(), read.oddities.len()), (1, 1));
        assert_eq!(read.ending, Ok(Ending::Cut { frame: 2 }));
    }
}

/// A file in three: what is good, what looks like a record longer than the rest of the file, and good records again.
fn a_false_record_near_the_end() -> Vec<(&'static str, [Vec<u8>; 3])> {
    let length = 900_000;
    let false_pcap = [vec![0xff; 16], Little.words(&[NOW, 0, length, length])].concat();
    let false_pcapng = [vec![0xff; 16], Little.words(&[6, length])].concat();
    let false_snoop = [vec![0xff; 16], Big.words(&[length, length, length + 24, 0, NOW, 0])].concat();
    let frames = |count| (0..count).map(|number| ethernet(number, 46));
    let pcapng = |count| frames(count).map(|frame| packet(Little, 0, 0, 60, &frame)).collect::<Vec<_>>().concat();
    let snoop = |count| frames(count).map(|frame| snoop_record(0, 60, 0, &frame)).collect::<Vec<_>>().concat();
    let pcap = |count| plain_pcap(&frames(count).collect::<Vec<_>>());
    let begin = [section(Little), interface(Little, 1, 0, &[]), pcapng(2)].concat();
    let all = |good: u8| {
        [
            ("pcap", [pcap(2), false_pcap.clone(), pcap(good)[24..].to_vec()]),
            ("pcapng", [begin.clone(), false_pcapng.clone(), pcapng(good)]),
            ("snoop", [[snoop_header(2, 4), snoop(2)].concat(), false_snoop.clone(), snoop(good)]),
        ]
    };
    [10, 1].into_iter().flat_map(all).collect()
}

#[test]
fn what_looks_like_a_record_longer_than_the_file_hides_none_behind_it() {
    for (format, parts) in a_false_record_near_the_end() {
        let [begin, _, good] = &parts;
        let expected = 2 + if good.len() > 200 { 10 } else { 1 };
        let file = parts.concat();
        let whole = read(&file);
        assert_eq!((whole.format, whole.frames.len()), (format, expected));
        assert_eq!(whole.oddities, [("capture-record", 3, begin.len() as u64)]);
        assert_eq!(whole.ending, Ok(Ending::Complete));
        for size in [1, 7, 100] {
            assert_eq!(read_chunks(file.chunks(size)), whole);
        }
        let cut = read(&file[..file.len() - 1]);
        assert_eq!((cut.frames.len(), cut.ending), (expected - 1, Ok(Ending::Cut { frame: expected as u32 })));
    }
}

#[test]
fn sloppy_time_stamps_are_no_corruption() {
    let record = |seconds: u32, fraction: u32| [Little.words(&[seconds, fraction, 1, 1]), vec![7]].concat();
    let records = [record(NOW, 0), record(NOW, 1_500_000), record(5, 0), record(NOW, 999_999)].concat();
    let read = read(&[pcap_header(Little, 0xa1b2_c3d4, 1), records].concat());
    assert_eq!(read.frames.len(), 4);
    assert_eq!(read.oddities, [("capture-fraction", 2, 1_500_000)]);
}

#[test]
fn records_whose_lengths_chain_are_frames_whatever_their_time_says() {
    let record = |seconds: u32, fraction: u32, captured: usize, wire: u32| {
        [Little.words(&[seconds, fraction, captured as u32, wire]), vec![7; captured]].concat()
    };
    let good = record(NOW, 0, 60, 60);
    // Whole; cut at the snaplen, which is 262,144; cut elsewhere, which the next record proves.
    for (captured, wire) in [(60, 60), (262_144, 300_000), (50, 60)] {
        let bad = record(5, 1_000_001, captured, wire);
        let file = [&pcap_header(Little, 0xa1b2_c3d4, 1)[..], &good, &bad, &bad, &good].concat();
        let read = read(&file);
        assert_eq!(read.frames.iter().map(|frame| frame.data.len()).collect::<Vec<_>>(), [60, captured, captured, 60]);
        assert_eq!(read.frames[1].time, 6 * SECOND + 1_000);
        assert_eq!(read.oddities, [("capture-fraction", 2, 1_000_001), ("capture-fraction", 3, 1_000_001)]);
        assert_eq!(read_chunks(file.chunks(7)), read);
    }
}

#[test]
fn the_longest_frame_is_read() {
    let frame = vec![9; MAX_FRAME];
    let snoop = [snoop_header(2, 4), snoop_record(0, 0, 0, &frame)].concat();
    let simple = block(Little, 3, &[&Little.u32(MAX_FRAME as u32)[..], &frame].concat());
    let pcapng = |block| [section(Little), interface(Little, 1, 0, &[]), block].concat();
    for file in
        [plain_pcap(std::slice::from_ref(&frame)), snoop, pcapng(simple), pcapng(packet(Little, 0, 0, 0, &frame))]
    {
        assert_eq!(frames(&file), [(1, frame.clone())]);
    }
}

#[test]
fn other_captures_are_refused_by_name() {
    let signatures: [(&[u8], &str); 11] = [
        (b"RTSS\x01\x01", "a Microsoft Network Monitor"),
        (b"GMBU\x00\x02\x01\x00", "a Microsoft Network Monitor"),
        (b"TRSNIFF data    \x1a", "a Network General Sniffer (DOS)"),
        (b"XCP\0", "a Network General Sniffer (Windows) or NetXRay"),
        (b"\x01\x10\x4c\x00\x01\x05Trace Display Trace File", "a Novell LANalyzer"),
        (b"\x05VNF", "a Visual Networks"),
        (b"TR\x00\x64\x00", "an HP-UX nettl"),
        (b"\0\0\0\x01\0\0\0\0\0\x07\xd0\0", "an HP-UX nettl"),
        (b"iptrace 2.0", "an AIX iptrace"),
        (b"\x1c\x00\x01\xac", "an Ixia"),
        (b"btsnoop\0\0\0\0\x01", "a BTSnoop (Bluetooth)"),
    ];
    for (signature, whose) in signatures {
        for padding in [0, 100] {
            let file = [signature, &vec![0; padding]].concat();
            assert_eq!(read_chunks(file.chunks(1)), read(&file));
            let refusal = read(&file).ending.unwrap_err().0;
            assert_eq!(refusal, format!("this is {whose} capture; convert it with: editcap -F pcap IN OUT"));
        }
    }
}

#[test]
fn what_captures_may_be_packed_in_is_refused_with_how_to_unpack_it() {
    let packed: [(&[u8], &str); 7] = [
        (b"PK\x03\x04\x14", "this is a zip archive; unpack it: unzip -p FILE | nfsrpc analyze -"),
        (b"7z\xbc\xaf\x27\x1c", "this is a 7z archive; unpack it: 7z x -so FILE | nfsrpc analyze -"),
        (b"\x1f\x8b\x08", "this is compressed twice; unpack it: zcat FILE | nfsrpc analyze -"),
        (b"\xfd7zXZ\0", "this is compressed twice; unpack it: xzcat FILE | nfsrpc analyze -"),
        (b"\x28\xb5\x2f\xfd", "this is compressed twice; unpack it: zstdcat FILE | nfsrpc analyze -"),
        (b"BZh9", "this is compressed twice; unpack it: bzcat FILE | nfsrpc analyze -"),
        (b"\x04\x22\x4d\x18", "this is compressed twice; unpack it: lz4cat FILE | nfsrpc analyze -"),
    ];
    for (signature, refusal) in packed {
        assert_eq!(read(&[signature, &[1; 100][..]].concat()).ending.unwrap_err().0, refusal);
    }
}

#[test]
fn what_may_be_erf_is_refused_by_name() {
    let record = |seconds: u32, kind: u8, length: u16, wire: u16| {
        let numbers = [&seconds.to_le_bytes()[..], &[kind, 4], &length.to_be_bytes(), &[0, 0], &wire.to_be_bytes()];
        [&[0x80; 4][..], &numbers.concat(), &[0xff; 64]].concat()
    };
    let refusal = |file: Vec<u8>| read(&file).ending.unwrap_err().0;
    let named = "this may be an ERF (Endace) capture; convert it with: editcap -F pcap IN OUT";
    for good in [record(NOW, 2, 82, 60), record(946_684_801, 1, 17, 1), record(NOW, 48 | 0x80, 82, 60)] {
        assert_eq!(refusal(good), named);
    }
    let others =
        [record(946_684_800, 2, 82, 60), record(NOW, 0, 82, 60), record(NOW, 49, 82, 60), record(NOW, 2, 16, 60)];
    for other in others.into_iter().chain([record(NOW, 2, 82, 0)]) {
        assert!(refusal(other).starts_with("not a capture: "));
    }
}

#[test]
fn what_is_no_capture_is_refused() {
    let refusal = |file: &[u8]| read(file).ending.unwrap_err().0;
    assert_eq!(refusal(b"1 0.000000 10.1.84.41 -> 10.1.84.31 NFS V3 NULL Call\n"), "this is text, not a capture");
    assert_eq!(refusal(b"no"), "this is text, not a capture");
    let elf = "not a capture: no known format begins with the bytes 7f 45 4c 46";
    assert_eq!(refusal(b"\x7fELF\x02\x01"), elf);
    assert_eq!(refusal(&[b"\x7fELF", &[0; 100][..]].concat()), elf);
}

#[test]
fn a_file_without_a_byte_is_empty() {
    assert_eq!(read(b"").ending, Ok(Ending::Empty));
}

/// How a file ends that has these parts and is cut there, and the number of its frames.
fn expected(format: &str, parts: &[Vec<u8>], cut: usize) -> (usize, Ending) {
    let ends: Vec<usize> =
        parts.iter().scan(0, |end, part| Some(std::mem::replace(end, *end + part.len()) + part.len())).collect();
    let header = match format {
        "modified pcap" | "pcap" | "pcap (ns)" | "Nokia pcap" => 24,
        "snoop" => 16,
        _ => 28,
    };
    let frames = match format {
        "pcapng" => ends.iter().zip(0..).filter(|(end, part)| **end <= cut && [2, 4].contains(part)).count(),
        _ => ends.iter().skip(1).filter(|end| **end <= cut).count(),
    };
    let ending = match cut {
        0 => Ending::Empty,
        _ if cut < header => Ending::CutHeader,
        _ if ends.contains(&cut) => Ending::Complete,
        _ => Ending::Cut { frame: frames as u32 + 1 },
    };
    (frames, ending)
}

#[test]
fn a_file_cut_anywhere_gives_its_whole_frames_and_says_so() {
    for (format, parts) in samples() {
        let file = parts.concat();
        let whole = read(&file);
        assert_eq!((whole.format, whole.frames.len(), &whole.ending), (format, 2, &Ok(Ending::Complete)));
        for cut in 0..file.len() {
            let read = read(&file[..cut]);
            let (frames, ending) = expected(format, &parts, cut);
            assert_eq!(read.frames, whole.frames[..frames], "{format} cut at {cut}");
            assert_eq!(read.oddities, []);
            assert_eq!(read.ending, Ok(ending), "{format} cut at {cut}");
        }
    }
}

#[test]
fn single_bytes_give_what_the_whole_file_gives() {
    for (_, parts) in samples() {
        let file = parts.concat();
        assert_eq!(read_chunks(file.chunks(1)), read(&file));
    }
}

fn file_with_an_error() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> =
        samples().into_iter().map(|(_, parts)| [&parts[..], &parts[1..]].concat().concat()).collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(samples), edits, any::<prop::sample::Index>()).prop_map(|(mut file, edits, insertion)| {
        for (at, byte) in edits {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let at = insertion.index(file.len());
        file.splice(at..at, [0xff, 0, 0]);
        file
    })
}

fn split(file: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.extend([0, file.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &file[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_chunking_of_any_file_gives_the_same(
        file in file_with_an_error(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
        every in 1_usize..4,
    ) {
        let cuts = || cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
        let whole = read(&file);
        prop_assert_eq!(&read_chunks(split(&file, cuts())), &whole);
        prop_assert_eq!(&read_stopping(split(&file, cuts()), every), &whole);
        prop_assert_eq!(&read_stopping([file.as_slice()], every), &whole);
        prop_assert_eq!(&read_chunks(file.chunks(1)), &whole);
    }

    #[test]
    fn random_bytes_behind_a_header_do_no_harm(
        start in prop::sample::select(samples()),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let file = [start.1[0].clone(), rest].concat();
        prop_assert_eq!(&read_chunks(file.chunks(7)), &read(&file));
    }
}
