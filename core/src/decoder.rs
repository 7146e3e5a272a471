//! The whole path of one vantage: bytes in, in any chunks, batches of columns out. The stages are wired here and nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::batch::{CaptureRow, Captures, Copies, Exchanges, Flows as FlowRows, NO_TIME};
use crate::capture::{Ending, Frame, Interface, NotACapture, Reader};
use crate::exchange::Messages;
use crate::flow::{Flows, Packet};
use crate::ip::Datagram;
use crate::oddity::{Oddities, Oddity, Place};
use crate::tunnel::Network;
use crate::xdr::{Layouts, Table};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// One interface of one capture file.
#[derive(Clone, Debug)]
pub struct InterfaceRow {
    pub capture: u16,
    pub number: u32,
    pub interface: Interface,
}

/// What has become final since the last batch.
#[derive(Default)]
pub struct Batch {
    pub exchanges: Exchanges,
    pub copies: Copies,
    pub flows: FlowRows,
    pub captures: Captures,
    pub formats: Vec<&'static str>,
    pub interfaces: Vec<InterfaceRow>,
    pub oddities: Vec<Oddity>,
    pub addresses: Vec<(IpAddr, u32)>,
    pub strings: Vec<Vec<u8>>,
    pub decoded: Vec<Table>,
}

pub struct Decoder {
    reader: Reader,
    network: Network,
    engine: Engine,
    oddities: Oddities,
    domain: u32,
    /// The refusal of this file, given again whatever else it holds.
    refused: Option<NotACapture>,
}

/// What stands behind the network layer.
#[derive(Default)]
struct Engine {
    flows: Flows,
    messages: Messages,
    capture: CaptureRow,
    captures: Captures,
    formats: Vec<&'static str>,
    interfaces: Vec<InterfaceRow>,
}

impl Decoder {
    /// `domain`: a number for the first file, which keeps its loopback addresses apart from those of other vantages.
    pub fn new(layouts: Layouts, tables: Vec<Table>, domain: u32) -> Decoder {
        let mut engine = Engine { capture: fresh(0), ..Engine::default() };
        engine.messages.layouts = layouts;
        engine.messages.tables = tables;
        let oddities = Oddities::default();
        Decoder { reader: Reader::new(), network: Network::new(), engine, oddities, domain, refused: None }
    }

    pub fn feed(&mut self, data: &[u8]) -> Result<(), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let Decoder { reader, network, engine, oddities, domain, .. } = self;
        let domain = *domain;
        let mut frame = |frame: Frame<'_>, oddities: &mut Oddities| {
            engine.begin(&frame, oddities);
            let cut = frame.data.len() < frame.wire_len as usize;
            let interface = domain << 16 | (frame.interface & 0xffff);
            network.datagram(&frame, oddities, &mut |datagram, oddities| {
                engine.datagram(datagram, interface, oddities);
            });
            engine.capture.cut_frames += u32::from(cut);
        };
        let result = reader.feed(data, &mut frame, oddities);
        if let Err(refusal) = &result {
            self.refused = Some(refusal.clone());
        }
        result
    }

    /// The bytes that follow are the next file of this vantage, as tcpdump -C and -G write them: frames count from 1 again,
    /// connections and calls go on.
    pub fn next_capture(&mut self) -> Result<Ending, NotACapture> {
        let ending = self.end_capture()?;
        let next = self.engine.capture.capture.wrapping_add(1);
        self.engine.capture = fresh(next);
        Ok(ending)
    }

    fn end_capture(&mut self) -> Result<Ending, NotACapture> {
        let mut reader = std::mem::take(&mut self.reader);
        let ending = reader.finish()?;
        let engine = &mut self.engine;
        let row = &mut engine.capture;
        row.truncated = u8::from(!matches!(ending, Ending::Complete));
        row.not_ip = std::mem::take(&mut self.network.not_ip) as u32;
        row.duplicates = std::mem::take(&mut engine.flows.duplicates);
        engine.captures.push(*row);
        engine.formats.push(reader.format());
        let capture = row.capture;
        let interfaces = reader.interfaces().iter().enumerate();
        engine.interfaces.extend(interfaces.map(|(number, interface)| InterfaceRow {
            capture,
            number: number as u32,
            interface: interface.clone(),
        }));
        Ok(ending)
    }

    /// Exchanges and flows that are over, and everything said of them since the last call.
    pub fn drain(&mut self) -> Batch {
        let engine = &mut self.engine;
        let messages = &mut engine.messages;
        Batch {
            exchanges: messages.rows.take(),
            copies: messages.copies.take(),
            flows: engine.flows.rows.take(),
            captures: engine.captures.take(),
            formats: std::mem::take(&mut engine.formats),
            interfaces: std::mem::take(&mut engine.interfaces),
            oddities: self.oddities.take(),
            addresses: engine.flows.addresses.take_new().to_vec(),
            strings: messages.strings.take_new().into_iter().map(<[u8]>::to_vec).collect(),
            decoded: messages.tables.iter_mut().map(Table::take).collect(),
        }
    }

    /// The last file has ended.
    pub fn close(&mut self) -> Result<(Ending, Batch), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        self.network.close(&mut self.oddities);
        self.engine.flows.finish_streams(&mut self.engine.messages, &mut self.oddities);
        let ending = self.end_capture()?;
        self.engine.messages.finish_all(&self.engine.flows);
        self.engine.flows.finish_rows();
        Ok((ending, self.drain()))
    }
}

