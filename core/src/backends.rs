//! The back ends, each with its share of the shards: one that works at once, or several that work in threads of their own.
//!
//! What the network layer finds goes to threads as batches of events over bounded queues. A batch is one vector of events;
//! payloads stay in the chunk of the capture that they came in, which the batch holds, or, where they lie in none (a frame
//! across two chunks, fragments), are copied once into a vector beside them. How much they have ready at some frame threads tell
//! when they come there. Whatever else is asked of back ends, they are called home for: then nothing goes on anywhere, and they
//! are ordinary values.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::backend::Backend;
use crate::flow::Ends;
use crate::oddity::Place;
use crate::packets::Packet;
use crate::shard::{At, SHARDS};
use crate::weight::Weight;

/// Bytes of a capture after which threads begin: they cost some hundred microseconds, in which so much is decoded.
const THREADS_FROM: u64 = 2 << 20;
/// Batches that wait for a thread, which has one more at hand: enough that neither side waits for each of them.
const BATCHES_AHEAD: usize = 4;
/// Chunks shorter than this are copied, and their events wait for those of the next.
const SHARED_FROM: usize = 64 << 10;
/// Chunks are shorter than this, as places in them have 32 bits.
const MAX_SHARED: usize = 1 << 32;
/// Bytes of events and payloads that are sent on: what is copied is yet in the cache when it is read.
const BATCH_BYTES: usize = 256 << 10;
/// Events that are sent on, so that threads need not wait for the end of a chunk: fewer cost more changes of threads.
const BATCH_EVENTS: usize = 1 << 10;

/// Events whose payloads are fetched together: as many lines as a processor can wait for at once, a few times over.
const AT_A_TIME: usize = 16;
/// Bytes of a payload that are fetched: an RPC header, and the arguments that are hashed (matcher.rs).
const HEADERS: usize = 640;

/// A chunk of a capture that is held until all of it is decoded.
pub type Chunk = Arc<dyn AsRef<[u8]> + Send + Sync>;

pub struct Backends {
    /// Those that are at home: all of them, or none.
    home: Vec<Backend>,
    away: Vec<Worker>,
    /// Which of them has a shard.
    of: [usize; SHARDS],
    /// How many events there were.
    event: u64,
    /// How many bytes were fed.
    fed: u64,
    threads_from: u64,
    /// Where the bytes at hand are in memory, if threads share them.
    shared: Range<usize>,
    marked: Mark,
}

/// How much all had ready at some frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Nothing,
    Known(Weight),
    /// Threads tell when they come to that frame.
    Asked,
}

impl Default for Backends {
    fn default() -> Self {
        Backends::new(vec![Backend::default()])
    }
}

impl Backends {
    pub fn new(home: Vec<Backend>) -> Backends {
        let mut of = [0; SHARDS];
        of.iter_mut().enumerate().for_each(|(shard, of)| *of = shard % home.len().max(1));
        Backends {
            home,
            away: Vec::new(),
            of,
            event: 0,
            fed: 0,
            threads_from: THREADS_FROM,
            shared: 0..0,
            marked: Mark::Nothing,
        }
    }

    /// Threads begin after so many bytes.
    pub fn begin_threads_from(&mut self, bytes: u64) {
        self.threads_from = bytes;
    }

    /// Before these bytes are decoded; `chunk` holds them, if they can be shared.
    #[inline]
    pub fn before(&mut self, data: &[u8], chunk: Option<&Chunk>) {
        if self.home.len() == 1 {
            return;
        }
        if self.fed + data.len() as u64 > self.threads_from && !self.home.is_empty() {
            self.send_out();
        }
        let bytes = chunk.map(|chunk| chunk.as_ref().as_ref()).filter(|_| self.home.is_empty());
        let bytes = bytes.filter(|bytes| (SHARED_FROM..MAX_SHARED).contains(&bytes.len()));
        if let (Some(chunk), Some(bytes)) = (chunk, bytes) {
            let start = bytes.as_ptr().addr();
            self.shared = start..start + bytes.len();
            self.away.iter_mut().for_each(|worker| worker.batch.chunk = Some(Arc::clone(chunk)));
        }
    }

