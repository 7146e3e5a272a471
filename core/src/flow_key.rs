//! What makes frames one flow: both addresses, both ports, the transport, and on loopback the domain.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use crate::addresses::{EVERYWHERE, as_number};
use crate::packets::Addressed;

/// A flow's two ends, the lower one first, in plain words: it is compared and hashed for every frame.
#[derive(Clone, Copy, Debug, Eq)]
pub struct FlowKey {
    low: u128,
    high: u128,
    ports: u32,
    transport: u32,
    domain: u32,
}

/// Ports, which differ most, come first.
impl PartialEq for FlowKey {
    #[inline]
    fn eq(&self, other: &FlowKey) -> bool {
        self.ports == other.ports
            && self.low == other.low
            && self.high == other.high
            && (self.transport, self.domain) == (other.transport, other.domain)
    }
}

/// Of what hardly differs only the ports, which differ most, and the lower words of addresses are hashed; all of IPv6.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.low as u64) << 32 | u64::from(self.high as u32));
        state.write_u64(u64::from(self.ports) << 32 | u64::from(self.domain));
        if (self.low | self.high) >> 48 != 0 {
            state.write_u128(self.low);
            state.write_u128(self.high);
        }
    }
}

impl FlowKey {
    /// The key of a packet's flow, and which of its ends the packet comes from.
    #[inline]
    pub fn of(packet: &Addressed<'_>) -> (FlowKey, usize) {
        let transport = u32::from(packet.packet.transport);
        let domain = if is_loopback(packet) { packet.domain } else { EVERYWHERE };
        let key = |low, high, low_port: u16, high_port: u16| {
            let ports = u32::from(low_port) << 16 | u32::from(high_port);
            FlowKey { low, high, ports, transport, domain }
        };
        if let (IpAddr::V4(src), IpAddr::V4(dst)) = (packet.src, packet.dst) {
            let end = |ip, port: u16| u64::from(u32::from(ip)) << 16 | u64::from(port);
            let (source, target) = (end(src, packet.src_port), end(dst, packet.dst_port));
            let (low, high) = (source.min(target), source.max(target));
            let ip = |end: u64| as_number(IpAddr::V4(Ipv4Addr::from((end >> 16) as u32)));
            return (key(ip(low), ip(high), low as u16, high as u16), usize::from(source > target));
        }
        let source = (as_number(packet.src), packet.src_port);
        let target = (as_number(packet.dst), packet.dst_port);
        let (low, high) = (source.min(target), source.max(target));
        (key(low.0, high.0, low.1, high.1), usize::from(source > target))
    }

    /// Some bits of it that differ between most flows of one capture. In a hostile capture they may all be alike.
    #[inline]
    pub fn mixed(&self) -> usize {
        const MIX: u32 = 0x9e37_79b9;
        let mixed =
            (self.low as u32 ^ self.ports).wrapping_mul(MIX) ^ (self.high as u32).wrapping_mul(MIX.rotate_left(7));
        (mixed >> 16) as usize
    }

    pub fn port(&self, side: usize) -> u16 {
        if side == 0 { (self.ports >> 16) as u16 } else { self.ports as u16 }
    }

    pub fn transport(&self) -> u8 {
        self.transport as u8
    }
}

#[inline]
fn is_loopback(packet: &Addressed<'_>) -> bool {
    packet.src.is_loopback() || packet.dst.is_loopback()
}
