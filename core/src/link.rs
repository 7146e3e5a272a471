//! Link layers to IP packets: what lies between the first byte of a frame and the first of IP, by the link type of the
//! interface (https://www.tcpdump.org/linktypes.html) and by EtherType: tags of IEEE 802.1Q, labels of MPLS (RFC 3032) and
//! sessions of PPPoE (RFC 2516) in any order. A frame that holds no IP gives nothing; neither do LLC and SNAP. Whether the
//! bytes found are IP, and of which version, is for `ip` to see. Of a frame that gives nothing `unread` says why.

use std::ops::ControlFlow::{Break, Continue};

use crate::infiniband::{self, ETHERTYPE_ROCE};
use crate::packet_bytes::PacketBytes;

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const PPP: u32 = 9;
/// DLT_RAW of BSD, of OpenBSD, and the link type registered for both.
const RAW: [u32; 3] = [12, 14, 101];
const PPP_HDLC: u32 = 50;
const PPP_ETHER: u32 = 51;
const C_HDLC: u32 = 104;
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const PPP_PPPD: u32 = 166;
const PPP_WITH_DIR: u32 = 204;
const C_HDLC_WITH_DIR: u32 = 205;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const NFLOG: u32 = 239;
const IPOIB: u32 = 242;
const INFINIBAND: u32 = 247;
const PKTAP: u32 = 258;
const LINUX_SLL2: u32 = 276;

/// All link types that are read.
pub const LINK_TYPES: [u32; 21] = [
    NULL,
    ETHERNET,
    PPP,
    RAW[0],
    RAW[1],
    RAW[2],
    PPP_HDLC,
    PPP_ETHER,
    C_HDLC,
    LOOP,
    LINUX_SLL,
    PPP_PPPD,
    PPP_WITH_DIR,
    C_HDLC_WITH_DIR,
    IPV4,
    IPV6,
    NFLOG,
    IPOIB,
    INFINIBAND,
    PKTAP,
    LINUX_SLL2,
];

/// AF_INET, and AF_INET6 of Linux, NetBSD, FreeBSD and macOS.
const ADDRESS_FAMILIES: [u32; 5] = [2, 10, 24, 28, 30];

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
/// Customer tag, service tag, and the number used for the latter before there was one.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const ETHERTYPES_MPLS: [u16; 2] = [0x8847, 0x8848];

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The IP packet in a frame of this link type.
#[inline(always)]
pub fn packet(link_type: u32, frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    match link_type {
        ETHERNET => ethernet(frame),
        LINUX_SLL2 => ethertype(frame.u16(0)?, frame.behind(20)?),
        LINUX_SLL => ethertype(frame.u16(14)?, frame.behind(16)?),
        NULL | LOOP => loopback(frame),
        PPP => ppp(frame),
        IPV4 | IPV6 => Some(frame),
        _ if RAW.contains(&link_type) => Some(frame),
        _ => rare(link_type, frame),
    }
}

/// Link types out of the way of the usual ones.
#[inline(never)]
fn rare(link_type: u32, frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    match link_type {
        PPP_HDLC => ppp(frame),
        PPP_ETHER => ppp(frame.behind(6)?),
        PPP_WITH_DIR => ppp(frame.behind(1)?),
        // The address byte of HDLC is replaced by the direction.
        PPP_PPPD => ppp(if frame.bytes.get(1) == Some(&3) { frame.behind(2)? } else { frame }),
        C_HDLC => cisco_hdlc(frame),
        C_HDLC_WITH_DIR => cisco_hdlc(frame.behind(1)?),
        NFLOG => nflog(frame),
        IPOIB => over_infiniband(frame),
        INFINIBAND => infiniband::announced(frame).and_then(|(kind, rest)| ethertype(kind, rest)),
        PKTAP => pktap(frame).and_then(|(inner, frame)| packet(inner, frame)),
        _ => None,
    }
}

/// How long the header of a frame of this link type is, where it has always the same length.
pub fn header_length(link_type: u32) -> Option<usize> {
    match link_type {
        ETHERNET => Some(14),
        LINUX_SLL => Some(16),
        LINUX_SLL2 => Some(20),
        _ => None,
    }
}

