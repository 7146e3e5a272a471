//! IPv4 (RFC 791) and IPv6 (RFC 8200) packets to datagrams, and fragments to the datagrams they are of.
//!
//! A header that says how long the packet is ends it there, so Ethernet's padding falls off; one that says 0 was captured
//! before segmentation offload and lasts as long as the frame. Fragments are collected by source, destination, protocol and
//! identification, in any order; where they overlap, the first byte wins. A datagram is whole when all of it has been on the
//! wire; what a snaplen cut off it stays cut off.

use crate::checksum::{self, Sum};
use crate::oddity::{Oddities, Place};
use crate::packet_bytes::PacketBytes;
use crate::protocol::UDP;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The largest datagram that fragments can make: offset and length have 16 bits.
const MAX_FRAGMENTED: usize = u16::MAX as usize;

/// Datagrams held, the complete ones included (a frame captured twice must not begin a new one). More are in flight at once
/// on no link; identifications of IPv4 come again after 65,536.
const MAX_DATAGRAMS: usize = 1_024;

/// Bytes of incomplete datagrams held: 256 of the largest.
const MAX_HELD: usize = 16 << 20;

/// What bookkeeping a fragment costs, beside its bytes.
const FRAGMENT_COST: usize = 16;

/// How long fragments are waited for: as long as Linux does (`ipfrag_time`).
const MAX_AGE: i64 = 30_000_000_000;

/// What one host's IP hands to another's transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub protocol: u8,
    /// The identification in the header of IPv4 or in the fragment header of IPv6; 0 if there is none.
    pub id: u32,
    pub payload: &'a [u8],
    /// Length of the payload on the wire: more than that of `payload` when the frame was cut by the snaplen.
    pub wire_len: usize,
    /// It came in fragments.
    pub fragmented: bool,
    /// The checksum of its header, which IPv6 has not.
    pub header: Sum,
}

impl Datagram<'_> {
    pub fn key(&self) -> Key {
        Key { src: self.src, dst: self.dst, protocol: self.protocol, id: self.id }
    }
}

/// Where the payload of a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub offset: usize,
    /// It is not the last.
    pub more: bool,
}

/// Why a packet gives no datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    NotIp,
    /// The snaplen left too little of it.
    Cut,
    /// Its headers contradict themselves.
    Malformed,
}

/// The datagram in a packet, or the fragment of one.
#[inline]
pub fn datagram(packet: PacketBytes<'_>) -> Result<(Datagram<'_>, Option<Piece>), Refused> {
    match packet.bytes.first() {
        Some(0x40..=0x4f) => {
            let (datagram, piece) = ipv4(packet)?;
            if datagram.protocol == AUTHENTICATION && piece.is_none() {
                extensions(datagram)
            } else {
                Ok((datagram, piece))
            }
        }
        Some(0x60..=0x6f) => ipv6(packet),
        Some(_) => Err(Refused::NotIp),
        None => Err(short(packet)),
    }
}

