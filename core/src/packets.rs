//! Bytes of capture files to transport packets, each with the place where it was seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashSet;

use crate::batch::{CaptureRow, NO_TIME};
use crate::capture::{CapturedFrame, Ending, Frames, Interface, NotACapture, Reader};
use crate::checksum::{self, Sum};
use crate::ip::{Datagram, Key};
use crate::link::{self, Way};
use crate::oddity::{Oddities, Place};
use crate::order::TimeOrder;
use crate::protocol::{FIN, ICMP, ICMPV6, RST, SYN, TCP, UDP};
use crate::select::RawFrame;
use crate::tunnel::Network;

const TCP_HEADER: usize = 20;
/// A frame of so many bytes counts as one more: one of 64 KiB, as a host with segmentation offload shows them, may hold a
/// thousand messages.
const BYTES_OF_FRAME: usize = 1 << 10;

/// One frame of a flow, according to the header of its transport.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet<'a> {
    pub transport: u8,
    pub ip_id: u32,
    pub seq: u32,
    pub ack: u32,
    pub tcp_flags: u8,
    pub payload: &'a [u8],
    /// Length of the payload on the wire.
    pub length: usize,
}

/// A packet with the ends between which it goes.
#[derive(Clone, Copy, Debug)]
pub struct Addressed<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub domain: u32,
    pub sum: Sum,
    pub packet: Packet<'a>,
}

/// What a frame held.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    Packet(&'a Addressed<'a>),
    /// The packet that an ICMP destination unreachable message of this code quotes.
    Unreachable(&'a Addressed<'a>, u8),
    /// Something undecided: with its addresses and ports as they stand there, where they can be read at all.
    Damaged(Option<&'a Addressed<'a>>),
    /// The frame itself, after all that it held, where frames are asked for; with the datagram of which it holds a fragment.
    Frame(&'a CapturedFrame<'a>, Option<Key>),
}

/// Where frames go.
pub trait Sink {
    /// What nearly all frames hold.
    fn packet(&mut self, place: Place, packet: &Addressed<'_>);
    /// Whatever it is.
    fn other(&mut self, place: Place, content: Content<'_>);
    /// So many frames have come since the last time. Returns whether the next one is to come at once.
    fn goes_on(&mut self) -> bool;
}

pub struct PacketReader {
    reader: Reader,
    order: TimeOrder,
    frames: FrameParser,
    pub oddities: Oddities,
}

/// What is made of frames.
struct FrameParser {
    network: Network,
    capture: CaptureRow,
    domain: u32,
    locals: Vec<Local>,
    wanted: HashSet<(u16, u32)>,
    raw: Vec<RawFrame>,
    /// Whether each frame is handed out after what it held.
    whole: bool,
    /// Of the file, those that were passed.
    unreadable: u32,
    /// After how many frames it is asked whether to go on, and how many of these are to come yet.
    every: usize,
    left: usize,
}

/// An address that the capturing host sent from, according to the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub capture: u16,
    pub interface: u32,
    pub address: IpAddr,
    /// The host also received from it: the address is another host's, whose packets this one forwards.
    pub forwarded: bool,
}

impl PacketReader {
    /// `wanted`: frames to be kept as they are. `whole`: each frame is handed out after what it held.
    pub fn new(domain: u32, wanted: HashSet<(u16, u32)>, whole: bool) -> PacketReader {
        let (network, capture) = (Network::new(), fresh(0));
        let (locals, raw, every) = (Vec::new(), Vec::new(), usize::MAX);
        let frames =
            FrameParser { network, capture, domain, locals, wanted, raw, whole, unreadable: 0, every, left: every };
        PacketReader { reader: Reader::new(), order: TimeOrder::default(), frames, oddities: Oddities::default() }
    }

    /// After every so many frames, of all files, `sink` is asked whether to go on; a long frame counts as several
    /// ([`BYTES_OF_FRAME`]).
    pub fn ask_after(&mut self, frames: u32) {
        let frames = frames.max(1) as usize;
        (self.frames.every, self.frames.left) = (frames, frames);
    }

    /// More bytes of this file, or none when it has ended: all by one way, of which the compiler makes one loop. Where `sink` does
    /// not go on, returns how many were used until then.
    pub fn read(&mut self, data: Option<&[u8]>, sink: &mut impl Sink) -> Result<Option<usize>, NotACapture> {
        let PacketReader { reader, order, frames, oddities } = self;
        let result = reader.read(data, &mut InOrder { order, frames, sink }, oddities);
        if data.is_none() {
            order.end(oddities, &mut |frame, oddities| _ = frames.take_late(frame, oddities, sink));
        }
        result
    }