/// Why a frame gives no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    NotIp,
    /// Its link type is not known here.
    LinkType(u32),
    /// RDMA, and whether it holds RPC.
    Rdma(bool),
}

/// Why this frame gives no IP packet.
#[cold]
pub fn unread(link_type: u32, frame: PacketBytes<'_>) -> Unread {
    if !LINK_TYPES.contains(&link_type) {
        return Unread::LinkType(link_type);
    }
    if link_type == INFINIBAND {
        return Unread::Rdma(infiniband::local_holds_rpc(frame));
    }
    match (pktap(frame).filter(|_| link_type == PKTAP), announced(link_type, frame)) {
        (Some((inner, frame)), _) => unread(inner, frame),
        (None, Some((ETHERTYPE_ROCE, rest))) => Unread::Rdma(infiniband::roce_holds_rpc(rest)),
        (None, _) => Unread::NotIp,
    }
}

/// The innermost EtherType of a frame, behind all tags, and what it announces.
fn announced(link_type: u32, frame: PacketBytes<'_>) -> Option<(u16, PacketBytes<'_>)> {
    let header = header_length(link_type)?;
    let at = if link_type == LINUX_SLL2 { 0 } else { header - 2 };
    let (mut kind, mut rest) = (frame.u16(at)?, frame.behind(header)?);
    while ETHERTYPES_VLAN.contains(&kind) {
        (kind, rest) = (rest.u16(2)?, rest.behind(4)?);
    }
    Some((kind, rest))
}

/// Which way a frame passed the interface of the capturing host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// Which way this frame passed, where its link layer has it: the packet type of Linux's cooked captures. A loopback interface
/// receives what the host itself sent, and so is neither.
#[inline]
pub fn way(link_type: u32, data: &[u8]) -> Option<Way> {
    const PACKET_HOST: u8 = 0;
    const PACKET_OTHERHOST: u8 = 3;
    const PACKET_OUTGOING: u8 = 4;
    const ARPHRD_LOOPBACK: u16 = 772;
    let (kind, hardware) = match link_type {
        LINUX_SLL2 => (*data.get(10)?, data.get(8..10)?),
        LINUX_SLL => (*data.get(1)?, data.get(2..4)?),
        _ => return None,
    };
    match kind {
        PACKET_OUTGOING => Some(Way::Out),
        PACKET_HOST | PACKET_OTHERHOST if hardware != ARPHRD_LOOPBACK.to_be_bytes() => Some(Way::In),
        _ => None,
    }
}

#[inline]
pub fn ethernet(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    ethertype(frame.u16(12)?, frame.behind(14)?)
}

/// Whether what is behind this EtherType is read here.
pub fn is_read(kind: u16) -> bool {
    matches!(kind, ETHERTYPE_IPV4 | ETHERTYPE_IPV6 | ETHERTYPE_PPPOE_SESSION)
        || ETHERTYPES_MPLS.contains(&kind)
        || ETHERTYPES_VLAN.contains(&kind)
}

/// The IP packet in what an EtherType announced.
#[inline]
pub fn ethertype(mut kind: u16, mut rest: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    loop {
        match kind {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some(rest),
            ETHERTYPE_PPPOE_SESSION => return ppp(rest.behind(6)?),
            _ if ETHERTYPES_MPLS.contains(&kind) => return labelled(rest),
            _ if ETHERTYPES_VLAN.contains(&kind) => (kind, rest) = (rest.u16(2)?, rest.behind(4)?),
            _ => return None,
        }
    }
}

/// What follows an MPLS label stack: the lowest bit of the third byte marks the last label.
fn labelled(packet: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    let stack = packet.bytes.chunks_exact(4).try_fold(4, |length, label| match label {
        [_, _, last, _] if last & 1 == 1 => Break(length),
        _ => Continue(length + 4),
    });
    match stack {
        Break(length) => packet.behind(length),
        Continue(_) => None,
    }
}