/// The datagram in a packet of IPv4 that is no fragment, and has no header behind its own; nothing of any other.
#[inline(always)]
pub fn plain(packet: PacketBytes<'_>) -> Option<Datagram<'_>> {
    if !matches!(packet.bytes.first(), Some(0x40..=0x4f)) {
        return None;
    }
    ipv4(packet)
        .ok()
        .filter(|(datagram, piece)| piece.is_none() && datagram.protocol != AUTHENTICATION)
        .map(|(datagram, _)| datagram)
}

/// Whether bytes that may be anything can be taken for an IP packet: what they say of their length fits.
pub fn plausible(packet: &PacketBytes<'_>) -> bool {
    let length = packet.wire_len();
    match *packet.bytes {
        [version @ 0x45..=0x4f, _, t0, t1, ..] => {
            let total = usize::from(u16::from_be_bytes([t0, t1]));
            let header = usize::from(version & 0x0f) * 4;
            (total == 0 || header <= total) && total <= length && header <= length
        }
        [0x60..=0x6f, _, _, _, p0, p1, ..] => IPV6_HEADER + usize::from(u16::from_be_bytes([p0, p1])) <= length,
        _ => false,
    }
}

/// The refusal of a packet whose captured bytes end in a header.
fn short(packet: PacketBytes<'_>) -> Refused {
    if packet.missing > 0 { Refused::Cut } else { Refused::Malformed }
}

/// The part of a packet from `begin` to `end`, of which the latter may not have been captured.
#[inline(always)]
fn part(packet: PacketBytes<'_>, begin: usize, end: usize) -> Result<PacketBytes<'_>, Refused> {
    let wire_len = end.checked_sub(begin).ok_or(Refused::Malformed)?;
    let bytes = packet.bytes.get(begin..end.min(packet.bytes.len())).ok_or_else(|| short(packet))?;
    Ok(PacketBytes { bytes, missing: wire_len - bytes.len() })
}

/// With what stands behind its header, whatever it is.
#[inline(always)]
fn ipv4(packet: PacketBytes<'_>) -> Result<(Datagram<'_>, Option<Piece>), Refused> {
    let header = packet.bytes.first_chunk::<IPV4_HEADER>().ok_or_else(|| short(packet))?;
    let [version, _, t0, t1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let header_len = usize::from(version & 0x0f) * 4;
    if header_len < IPV4_HEADER {
        return Err(Refused::Malformed);
    }
    let total = match usize::from(u16::from_be_bytes([t0, t1])) {
        0 => packet.wire_len(),
        total => total,
    };
    let payload = part(packet, header_len, total)?;
    let options = packet.bytes.get(IPV4_HEADER..header_len);
    let header = options.map_or(Sum::Unknown, |options| checksum::of_header(header, options));
    let datagram = Datagram {
        src: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        dst: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol,
        id: u16::from_be_bytes([i0, i1]).into(),
        payload: payload.bytes,
        wire_len: payload.wire_len(),
        fragmented: false,
        header,
    };
    let (offset, more) = (u16::from_be_bytes([f0 & 0x1f, f1]), f0 & 0x20 != 0);
    let piece = (offset > 0 || more).then(|| Piece { offset: usize::from(offset) * 8, more });
    Ok((datagram, piece))
}

#[inline]
fn ipv6(packet: PacketBytes<'_>) -> Result<(Datagram<'_>, Option<Piece>), Refused> {
    let header = packet.bytes.first_chunk::<IPV6_HEADER>().ok_or_else(|| short(packet))?;
    let [_, _, _, _, p0, p1, protocol, _, addresses @ ..] = *header;
    let end = match usize::from(u16::from_be_bytes([p0, p1])) {
        // A jumbogram (RFC 2675), or one that segmentation offload will cut up.
        0 if protocol != NO_NEXT_HEADER => packet.wire_len(),
        length => IPV6_HEADER + length,
    };
    // No checksum tells that the length is right: IPv4's does, of a frame that was cut by what says nothing of it.
    if packet.missing == 0 && end > packet.bytes.len() {
        return Err(Refused::Malformed);
    }
    let payload = part(packet, IPV6_HEADER, end)?;
    let (src, dst) = addresses.split_at(16);
    let datagram = Datagram {
        src: ipv6_address(src),
        dst: ipv6_address(dst),
        protocol,
        id: 0,
        payload: payload.bytes,
        wire_len: payload.wire_len(),
        fragmented: false,
        header: Sum::Unknown,
    };
    extensions(datagram)
}

#[inline]
fn ipv6_address(bytes: &[u8]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk::<16>().unwrap_or(&[0; 16])))
}

/// Takes the extension headers off the payload, up to that of a fragment.
#[inline]
pub fn extensions(mut datagram: Datagram<'_>) -> Result<(Datagram<'_>, Option<Piece>), Refused> {
    loop {
        let payload = PacketBytes { bytes: datagram.payload, missing: datagram.wire_len - datagram.payload.len() };
        let units = match datagram.protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => 8,
            AUTHENTICATION => 4,
            FRAGMENT => 0,
            _ => return Ok((datagram, None)),
        };
        let &[next, length, o0, o1, i0, i1, i2, i3] = payload.bytes.first_chunk::<8>().ok_or_else(|| short(payload))?;
        let rest = part(payload, 8 + usize::from(length) * units, datagram.wire_len)?;
        datagram = Datagram { protocol: next, payload: rest.bytes, wire_len: rest.wire_len(), ..datagram };
        if units == 0 {
            datagram.id = u32::from_be_bytes([i0, i1, i2, i3]);
            let piece = Piece { offset: usize::from(u16::from_be_bytes([o0, o1 & 0xf8])), more: o1 & 1 != 0 };
            if piece.offset > 0 || piece.more {
                return Ok((datagram, Some(piece)));
            }
        }
    }
}