    /// Hands out a frame whose time waits for that of the next one.
    pub fn release(&mut self, sink: &mut impl Sink) {
        let PacketReader { order, frames, oddities, .. } = self;
        order.release(oddities, &mut |frame, oddities| _ = frames.take_late(frame, oddities, sink));
    }

    /// The interface of this file with this number.
    pub fn interface(&self, number: u32) -> Option<&Interface> {
        self.reader.interfaces().get(number as usize)
    }

    /// This file has ended and was read: its counts and its reader, which knows its format and interfaces.
    pub fn end_file(&mut self) -> Result<(Ending, CaptureRow, Reader), NotACapture> {
        let PacketReader { reader, frames, .. } = self;
        let mut reader = std::mem::take(reader);
        let ending = reader.finish()?;
        let next = fresh(frames.capture.capture.wrapping_add(1));
        let mut row = std::mem::replace(&mut frames.capture, next);
        row.truncated = u8::from(!matches!(ending, Ending::Complete));
        row.not_ip = std::mem::take(&mut frames.network.not_ip) as u32;
        std::mem::take(&mut frames.network.unread).fill(&mut row);
        Ok((ending, row, reader))
    }

    /// This file's counts and its reader, as they stand; nothing before its first frame.
    pub fn so_far(&self) -> Option<(CaptureRow, &Reader)> {
        let Network { not_ip, unread, .. } = &self.frames.network;
        let mut row = CaptureRow { not_ip: *not_ip as u32, ..self.frames.capture };
        unread.fill(&mut row);
        (row.frames > 0).then_some((row, &self.reader))
    }

    /// No more files: fragments that wait will wait no longer.
    pub fn close(&mut self) {
        self.frames.network.close(&mut self.oddities);
    }

    pub fn take_locals(&mut self) -> Vec<Local> {
        std::mem::take(&mut self.frames.locals)
    }

    /// The frames that were wanted as they are.
    pub fn take_raw(&mut self) -> Vec<RawFrame> {
        std::mem::take(&mut self.frames.raw)
    }
}

/// Frames on their way from the reader, by the order of their times.
struct InOrder<'a, S> {
    order: &'a mut TimeOrder,
    frames: &'a mut FrameParser,
    sink: &'a mut S,
}

impl<S: Sink> Frames for InOrder<'_, S> {
    #[inline(always)]
    fn take(&mut self, frame: CapturedFrame<'_>, oddities: &mut Oddities) -> bool {
        let InOrder { order, frames, sink } = self;
        if order.follows(&frame) {
            return frames.take(&frame, oddities, *sink);
        }
        let mut goes_on = true;
        order.unusual(&frame, oddities, &mut |frame, oddities| goes_on &= frames.take_late(frame, oddities, *sink));
        goes_on
    }
}

impl FrameParser {
    #[inline(always)]
    fn take(&mut self, frame: &CapturedFrame<'_>, oddities: &mut Oddities, sink: &mut impl Sink) -> bool {
        let FrameParser { network, capture, domain, locals, wanted, raw, whole, unreadable, every, left } = self;
        count(capture, frame);
        let place = Place { capture: capture.capture, frame: frame.number, time: frame.time };
        oddities.place = place;
        if std::mem::replace(unreadable, oddities.unreadable) != oddities.unreadable {
            sink.other(place, Content::Damaged(None));
        }
        if !wanted.is_empty() && wanted.contains(&(place.capture, place.frame)) {
            raw.push(RawFrame::of(frame, place));
        }
        let interface = *domain << 16 | (frame.interface & 0xffff);
        let way = link::way(frame.link_type, frame.data);
        let mut note = |datagram: &Datagram<'_>, oddities: &mut Oddities| {
            if let Some(way) = way {
                note_local(locals, way, (place.capture, frame.interface, datagram.src), oddities);
            }
        };
        if let Some(datagram) = network.plain(frame) {
            note(&datagram, oddities);
            if is_segment(&datagram) {
                sink.packet(place, &packet(&datagram, interface, sum(&datagram)));
            } else {
                transport(&datagram, interface, &mut |seen| sink.other(place, seen));
            }
        } else {
            let unreadable = network.datagram(frame, oddities, &mut |datagram, oddities| {
                if datagram.header == Sum::Wrong {
                    let packet = has_ports(datagram).then(|| packet(datagram, interface, Sum::Unknown));
                    return sink.other(place, Content::Damaged(packet.as_ref()));
                }
                note(datagram, oddities);
                transport(datagram, interface, &mut |seen| sink.other(place, seen));
            });
            if unreadable {
                sink.other(place, Content::Damaged(None));
            }
        }
        if *whole {
            sink.other(place, Content::Frame(frame, network.fragment.take()));
        }
        *left = left.saturating_sub(1 + frame.data.len() / BYTES_OF_FRAME);
        if *left > 0 {
            return true;
        }
        *left = *every;
        sink.goes_on()
    }

    /// As [`Self::take`], of a frame that waited for another one.
    #[cold]
    #[inline(never)]
    fn take_late(&mut self, frame: &CapturedFrame<'_>, oddities: &mut Oddities, sink: &mut impl Sink) -> bool {
        self.take(frame, oddities, sink)
    }
}

