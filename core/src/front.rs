//! The front of the path: bytes of capture files to transport packets, each with the place where it was seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashSet;

use crate::batch::{CaptureRow, NO_TIME};
use crate::capture::{Ending, Frame, NotACapture, Reader};
use crate::checksum::{self, Sum};
use crate::flow::Packet;
use crate::ip::Datagram;
use crate::link::{self, Way};
use crate::oddity::{Oddities, Place};
use crate::order::Order;
use crate::select::RawFrame;
use crate::tunnel::Network;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const TCP_HEADER: usize = 20;

/// What a frame held.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    Packet(&'a Packet<'a>),
    /// The packet that an ICMP destination unreachable message of this code quotes.
    Unreachable(&'a Packet<'a>, u8),
    /// Something that cannot be told: with its addresses and ports as they stand there, where they can be read at all.
    Damaged(Option<&'a Packet<'a>>),
}

pub struct Front {
    reader: Reader,
    order: Order,
    frames: Frames,
    pub oddities: Oddities,
}

/// What is made of frames.
struct Frames {
    network: Network,
    capture: CaptureRow,
    domain: u32,
    locals: Vec<Local>,
    wanted: HashSet<(u16, u32)>,
    raw: Vec<RawFrame>,
    /// Of the file, those that were passed.
    unreadable: u32,
}

/// An address that the capturing host sent from, as the link layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub capture: u16,
    pub interface: u32,
    pub address: IpAddr,
    /// The host also received from it: the address is another host's, whose packets this one forwards.
    pub forwarded: bool,
}

impl Front {
    pub fn new(domain: u32, wanted: HashSet<(u16, u32)>) -> Front {
        let (network, capture) = (Network::new(), fresh(0));
        let frames = Frames { network, capture, domain, locals: Vec::new(), wanted, raw: Vec::new(), unreadable: 0 };
        Front { reader: Reader::new(), order: Order::default(), frames, oddities: Oddities::default() }
    }

    /// More bytes of this file, or none when it has ended: all by one way, of which the compiler makes one loop.
    pub fn read(&mut self, data: Option<&[u8]>, sink: &mut impl FnMut(Place, Seen<'_>)) -> Result<(), NotACapture> {
        let Front { reader, order, frames, oddities } = self;
        let mut take = |frame: &Frame<'_>, oddities: &mut Oddities| frames.take(frame, oddities, sink);
        let result = reader.read(data, &mut |frame, oddities| order.take(&frame, oddities, &mut take), oddities);
        if data.is_none() {
            order.end(oddities, &mut take);
        }
        result
    }

    /// Hands out a frame that waits for the next one to tell its time.
    pub fn release(&mut self, sink: &mut impl FnMut(Place, Seen<'_>)) {
        let Front { order, frames, oddities, .. } = self;
        order.release(oddities, &mut |frame, oddities| frames.take(frame, oddities, sink));
    }

    /// This file has ended and was read: its counts and its reader, which knows its format and interfaces.
    pub fn end_file(&mut self) -> Result<(Ending, CaptureRow, Reader), NotACapture> {
        let Front { reader, frames, .. } = self;
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

impl Frames {
    #[inline]
    fn take(&mut self, frame: &Frame<'_>, oddities: &mut Oddities, sink: &mut impl FnMut(Place, Seen<'_>)) {
        let Frames { network, capture, domain, locals, wanted, raw, unreadable } = self;
        count(capture, frame);
        let place = Place { capture: capture.capture, frame: frame.number, time: frame.time };
        oddities.place = place;
        if std::mem::replace(unreadable, oddities.unreadable) != oddities.unreadable {
            sink(place, Seen::Damaged(None));
        }
        if !wanted.is_empty() && wanted.contains(&(place.capture, place.frame)) {
            raw.push(RawFrame::of(frame, place));
        }
        let interface = *domain << 16 | (frame.interface & 0xffff);
        let way = link::way(frame.link_type, frame.data);
        let unreadable = network.datagram(frame, oddities, &mut |datagram, oddities| {
            if datagram.header == Sum::Wrong {
                let packet = has_ports(datagram).then(|| packet(datagram, interface, Sum::Unknown));
                return sink(place, Seen::Damaged(packet.as_ref()));
            }
            if let Some(way) = way {
                note_local(locals, way, (place.capture, frame.interface, datagram.src), oddities);
            }
            transport(datagram, interface, &mut |seen| sink(place, seen));
        });
        if unreadable {
            sink(place, Seen::Damaged(None));
        }
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

fn count(row: &mut CaptureRow, frame: &Frame<'_>) {
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

#[inline]
fn transport(datagram: &Datagram<'_>, domain: u32, sink: &mut impl FnMut(Seen<'_>)) {
    match datagram.protocol {
        TCP if !has_header(datagram) => {
            let damaged = has_ports(datagram).then(|| packet(datagram, domain, Sum::Unknown));
            sink(Seen::Damaged(damaged.as_ref()));
        }
        TCP | UDP if has_ports(datagram) => sink(Seen::Packet(&packet(datagram, domain, sum(datagram)))),
        ICMP | ICMPV6 => {
            let quoted = unreachable(datagram).filter(|(quoted, _)| has_ports(quoted) && sum(datagram) != Sum::Wrong);
            if let Some((quoted, code)) = quoted {
                sink(Seen::Unreachable(&packet(&quoted, domain, Sum::Unknown), code));
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
    const FIN_SYN_RST: u8 = 0x07;
    let Datagram { src, dst, protocol, payload, wire_len, .. } = *datagram;
    if wire_len > checksum::MAX_VERIFIED || payload.len() < wire_len {
        return Sum::Unknown;
    }
    if protocol == TCP
        && let Some([offset, flags]) = payload.get(12..14)
        && usize::from(offset >> 4) * 4 >= wire_len
        && flags & FIN_SYN_RST == 0
    {
        return Sum::Unknown;
    }
    checksum::of_transport(src, dst, protocol, payload)
}

/// A datagram with the header of its transport parsed. What the snaplen cut off of a TCP header is taken for zero.
#[inline(always)]
fn packet<'a>(datagram: &Datagram<'a>, domain: u32, sum: Sum) -> Packet<'a> {
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
    Packet {
        src: datagram.src,
        dst: datagram.dst,
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        transport: datagram.protocol,
        ip_id: datagram.id,
        seq: if tcp { u32::from_be_bytes([s0, s1, s2, s3]) } else { 0 },
        ack: if tcp { u32::from_be_bytes([a0, a1, a2, a3]) } else { 0 },
        tcp_flags: if tcp { flags } else { 0 },
        payload: datagram.payload.get(size..).unwrap_or_default(),
        length: datagram.wire_len.saturating_sub(size),
        domain,
        sum,
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
