//! Link layers to IP packets: what lies between the capture's frame and the first byte of IP, found by the link type of its
//! interface (https://www.tcpdump.org/linktypes.html) and by EtherType (IEEE 802.1Q tags, MPLS labels of RFC 3032, PPPoE of
//! RFC 2516 in between). A frame that holds no IP gives nothing; LLC and SNAP are not looked into.

/// The captured part of a packet, and how many of its bytes were on the wire but not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub bytes: &'a [u8],
    pub missing: usize,
}

impl<'a> Packet<'a> {
    pub fn wire_len(&self) -> usize {
        self.bytes.len() + self.missing
    }

    /// The packet behind its first `length` bytes.
    pub fn behind(self, length: usize) -> Option<Packet<'a>> {
        Some(Packet { bytes: self.bytes.get(length..)?, ..self })
    }

    fn be16(&self, at: usize) -> Option<u16> {
        self.bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
    }
}

/// The IP packet in a frame of this link type.
pub fn packet(link_type: u32, frame: Packet<'_>) -> Option<Packet<'_>> {
    match link_type {
        1 => ethernet(frame),
        113 => ethertype(frame.be16(14)?, frame.behind(16)?),
        276 => ethertype(frame.be16(0)?, frame.behind(20)?),
        12 | 14 | 101 | 228 | 229 => Some(frame),
        _ => None,
    }
}

pub fn ethernet(frame: Packet<'_>) -> Option<Packet<'_>> {
    ethertype(frame.be16(12)?, frame.behind(14)?)
}

pub fn ethertype(ethertype: u16, rest: Packet<'_>) -> Option<Packet<'_>> {
    match ethertype {
        0x0800 | 0x86dd => Some(rest),
        _ => None,
    }
}