    /// After so many of them were.
    #[inline]
    pub fn after(&mut self, used: usize) {
        self.fed += used as u64;
        let shared = !std::mem::take(&mut self.shared).is_empty();
        for worker in &mut self.away {
            if shared || worker.batch.size() >= BATCH_BYTES {
                worker.flush();
                worker.batch.chunk = None;
            }
        }
    }

    fn send_out(&mut self) {
        let waiting = std::mem::take(&mut self.home);
        if self.away.len() == waiting.len() {
            for (worker, backend) in self.away.iter_mut().zip(waiting) {
                tell(&worker.load, &backend); // what it had ready before was taken
                worker.send(Order::Begin(Box::new(backend)));
            }
            return;
        }
        let mut workers = Vec::new();
        for number in 0..waiting.len() {
            match Worker::new(number) {
                Ok(worker) => workers.push(worker),
                // The system has no more threads: all goes on in this one.
                Err(_) => {
                    (self.home, self.threads_from) = (waiting, u64::MAX);
                    return;
                }
            }
        }
        self.away = workers;
        self.home = waiting;
        self.send_out();
    }

    /// All back ends, which have done all that was to be done.
    pub fn at_home(&mut self) -> &mut [Backend] {
        if self.home.is_empty() {
            self.away.iter_mut().for_each(Worker::call_home);
            self.home = self.away.iter_mut().filter_map(Worker::welcome).collect();
        }
        &mut self.home
    }

    /// Has each do this work with what is given to it: at home, or, where there are threads, all at once.
    pub fn each<T: Send + 'static, R: Send + 'static>(
        &mut self,
        given: Vec<T>,
        work: fn(&mut Backend, &T) -> R,
    ) -> Vec<R> {
        self.at_home();
        if self.away.is_empty() {
            return self.home.iter_mut().zip(given).map(|(backend, given)| work(backend, &given)).collect();
        }
        let waiting = std::mem::take(&mut self.home).into_iter().zip(given);
        let at_work = self.away.iter_mut().zip(waiting);
        let results: Vec<_> = at_work.map(|(worker, (backend, given))| worker.has_done(backend, given, work)).collect();
        self.home = self.away.iter_mut().filter_map(Worker::welcome).collect();
        results.into_iter().filter_map(|result| result.recv().ok()).collect()
    }

    /// All back ends; none while they are in threads.
    pub fn resting(&self) -> &[Backend] {
        &self.home
    }

    /// How much waits to be taken, as far as it is known.
    pub fn weight(&self) -> Weight {
        let away = self.away.iter().filter(|_| self.home.is_empty()).map(|worker| worker.load().weight);
        self.home.iter().map(Backend::weight).chain(away).sum()
    }

    /// How many strings there are apart, as far as it is known.
    pub fn strings_apart(&self) -> usize {
        let away = self.away.iter().filter(|_| self.home.is_empty()).map(|worker| worker.load().strings_apart);
        self.home.iter().map(Backend::strings_apart).chain(away).sum()
    }

    /// How many exchanges and flows have provisional numbers, as far as it is known.
    pub fn numbered(&self) -> usize {
        let away = self.away.iter().filter(|_| self.home.is_empty()).map(|worker| worker.load().numbered);
        self.home.iter().map(Backend::numbered).chain(away).sum()
    }

    /// Notes how much waits to be taken at this frame, which is known later.
    pub fn mark(&mut self) {
        if self.home.is_empty() {
            self.away.iter_mut().for_each(Worker::ask);
            self.marked = Mark::Asked;
        } else {
            self.marked = Mark::Known(self.home.iter().map(Backend::weight).sum());
        }
    }

    /// How much waited at the last mark, if there is one, which is over then.
    pub fn marked(&mut self) -> Option<Weight> {
        match std::mem::take(&mut self.marked) {
            Mark::Nothing => None,
            Mark::Known(weight) => Some(weight),
            Mark::Asked => Some(self.away.iter_mut().map(Worker::answer).sum()),
        }
    }

