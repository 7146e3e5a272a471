//! The whole path of one vantage: bytes in, in any chunks, batches of columns out. The stages are wired here and nowhere else.
//!
//! A large chunk is taken on two cores: the front (`front`: containers to packets) on the caller's thread, the back (`flow`
//! and behind) on another, a few blocks of packets behind it. The rows are the same either way.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::batch::{Captures, Copies, Exchanges, Flows as FlowRows, Latencies, Tallies};
use crate::capture::{Ending, Interface, NotACapture};
use crate::exchange::Messages;
use crate::flow::{Flows, Packet};
use crate::front::{Front, Seen};
use crate::oddity::{Oddities, Oddity};
use crate::tally::{Counts, Fold};
use crate::xdr::{Layouts, Table};

/// A chunk worth a second thread: decoding it takes ten times as long as starting one.
const WORTH_A_THREAD: usize = 1 << 20;
/// Packets handed over at once, and blocks under way: enough for the two sides to run apart, little enough to stay in cache.
const BLOCK: usize = 256;
const BLOCKS: usize = 8;

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
    pub tallies: Tallies,
    pub latencies: Latencies,
}

/// Exchanges and flows that are not over, as they stand: what a batch will hold of them later, if nothing happens to them.
#[derive(Default)]
pub struct Snapshot {
    pub exchanges: Exchanges,
    pub flows: FlowRows,
}

pub struct Decoder {
    front: Front,
    back: Back,
    captures: Captures,
    formats: Vec<&'static str>,
    interfaces: Vec<InterfaceRow>,
    /// The refusal of this file, given again whatever else it holds.
    refused: Option<NotACapture>,
}

/// What stands behind the network layer.
#[derive(Default)]
struct Back {
    flows: Flows,
    messages: Messages,
    oddities: Oddities,
}

impl Back {
    fn take(&mut self, seen: &Seen<'_>) {
        self.oddities.place = seen.place;
        match seen.unreachable {
            None => self.flows.packet(&seen.packet, &mut self.messages, &mut self.oddities),
            Some(code) => self.flows.unreachable(&seen.packet, code, seen.place),
        }
    }
}

/// Packets on their way to the other core. Payloads lie in the chunk, but for those that were put together (a frame or a
/// datagram in several pieces): they are copied here, and `own` says where.
#[derive(Default)]
struct Block<'a> {
    seen: Vec<(Seen<'a>, Option<Range<usize>>)>,
    copied: Vec<u8>,
}

impl<'a> Block<'a> {
    fn push(&mut self, seen: &Seen<'_>, chunk: &'a [u8]) {
        let payload = seen.packet.payload;
        let (payload, own) = match within(chunk, payload) {
            Some(payload) => (payload, None),
            None => {
                let start = self.copied.len();
                self.copied.extend_from_slice(payload);
                (Default::default(), Some(start..self.copied.len()))
            }
        };
        let packet = seen.packet.with_payload(payload);
        self.seen.push((Seen { place: seen.place, unreachable: seen.unreachable, packet }, own));
    }

    fn clear(&mut self) {
        self.seen.clear();
        self.copied.clear();
    }
}

/// `part` as a part of `whole`, if that is where it lies.
fn within<'a>(whole: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    whole.get(start..start.checked_add(part.len())?)
}

impl Decoder {
    /// `domain`: a number for the first file, which keeps its loopback addresses apart from those of other vantages. `fold`: the
    /// procedures of which ordinary exchanges are counted and not listed.
    pub fn new(layouts: Layouts, tables: Vec<Table>, domain: u32, fold: Fold) -> Decoder {
        let mut back = Back::default();
        back.messages.counts = Counts::new(fold);
        back.messages.layouts = layouts;
        back.messages.tables = tables;
        Decoder {
            front: Front::new(domain),
            back,
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
        let result = if data.len() < WORTH_A_THREAD { self.on_one_core(data) } else { self.on_two_cores(data) };
        if let Err(refusal) = &result {
            self.refused = Some(refusal.clone());
        }
        result
    }

    fn on_one_core(&mut self, data: &[u8]) -> Result<(), NotACapture> {
        let back = &mut self.back;
        self.front.feed(data, &mut |seen| back.take(&seen))
    }

    fn on_two_cores(&mut self, data: &[u8]) -> Result<(), NotACapture> {
        let Decoder { front, back, .. } = self;
        let (full, to_take) = sync_channel::<Block<'_>>(BLOCKS);
        let (taken, to_fill) = sync_channel::<Block<'_>>(BLOCKS);
        std::thread::scope(|scope| {
            scope.spawn(move || take_blocks(back, &to_take, &taken));
            let mut block = Block::default();
            let result = front.feed(data, &mut |seen| {
                block.push(&seen, data);
                if block.seen.len() >= BLOCK {
                    let empty = to_fill.try_recv().unwrap_or_default();
                    // The other side ends only when this one does.
                    let _ = full.send(std::mem::replace(&mut block, empty));
                }
            });
            let _ = full.send(block);
            drop(full);
            result
        })
    }

    /// The bytes that follow are the next file of this vantage, as tcpdump -C and -G write them: frames count from 1 again,
    /// connections and calls go on.
    pub fn next_capture(&mut self) -> Result<Ending, NotACapture> {
        let (ending, mut row, reader) = self.front.end_file()?;
        row.duplicates = std::mem::take(&mut self.back.flows.duplicates);
        self.captures.push(row);
        self.formats.push(reader.format());
        let interfaces = reader.interfaces().iter().zip(0..);
        self.interfaces.extend(interfaces.map(|(interface, number)| InterfaceRow {
            capture: row.capture,
            number,
            interface: interface.clone(),
        }));
        Ok(ending)
    }

    /// Exchanges and flows that are over, and everything said of them since the last call.
    pub fn drain(&mut self) -> Batch {
        let Back { flows, messages, oddities } = &mut self.back;
        let mut odd = self.front.oddities.take();
        odd.append(&mut oddities.take());
        odd.sort_by_key(|row| (row.capture, row.frame));
        let (tallies, latencies) = messages.counts.take();
        Batch {
            exchanges: messages.rows.take(),
            copies: messages.copies.take(),
            flows: flows.rows.take(),
            captures: self.captures.take(),
            formats: std::mem::take(&mut self.formats),
            interfaces: std::mem::take(&mut self.interfaces),
            oddities: odd,
            addresses: flows.addresses.take_new().to_vec(),
            strings: messages.strings.take_new().into_iter().map(<[u8]>::to_vec).collect(),
            decoded: messages.tables.iter_mut().map(Table::take).collect(),
            tallies,
            latencies,
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        let Back { flows, messages, .. } = &self.back;
        Snapshot { exchanges: messages.in_reach(flows), flows: flows.in_reach() }
    }

    /// The last file has ended.
    pub fn close(&mut self) -> Result<(Ending, Batch), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        self.front.close();
        let Back { flows, messages, oddities } = &mut self.back;
        flows.finish_streams(messages, oddities);
        messages.finish_all(flows);
        flows.finish_rows();
        let ending = self.next_capture()?;
        Ok((ending, self.drain()))
    }
}

fn take_blocks<'a>(back: &mut Back, to_take: &Receiver<Block<'a>>, taken: &SyncSender<Block<'a>>) {
    for mut block in to_take {
        for (seen, own) in &block.seen {
            match own {
                None => back.take(seen),
                Some(range) => {
                    let payload = block.copied.get(range.clone()).unwrap_or_default();
                    back.take(&Seen { packet: Packet { payload, ..seen.packet }, ..*seen });
                }
            }
        }
        block.clear();
        let _ = taken.try_send(block);
    }
}