/// PPP, with or without the address and control bytes of HDLC and with a protocol number of one or two bytes (RFC 1661); or
/// Cisco's HDLC, which has the same link types and is recognised by its first byte.
fn ppp(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    if frame.bytes.first().is_some_and(|address| CISCO_ADDRESSES.contains(address)) {
        return cisco_hdlc(frame);
    }
    let frame = if frame.bytes.starts_with(&[0xff, 0x03]) { frame.behind(2)? } else { frame };
    let (protocol, length) = match *frame.bytes.first()? {
        short if short & 1 == 1 => (u16::from(short), 1),
        _ => (frame.u16(0)?, 2),
    };
    matches!(protocol, PPP_IPV4 | PPP_IPV6).then(|| frame.behind(length))?
}

/// An address family, in the byte order of the capturing host (NULL) or of the network (LOOP); no family is both.
fn loopback(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    let family = *frame.bytes.first_chunk()?;
    let families = [u32::from_be_bytes(family), u32::from_le_bytes(family)];
    families.iter().any(|family| ADDRESS_FAMILIES.contains(family)).then(|| frame.behind(4))?
}

/// To one, and to all.
const CISCO_ADDRESSES: [u8; 2] = [0x0f, 0x8f];

/// Cisco's HDLC (RFC 1547 section 4.3.1): address, control, EtherType.
fn cisco_hdlc(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    frame.bytes.first().filter(|address| CISCO_ADDRESSES.contains(address))?;
    ethertype(frame.u16(2)?, frame.behind(4)?)
}

/// IP over InfiniBand (RFC 4391 section 6): EtherType and a reserved field. Before it stands, by who captured, a global route
/// header or as many bytes that are none; the receiver's hardware address; or nothing.
fn over_infiniband(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    const BEFORE: [usize; 3] = [40, 20, 0];
    let known = |kind: &u16| matches!(*kind, ETHERTYPE_IPV4 | ETHERTYPE_IPV6) || ETHERTYPES_VLAN.contains(kind);
    BEFORE.iter().find_map(|at| {
        let kind = frame.u16(*at).filter(|_| frame.u16(at + 2) == Some(0)).filter(known)?;
        ethertype(kind, frame.behind(at + 4)?)
    })
}

/// What Linux's firewall logs (`linux/netfilter/nfnetlink_log.h`): address family, version and resource; then attributes of
/// length and type in the capturing host's byte order, one of which is the packet. Another one, in the network's order, is its
/// EtherType, which is 0 for what a host is about to send.
fn nflog(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    const HEADER: usize = 4;
    const NFULA_PACKET_HDR: u16 = 1;
    const NFULA_PAYLOAD: u16 = 9;
    const NLA_TYPE_MASK: u16 = 0x3fff;
    let find = |order: fn([u8; 2]) -> u16| {
        let (mut rest, mut kind) = (frame.behind(HEADER)?, 0);
        loop {
            let [l0, l1, t0, t1] = *rest.bytes.first_chunk::<4>()?;
            let length = usize::from(order([l0, l1])).checked_sub(4)?;
            let value = rest.behind(4)?;
            match order([t0, t1]) & NLA_TYPE_MASK {
                NFULA_PAYLOAD => return Some((kind, front(value, length)?)),
                NFULA_PACKET_HDR => kind = value.u16(0)?,
                _ => {}
            }
            rest = value.behind(length.next_multiple_of(4))?;
        }
    };
    match find(u16::from_le_bytes).or_else(|| find(u16::from_be_bytes))? {
        (0, packet) => Some(packet),
        (kind, packet) => ethertype(kind, packet),
    }
}

/// The first `length` bytes, if there are so many on the wire.
fn front(packet: PacketBytes<'_>, length: usize) -> Option<PacketBytes<'_>> {
    let bytes = packet.bytes.get(..length).unwrap_or(packet.bytes);
    (length <= packet.wire_len()).then_some(PacketBytes { bytes, missing: length - bytes.len() })
}

/// The frame that macOS wraps with where it was captured (`bsd/net/pktap.h`), and its link type: length of the header, what
/// follows it, link type of that, little-endian. A frame in it is no further wrapped.
fn pktap(frame: PacketBytes<'_>) -> Option<(u32, PacketBytes<'_>)> {
    const PACKET: u32 = 1;
    let field = |at: usize| frame.bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_le_bytes(*word));
    let (length, follows, link_type) = (field(0)?, field(4)?, field(8)?);
    let inside = frame.behind(length as usize).filter(|_| length >= 12 && follows == PACKET && link_type != PKTAP)?;
    Some((link_type, inside))
}