    /// The back end of a shard, at home, and the number of what it is to do there.
    pub fn of_shard(&mut self, shard: usize) -> Option<(&mut Backend, u64)> {
        self.event += 1;
        let at = self.of.get(shard).copied().unwrap_or_default();
        self.at_home();
        Some((self.home.get_mut(at)?, self.event))
    }

    pub fn begin(&mut self, at: At, side: usize, place: Place, ends: Ends) {
        self.hand_over(at, side, place, Kind::Begin(ends));
    }

    #[inline(always)]
    pub fn packet(&mut self, at: At, side: usize, place: Place, packet: &Packet<'_>, doubted: bool) {
        match self.home.as_mut_slice() {
            [only] => only.packet(at, side, place, packet, doubted),
            _ => self.hand_over_packet(at, side, place, packet, doubted),
        }
    }

    pub fn damaged(&mut self, at: At, side: usize, place: Place, packet: &Packet<'_>) {
        self.hand_over(at, side, place, Kind::Damaged(packet.length as u32));
    }

    pub fn unreachable(&mut self, at: At, place: Place, code: u8) {
        self.hand_over(at, 0, place, Kind::Unreachable(code));
    }

    pub fn evict(&mut self, at: At, place: Place) {
        self.hand_over(at, 0, place, Kind::Evict);
    }

    #[inline(never)]
    fn hand_over_packet(&mut self, at: At, side: usize, place: Place, packet: &Packet<'_>, doubted: bool) {
        self.event += 1;
        let number = self.of.get(at.shard()).copied().unwrap_or_default();
        let event = Event { number: self.event, place, at, side: side as u8 };
        if let Some(worker) = self.away.get_mut(number).filter(|_| self.home.is_empty()) {
            worker.batch.push_packet(event, packet, doubted, &self.shared);
            let Batch { copied, events, .. } = &worker.batch;
            if copied.len() >= BATCH_BYTES || events.len() >= BATCH_EVENTS {
                worker.flush();
            }
        } else if let Some(backend) = self.home.get_mut(number) {
            backend.packet(at, side, place, packet, doubted);
            backend.note(event.number, place);
        }
    }

    #[cold]
    fn hand_over(&mut self, at: At, side: usize, place: Place, kind: Kind) {
        self.event += 1;
        let number = self.of.get(at.shard()).copied().unwrap_or_default();
        let event = Event { number: self.event, place, at, side: side as u8 };
        if let Some(backend) = self.home.get_mut(number) {
            event.happen(kind, backend);
        } else if let Some(worker) = self.away.get_mut(number) {
            worker.batch.push(event, Stored::Other(kind));
        }
    }
}

/// What the network layer found, and where it belongs.
#[derive(Clone, Copy, Debug)]
struct Event {
    number: u64,
    place: Place,
    at: At,
    side: u8,
}

/// All but packets, of which there are few.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Begin(Ends),
    /// With the length of the packet.
    Damaged(u32),
    Unreachable(u8),
    Evict,
}

impl Event {
    fn happen(self, kind: Kind, backend: &mut Backend) {
        let Event { number, place, at, side } = self;
        let side = usize::from(side);
        match kind {
            Kind::Begin(ends) => backend.begin(at, side, place, ends),
            Kind::Damaged(length) => backend.damaged(at, side, place, length as usize),
            Kind::Unreachable(code) => backend.unreachable(at, place, code),
            Kind::Evict => backend.evict(at, place),
        }
        backend.note(number, place);
    }
}

#[derive(Clone, Copy, Debug)]
enum Stored {
    Packet(StoredPacket),
    Other(Kind),
}

/// A packet without its payload, which is in the chunk, or in what was copied.
#[derive(Clone, Copy, Debug)]
struct StoredPacket {
    is_shared: bool,
    doubted: bool,
    transport: u8,
    tcp_flags: u8,
    ip_id: u32,
    seq: u32,
    ack: u32,
    length: u32,
    start: u32,
    captured: u32,
}

/// An event on its way: 56 bytes, as each goes from one processor's cache to another's.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    /// How many events there were since the first of the batch, to all back ends.
    after: u32,
    at: At,
    side: u8,
    stored: Stored,
}