/// An address of the capturing host, once; one that it receives from as well is not its own.
fn note_local(locals: &mut Vec<Local>, way: Way, seen: (u16, u32, IpAddr), oddities: &mut Oddities) {
    // A node with a pod network has dozens.
    const MAX_LOCALS: usize = 64;
    let (capture, interface, address) = seen;
    if let Some(local) = locals.iter_mut().find(|known| (known.capture, known.interface, known.address) == seen) {
        local.forwarded |= way == Way::In;
    } else if way == Way::In || address.is_loopback() {
    } else if locals.len() < MAX_LOCALS {
        locals.push(Local { capture, interface, address, forwarded: false });
    } else {
        oddities.push("locals-full", MAX_LOCALS as u64);
    }
}

fn fresh(capture: u16) -> CaptureRow {
    CaptureRow { capture, first: NO_TIME, last: NO_TIME, ..CaptureRow::default() }
}

fn count(row: &mut CaptureRow, frame: &CapturedFrame<'_>) {
    row.frames = frame.number;
    row.bytes += u64::from(frame.wire_len);
    row.cut_frames += u32::from(frame.data.len() < frame.wire_len as usize);
    if frame.time == NO_TIME {
        return;
    }
    if row.first == NO_TIME {
        row.first = frame.time;
    }
    row.misordered += u32::from(frame.time < row.last);
    row.first = row.first.min(frame.time);
    row.last = row.last.max(frame.time);
}

/// A TCP segment with its header.
#[inline(always)]
fn is_segment(datagram: &Datagram<'_>) -> bool {
    datagram.protocol == TCP && has_header(datagram) && has_ports(datagram)
}

#[inline(never)]
fn transport(datagram: &Datagram<'_>, domain: u32, sink: &mut impl FnMut(Content<'_>)) {
    match datagram.protocol {
        TCP if !has_header(datagram) => {
            let damaged = has_ports(datagram).then(|| packet(datagram, domain, Sum::Unknown));
            sink(Content::Damaged(damaged.as_ref()));
        }
        TCP | UDP if has_ports(datagram) => sink(Content::Packet(&packet(datagram, domain, sum(datagram)))),
        ICMP | ICMPV6 => {
            let quoted = unreachable(datagram).filter(|(quoted, _)| has_ports(quoted) && sum(datagram) != Sum::Wrong);
            if let Some((quoted, code)) = quoted {
                sink(Content::Unreachable(&packet(&quoted, domain, Sum::Unknown), code));
            }
        }
        _ => {}
    }
}

/// Whether it is known where the data of a TCP segment begins: else none is known to be in its place.
#[inline]
fn has_header(datagram: &Datagram<'_>) -> bool {
    const DATA_OFFSET: usize = 12;
    let header = datagram.payload.get(DATA_OFFSET).map(|offset| usize::from(offset >> 4) * 4);
    header.is_some_and(|size| size >= TCP_HEADER && size <= datagram.wire_len)
}

#[inline]
fn has_ports(datagram: &Datagram<'_>) -> bool {
    datagram.payload.len() >= 4
}

/// Of what is all there, and neither too long nor an acknowledgement alone, of which there are many and nothing comes.
#[inline(always)]
fn sum(datagram: &Datagram<'_>) -> Sum {
    let Datagram { src, dst, protocol, payload, wire_len, .. } = *datagram;
    if wire_len > checksum::MAX_VERIFIED || payload.len() < wire_len {
        return Sum::Unknown;
    }
    if protocol == TCP
        && let Some([offset, flags]) = payload.get(12..14)
        && usize::from(offset >> 4) * 4 >= wire_len
        && flags & (FIN | SYN | RST) == 0
    {
        return Sum::Unknown;
    }
    checksum::of_transport(src, dst, protocol, payload)
}

