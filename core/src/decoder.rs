//! The whole path of one vantage: bytes in, in any chunks, batches of columns out. The stages are wired here and nowhere else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};

use crate::backend::{Backend, Rows};
use crate::backends::{Backends, Chunk};
use crate::batch::{Accesses, CaptureRow, Captures, Copies, Exchanges, Flows, Latencies, LatencyRow, Tallies};
use crate::births::{Births, PROVISIONAL};
use crate::bodies::Bodies;
use crate::capture::{Ending, Interface, NotACapture, Reader};
use crate::flow_index::FlowIndex;
use crate::flow_table::FlowTable;
use crate::known_names::Together;
use crate::matcher::Matcher;
use crate::numbering::{self, Numbering};
use crate::oddity::{MAX_ROWS_PER_KIND, Oddity, Place};
use crate::packets::{Addressed, Content, Local, PacketReader, Sink};
use crate::procedures::ByProcedure;
use crate::ring::{Blocks, Ring};
use crate::select::{Select, Selected};
use crate::shard::{At, SHARDS};
use crate::strings::Strings;
use crate::tally::Fold;
use crate::tunnel::UnreadCounts;
use crate::weight::Weight;
use crate::xdr::{Layouts, Table};

/// Strings that several back ends may have apart, until they are made one: each has those of the others, too. Where decoding
/// stops, they are made one then only: to take rows decides which names are known, and which sums begin anew.
const STRINGS_APART: usize = 1 << 17;
/// Exchanges and flows that several back ends may have numbered on their own, of 8 bytes each, until these numbers are made
/// final: there may be very many that are counted only, and no row is taken.
const NUMBERED_APART: usize = 1 << 18;

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
    index: FlowIndex,
    backends: Backends,
    /// Frames to be kept, where there is a single back end.
    ring: Option<Ring>,
    /// Where there are several back ends: their numbers, and what they gave meanwhile.
    numbering: Numbering,
    ready: Rows,
    /// How many rows of each kind of oddity these were.
    told: HashMap<&'static str, u64>,
    captures: Captures,
    formats: Vec<&'static str>,
    interfaces: Vec<InterfaceRow>,
    /// The refusal of this file, given again whatever else it holds.
    refused: Option<NotACapture>,
    /// How much is to wait when rows are taken.
    full: usize,
    /// How many numbers may be provisional.
    numbered_apart: usize,
}

impl Decoder {
    /// `domain`: a number for the first file, which keeps its loopback addresses apart from those of other vantages. `fold`: the
    /// procedures of which ordinary exchanges are counted and not listed, and those counted by handle. `select`: what to hand out besides.
    pub fn new(
        layouts: impl Into<Arc<Layouts>>,
        tables: Vec<Table>,
        domain: u32,
        fold: Fold,
        select: Select,
    ) -> Decoder {
        Decoder::with_jobs(1, layouts, tables, domain, fold, select)
    }

    /// `jobs`: how many back ends there are. Only one can say which flow has a number that is asked for, and what the program
    /// of a frame's flow is once that frame was taken.
    pub fn with_jobs(
        jobs: usize,
        layouts: impl Into<Arc<Layouts>>,
        tables: Vec<Table>,
        domain: u32,
        fold: Fold,
        select: Select,
    ) -> Decoder {
        let jobs = if select.flows.is_empty() && select.kept.is_none() { jobs.clamp(1, SHARDS) } else { 1 };
        let layouts = layouts.into();
        let hasher = DefaultHashBuilder::default();
        let backend = || {
            let mut bodies = Bodies::new(Arc::clone(&layouts), tables.clone());
            let mut births = None;
            if jobs > 1 {
                bodies.replace_strings(Strings::apart());
                births = Some(Births::default());
            }
            let first = if jobs > 1 { PROVISIONAL } else { 0 };
            let mut matcher = Matcher::new(bodies, fold.clone(), select.frames.clone());
            *matcher.next_number() = first;
            matcher.hash_by(hasher.clone());
            Backend::new(FlowTable::new(select.flows.clone(), first), matcher, births)
        };
        Decoder {
            packets: PacketReader::new(domain, select.frames.clone(), select.kept.is_some()),
            index: FlowIndex::default(),
            backends: Backends::new((0..jobs).map(|_| backend()).collect()),
            ring: select.kept.map(Ring::new),
            numbering: Numbering::default(),
            ready: Rows::default(),
            told: HashMap::new(),
            captures: Captures::default(),
            formats: Vec::new(),
            interfaces: Vec::new(),
            refused: None,
            full: usize::MAX,
            numbered_apart: NUMBERED_APART,
        }
    }

