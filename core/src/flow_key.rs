//! What makes frames one flow: both addresses, both ports, the transport, and on loopback the domain.

use crate::addresses::{EVERYWHERE, as_number};
use crate::packets::Addressed;

/// A flow's two ends, the lower one first, in plain words: it is compared and hashed for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    low: u128,
    high: u128,
    ports: u32,
    transport: u32,
    domain: u32,
}

impl FlowKey {
    /// The key of a packet's flow, and which of its ends the packet comes from.
    pub fn of(packet: &Addressed<'_>) -> (FlowKey, usize) {
        let (source, target) = (as_number(packet.src), as_number(packet.dst));
        let side = usize::from((source, packet.src_port) > (target, packet.dst_port));
        let (low, high, low_port, high_port) = if side == 0 {
            (source, target, packet.src_port, packet.dst_port)
        } else {
            (target, source, packet.dst_port, packet.src_port)
        };
        let loopback = packet.src.is_loopback() || packet.dst.is_loopback();
        let domain = if loopback { packet.domain } else { EVERYWHERE };
        let ports = u32::from(low_port) << 16 | u32::from(high_port);
        (FlowKey { low, high, ports, transport: u32::from(packet.packet.transport), domain }, side)
    }

    pub fn port(&self, side: usize) -> u16 {
        if side == 0 { (self.ports >> 16) as u16 } else { self.ports as u16 }
    }

    pub fn transport(&self) -> u8 {
        self.transport as u8
    }
}