#[derive(Default)]
struct Batch {
    chunk: Option<Chunk>,
    copied: Vec<u8>,
    /// The number of the first event.
    first: u64,
    events: Vec<Entry>,
}

impl Batch {
    #[inline(always)]
    fn push(&mut self, event: Event, stored: Stored) {
        let Event { number, place, at, side } = event;
        if self.events.is_empty() {
            self.first = number;
        }
        self.events.push(Entry { place, after: (number - self.first) as u32, at, side, stored });
    }

    #[inline(always)]
    fn push_packet(&mut self, event: Event, packet: &Packet<'_>, doubted: bool, shared: &Range<usize>) {
        let Packet { transport, ip_id, seq, ack, tcp_flags, payload, length } = *packet;
        let first = payload.as_ptr().addr();
        let is_shared = first >= shared.start && first + payload.len() <= shared.end;
        let start = if is_shared {
            first - shared.start
        } else {
            self.copied.extend_from_slice(payload);
            self.copied.len() - payload.len()
        };
        let (length, start, captured) = (length as u32, start as u32, payload.len() as u32);
        let packet =
            StoredPacket { is_shared, doubted, transport, tcp_flags, ip_id, seq, ack, length, start, captured };
        self.push(event, Stored::Packet(packet));
    }

    fn size(&self) -> usize {
        self.copied.len() + self.events.len() * size_of::<Entry>()
    }

    fn work(&self, backend: &mut Backend) {
        let chunk = self.chunk.as_ref().map_or(&[][..], |chunk| chunk.as_ref().as_ref());
        for events in self.events.chunks(AT_A_TIME) {
            fetch(events, chunk);
            self.work_on(events, chunk, backend);
        }
    }

    fn work_on(&self, events: &[Entry], chunk: &[u8], backend: &mut Backend) {
        for Entry { place, after, at, side, stored } in events {
            let event = Event { number: self.first + u64::from(*after), place: *place, at: *at, side: *side };
            match stored {
                Stored::Packet(packet) => {
                    let Event { number, place, at, side } = event;
                    let bytes = if packet.is_shared { chunk } else { &self.copied };
                    backend.packet(at, usize::from(side), place, &packet.with_payload(bytes), packet.doubted);
                    backend.note(number, place);
                }
                Stored::Other(kind) => event.happen(*kind, backend),
            }
        }
    }
}

/// The beginnings of payloads lie in the cache of the processor that read the file. One after the other, this one would wait
/// for each of them; looked at together beforehand, they come at once.
fn fetch(events: &[Entry], chunk: &[u8]) {
    const LINE: usize = 64;
    let mut seen = 0_u8;
    for Entry { stored, .. } in events {
        if let Stored::Packet(StoredPacket { is_shared: true, start, captured, .. }) = stored {
            let start = *start as usize;
            let end = start + HEADERS.min(*captured as usize);
            let lines = chunk.get(start..end).unwrap_or_default().iter().step_by(LINE);
            seen = lines.fold(seen, |seen, byte| seen ^ byte);
        }
    }
    std::hint::black_box(seen);
}

impl StoredPacket {
    #[inline(always)]
    fn with_payload<'a>(&self, bytes: &'a [u8]) -> Packet<'a> {
        let StoredPacket { transport, tcp_flags, ip_id, seq, ack, length, start, captured, .. } = *self;
        let payload = bytes.get(start as usize..start as usize + captured as usize).unwrap_or_default();
        Packet { transport, ip_id, seq, ack, tcp_flags, payload, length: length as usize }
    }
}

enum Order {
    Begin(Box<Backend>),
    Work(Batch),
    Other(Box<dyn FnOnce(&mut Backend) + Send>),
    /// To tell how much it has ready.
    Weigh,
    /// The back end comes home.
    End,
}

/// How much a thread has ready, as it was a moment ago.
#[derive(Clone, Copy, Default)]
struct Load {
    weight: Weight,
    strings_apart: usize,
    numbered: usize,
}

impl Load {
    fn of(backend: &Backend) -> Load {
        let (strings_apart, numbered) = (backend.strings_apart(), backend.numbered());
        Load { weight: backend.weight(), strings_apart, numbered }
    }
}

