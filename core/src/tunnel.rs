//! Frames to their innermost datagrams: link layer and IP, fragments joined, and again for what tunnels carry: IP in IP
//! (RFC 2003, 4213, 2473), GRE (RFC 2784, 2890), VXLAN (RFC 7348) and Geneve (RFC 8926). A tunnel is known by its protocol or port
//! number, which others may use too, so it is peeled only where a plausible IP packet is inside; else what carries it counts.

use crate::batch::CaptureRow;
use crate::capture::CapturedFrame;
use crate::checksum::{Sum, Trust};
use crate::infiniband::{self, ROCE_PORT};
use crate::ip::{self, Datagram, Fragments, Key, Piece, Refused};
use crate::link::{self, Unread};
use crate::oddity::Oddities;
use crate::packet_bytes::PacketBytes;
use crate::protocol::{GRE, IPIP, IPV6_IN_IP, UDP};

/// Tunnels in tunnels that are followed. Overlays on overlays reach three; each costs at least 20 bytes of header, so that a
/// hostile frame could hold thousands.
const MAX_NESTING: usize = 8;

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
    /// Of the frame at hand: the key of the datagram of which it holds a fragment.
    pub fragment: Option<Key>,
    /// Frames that held no IP.
    pub not_ip: u64,
    pub unread: UnreadCounts,
}

/// Frames of which more could be said than that they are not IP, and was not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadCounts {
    /// Of link types that are not read, and the first of these.
    pub unread: u32,
    pub link_type: Option<u32>,
    pub rdma: u32,
    /// Of those, with the header of RPC over RDMA.
    pub rdma_rpc: u32,
}

impl UnreadCounts {
    pub fn rdma(&mut self, holds_rpc: bool) {
        self.rdma = self.rdma.saturating_add(1);
        self.rdma_rpc = self.rdma_rpc.saturating_add(u32::from(holds_rpc));
    }

    /// Puts these counts into the row of a file.
    pub fn fill(self, row: &mut CaptureRow) {
        (row.unread, row.unread_type) = (self.unread, self.link_type.unwrap_or(u32::MAX));
        (row.rdma, row.rdma_rpc) = (self.rdma, self.rdma_rpc);
    }
}

impl Network {
    pub fn new() -> Network {
        Network::default()
    }

    /// The datagram of a frame in which there is nothing else to see: no tunnel, no fragment, no wrong checksum. Any other
    /// frame is to be given to [`Self::datagram`].
    #[inline(always)]
    pub fn plain<'a>(&mut self, frame: &CapturedFrame<'a>) -> Option<Datagram<'a>> {
        let missing = (frame.wire_len as usize).saturating_sub(frame.data.len());
        let packet = link::packet(frame.link_type, PacketBytes { bytes: frame.data, missing })?;
        let datagram = ip::plain(packet)?;
        let plain = !may_be_tunnel(&datagram) && datagram.header != Sum::Wrong;
        if plain {
            self.headers.right(u32::from(datagram.header == Sum::Right));
        }
        plain.then_some(datagram)
    }

    /// Peels link, tunnels and IP layers off a frame and hands out its innermost complete datagram: none while fragments are
    /// missing. One whose header is `Wrong` is damaged: it says something else than what was sent. Returns whether there was a
    /// packet of which nothing can be said.
    #[inline]
    pub fn datagram(
        &mut self,
        frame: &CapturedFrame<'_>,
        oddities: &mut Oddities,
        sink: &mut impl FnMut(&Datagram<'_>, &mut Oddities),
    ) -> bool {
        let missing = (frame.wire_len as usize).saturating_sub(frame.data.len());
        let bytes = PacketBytes { bytes: frame.data, missing };
        let Some(packet) =
            link::packet(frame.link_type, bytes).or_else(|| mislabelled(frame.link_type, bytes, oddities))
        else {
            self.note_unread(frame.link_type, bytes);
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

    #[cold]
    fn note_unread(&mut self, link_type: u32, frame: PacketBytes<'_>) {
        match link::unread(link_type, frame) {
            Unread::NotIp => self.not_ip += 1,
            Unread::Rdma(holds_rpc) => self.unread.rdma(holds_rpc),
            Unread::LinkType(link_type) => {
                self.unread.unread = self.unread.unread.saturating_add(1);
                self.unread.link_type.get_or_insert(link_type);
            }
        }
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
            self.fragment = Some(datagram.key());
            let Some(whole) = self.fragments.join(&datagram, piece, oddities) else { return };
            let whole = Datagram { payload: &whole.bytes, wire_len: whole.wire_len, fragmented: true, ..datagram };
            match ip::extensions(whole) {
                Ok((whole, _)) => self.peel(whole, None, nesting, oddities, sink),
                Err(_) => oddities.push("ip-header", whole.wire_len as u64),
            }
            return;
        }
        if let Some(holds_rpc) = roce(&datagram) {
            return self.unread.rdma(holds_rpc);
        }
        match inside(&datagram).map(ip::datagram) {
            Some(Ok(_)) if nesting == 0 => oddities.push("tunnel-nesting", MAX_NESTING as u64),
            Some(Ok((inner, piece))) => return self.peel(inner, piece, nesting - 1, oddities, sink),
            Some(Err(_)) | None => {}
        }
        sink(&datagram, oddities);
    }
}

/// The IPv4 packet in a frame whose headers name another protocol: its checksum proves it.
#[cold]
fn mislabelled<'a>(link_type: u32, frame: PacketBytes<'a>, oddities: &mut Oddities) -> Option<PacketBytes<'a>> {
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
    port == GENEVE_PORT || port == ROCE_PORT || VXLAN_PORTS.contains(&port)
}

/// Whether a datagram of RoCE v2 holds RPC; nothing for any other.
#[inline(never)]
fn roce(datagram: &Datagram<'_>) -> Option<bool> {
    let payload = PacketBytes { bytes: datagram.payload, missing: datagram.wire_len - datagram.payload.len() };
    let to_roce = datagram.protocol == UDP && payload.u16(2)? == ROCE_PORT;
    infiniband::roce_v2(payload.behind(UDP_HEADER).filter(|_| to_roce)?)
}

/// The IP packet that a tunnel's datagram carries.
fn inside<'a>(datagram: &Datagram<'a>) -> Option<PacketBytes<'a>> {
    let payload = PacketBytes { bytes: datagram.payload, missing: datagram.wire_len - datagram.payload.len() };
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

fn gre(packet: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
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

fn vxlan(packet: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    const VNI_IS_VALID: u8 = 0x08;
    if packet.bytes.first()? & VNI_IS_VALID == 0 {
        return None;
    }
    link::ethernet(packet.behind(VXLAN_HEADER)?)
}

fn geneve(packet: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    const VERSION: u8 = 0xc0;
    const OPTIONS: u8 = 0x3f;
    let first = packet.bytes.first()?;
    if first & VERSION != 0 {
        return None;
    }
    carried(packet.u16(2)?, packet.behind(GENEVE_HEADER + 4 * usize::from(first & OPTIONS))?)
}

fn carried(ethertype: u16, packet: PacketBytes<'_>) -> Option<PacketBytes<'_>> {
    match ethertype {
        TRANSPARENT_ETHERNET => link::ethernet(packet),
        ethertype => link::ethertype(ethertype, packet),
    }
}
