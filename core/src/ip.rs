//! IPv4 (RFC 791) and IPv6 (RFC 8200) packets to datagrams.

use crate::link::Packet;
use std::net::{IpAddr, Ipv4Addr};

/// What one host hands to another's transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub protocol: u8,
    /// IPv4's identification, or that of the fragment header of IPv6; 0 if there is none.
    pub id: u32,
    pub payload: &'a [u8],
    /// Length of the payload on the wire: more than that of `payload` when the frame was cut by the snaplen.
    pub wire_len: usize,
    pub fragmented: bool,
}

pub fn datagram(packet: Packet<'_>) -> Option<Datagram<'_>> {
    let header = packet.bytes.first_chunk::<20>()?;
    if header[0] >> 4 != 4 {
        return None;
    }
    let header_len = usize::from(header[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]])).min(packet.wire_len());
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let payload = packet.bytes.get(header_len..total.min(packet.bytes.len()))?;
    Some(Datagram {
        src: IpAddr::V4(address(12)),
        dst: IpAddr::V4(address(16)),
        protocol: header[9],
        id: u32::from(u16::from_be_bytes([header[4], header[5]])),
        payload,
        wire_len: total - header_len,
        fragmented: false,
    })
}
