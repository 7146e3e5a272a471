//! InfiniBand's transport (InfiniBand Architecture Specification, volume 1, chapter 9) as it goes over its own links, over
//! Ethernet (RoCE, annex A16), and over UDP (RoCE v2, annex A17); and iWARP (RFC 5040, 5041, 5044), which is RDMA over TCP.
//!
//! What is read of it is IP over InfiniBand in datagrams (RFC 4391). RDMA is recognised only, and so is RPC in it (RFC 8166):
//! the adapters move the arguments, and captures of them are rare. What is recognised is counted, so that a report can name what
//! was not read.

use crate::packet_bytes::PacketBytes;

pub const ROCE_PORT: u16 = 4791;
pub const ETHERTYPE_ROCE: u16 = 0x8915;

const LOCAL_ROUTE_HEADER: usize = 8;
const GLOBAL_ROUTE_HEADER: usize = 40;
const BASE_HEADER: usize = 12;
const DATAGRAM_HEADER: usize = 8;
/// EtherType and two reserved bytes (RFC 4391 section 6).
const ENCAPSULATION: usize = 4;
/// Of immediate data, and of a memory key to invalidate.
const KEY: usize = 4;

const DATAGRAM: [u8; 2] = [0x64, 0x65];
/// Requests of connection management go to this queue pair, with this key (chapter 10.2.4).
const MANAGEMENT_PAIR: u32 = 1;
const MANAGEMENT_KEY: [u8; 4] = [0x80, 0x01, 0, 0];

/// A base transport header (chapter 9.2), and what is behind it.
#[derive(Clone, Copy)]
struct Transport<'a> {
    opcode: u8,
    partition: u16,
    queue_pair: u32,
    payload: PacketBytes<'a>,
}

fn transport(packet: PacketBytes<'_>) -> Option<Transport<'_>> {
    let [opcode, flags, k0, k1, _, q0, q1, q2, ..] = *packet.bytes.first_chunk::<BASE_HEADER>()?;
    (flags & 0x0f == 0).then_some(Transport {
        opcode,
        partition: u16::from_be_bytes([k0, k1]),
        queue_pair: u32::from_be_bytes([0, q0, q1, q2]),
        payload: packet.behind(BASE_HEADER)?,
    })
}

/// What follows the route headers of a frame of InfiniBand's own link; the lowest bits of its second byte are what does.
fn routed(frame: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    const LOCAL: u8 = 2;
    const GLOBAL: u8 = 3;
    match frame.bytes.get(1)? & 3 {
        LOCAL => frame.behind(LOCAL_ROUTE_HEADER),
        GLOBAL => frame.behind(LOCAL_ROUTE_HEADER + GLOBAL_ROUTE_HEADER),
        _ => None,
    }
}

/// The EtherType in a frame of InfiniBand's own link, and what it announces.
pub fn announced(frame: PacketBytes<'_>) -> Option<(u16, PacketBytes<'_>)> {
    let Transport { opcode, payload, .. } = transport(routed(frame)?)?;
    let header = if opcode == DATAGRAM[0] { DATAGRAM_HEADER } else { DATAGRAM_HEADER + KEY };
    let inside = payload.behind(header).filter(|_| DATAGRAM.contains(&opcode))?;
    Some((inside.u16(0).filter(|_| inside.u16(2) == Some(0))?, inside.behind(ENCAPSULATION)?))
}

/// Whether a frame of InfiniBand's own link holds RPC.
pub fn local_holds_rpc(frame: PacketBytes<'_>) -> bool {
    routed(frame).and_then(transport).is_some_and(holds_rpc)
}

/// Whether what follows the EtherType of RoCE holds RPC.
pub fn roce_holds_rpc(packet: PacketBytes<'_>) -> bool {
    packet.behind(GLOBAL_ROUTE_HEADER).and_then(transport).is_some_and(holds_rpc)
}

/// Whether a datagram to [`ROCE_PORT`] is RoCE v2, which others may use that port for too, and then whether it holds RPC. An
/// RPC message there is none: the queue pair would be its type.
pub fn roce_v2(datagram: PacketBytes<'_>) -> Option<bool> {
    let transport = transport(datagram)?;
    let known = match transport.queue_pair {
        0 => false,
        MANAGEMENT_PAIR => DATAGRAM[0] == transport.opcode && transport.payload.bytes.starts_with(&MANAGEMENT_KEY),
        _ => transport.partition != 0,
    };
    (known && datagram.wire_len().is_multiple_of(4)).then(|| holds_rpc(transport))
}

/// Whether a message that begins here begins with the header of RPC over RDMA: only SENDs carry it.
fn holds_rpc(transport: Transport<'_>) -> bool {
    let header = match transport.opcode {
        // SEND first and only, of reliable and of unreliable connections.
        0x00 | 0x04 | 0x20 | 0x24 => 0,
        // SEND only, with immediate data or a key to invalidate.
        0x05 | 0x17 | 0x25 => KEY,
        _ => return false,
    };
    transport.payload.bytes.get(header..).is_some_and(is_rpc_over_rdma)
}

/// RFC 8166 section 4: xid, version, credits, procedure; then the first of three lists, which is there or not.
fn is_rpc_over_rdma(bytes: &[u8]) -> bool {
    const VERSION: u32 = 1;
    const MOST_CREDITS: u32 = 1 << 16;
    const RDMA_MSGP: u32 = 2;
    const RDMA_ERROR: u32 = 4;
    let word = |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_be_bytes(*word));
    let (Some(version), Some(credits), Some(procedure)) = (word(4), word(8), word(12)) else { return false };
    let list = procedure > RDMA_MSGP || word(16).is_none_or(|list| list <= 1);
    version == VERSION && (1..=MOST_CREDITS).contains(&credits) && procedure <= RDMA_ERROR && list
}

/// Whether a TCP segment is of iWARP, as far as one segment shows it: it negotiates it (RFC 5044 section 7.1), or holds RPC
/// in an untagged SEND (RFC 5040 section 4.3, RFC 5041 section 4.2).
pub fn is_iwarp(segment: &[u8]) -> bool {
    segment.starts_with(b"MPA ID Req Frame") || segment.starts_with(b"MPA ID Rep Frame") || iwarp_holds_rpc(segment)
}

pub fn iwarp_holds_rpc(segment: &[u8]) -> bool {
    const UNTAGGED_HEADER: usize = 20;
    let Some([_, _, ddp, rdmap, ..]) = segment.first_chunk::<UNTAGGED_HEADER>() else { return false };
    // Last, version 1; version 1, and Send in its four kinds.
    *ddp == 0x41 && matches!(*rdmap, 0x43..=0x46) && segment.get(UNTAGGED_HEADER..).is_some_and(is_rpc_over_rdma)
}