fn fresh(capture: u16) -> CaptureRow {
    CaptureRow { capture, first: NO_TIME, last: NO_TIME, ..CaptureRow::default() }
}

impl Engine {
    fn begin(&mut self, frame: &Frame<'_>, oddities: &mut Oddities) {
        let row = &mut self.capture;
        oddities.place = Place { capture: row.capture, frame: frame.number, time: frame.time };
        row.frames = frame.number;
        row.bytes += u64::from(frame.wire_len);
        if frame.time == NO_TIME {
            return;
        }
        if row.first == NO_TIME {
            row.first = frame.time;
        }
        row.misordered += u32::from(frame.time < row.last);
        row.first = row.first.min(frame.time);
        row.last = row.last.max(frame.time);
    }

    fn datagram(&mut self, datagram: &Datagram<'_>, interface: u32, oddities: &mut Oddities) {
        match datagram.protocol {
            TCP | UDP => {
                let Some(packet) = packet(datagram, interface) else { return };
                self.flows.packet(&packet, &mut self.messages, oddities);
            }
            ICMP | ICMPV6 => {
                let Some((quoted, code)) = unreachable(datagram) else { return };
                if let Some(packet) = packet(&quoted, interface) {
                    self.flows.unreachable(&packet, code, oddities.place);
                }
            }
            _ => {}
        }
    }
}

/// A datagram with the header of its transport parsed. What the snaplen cut off of a TCP header is taken for zero.
fn packet<'a>(datagram: &Datagram<'a>, domain: u32) -> Option<Packet<'a>> {
    const UDP_HEADER: usize = 8;
    const TCP_HEADER: usize = 20;
    let whole = datagram.payload.first_chunk::<TCP_HEADER>();
    let mut cut = [0; TCP_HEADER];
    let header = whole.unwrap_or_else(|| {
        cut.iter_mut().zip(datagram.payload).for_each(|(to, from)| *to = *from);
        &cut
    });
    let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, ..] = *header;
    let tcp = datagram.protocol == TCP;
    let size = if tcp { (usize::from(offset >> 4) * 4).max(TCP_HEADER) } else { UDP_HEADER };
    if datagram.payload.len() < 4 {
        return None;
    }
    Some(Packet {
        src: datagram.src,
        dst: datagram.dst,
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        transport: datagram.protocol,
        ip_id: datagram.id,
        seq: if tcp { u32::from_be_bytes([s0, s1, s2, s3]) } else { 0 },
        ack: if tcp { u32::from_be_bytes([a0, a1, a2, a3]) } else { 0 },
        tcp_flags: if tcp { flags } else { 0 },
        payload: datagram.payload.get(size..).unwrap_or_default(),
        length: datagram.wire_len.saturating_sub(size),
        domain,
    })
}

/// The datagram quoted in an ICMP destination unreachable message (RFC 792, RFC 4443 section 3.1), and its code.
fn unreachable<'a>(datagram: &Datagram<'a>) -> Option<(Datagram<'a>, u8)> {
    const ICMP_UNREACHABLE: u8 = 3;
    const ICMPV6_UNREACHABLE: u8 = 1;
    let header = datagram.payload.get(..8)?;
    let expected = if datagram.protocol == ICMP { ICMP_UNREACHABLE } else { ICMPV6_UNREACHABLE };
    if header.first() != Some(&expected) {
        return None;
    }
    let inner = datagram.payload.get(8..)?;
    let (src, dst, protocol, payload) = if datagram.protocol == ICMP { quoted_v4(inner)? } else { quoted_v6(inner)? };
    let quoted = Datagram { src, dst, protocol, id: 0, payload, wire_len: payload.len(), fragmented: false };
    matches!(protocol, TCP | UDP).then_some((quoted, header.get(1).copied().unwrap_or_default()))
}

type Quoted<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn quoted_v4(packet: &[u8]) -> Option<Quoted<'_>> {
    let header = packet.first_chunk::<20>()?;
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(header.get(at..at + 4)?).ok()?)));
    let size = usize::from(header[0] & 15) * 4;
    Some((address(12)?, address(16)?, header[9], packet.get(size..)?))
}

fn quoted_v6(packet: &[u8]) -> Option<Quoted<'_>> {
    let header = packet.first_chunk::<40>()?;
    let address = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(header.get(at..at + 16)?).ok()?)));
    Some((address(8)?, address(24)?, header[6], packet.get(40..)?))
}