    /// From now on decoding stops where so much waits that rows are to be taken: after the same frame, whatever the pieces are
    /// in which bytes come, and however many back ends there are. After every so many frames it is asked how much waits, and
    /// that is known, and decides, when it is asked the next time.
    pub fn stop_at(&mut self, full: usize, frames: u32) {
        self.full = full;
        self.packets.ask_after(frames);
    }

    /// Back ends begin to work in threads after so many bytes.
    pub fn begin_threads_from(&mut self, bytes: u64) {
        self.backends.begin_threads_from(bytes);
    }

    /// How many exchanges and flows have provisional numbers, which several back ends gave.
    pub fn numbered(&self) -> usize {
        self.backends.numbered()
    }

    /// Several back ends make the numbers final that they gave when there are more than so many.
    pub fn number_from(&mut self, count: usize) {
        self.numbered_apart = count;
    }

    /// Where rows are to be taken ([`Self::stop_at`]), returns how many bytes were decoded; the rest is to be fed then.
    pub fn feed(&mut self, data: &[u8]) -> Result<Option<usize>, NotACapture> {
        self.take(data, None)
    }

    /// As [`Self::feed`], of the bytes from this one on. Threads hold the chunk until they are done with it, instead of copies of
    /// what is in it.
    pub fn feed_chunk(&mut self, chunk: &Chunk, from: usize) -> Result<Option<usize>, NotACapture> {
        self.take(chunk.as_ref().as_ref().get(from..).unwrap_or_default(), Some(chunk))
    }