/// What the fragments of a datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
}

/// Bytes of a datagram as disjoint, ascending ranges that do not touch.
#[derive(Default)]
struct Ranges(Vec<(usize, usize)>);

impl Ranges {
    fn add(&mut self, begin: usize, end: usize) {
        let first = self.0.partition_point(|range| range.1 < begin);
        let last = self.0.partition_point(|range| range.0 <= end);
        let touched = self.0.get(first..last).unwrap_or_default();
        let begin = touched.first().map_or(begin, |range| range.0.min(begin));
        let end = touched.last().map_or(end, |range| range.1.max(end));
        self.0.splice(first..last.max(first), [(begin, end)]);
    }

    /// What of these bytes is in no range.
    fn gaps(&self, mut begin: usize, end: usize) -> Vec<(usize, usize)> {
        let mut gaps = Vec::new();
        let first = self.0.partition_point(|range| range.1 <= begin);
        for range in self.0.iter().skip(first).take_while(|range| range.0 < end) {
            if begin < range.0 {
                gaps.push((begin, range.0));
            }
            begin = range.1;
        }
        if begin < end {
            gaps.push((begin, end));
        }
        gaps
    }

    /// Bytes without a gap from the beginning on.
    fn prefix(&self) -> usize {
        self.0.first().filter(|range| range.0 == 0).map_or(0, |range| range.1)
    }

    fn end(&self) -> usize {
        self.0.last().map_or(0, |range| range.1)
    }

    fn missing(&self, total: usize) -> usize {
        total.saturating_sub(self.0.iter().map(|range| range.1 - range.0).sum())
    }
}

/// A datagram of which fragments have come.
struct Assembly {
    bytes: Vec<u8>,
    /// What of it was captured.
    captured: Ranges,
    /// What of it was on the wire.
    seen: Ranges,
    /// Its length, once the last fragment has come.
    total: Option<usize>,
    /// Memory held.
    cost: usize,
    /// Of its first fragment.
    place: Place,
    /// It was handed out: further fragments are copies.
    done: bool,
}

impl Assembly {
    fn new(place: Place) -> Assembly {
        let (captured, seen) = (Ranges::default(), Ranges::default());
        Assembly { bytes: Vec::new(), captured, seen, total: None, cost: 0, place, done: false }
    }

    /// A fragment that ends there belongs to another datagram of the same identification.
    fn contradicts(&self, end: usize, more: bool) -> bool {
        match self.total {
            Some(total) if more => end >= total,
            Some(total) => end != total,
            None => !more && self.seen.end() >= end,
        }
    }

    fn insert(&mut self, payload: &[u8], offset: usize, end: usize, more: bool) {
        let captured = offset + payload.len();
        if self.bytes.len() < captured {
            self.cost += captured - self.bytes.len();
            self.bytes.resize(captured, 0);
        }
        for (begin, end) in self.captured.gaps(offset, captured) {
            if let (Some(to), Some(from)) = (self.bytes.get_mut(begin..end), payload.get(begin - offset..end - offset))
            {
                to.copy_from_slice(from);
            }
        }
        self.captured.add(offset, captured);
        self.seen.add(offset, end);
        self.cost += FRAGMENT_COST;
        if !more {
            self.total = Some(end);
        }
    }

    fn whole(&self) -> Option<usize> {
        self.total.filter(|total| self.seen.prefix() == *total)
    }

