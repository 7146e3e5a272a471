//! Frames to their innermost datagrams: link layer and IP, fragments joined, and again for what tunnels carry: IP in IP
//! (RFC 2003, 4213, 2473), GRE (RFC 2784, 2890), VXLAN (RFC 7348) and Geneve (RFC 8926). A tunnel is told by a protocol or port
//! number, which others may use too, so it is peeled only where a plausible IP packet is inside; else what carries it counts.

use crate::capture::Frame;
use crate::checksum::{Sum, Trust};
use crate::ip::{self, Datagram, Fragments, Piece, Refused};
use crate::link::{self, Packet};
use crate::oddity::Oddities;

/// Tunnels in tunnels that are followed. Overlays on overlays reach three; each costs at least 20 bytes of header, so that a
/// hostile frame could hold thousands.
const MAX_NESTING: usize = 8;

const IPIP: u8 = 4;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;

/// Registered, and Linux's own from before there was one.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const GENEVE_PORT: u16 = 6081;

const UDP_HEADER: usize = 8;
const VXLAN_HEADER: usize = 8;
const GENEVE_HEADER: usize = 8;
const TRANSPARENT_ETHERNET: u16 = 0x6558;

#[derive(Default)]
pub struct Network {
    fragments: Fragments,
    headers: Trust,
    /// Frames that held no IP.
    pub not_ip: u64,
}

impl Network {
    pub fn new() -> Network {
        Network::default()
    }

    /// Peels link, tunnels and IP layers off a frame and hands out its innermost complete datagram: none while fragments are
    /// missing. One whose header is `Wrong` is damaged: it says something else than what was sent. Returns whether there was a
    /// packet of which nothing can be said.
    #[inline]
    pub fn datagram(
        &mut self,
        frame: &Frame<'_>,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&Datagram<'_>, &mut Oddities),
    ) -> bool {
        let missing = (frame.wire_len as usize).saturating_sub(frame.data.len());
        let bytes = Packet { bytes: frame.data, missing };
        let Some(packet) =
            link::packet(frame.link_type, bytes).or_else(|| mislabelled(frame.link_type, bytes, oddities))
        else {
            self.not_ip += 1;
            return false;
        };
        match ip::datagram(packet) {
            Ok((datagram, None)) if !may_be_tunnel(&datagram) && datagram.header != Sum::Wrong => {
                self.headers.right(u32::from(datagram.header == Sum::Right));
                sink(&datagram, oddities);
            }
            Ok((datagram, piece)) => self.peel(datagram, piece, MAX_NESTING, oddities, sink),
            Err(Refused::Malformed) => {
                oddities.push("ip-header", frame.data.len() as u64);
                return true;
            }
            Err(Refused::Cut) => {}
            Err(Refused::NotIp) => {
                self.not_ip += 1;
                return true;
            }
        }
        false
    }

    /// Reports the datagrams whose fragments never came. To be called once, after the last frame.
    pub fn close(&mut self, oddities: &mut Oddities) {
        self.fragments.close(oddities);
    }

    fn peel(
        &mut self,
        datagram: Datagram<'_>,
        piece: Option<Piece>,
        nesting: usize,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&Datagram<'_>, &mut Oddities),
    ) {
        let datagram = match datagram.header {
            Sum::Wrong if self.headers.is_damage() == Some(true) => {
                oddities.push("checksum", datagram.wire_len as u64);
                return sink(&datagram, oddities);
            }
            Sum::Wrong => Datagram { header: Sum::Unknown, ..datagram },
            Sum::Right | Sum::Unknown => datagram,
        };
        if let Some(piece) = piece {
            let Some(whole) = self.fragments.join(&datagram, piece, oddities) else { return };
            let whole = Datagram { payload: &whole.bytes, wire_len: whole.wire_len, fragmented: true, ..datagram };
            match ip::extensions(whole) {
                Ok((whole, _)) => self.peel(whole, None, nesting, oddities, sink),
                Err(_) => oddities.push("ip-header", whole.wire_len as u64),
            }
            return;
        }
        match inside(&datagram).map(ip::datagram) {
            Some(Ok(_)) if nesting == 0 => oddities.push("tunnel-nesting", MAX_NESTING as u64),
            Some(Ok((inner, piece))) => return self.peel(inner, piece, nesting - 1, oddities, sink),
            Some(Err(_)) | None => {}
        }
        sink(&datagram, oddities);
    }
}

/// The IPv4 packet in a frame that says it holds something else: its checksum proves it.
#[cold]
fn mislabelled<'a>(link_type: u32, frame: Packet<'a>, oddities: &mut Oddities) -> Option<Packet<'a>> {
    let packet = frame.behind(link::header_length(link_type)?)?;
    let proved = ip::plausible(&packet) && matches!(ip::datagram(packet), Ok((Datagram { header: Sum::Right, .. }, _)));
    proved.then(|| {
        oddities.push("link-header", frame.bytes.len() as u64);
        packet
    })
}

#[inline]
fn may_be_tunnel(datagram: &Datagram<'_>) -> bool {
    match datagram.protocol {
        UDP => carried_by_udp(datagram.payload),
        protocol => matches!(protocol, IPIP | IPV6_IN_IP | GRE),
    }
}

#[inline]
fn carried_by_udp(payload: &[u8]) -> bool {
    let Some([_, _, p0, p1]) = payload.first_chunk::<4>() else { return false };
    let port = u16::from_be_bytes([*p0, *p1]);
    port == GENEVE_PORT || VXLAN_PORTS.contains(&port)
}

/// The IP packet that a tunnel's datagram carries.
fn inside<'a>(datagram: &Datagram<'a>) -> Option<Packet<'a>> {
    let payload = Packet { bytes: datagram.payload, missing: datagram.wire_len - datagram.payload.len() };
    let packet = match datagram.protocol {
        IPIP | IPV6_IN_IP => Some(payload),
        GRE => gre(payload),
        UDP => match payload.u16(2)? {
            GENEVE_PORT => geneve(payload.behind(UDP_HEADER)?),
            port if VXLAN_PORTS.contains(&port) => vxlan(payload.behind(UDP_HEADER)?),
            _ => None,
        },
        _ => None,
    };
    packet.filter(ip::plausible)
}

fn gre(packet: Packet<'_>) -> Option<Packet<'_>> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const VERSION: u16 = 0x0007;
    let flags = packet.u16(0)?;
    if flags & (ROUTING | VERSION) != 0 {
        return None; // deprecated source routes; PPTP
    }
    let fields = (flags & (CHECKSUM | KEY | SEQUENCE)).count_ones() as usize;
    carried(packet.u16(2)?, packet.behind(4 + 4 * fields)?)
}

fn vxlan(packet: Packet<'_>) -> Option<Packet<'_>> {
    const VNI_IS_VALID: u8 = 0x08;
    if packet.bytes.first()? & VNI_IS_VALID == 0 {
        return None;
    }
    link::ethernet(packet.behind(VXLAN_HEADER)?)
}

fn geneve(packet: Packet<'_>) -> Option<Packet<'_>> {
    const VERSION: u8 = 0xc0;
    const OPTIONS: u8 = 0x3f;
    let first = packet.bytes.first()?;
    if first & VERSION != 0 {
        return None;
    }
    carried(packet.u16(2)?, packet.behind(GENEVE_HEADER + 4 * usize::from(first & OPTIONS))?)
}

fn carried(ethertype: u16, packet: Packet<'_>) -> Option<Packet<'_>> {
    match ethertype {
        TRANSPARENT_ETHERNET => link::ethernet(packet),
        ethertype => link::ethertype(ethertype, packet),
    }
}