    fn take(&mut self, data: &[u8], chunk: Option<&Chunk>) -> Result<Option<usize>, NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        self.backends.before(data, chunk);
        let result = self.read(Some(data));
        self.backends.after(result.as_ref().ok().copied().flatten().unwrap_or(data.len()));
        if let Err(refusal) = &result {
            self.refused = Some(refusal.clone());
        }
        if self.full == usize::MAX && self.backends.strings_apart() > STRINGS_APART {
            self.settle();
        }
        if self.numbered() > self.numbered_apart {
            let sequences = self.numbering.sequences(self.backends.at_home());
            self.backends.each(sequences, numbering::number);
        }
        result
    }

    fn read(&mut self, data: Option<&[u8]>) -> Result<Option<usize>, NotACapture> {
        let Decoder { packets, index, backends, ring, full, .. } = self;
        packets.read(data, &mut Behind { index, backends, ring, full: *full })
    }

    /// The bytes that follow are the next file of this vantage, as tcpdump -C and -G write them: frames count from 1 again,
    /// connections and calls go on.
    pub fn next_capture(&mut self) -> Result<Ending, NotACapture> {
        self.read(None)?;
        let (ending, mut row, reader) = self.packets.end_file()?;
        for backend in self.backends.at_home() {
            add_counts(&mut row, backend.take_counts());
        }
        self.captures.push(row);
        self.formats.push(reader.format());
        self.interfaces.extend(interfaces(row.capture, &reader));
        Ok(ending)
    }

    /// How much waits to be drained, in exchanges.
    pub fn undrained(&self) -> usize {
        [self.ready.weight, self.backends.weight()].into_iter().sum::<Weight>().total()
    }

    /// Where there are several back ends, makes their numbers final, and takes their rows.
    fn settle(&mut self) {
        let Decoder { backends, numbering, ready, told, index, .. } = self;
        if backends.at_home().len() == 1 {
            return;
        }
        let mut oddities = Vec::new();
        let sequences = numbering.sequences(backends.at_home());
        let strings = numbering.strings(backends.at_home(), &mut index.oddities);
        for mut rows in backends.each(sequences.into_iter().zip(strings).collect(), numbering::take) {
            oddities.append(&mut rows.oddities);
            ready.append(rows);
        }
        oddities.sort_by_key(|row| (row.capture, row.frame));
        oddities.retain(|row| {
            let count = told.entry(row.kind).or_insert(0);
            *count += 1;
            *count <= MAX_ROWS_PER_KIND
        });
        ready.oddities.append(&mut oddities);
    }

    /// Exchanges and flows that are over, with all rows about them since the last call.
    pub fn drain(&mut self) -> Batch {
        self.settle();
        self.backends.marked(); // what waited then is taken
        let rows = match self.backends.at_home() {
            [only] => only.take(),
            _ => std::mem::take(&mut self.ready),
        };
        let strings = match self.backends.at_home() {
            [only] => &mut only.matcher.bodies.strings,
            _ => &mut self.numbering.strings,
        };
        let strings = strings.take_new().into_iter().map(<[u8]>::to_vec).collect();
        let mut oddities = self.packets.oddities.take();
        oddities.append(&mut self.index.oddities.take());
        oddities.extend(rows.oddities);
        oddities.sort_by_key(|row| (row.capture, row.frame));
        Batch {
            exchanges: rows.exchanges,
            copies: rows.copies,
            flows: rows.flows,
            captures: self.captures.take(),
            formats: std::mem::take(&mut self.formats),
            interfaces: std::mem::take(&mut self.interfaces),
            oddities,
            addresses: self.index.addresses.take_new(),
            strings,
            decoded: rows.decoded,
            tallies: rows.tallies,
            latencies: added(&rows.latencies),
            accesses: rows.accesses,
            locals: self.packets.take_locals(),
            selected: Selected { messages: rows.messages, frames: self.packets.take_raw(), packets: rows.packets },
        }
    }

    /// The frames to keep that are ready, as blocks of pcapng; with `all` also what waits to be decided.
    pub fn take_kept(&mut self, all: bool) -> Blocks {
        match (&mut self.ring, self.backends.resting()) {
            (Some(ring), [Backend { flows, .. }]) => ring.take(flows, all),
            _ => Blocks::default(),
        }
    }

    /// The interfaces of those blocks from this number on, by their numbers there.
    pub fn kept_interfaces(&self, from: usize) -> Vec<Interface> {
        let rows = self.ring.iter().flat_map(|ring| ring.interfaces.iter().skip(from));
        rows.map(|(number, link_type)| Interface {
            link_type: *link_type,
            ..self.packets.interface(*number).cloned().unwrap_or_default()
        })
        .collect()
    }

    /// Of a capture that goes on, takes a frame whose time was to be judged by the next one. To be called before `drain`.
    pub fn release(&mut self) {
        let Decoder { packets, index, backends, ring, full, .. } = self;
        packets.release(&mut Behind { index, backends, ring, full: *full });
    }

    /// The exchanges that are not over, as they stand. To be called right after `drain`.
    pub fn exchanges_in_reach(&mut self) -> Exchanges {
        let mut result = Exchanges::default();
        for backend in self.backends.at_home() {
            result.append(backend.exchanges_in_reach(&self.index.damage));
        }
        result.take()
    }

    /// To be called right after `drain`.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut result = Snapshot::default();
        let mut counts = Vec::new();
        for backend in self.backends.at_home() {
            result.exchanges.append(backend.exchanges_in_reach(&self.index.damage));
            result.flows.append(backend.flows_in_reach());
            counts.push((backend.flows.duplicates, backend.flows.iwarp));
        }
        if let Some((mut row, reader)) = self.packets.so_far() {
            counts.into_iter().for_each(|counts| add_counts(&mut row, counts));
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
        self.backends.at_home().iter_mut().for_each(|backend| backend.matcher.oddities.forget());
        self.forget_strings();
        self.forget_addresses();
        self.index.oddities.forget();
        self.told.clear();
        self.packets.oddities.forget();
    }

    /// Addresses out of reach get new numbers when they are seen again. Returns the numbers of those in reach. To be called
    /// right after `drain`.
    pub fn forget_addresses(&mut self) -> Vec<u32> {
        let mut used = HashSet::new();
        self.backends.at_home().iter_mut().for_each(|backend| backend.addresses(&mut used));
        self.index.forget_addresses(used)
    }

    /// Begins anew with the numbers of strings, of which the next batch lists those in use again, and with the room for
    /// secondary rows; to be called right after `drain`.
    pub fn forget_strings(&mut self) {
        let backends = self.backends.at_home();
        backends.iter_mut().for_each(Backend::forget_rows);
        match backends {
            [only] if only.matcher.bodies.strings.all_taken() => drop(only.renew_strings()),
            [_] => {}
            several => self.numbering.forget(several),
        }
    }

    /// From now on, LOOKUPs that give a file the name once more that it had are counted only, without any row
    /// ([`crate::known_names`]): of each procedure the length of the handle in its results, where XDR does not tell it.
    pub fn begin_to_know_names(&mut self, lookups: &ByProcedure<usize>) {
        let together = Arc::<Together>::default();
        for backend in self.backends.at_home() {
            backend.begin_to_know_names(lookups.clone(), Arc::clone(&together));
        }
    }

    /// The last file has ended.
    pub fn close(&mut self) -> Result<(Ending, Batch), NotACapture> {
        if let Some(refusal) = &self.refused {
            return Err(refusal.clone());
        }
        let ending = self.next_capture()?;
        self.packets.close();
        if let (Some(ring), [Backend { flows, .. }]) = (&mut self.ring, self.backends.resting()) {
            ring.decide_all(flows); // while flows are known
        }
        let place = self.index.place;
        let mut in_each_shard = |finish: &dyn Fn(&mut Backend, usize)| {
            for shard in 0..SHARDS {
                if let Some((backend, event)) = self.backends.of_shard(shard) {
                    finish(backend, shard);
                    backend.note(event, place);
                }
            }
        };
        in_each_shard(&|backend, shard| backend.finish_streams(shard, place));
        in_each_shard(&|backend, shard| backend.finish_exchanges(shard, place, &self.index.damage));
        self.backends.at_home().iter_mut().for_each(|backend| backend.flows.finish_rows());
        self.index.close();
        Ok((ending, self.drain()))
    }
}