    /// The xid of an RPC message over UDP, where its beginning was captured; else 0.
    fn xid(&self, protocol: u8) -> u32 {
        match self.bytes.get(..self.captured.prefix()) {
            Some([_, _, _, _, _, _, _, _, x0, x1, x2, x3, 0, 0, 0, 0 | 1, ..]) if protocol == UDP => {
                u32::from_be_bytes([*x0, *x1, *x2, *x3])
            }
            _ => 0,
        }
    }

    /// Bytes known to be missing: 0 when only the end is, as its length is not known.
    fn missing(&self) -> usize {
        self.seen.missing(self.total.unwrap_or(self.seen.end()))
    }
}

/// The payload of a datagram whose fragments have all been on the wire.
pub struct Whole {
    pub bytes: Vec<u8>,
    pub wire_len: usize,
}

/// The fragments that wait for others.
#[derive(Default)]
pub struct Fragments {
    assemblies: HashMap<Key, Assembly>,
    /// The oldest first; each key once.
    order: VecDeque<Key>,
    held: usize,
}

impl Fragments {
    /// Takes the fragment of a datagram; gives the payload of the whole if it was the last one missing.
    pub fn join(&mut self, fragment: &Datagram<'_>, piece: Piece, oddities: &mut Oddities) -> Option<Whole> {
        let end = piece.offset + fragment.wire_len;
        if end > MAX_FRAGMENTED || (piece.more && (fragment.wire_len == 0 || !fragment.wire_len.is_multiple_of(8))) {
            oddities.push("ip-fragment", end as u64);
            return None;
        }
        self.retire(oddities);
        let key = fragment.key();
        let assembly = self.assemblies.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Assembly::new(oddities.place)
        });
        if assembly.done {
            return None;
        }
        if assembly.contradicts(end, piece.more) {
            report(assembly, key.protocol, oddities);
            self.held -= assembly.cost;
            *assembly = Assembly::new(oddities.place);
        }
        let before = assembly.cost;
        assembly.insert(fragment.payload, piece.offset, end, piece.more);
        self.held += assembly.cost - before;
        let wire_len = assembly.whole()?;
        self.held -= assembly.cost;
        let done = Assembly { done: true, ..Assembly::new(assembly.place) };
        let Assembly { mut bytes, captured, .. } = std::mem::replace(assembly, done);
        bytes.truncate(captured.prefix());
        Some(Whole { bytes, wire_len })
    }

    /// Reports what never became whole.
    pub fn close(&mut self, oddities: &mut Oddities) {
        while !self.order.is_empty() {
            self.evict(oddities);
        }
    }

    /// Gives up what is too old or too much.
    fn retire(&mut self, oddities: &mut Oddities) {
        while self.order.len() >= MAX_DATAGRAMS || self.held > MAX_HELD || self.is_stale(oddities.place.time) {
            self.evict(oddities);
        }
    }

    fn is_stale(&self, now: i64) -> bool {
        let oldest = self.order.front().and_then(|key| self.assemblies.get(key));
        oldest.is_some_and(|oldest| oldest.place.time.saturating_add(MAX_AGE) < now)
    }

    fn evict(&mut self, oddities: &mut Oddities) {
        let Some(key) = self.order.pop_front() else { return };
        let Some(assembly) = self.assemblies.remove(&key) else { return };
        self.held -= assembly.cost;
        report(&assembly, key.protocol, oddities);
    }
}

/// Reports a datagram that is given up incomplete, at the place of its first fragment: its xid, and how much it lacks.
fn report(assembly: &Assembly, protocol: u8, oddities: &mut Oddities) {
    if !assembly.done {
        let now = std::mem::replace(&mut oddities.place, assembly.place);
        oddities.push("fragments-lost", u64::from(assembly.xid(protocol)) << 32 | assembly.missing() as u64);
        oddities.place = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_costs_its_bookkeeping_though_it_has_no_new_bytes() {
        let mut assembly = Assembly::new(Place::default());
        let costs = [0, 8, 0].map(|offset| {
            assembly.insert(&[0; 8], offset, offset + 8, true);
            assembly.cost
        });
        assert_eq!(costs, [8 + 16, 16 + 2 * 16, 16 + 3 * 16]);
    }
}
