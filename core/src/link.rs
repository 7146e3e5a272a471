//! Link layers to IP packets: what lies between the first byte of a frame and the first of IP, by the link type of the
//! interface (https://www.tcpdump.org/linktypes.html) and by EtherType: tags of IEEE 802.1Q, labels of MPLS (RFC 3032) and
//! sessions of PPPoE (RFC 2516) in any order. A frame that holds no IP gives nothing; neither do LLC and SNAP. Whether the
//! bytes found are IP, and of which version, is for `ip` to see.

use std::ops::ControlFlow::{Break, Continue};

const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const PPP: u32 = 9;
/// DLT_RAW of BSD, of OpenBSD, and the link type registered for both.
const RAW: [u32; 3] = [12, 14, 101];
const LOOP: u32 = 108;
const LINUX_SLL: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const LINUX_SLL2: u32 = 276;

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

/// The captured bytes of a packet, and how many more it had on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub bytes: &'a [u8],
    pub missing: usize,
}

impl<'a> Packet<'a> {
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.missing
    }

    /// What follows its first `length` bytes.
    pub fn behind(self, length: usize) -> Option<Packet<'a>> {
        Some(Packet { bytes: self.bytes.get(length..)?, ..self })
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        self.bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
    }
}

/// The IP packet in a frame of this link type.
#[inline]
pub fn packet(link_type: u32, frame: Packet<'_>) -> Option<Packet<'_>> {
    match link_type {
        ETHERNET => ethernet(frame),
        LINUX_SLL2 => ethertype(frame.u16(0)?, frame.behind(20)?),
        LINUX_SLL => ethertype(frame.u16(14)?, frame.behind(16)?),
        NULL | LOOP => loopback(frame),
        PPP => ppp(frame),
        IPV4 | IPV6 => Some(frame),
        _ if RAW.contains(&link_type) => Some(frame),
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

/// Whether the capturing host sent this frame, where its link layer says so: the packet type of Linux's cooked captures.
#[inline]
pub fn is_outgoing(link_type: u32, data: &[u8]) -> bool {
    const PACKET_OUTGOING: u8 = 4;
    let at = match link_type {
        LINUX_SLL2 => 10,
        LINUX_SLL => 1,
        _ => return false,
    };
    data.get(at) == Some(&PACKET_OUTGOING)
}

#[inline]
pub fn ethernet(frame: Packet<'_>) -> Option<Packet<'_>> {
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
pub fn ethertype(mut kind: u16, mut rest: Packet<'_>) -> Option<Packet<'_>> {
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
fn labelled(packet: Packet<'_>) -> Option<Packet<'_>> {
    let stack = packet.bytes.chunks_exact(4).try_fold(4, |length, label| match label {
        [_, _, last, _] if last & 1 == 1 => Break(length),
        _ => Continue(length + 4),
    });
    match stack {
        Break(length) => packet.behind(length),
        Continue(_) => None,
    }
}

/// PPP, with or without the address and control bytes of HDLC and with a protocol number of one or two bytes (RFC 1661).
fn ppp(frame: Packet<'_>) -> Option<Packet<'_>> {
    let frame = if frame.bytes.starts_with(&[0xff, 0x03]) { frame.behind(2)? } else { frame };
    let (protocol, length) = match *frame.bytes.first()? {
        short if short & 1 == 1 => (u16::from(short), 1),
        _ => (frame.u16(0)?, 2),
    };
    matches!(protocol, PPP_IPV4 | PPP_IPV6).then(|| frame.behind(length))?
}

/// An address family, in the byte order of the capturing host (NULL) or of the network (LOOP); no family is both.
fn loopback(frame: Packet<'_>) -> Option<Packet<'_>> {
    let family = *frame.bytes.first_chunk()?;
    let families = [u32::from_be_bytes(family), u32::from_le_bytes(family)];
    families.iter().any(|family| ADDRESS_FAMILIES.contains(family)).then(|| frame.behind(4))?
}