/// What the network layer found goes to its flow, and then its frame to those that are kept.
struct Behind<'a> {
    index: &'a mut FlowIndex,
    backends: &'a mut Backends,
    ring: &'a mut Option<Ring>,
    full: usize,
}

impl Behind<'_> {
    #[inline(always)]
    fn keep(&mut self, at: Option<At>, place: Place, content: Content<'_>) {
        if let (Some(ring), [Backend { flows, .. }]) = (&mut self.ring, self.backends.resting()) {
            keep(ring, flows, at, place, content);
        }
    }
}

impl Sink for Behind<'_> {
    #[inline(always)]
    fn packet(&mut self, place: Place, packet: &Addressed<'_>) {
        let at = self.index.packet(place, packet, self.backends);
        if self.ring.is_some() {
            self.keep(at, place, Content::Packet(packet));
        }
    }

    #[cold]
    fn other(&mut self, place: Place, content: Content<'_>) {
        let at = self.index.take(place, content, self.backends);
        self.keep(at, place, content);
    }

    /// What waited when this was asked before decides, so that nobody waits for threads.
    #[cold]
    fn goes_on(&mut self) -> bool {
        if self.backends.marked().is_some_and(|weight| weight.total() >= self.full) {
            return false;
        }
        self.backends.mark();
        true
    }
}

#[inline(never)]
fn keep(ring: &mut Ring, flows: &FlowTable, at: Option<At>, place: Place, content: Content<'_>) {
    match content {
        Content::Packet(packet) => ring.packet(packet, at, flows),
        Content::Unreachable(..) | Content::Damaged(_) => ring.keep(),
        Content::Frame(frame, fragment) => ring.frame(frame, fragment, place, flows),
    }
}

/// One row for each latency, of which several back ends have one each.
fn added(latencies: &Latencies) -> Latencies {
    let Latencies { prog, vers, proc, latency, exchanges, .. } = latencies;
    let mut sums = BTreeMap::new();
    let keys = prog.iter().zip(vers).zip(proc).zip(latency);
    for ((((prog, vers), proc), latency), exchanges) in keys.zip(exchanges) {
        *sums.entry((*prog, *vers, *proc, *latency)).or_insert(0) += exchanges;
    }
    let mut rows = Latencies::default();
    for ((prog, vers, proc, latency), exchanges) in sums {
        rows.push(LatencyRow { prog, vers, proc, latency, exchanges });
    }
    rows.take()
}

/// What only the flows show.
fn add_counts(row: &mut CaptureRow, (duplicates, iwarp): (u32, UnreadCounts)) {
    row.duplicates += duplicates;
    row.rdma = row.rdma.saturating_add(iwarp.rdma);
    row.rdma_rpc = row.rdma_rpc.saturating_add(iwarp.rdma_rpc);
}

fn interfaces(capture: u16, reader: &Reader) -> impl Iterator<Item = InterfaceRow> + '_ {
    let numbered = reader.interfaces().iter().zip(0..);
    numbered.map(move |(interface, number)| InterfaceRow { capture, number, interface: interface.clone() })
}