/// A datagram with the header of its transport parsed. What the snaplen cut off of a TCP header is taken for zero.
#[inline(always)]
fn packet<'a>(datagram: &Datagram<'a>, domain: u32, sum: Sum) -> Addressed<'a> {
    const UDP_HEADER: usize = 8;
    let whole = datagram.payload.first_chunk::<TCP_HEADER>();
    let mut cut = [0; TCP_HEADER];
    let header = whole.unwrap_or_else(|| {
        cut.iter_mut().zip(datagram.payload).for_each(|(to, from)| *to = *from);
        &cut
    });
    let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, ..] = *header;
    let tcp = datagram.protocol == TCP;
    let size = if tcp { (usize::from(offset >> 4) * 4).max(TCP_HEADER) } else { UDP_HEADER };
    Addressed {
        src: datagram.src,
        dst: datagram.dst,
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        domain,
        sum,
        packet: Packet {
            transport: datagram.protocol,
            ip_id: datagram.id,
            seq: if tcp { u32::from_be_bytes([s0, s1, s2, s3]) } else { 0 },
            ack: if tcp { u32::from_be_bytes([a0, a1, a2, a3]) } else { 0 },
            tcp_flags: if tcp { flags } else { 0 },
            payload: datagram.payload.get(size..).unwrap_or_default(),
            length: datagram.wire_len.saturating_sub(size),
        },
    }
}

/// The datagram quoted in an ICMP destination unreachable message (RFC 792, RFC 4443 section 3.1), and its code.
fn unreachable<'a>(datagram: &Datagram<'a>) -> Option<(Datagram<'a>, u8)> {
    const ICMP_UNREACHABLE: u8 = 3;
    const ICMPV6_UNREACHABLE: u8 = 1;
    let header = datagram.payload.get(..8)?;
    let expected = if datagram.protocol == ICMP { ICMP_UNREACHABLE } else { ICMPV6_UNREACHABLE };
    if header.first() != Some(&expected) {
        return None;
    }
    let inner = datagram.payload.get(8..)?;
    let (src, dst, protocol, payload) = if datagram.protocol == ICMP { quoted_v4(inner)? } else { quoted_v6(inner)? };
    let code = header.get(1).copied().unwrap_or_default();
    let (wire_len, header) = (payload.len(), Sum::Unknown);
    let quoted = Datagram { src, dst, protocol, id: 0, payload, wire_len, fragmented: false, header };
    matches!(protocol, TCP | UDP).then_some((quoted, code))
}

type Quoted<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn quoted_v4(packet: &[u8]) -> Option<Quoted<'_>> {
    let header = packet.first_chunk::<20>()?;
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(header.get(at..at + 4)?).ok()?)));
    let size = usize::from(header[0] & 15) * 4;
    Some((address(12)?, address(16)?, header[9], packet.get(size..)?))
}