fn tell(load: &Mutex<Load>, backend: &Backend) {
    *load.lock().unwrap_or_else(PoisonError::into_inner) = Load::of(backend);
}

/// A thread for one back end. It only ever waits for orders, and ends when there is nobody to give any.
struct Worker {
    batch: Batch,
    load: Arc<Mutex<Load>>,
    orders: Option<SyncSender<Order>>,
    /// Only its owner uses these; a lock makes it one that threads may share.
    home: Mutex<Receiver<Box<Backend>>>,
    weights: Mutex<Receiver<Weight>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn new(number: usize) -> std::io::Result<Worker> {
        let (orders, to_do) = sync_channel(BATCHES_AHEAD);
        let ((done, home), (weigh, weights)) = (channel(), channel());
        let load = Arc::<Mutex<Load>>::default();
        let told = Arc::clone(&load);
        let name = format!("nfsrpc-core-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || serve(&to_do, &done, &weigh, &told))?;
        let (home, weights) = (Mutex::new(home), Mutex::new(weights));
        Ok(Worker { batch: Batch::default(), load, orders: Some(orders), home, weights, thread: Some(thread) })
    }

    /// Sends on what there is; what comes next may be in the same chunk.
    fn flush(&mut self) {
        if !self.batch.events.is_empty() {
            let (chunk, events) = (self.batch.chunk.clone(), Vec::with_capacity(self.batch.events.len()));
            let next = Batch { chunk, events, ..Batch::default() };
            let batch = std::mem::replace(&mut self.batch, next);
            self.send(Order::Work(batch));
        }
    }

    fn send(&mut self, order: Order) {
        if self.orders.as_ref().is_none_or(|orders| orders.send(order).is_err()) {
            self.fail();
        }
    }

    fn load(&self) -> Load {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&mut self) {
        self.flush();
        self.send(Order::Weigh);
    }

    fn answer(&mut self) -> Weight {
        let weight = self.weights.get_mut().ok().and_then(|weights| weights.recv().ok());
        if weight.is_none() {
            self.fail();
        }
        weight.unwrap_or_default()
    }

    /// The back end does this work, and comes home.
    fn has_done<T: Send + 'static, R: Send + 'static>(
        &mut self,
        backend: Backend,
        given: T,
        work: fn(&mut Backend, &T) -> R,
    ) -> Receiver<R> {
        let (done, result) = channel();
        self.send(Order::Begin(Box::new(backend)));
        self.send(Order::Other(Box::new(move |backend| drop(done.send(work(backend, &given))))));
        self.send(Order::End);
        result
    }

    fn call_home(&mut self) {
        self.flush();
        self.send(Order::End);
    }

    fn welcome(&mut self) -> Option<Backend> {
        let backend = self.home.get_mut().ok().and_then(|home| home.recv().ok());
        if backend.is_none() {
            self.fail();
        }
        backend.map(|backend| *backend)
    }

    /// The thread has panicked: so does this one.
    #[cold]
    fn fail(&mut self) {
        self.orders = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Worker {
    /// What was to be done is done, which takes milliseconds, or nobody would know when the thread ends.
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(orders: &Receiver<Order>, home: &Sender<Box<Backend>>, weights: &Sender<Weight>, load: &Mutex<Load>) {
    let mut at_work: Option<Box<Backend>> = None;
    for order in orders {
        match order {
            Order::Begin(backend) => at_work = Some(backend),
            Order::Work(batch) => {
                if let Some(backend) = &mut at_work {
                    batch.work(backend);
                    tell(load, backend);
                }
            }
            Order::Other(work) => {
                if let Some(backend) = &mut at_work {
                    work(backend);
                }
            }
            Order::Weigh => {
                let weight = at_work.as_deref().map(Backend::weight).unwrap_or_default();
                if weights.send(weight).is_err() {
                    return;
                }
            }
            Order::End => {
                if let Some(backend) = at_work.take()
                    && home.send(backend).is_err()
                {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;

    #[test]
    fn an_event_is_less_than_a_line_of_the_cache() {
        assert_eq!(size_of::<Entry>(), 56);
    }
}
