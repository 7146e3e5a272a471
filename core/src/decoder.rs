//! The whole path of one vantage: bytes in, in any chunks, batches of columns out. The stages are wired here and nowhere else.

use std::net::IpAddr;

use crate::batch::{Accesses, CaptureRow, Captures, Copies, Exchanges, Flows, Latencies, Tallies};
use crate::bodies::Bodies;
use crate::capture::{Ending, Interface, NotACapture, Reader};
use crate::flow_table::FlowTable;
use crate::matcher::Matcher;
use crate::oddity::{Oddity, Place};
use crate::packets::{Content, Local, PacketReader};
use crate::ring::{Blocks, Ring};
use crate::select::{Select, Selected};
use crate::tally::Fold;
use crate::tunnel::UnreadCounts;
use crate::xdr::{Layouts, Table};

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
    pub flows: Flows,
    pub captures: Captures,
    pub formats: Vec<&'static str>,
    pub interfaces: Vec<InterfaceRow>,
    pub oddities: Vec<Oddity>,
    pub addresses: Vec<(IpAddr, u32)>,
    pub strings: Vec<Vec<u8>>,
    pub decoded: Vec<Table>,
    pub tallies: Tallies,
    pub latencies: Latencies,
    pub accesses: Accesses,
    pub locals: Vec<Local>,
    pub selected: Selected,
}

/// What is not over, as it stands: what a batch will hold of it later, if nothing happens to it.
#[derive(Default)]
pub struct Snapshot {
    pub exchanges: Exchanges,
    pub flows: Flows,
    /// The file that is being read, once it has frames.
    pub captures: Captures,
    pub formats: Vec<&'static str>,
    pub interfaces: Vec<InterfaceRow>,
}

pub struct Decoder {
    packets: PacketReader,
    conversations: Conversations,
    captures: Captures,
    formats: Vec<&'static str>,
    interfaces: Vec<InterfaceRow>,
    /// The refusal of this file, given again whatever else it holds.
    refused: Option<NotACapture>,
}

/// What stands behind the network layer.
struct Conversations {
    flows: FlowTable,
    matcher: Matcher,
    ring: Option<Ring>,
}

impl Conversations {
    #[inline(always)]
    fn take(&mut self, place: Place, content: Content<'_>) {
        let Conversations { flows, matcher, ring } = self;
        matcher.oddities.place = place;
        match content {
            Content::Packet(packet) => {
                flows.packet(packet, matcher);
                if let Some(ring) = ring {
                    ring.packet(packet, flows);
                }
            }
            Content::Unreachable(packet, code) => {
                flows.unreachable(packet, code, place);
                ring.iter_mut().for_each(Ring::keep);
            }
            Content::Damaged(packet) => {
                flows.damaged(packet, matcher);
                ring.iter_mut().for_each(Ring::keep);
            }
            Content::Frame(frame, fragment) => {
                if let Some(ring) = ring {
                    ring.frame(frame, fragment, place, flows);
                }
            }
        }
    }
}

impl Decoder {
    /// `domain`: a number for the first file, which keeps its loopback addresses apart from those of other vantages. `fold`: the
    /// procedures of which ordinary exchanges are counted and not listed, and those counted by handle. `select`: what to hand out besides.
    pub fn new(layouts: Layouts, tables: Vec<Table>, domain: u32, fold: Fold, select: Select) -> Decoder {
        let matcher = Matcher::new(Bodies::new(layouts, tables), fold, select.frames.clone());
        let flows = FlowTable::new(select.flows);
        Decoder {
            packets: PacketReader::new(domain, select.frames, select.kept.is_some()),
            conversations: Conversations { flows, matcher, ring: select.kept.map(Ring::new) },
            captures: Captures::default(),
            formats: Vec::new(),
            interfaces: Vec::new(),
            refused: None,
        }
    }