fn quoted_v6(packet: &[u8]) -> Option<Quoted<'_>> {
    let header = packet.first_chunk::<40>()?;
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(header.get(at..at + 16)?).ok()?)));
    Some((address(8)?, address(24)?, header[6], packet.get(40..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_packets_are_not_verified() {
        // A checksum that is wrong.
        let datagram = |size: usize| [[0, 9, 0, 9, 0, 0, 1, 1].as_slice(), &vec![7; size - 8]].concat();
        let verified = |size: usize, wire_len: usize| {
            let payload = &datagram(size);
            let (src, dst) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
            let (protocol, header) = (UDP, Sum::Right);
            sum(&Datagram { src, dst, protocol, id: 0, payload, wire_len, fragmented: false, header })
        };
        assert_eq!(verified(640, 640), Sum::Wrong);
        assert_eq!(verified(641, 641), Sum::Unknown);
        assert_eq!(verified(640, 641), Sum::Unknown);
        assert_eq!(verified(630, 631), Sum::Unknown);
    }

    #[test]
    fn acknowledgements_alone_are_not_verified() {
        let verified = |protocol: u8, flags: u8, data: usize| {
            let segment = [&[0; 12], &[0x50, flags][..], &[0, 0, 1, 1, 0, 0], &vec![7; data]].concat();
            let (src, dst) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
            let (payload, wire_len, header) = (segment.as_slice(), segment.len(), Sum::Right);
            sum(&Datagram { src, dst, protocol, id: 0, payload, wire_len, fragmented: false, header })
        };
        assert_eq!(verified(TCP, 0x10, 0), Sum::Unknown);
        assert_eq!([0x11, 0x12, 0x14].map(|flags| verified(TCP, flags, 0)), [Sum::Wrong; 3]);
        assert_eq!(verified(TCP, 0x10, 1), Sum::Wrong);
        // Bytes of a datagram that stand where TCP has its flags, behind a checksum that is 1.
        let datagram = [0, 1, 0, 1, 0, 20, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0];
        let (src, dst) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
        let (payload, wire_len, header) = (datagram.as_slice(), 20, Sum::Right);
        let datagram = Datagram { src, dst, protocol: UDP, id: 0, payload, wire_len, fragmented: false, header };
        assert_eq!(sum(&datagram), Sum::Wrong);
    }

    /// Of which frames it is asked whether to go on.
    #[derive(Default)]
    struct Asked(u32);

    impl Sink for Asked {
        fn packet(&mut self, _: Place, _: &Addressed<'_>) {}
        fn other(&mut self, _: Place, _: Content<'_>) {}
        fn goes_on(&mut self) -> bool {
            self.0 += 1;
            true
        }
    }

    #[test]
    fn a_long_frame_counts_as_several() {
        let asked = |size: u32| {
            let mut capture = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
            for second in 1..=24_u32 {
                [second, 0, size, size].iter().for_each(|word| capture.extend(word.to_le_bytes()));
                capture.extend(vec![0; size as usize]);
            }
            let mut reader = PacketReader::new(0, HashSet::new(), false);
            reader.ask_after(4);
            let mut sink = Asked::default();
            reader.read(Some(&capture), &mut sink).expect("a capture");
            reader.read(None, &mut sink).expect("a capture");
            sink.0
        };
        assert_eq!([60, 1_023, 1_024, 65_535].map(asked), [6, 6, 12, 24]);
    }

    #[test]
    fn what_is_counted_of_a_file() {
        let mut row = fresh(2);
        let frames = [(NO_TIME, 4, 4), (50, 2, 9), (40, 9, 9), (60, 0, 1), (45, 5, 5)];
        for ((time, captured, wire_len), number) in frames.into_iter().zip(1..) {
            let data = &[0; 9][..captured];
            count(&mut row, &CapturedFrame { number, time, interface: 0, link_type: 1, data, wire_len });
        }
        let expected = CaptureRow {
            capture: 2,
            frames: 5,
            bytes: 28,
            first: 40,
            last: 60,
            cut_frames: 2,
            misordered: 2,
            ..CaptureRow::default()
        };
        assert_eq!(row, expected);
        assert_eq!((fresh(3).first, fresh(3).last), (NO_TIME, NO_TIME));
    }

    #[test]
    fn a_tcp_header_is_known_by_its_length() {
        let holds = |offset: u8, wire_len: usize| {
            let payload: &[u8] = &[&[0; 12][..], &[offset << 4], &[0; 7]].concat();
            let (src, dst) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
            let (protocol, header) = (TCP, Sum::Right);
            has_header(&Datagram { src, dst, protocol, id: 0, payload, wire_len, fragmented: false, header })
        };
        assert_eq!([holds(4, 20), holds(5, 20), holds(5, 19)], [false, true, false]);
        assert_eq!([holds(6, 24), holds(6, 23), holds(15, 60)], [true, false, true]);
    }

    #[test]
    fn addresses_of_the_host_are_noted_once_and_so_many() {
        let (mut locals, mut oddities) = (Vec::new(), Oddities::default());
        let local = |n: u32| (0, 1, IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n)));
        note_local(&mut locals, Way::Out, (0, 1, Ipv4Addr::LOCALHOST.into()), &mut oddities);
        note_local(&mut locals, Way::In, local(99), &mut oddities);
        (0..64).chain(0..64).for_each(|n| note_local(&mut locals, Way::Out, local(n), &mut oddities));
        assert_eq!((locals.len(), oddities.count("locals-full")), (64, 0));
        note_local(&mut locals, Way::Out, local(64), &mut oddities);
        assert_eq!((locals.len(), oddities.count("locals-full")), (64, 1));
    }
}