    pub fn feed(&mut self, data: &[u8]) -> Result<(), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let result = self.read(Some(data));
        if let Err(refusal) = &result {
            self.refused = Some(refusal.clone());
        }
        result
    }

    fn read(&mut self, data: Option<&[u8]>) -> Result<(), NotACapture> {
        let Decoder { packets, conversations, .. } = self;
        packets.read(data, &mut |place, content| conversations.take(place, content))
    }

    /// The bytes that follow are the next file of this vantage, as tcpdump -C and -G write them: frames count from 1 again,
    /// connections and calls go on.
    pub fn next_capture(&mut self) -> Result<Ending, NotACapture> {
        self.read(None)?;
        let (ending, mut row, reader) = self.packets.end_file()?;
        row.duplicates = std::mem::take(&mut self.conversations.flows.duplicates);
        add_rdma(&mut row, std::mem::take(&mut self.conversations.flows.iwarp));
        self.captures.push(row);
        self.formats.push(reader.format());
        self.interfaces.extend(interfaces(row.capture, &reader));
        Ok(ending)
    }

    /// Exchanges that wait to be drained.
    pub fn undrained(&self) -> usize {
        self.conversations.matcher.output.rows.count()
    }

    /// Exchanges and flows that are over, with all rows about them since the last call.
    pub fn drain(&mut self) -> Batch {
        let Conversations { flows, matcher, .. } = &mut self.conversations;
        let Matcher { bodies, output, oddities, .. } = matcher;
        let mut odd = self.packets.oddities.take();
        odd.append(&mut oddities.take());
        odd.sort_by_key(|row| (row.capture, row.frame));
        let (tallies, latencies) = output.counts.take();
        Batch {
            exchanges: output.rows.take(),
            copies: output.copies.take(),
            flows: flows.rows.take(),
            captures: self.captures.take(),
            formats: std::mem::take(&mut self.formats),
            interfaces: std::mem::take(&mut self.interfaces),
            oddities: odd,
            addresses: flows.addresses.take_new(),
            strings: bodies.strings.take_new().into_iter().map(<[u8]>::to_vec).collect(),
            decoded: bodies.tables.iter_mut().map(Table::take).collect(),
            tallies,
            latencies,
            accesses: output.counts.take_accesses(),
            locals: self.packets.take_locals(),
            selected: Selected {
                messages: std::mem::take(&mut output.messages),
                frames: self.packets.take_raw(),
                packets: flows.followed.packets.take(),
            },
        }
    }

    /// The frames to keep that are ready, as blocks of pcapng; with `all` also what waits to be decided.
    pub fn take_kept(&mut self, all: bool) -> Blocks {
        let Conversations { flows, ring, .. } = &mut self.conversations;
        ring.as_mut().map(|ring| ring.take(flows, all)).unwrap_or_default()
    }

    /// The interfaces of those blocks from this number on, by their numbers there.
    pub fn kept_interfaces(&self, from: usize) -> Vec<Interface> {
        let rows = self.conversations.ring.iter().flat_map(|ring| ring.interfaces.iter().skip(from));
        rows.map(|(number, link_type)| Interface {
            link_type: *link_type,
            ..self.packets.interface(*number).cloned().unwrap_or_default()
        })
        .collect()
    }

    /// Of a capture that goes on, takes a frame whose time was to be judged by the next one. To be called before `drain`.
    pub fn release(&mut self) {
        let Decoder { packets, conversations, .. } = self;
        packets.release(&mut |place, content| conversations.take(place, content));
    }

    pub fn snapshot(&self) -> Snapshot {
        let Conversations { flows, matcher, .. } = &self.conversations;
        let mut result =
            Snapshot { exchanges: matcher.in_reach(flows), flows: flows.in_reach(), ..Snapshot::default() };
        if let Some((mut row, reader)) = self.packets.so_far() {
            row.duplicates = flows.duplicates;
            add_rdma(&mut row, flows.iwarp);
            result.captures.push(row);
            result.captures = result.captures.take();
            result.formats.push(reader.format());
            result.interfaces.extend(interfaces(row.capture, reader));
        }
        result
    }

    /// Of a capture without end, what is no longer needed: strings begin anew from number 0 with those in use, which the next
    /// batch lists again; addresses out of reach get new numbers; oddities and secondary rows have all their room again.
    /// To be called right after `drain`.
    pub fn forget(&mut self) {
        let Conversations { flows, matcher, .. } = &mut self.conversations;
        matcher.forget();
        flows.forget(matcher.addresses());
        matcher.oddities.forget();
        self.packets.oddities.forget();
    }

    /// Begins anew with the numbers of strings, of which the next batch lists those in use again; to be called right after `drain`.
    pub fn forget_strings(&mut self) {
        self.conversations.matcher.forget();
    }

    /// The last file has ended.
    pub fn close(&mut self) -> Result<(Ending, Batch), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let ending = self.next_capture()?;
        self.packets.close();
        let Conversations { flows, matcher, ring } = &mut self.conversations;
        if let Some(ring) = ring {
            ring.decide_all(flows); // while flows are known
        }
        flows.finish_streams(matcher);
        matcher.finish_all(flows);
        flows.finish_rows();
        Ok((ending, self.drain()))
    }
}

/// What only the flows show of RDMA.
fn add_rdma(row: &mut CaptureRow, iwarp: UnreadCounts) {
    row.rdma = row.rdma.saturating_add(iwarp.rdma);
    row.rdma_rpc = row.rdma_rpc.saturating_add(iwarp.rdma_rpc);
}

fn interfaces(capture: u16, reader: &Reader) -> impl Iterator<Item = InterfaceRow> + '_ {
    let numbered = reader.interfaces().iter().zip(0..);
    numbered.map(move |(interface, number)| InterfaceRow { capture, number, interface: interface.clone() })
}
