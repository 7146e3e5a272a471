//! Flows: a TCP connection, or two UDP ports that talk. Each keeps its two streams, counts what it saw and leaves as a row.
//!
//! A SYN with another initial sequence number on a known four-tuple is a new connection: the kernel's lockd client reconnects
//! from the same reserved port. The same frame captured twice (on several interfaces, or on both sides of a tunnel) is told
//! from a retransmission by its IP identification, which a retransmission draws anew, or where there is none by coming at
//! once. Loopback addresses carry the domain of their interface, since 127.0.0.1 is another host in another capture.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use hashbrown::{HashMap, HashSet};

use crate::batch::{FlowRow, Flows as Rows, NO_TIME, PacketRow, Packets, flow_flag as flag};
use crate::checksum::{Sum, Trust};
use crate::exchange::{Fate, Fates, Kind, Messages, Party, Path};
use crate::infiniband;
use crate::oddity::{Oddities, Place};
use crate::rpc::{self, MAX_STORED, Message, Outlet, Record, Sink, UNKNOWN};
use crate::tcp::{Order, Segment, Stream};
use crate::tunnel::Counts;

/// Flows in reach; at 1.4 kB each 92 MB. A node sees a few thousand; beyond, the one longest silent of a few is let go.
pub const MAX_FLOWS: usize = 1 << 16;
/// Ended connections of which the fate of unanswered calls can still be told.
const MAX_ENDED: usize = 1 << 13;
/// Addresses known by number. Beyond, in a flood of spoofed ones, all are forgotten, and one seen again gets another number.
const MAX_ADDRESSES: usize = 1 << 18;
/// Pairs of hosts between which frames were damaged that are told apart.
const MAX_DAMAGE: usize = 1 << 12;
/// How many flows are compared when one has to go.
const EVICTION_SAMPLE: usize = 16;
/// Frames of one direction compared to find a second capture of the same frame.
const RECENT: usize = 4;
/// A second capture of an equal frame comes within this: interfaces of one host, or of two whose clocks agree. RPC over UDP
/// waits at least 100 ms before it sends again, TCP 200 ms (TCP_RTO_MIN) or, in fast retransmission, a round trip.
const TWICE_NS: i64 = 20_000_000;
/// The same where the identifications differ, or for a TCP segment without one, which may be sent again after a round trip.
const TWICE_ANEW_NS: i64 = 1_000_000;
/// The domain of addresses that are the same everywhere.
pub const EVERYWHERE: u32 = u32::MAX;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;
const URG: u8 = 32;

/// A flow's two ends, the lower one first, in plain words: it is compared and hashed for every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    low: u128,
    high: u128,
    ports: u32,
    transport: u32,
    domain: u32,
}

impl Key {
    /// The key of a packet's flow, and which of its ends the packet comes from.
    fn of(packet: &Packet<'_>) -> (Key, usize) {
        let (source, target) = (number(packet.src), number(packet.dst));
        let side = usize::from((source, packet.src_port) > (target, packet.dst_port));
        let (low, high, low_port, high_port) = if side == 0 {
            (source, target, packet.src_port, packet.dst_port)
        } else {
            (target, source, packet.dst_port, packet.src_port)
        };
        let loopback = packet.src.is_loopback() || packet.dst.is_loopback();
        let domain = if loopback { packet.domain } else { EVERYWHERE };
        let ports = u32::from(low_port) << 16 | u32::from(high_port);
        (Key { low, high, ports, transport: u32::from(packet.transport), domain }, side)
    }

    fn port(&self, side: usize) -> u16 {
        if side == 0 { (self.ports >> 16) as u16 } else { self.ports as u16 }
    }
}

/// An address as a number, IPv4 as mapped into IPv6 (RFC 4291 section 2.5.5.2).
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// One frame of a flow, as its headers tell it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub transport: u8,
    pub ip_id: u32,
    pub seq: u32,
    pub ack: u32,
    pub tcp_flags: u8,
    pub payload: &'a [u8],
    /// Length of the payload on the wire.
    pub length: usize,
    pub domain: u32,
    pub sum: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    mark: u64,
    id: u32,
    time: i64,
}

/// A stretch in which one side sent segments again, and nothing came back on its connection.
#[derive(Clone, Copy, Debug, Default)]
struct Unheard {
    again: u32,
    first: i64,
    last: i64,
}

#[derive(Debug, Default)]
struct Side {
    stream: Stream,
    isn: Option<u32>,
    first_seq: Option<u32>,
    frames: u32,
    bytes: u64,
    retransmitted: u32,
    out_of_order: u32,
    cut_frames: u32,
    fin: u16,
    rst: u16,
    calls: u32,
    replies: u32,
    last: i64,
    /// When it sent its first data since the other side was heard, how many segments again since, and the longest such stretch.
    unheard_since: Option<i64>,
    unheard: u32,
    longest_unheard: Unheard,
    loss: Option<i64>,
    newest_id: Option<u16>,
    newest_time: i64,
    recent: [Seen; RECENT],
    next_recent: usize,
    /// Frames with a right checksum.
    right: u32,
    /// Frames that were damaged, and when the last was: its messages may have been in them.
    damaged: u32,
    damage: Option<i64>,
}

#[derive(Debug)]
struct Flow {
    id: u32,
    key: Key,
    address: [u32; 2],
    client: Option<usize>,
    sides: [Side; 2],
    row: FlowRow,
    /// RDMA over TCP, of which nothing is read.
    iwarp: bool,
    /// Its SYN came while the connection before was open.
    doubtful: bool,
}

/// Internet addresses by number, in the order of their first sight.
#[derive(Default)]
pub struct Addresses {
    index: HashMap<(IpAddr, u32), u32>,
    new: Vec<(IpAddr, u32)>,
    next: u32,
}

impl Addresses {
    /// The number of an address that was seen before.
    fn known(&self, ip: IpAddr, domain: u32) -> Option<u32> {
        let own = if ip.is_loopback() { domain } else { EVERYWHERE };
        self.index.get(&(ip, own)).copied()
    }

    fn number(&mut self, ip: IpAddr, domain: u32, oddities: &mut Oddities) -> u32 {
        let own = if ip.is_loopback() { domain } else { EVERYWHERE };
        if let Some(number) = self.index.get(&(ip, own)) {
            return *number;
        }
        if self.index.len() >= MAX_ADDRESSES {
            oddities.push("addresses-full", MAX_ADDRESSES as u64);
            self.index.clear();
        }
        let number = self.next;
        self.next += 1;
        self.index.insert((ip, own), number);
        self.new.push((ip, own));
        number
    }

    /// Forgets all but these; one that is seen again gets another number.
    fn retain(&mut self, used: &HashSet<u32>) {
        self.index.retain(|_, number| used.contains(number));
    }

    /// The addresses that are new since the last call.
    pub fn take_new(&mut self) -> Vec<(IpAddr, u32)> {
        std::mem::take(&mut self.new)
    }
}

#[derive(Default)]
pub struct Flows {
    pub addresses: Addresses,
    pub rows: Rows,
    index: HashMap<Key, u32>,
    pool: Vec<Flow>,
    ended: HashMap<u32, Box<Flow>>,
    ended_order: VecDeque<u32>,
    latest: Option<(Key, u32)>,
    next_id: u32,
    hand: usize,
    stored: usize,
    pub duplicates: u32,
    /// Of each sender's checksums, by transport.
    trust: HashMap<(IpAddr, u8), Trust>,
    damage: Damage,
    /// Frames of iWARP.
    pub iwarp: Counts,
    /// Flows of which every frame is noted, and those notes.
    pub followed: HashSet<u32>,
    pub packets: Packets,
}

/// When frames were damaged of which no flow is known, by sender and receiver (None: unknown, so that it may be any).
#[derive(Default)]
struct Damage {
    latest: HashMap<(Option<u32>, Option<u32>), i64>,
}

impl Damage {
    fn note(&mut self, from: Option<u32>, to: Option<u32>, time: i64) {
        let full = self.latest.len() >= MAX_DAMAGE && !self.latest.contains_key(&(from, to));
        let latest = self.latest.entry(if full { (None, None) } else { (from, to) }).or_insert(time);
        *latest = time.max(*latest);
    }

    fn between(&self, from: u32, to: u32) -> Option<i64> {
        if self.latest.is_empty() {
            return None;
        }
        let (from, to) = (Some(from), Some(to));
        [(from, to), (from, None), (None, to), (None, None)]
            .iter()
            .filter_map(|pair| self.latest.get(pair))
            .max()
            .copied()
    }
}

/// A flow's records on their way to the exchanges.
struct Conversation<'a> {
    messages: &'a mut Messages,
    path: Path,
    calls: u32,
    replies: u32,
    /// Program of the first call.
    prog: u32,
    starttls: bool,
    /// Something was no message, or a reply to no call: perhaps the reply to another one.
    confused: bool,
}

impl Sink for Conversation<'_> {
    fn keep(&mut self, head: &[u8]) -> usize {
        self.messages.keep(&self.path, head)
    }

    fn most(&self, head: &[u8]) -> usize {
        self.messages.most(&self.path, head)
    }

    fn record(&mut self, record: Record<'_>, oddities: &mut Oddities) -> bool {
        match self.messages.record(self.path, &record, oddities) {
            Some(Kind::Call(prog)) => {
                self.calls += 1;
                self.prog = if self.prog == UNKNOWN { prog } else { self.prog };
            }
            Some(Kind::Reply) => self.replies += 1,
            Some(Kind::Orphan) => (self.replies, self.confused) = (self.replies + 1, true),
            Some(Kind::StartTls) => (self.replies, self.starttls) = (self.replies + 1, true),
            Some(Kind::TooLong) => return false,
            None => self.confused = true,
        }
        true
    }

    fn awaits(&self, xid: u32) -> bool {
        self.messages.awaits(&self.path, xid)
    }
}

impl Flows {
    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>, messages: &mut Messages, oddities: &mut Oddities) {
        let (key, side) = Key::of(packet);
        let place = oddities.place;
        let damage = if packet.sum == Sum::Wrong { self.is_damage(packet) } else { Some(false) };
        if damage == Some(true) {
            oddities.push("checksum", packet.length as u64);
            return self.damaged(Some(packet), messages, oddities);
        }
        let mut at = self.find(key, packet, side, place, messages, oddities);
        if packet.transport == TCP && packet.tcp_flags & SYN != 0 && self.is_new_connection(at, packet, side) {
            if self.pool.get(at as usize).is_some_and(|flow| flow.goes_on(packet, side)) {
                oddities.push("corrupt-syn", packet.seq.into());
                self.follow(at, packet, side, place);
                return self.damaged(Some(packet), messages, oddities);
            }
            let open = self.pool.get(at as usize).is_some_and(Flow::is_open);
            self.end(at, flag::SUPERSEDED, messages, oddities);
            at = self.create(key, place, messages, oddities);
            if let Some(flow) = self.pool.get_mut(at as usize) {
                flow.doubtful = open;
            }
        }
        if !self.followed.is_empty() {
            self.follow(at, packet, side, place);
        }
        let Some(flow) = self.pool.get_mut(at as usize) else { return };
        flow.row.last = flow.row.last.max(place.time);
        if flow.captured_before(packet, side, place.time) {
            flow.row.duplicates += 1;
            self.duplicates += 1;
            return;
        }
        if packet.sum == Sum::Right
            && let Some(count) = flow.verified(side)
        {
            known(&mut self.trust, packet).right(count);
        }
        flow.count(packet, side, place.time);
        if damage.is_none()
            && let Some(own) = flow.sides.get_mut(side)
        {
            own.damage = own.damage.max(Some(place.time));
        }
        let path = flow.path(side, at);
        let mut sink =
            Conversation { messages, path, calls: 0, replies: 0, prog: UNKNOWN, starttls: false, confused: false };
        let mut room = MAX_STORED.saturating_sub(self.stored);
        let before = room;
        let outlet = &mut Outlet { sink: &mut sink, oddities, room: &mut room, place };
        if packet.transport == TCP {
            let proved = flow.sides.get(side).is_none_or(|own| own.stream.records.proved);
            if !proved && packet.length > 0 && is_iwarp(&mut flow.iwarp, packet) {
                self.iwarp.rdma(infiniband::iwarp_holds_rpc(packet.payload));
            }
            let twice = flow.tcp(packet, side, outlet);
            if outlet.sink.starttls {
                flow.row.flags |= flag::TLS;
                flow.sides.iter_mut().for_each(|side| side.stream.records.stop(outlet));
            }
            self.duplicates += u32::from(twice);
        } else {
            flow.udp(packet, side, outlet);
        }
        self.stored = (self.stored + before).saturating_sub(room);
    }

    /// A frame that cannot be told: what it may have been is missing from its flow, if that was seen before. Else its ports are
    /// perhaps not its own, and it is missing between these hosts; where one is new, between any.
    #[cold]
    #[inline(never)]
    pub fn damaged(&mut self, packet: Option<&Packet<'_>>, messages: &mut Messages, oddities: &mut Oddities) {
        let place = oddities.place;
        let Some(packet) = packet else { return self.damage.note(None, None, place.time) };
        let (key, side) = Key::of(packet);
        if !self.index.contains_key(&key) {
            let [from, to] = [packet.src, packet.dst].map(|ip| self.addresses.known(ip, packet.domain));
            self.damage.note(from, to, place.time);
            if from.is_none() || to.is_none() || !matches!(packet.transport, TCP | UDP) {
                return;
            }
        }
        let at = self.find(key, packet, side, place, messages, oddities);
        let flow = self.pool.get_mut(at as usize);
        if let Some(own) = flow.and_then(|flow| flow.sides.get_mut(side)) {
            own.damaged += 1;
            own.damage = own.damage.max(Some(place.time));
            own.stream.damaged_bytes += packet.length as u64;
        }
    }

    #[cold]
    fn is_damage(&mut self, packet: &Packet<'_>) -> Option<bool> {
        known(&mut self.trust, packet).is_damage()
    }

    /// Notes a frame of a flow that is followed.
    #[cold]
    fn follow(&mut self, at: u32, packet: &Packet<'_>, side: usize, place: Place) {
        let Some(flow) = self.pool.get(at as usize).filter(|flow| self.followed.contains(&flow.id)) else { return };
        let Party { address: source, port: source_port } = flow.path(side, at).from;
        let Place { capture, frame, .. } = place;
        let (tcp_flags, length) = (packet.tcp_flags, packet.length as u32);
        let row = PacketRow { capture, frame, flow: flow.id, source, source_port, tcp_flags, length, kind: 0 };
        self.packets.push(row);
    }

    /// An ICMP error quoting a packet of this flow.
    pub fn unreachable(&mut self, quoted: &Packet<'_>, code: u8, place: Place) {
        let at = self.index.get(&Key::of(quoted).0);
        let Some(flow) = at.and_then(|at| self.pool.get_mut(*at as usize)) else { return };
        if flow.row.icmp == 0 {
            (flow.row.icmp_frame, flow.row.icmp_time, flow.row.icmp_code) = (place.frame, place.time, code);
        }
        flow.row.icmp = flow.row.icmp.saturating_add(1);
        if self.followed.contains(&flow.id) {
            let Place { capture, frame, .. } = place;
            self.packets.push(PacketRow { capture, frame, flow: flow.id, kind: 1, ..PacketRow::default() });
        }
    }

    /// The capture has ended: what waits for holes goes on without them.
    pub fn finish_streams(&mut self, messages: &mut Messages, oddities: &mut Oddities) {
        let here = oddities.place;
        for at in 0..self.pool.len() {
            if let Some(flow) = self.pool.get_mut(at) {
                flow.finish_streams(at as u32, &mut self.stored, messages, oddities);
            }
        }
        oddities.place = here;
    }

    /// Every flow leaves as a row.
    pub fn finish_rows(&mut self) {
        let ended = self.ended_order.drain(..).filter_map(|id| self.ended.remove(&id));
        for flow in ended {
            self.rows.push(flow.row());
        }
        for flow in self.pool.drain(..) {
            self.rows.push(flow.row());
        }
        self.index.clear();
        self.latest = None;
        debug_assert_eq!(self.stored, 0, "all room is given back");
    }

    /// The flows still in reach, as they stand.
    pub fn in_reach(&self) -> Rows {
        let mut rows = Rows::default();
        for flow in self.ended_order.iter().filter_map(|id| self.ended.get(id)) {
            rows.push(flow.row());
        }
        self.pool.iter().for_each(|flow| rows.push(flow.row()));
        rows.take()
    }

    /// Forgets the addresses of which no flow, and none of these exchanges, is in reach.
    pub fn forget(&mut self, mut used: HashSet<u32>) {
        let flows = self.pool.iter().chain(self.ended.values().map(Box::as_ref));
        used.extend(flows.flat_map(|flow| flow.address));
        self.damage
            .latest
            .retain(|(from, to), _| [from, to].iter().all(|end| end.is_none_or(|end| used.contains(&end))));
        self.addresses.retain(&used);
    }

    #[inline(always)]
    fn find(
        &mut self,
        key: Key,
        packet: &Packet<'_>,
        side: usize,
        place: Place,
        messages: &mut Messages,
        oddities: &mut Oddities,
    ) -> u32 {
        if let Some((latest, at)) = self.latest
            && latest == key
        {
            return at;
        }
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                let at = self.create(key, place, messages, oddities);
                let (source, target) = (packet.src, packet.dst);
                let (low, high) = if side == 0 { (source, target) } else { (target, source) };
                let address = [low, high].map(|ip| self.addresses.number(ip, packet.domain, oddities));
                if let Some(flow) = self.pool.get_mut(at as usize) {
                    flow.address = address;
                    flow.row.client = side as u32;
                }
                at
            }
        };
        self.latest = Some((key, at));
        at
    }

    fn is_new_connection(&self, at: u32, packet: &Packet<'_>, side: usize) -> bool {
        let Some(flow) = self.pool.get(at as usize) else { return false };
        let Some(own) = flow.sides.get(side) else { return false };
        match (own.isn, own.first_seq) {
            (Some(isn), _) => isn != packet.seq,
            // A SYN written a little late comes before the first frame seen; else that was of an older connection.
            (None, Some(first)) => first != packet.seq.wrapping_add(1),
            (None, None) => false,
        }
    }

    fn create(&mut self, key: Key, place: Place, messages: &mut Messages, oddities: &mut Oddities) -> u32 {
        let address = self.index.get(&key).and_then(|at| self.pool.get(*at as usize)).map(|old| old.address);
        let row = FlowRow {
            transport: key.transport as u8,
            first: place.time,
            last: place.time,
            first_capture: place.capture,
            first_frame: place.frame,
            syn_time: NO_TIME,
            syn_last: NO_TIME,
            synack_time: NO_TIME,
            rst_time: NO_TIME,
            icmp_time: NO_TIME,
            prog: UNKNOWN,
            ..FlowRow::default()
        };
        let address = address.unwrap_or_default();
        let flow = Flow {
            id: self.next_id,
            key,
            address,
            client: None,
            sides: Default::default(),
            row,
            iwarp: false,
            doubtful: false,
        };
        self.next_id = self.next_id.wrapping_add(1);
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if self.pool.len() < MAX_FLOWS => self.pool.len() as u32,
            None => self.evict(messages, oddities),
        };
        match self.pool.get_mut(at as usize) {
            Some(slot) => *slot = flow,
            None => self.pool.push(flow),
        }
        self.index.insert(key, at);
        at
    }

    /// The flow at `at` is over; its place will be taken at once.
    fn end(&mut self, at: u32, why: u16, messages: &mut Messages, oddities: &mut Oddities) {
        let Some(flow) = self.pool.get_mut(at as usize) else { return };
        let here = oddities.place;
        flow.finish_streams(at, &mut self.stored, messages, oddities);
        oddities.place = here;
        flow.row.flags |= why;
        let (id, key, address) = (flow.id, flow.key, flow.address);
        let (sides, row) = (Default::default(), FlowRow::default());
        let gone =
            std::mem::replace(flow, Flow { id, key, address, client: None, sides, row, iwarp: false, doubtful: false });
        self.ended.insert(id, Box::new(gone));
        self.ended_order.push_back(id);
        if self.ended_order.len() > MAX_ENDED
            && let Some(oldest) = self.ended_order.pop_front().and_then(|id| self.ended.remove(&id))
        {
            self.rows.push(oldest.row());
        }
    }

    fn evict(&mut self, messages: &mut Messages, oddities: &mut Oddities) -> u32 {
        let count = self.pool.len();
        let sample = (0..EVICTION_SAMPLE).map(|step| (self.hand + step) % count);
        let oldest = sample.min_by_key(|at| self.pool.get(*at).map_or(i64::MAX, |flow| flow.row.last)).unwrap_or(0);
        self.hand = (self.hand + EVICTION_SAMPLE) % count;
        if let Some(flow) = self.pool.get(oldest) {
            oddities.push("flow-evicted", u64::from(flow.id));
            let key = flow.key;
            self.index.remove(&key);
            self.latest = None;
        }
        self.end(oldest as u32, flag::EVICTED, messages, oddities);
        oldest as u32
    }
}

impl Fates for Flows {
    fn fate(&self, path: &Path) -> Option<Fate> {
        let live = self.pool.get(path.slot as usize).filter(|flow| flow.id == path.flow);
        let flow = live.or_else(|| self.ended.get(&path.flow).map(Box::as_ref))?;
        let client = flow.sides.get(usize::from(path.side))?;
        let server = flow.sides.get(1 - usize::from(path.side.min(1)))?;
        let ended = flow.row.flags & (flag::SUPERSEDED | flag::EVICTED) != 0;
        let unsynchronised = flow.row.transport == TCP && server.bytes > 0 && !server.stream.records.synchronised();
        let unseen = server.stream.unseen() > 0;
        Some(Fate {
            reply_side_frames: server.frames,
            reply_side_last: server.last,
            reply_side_loss: if unseen {
                Some(client.last)
            } else if unsynchronised {
                Some(server.last)
            } else {
                server.loss
            },
            reply_side_damage: server.damage.max(self.damage.between(path.to.address, path.from.address)),
            died: ended || client.rst + server.rst + client.fin + server.fin > 0,
            acked: client.stream.acked,
        })
    }
}

impl Flow {
    fn path(&self, side: usize, at: u32) -> Path {
        let party = |side: usize| {
            let [low, high] = self.address;
            Party { address: if side == 0 { low } else { high }, port: self.key.port(side) }
        };
        Path {
            from: party(side),
            to: party(1 - side.min(1)),
            transport: self.key.transport as u8,
            flow: self.id,
            slot: at,
            side: side as u8,
        }
    }

    /// Whether a SYN opens no new connection but is a damaged segment of this one, over which RPC goes: with flags or data that a
    /// SYN has not, or with a sequence number where the stream stands before any FIN or RST. One from before all that was
    /// seen of the stream is its own, in a file whose later part comes first.
    #[cold]
    fn goes_on(&self, packet: &Packet<'_>, side: usize) -> bool {
        let Some(own) = self.sides.get(side) else { return false };
        let proved = self.sides.iter().any(|side| side.stream.records.proved);
        let odd = packet.tcp_flags & (FIN | RST | PSH | URG) != 0 || packet.length > 0;
        let inside = own.first_seq.is_some_and(|first| packet.seq.wrapping_sub(first).cast_signed() >= 0);
        proved && (odd || (self.is_open() && inside && own.stream.is_near(packet.seq)))
    }

    /// Whether neither side has sent FIN or RST.
    fn is_open(&self) -> bool {
        self.sides.iter().all(|side| side.fin == 0 && side.rst == 0)
    }

    /// Whether this very datagram or SYN was captured a moment ago, on another interface. Of segments with data the stream
    /// tells.
    #[inline]
    fn captured_before(&mut self, packet: &Packet<'_>, side: usize, time: i64) -> bool {
        if packet.transport == TCP && packet.tcp_flags & SYN == 0 {
            return false;
        }
        let Some(own) = self.sides.get_mut(side) else { return false };
        let mark = fingerprint(packet);
        let again = own.recent.iter().any(|seen| {
            let unlike = seen.id != packet.ip_id && seen.id != 0 && packet.ip_id != 0;
            let limit = if unlike { TWICE_ANEW_NS } else { TWICE_NS };
            let at_once = time.saturating_sub(seen.time).saturating_abs() <= limit;
            seen.mark == mark && (at_once || (seen.id == packet.ip_id && packet.ip_id != 0))
        });
        if !again {
            if let Some(slot) = own.recent.get_mut(own.next_recent) {
                *slot = Seen { mark, id: packet.ip_id, time };
            }
            own.next_recent = (own.next_recent + 1) % RECENT;
        }
        again
    }

    /// Counts a frame with a right checksum; at times returns how many more there were than it returned before.
    fn verified(&mut self, side: usize) -> Option<u32> {
        let own = self.sides.get_mut(side)?;
        own.right = own.right.saturating_add(1);
        own.right.is_power_of_two().then(|| own.right.div_ceil(2))
    }

    fn count(&mut self, packet: &Packet<'_>, side: usize, time: i64) {
        let Some(own) = self.sides.get_mut(side) else { return };
        own.frames += 1;
        own.first_seq.get_or_insert(packet.seq);
        own.bytes += packet.length as u64;
        own.last = if own.frames == 1 { time } else { own.last.max(time) };
        if packet.payload.len() < packet.length {
            own.cut_frames += 1;
            own.loss = Some(time);
        }
        if let Some(other) = self.sides.get_mut(1 - side.min(1)) {
            other.heard(time);
        }
    }

    fn udp(&mut self, packet: &Packet<'_>, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) {
        let (length, place) = (packet.length, outlet.place);
        let message = rpc::parse(packet.payload, length);
        if message.is_none_or(|message| !self.proves_itself(&message, packet, side, outlet.sink)) {
            outlet.sink.confused = true;
            return self.note_records(side, outlet);
        }
        let lost = packet.payload.len() < length;
        outlet
            .sink
            .record(Record { data: packet.payload, length, lost, doubted: true, end: 0, place }, outlet.oddities);
        self.note_records(side, outlet);
    }

    /// Whether what may be a message is one: many datagrams have a 0 or a 1 where RPC has its type. A reply without its call is
    /// none where the other side spoke and did not call, or that goes to many.
    #[inline(never)]
    fn proves_itself(&self, message: &Message<'_>, packet: &Packet<'_>, side: usize, sink: &impl Sink) -> bool {
        match message {
            Message::Call(call) => rpc::plausible_call(call, packet.length - packet.payload.len().min(packet.length)),
            Message::Reply(reply) => {
                let called = self.sides.get(1 - side.min(1)).is_none_or(|other| other.calls > 0 || other.frames == 0);
                let may_be = called && !is_to_many(packet.dst) && rpc::plausible_reply(reply, packet.length);
                may_be || sink.awaits(reply.xid)
            }
        }
    }

    /// Returns whether the frame's data had been captured before.
    fn tcp(&mut self, packet: &Packet<'_>, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) -> bool {
        let other = 1 - side.min(1);
        let mut twice = false;
        if packet.tcp_flags & SYN != 0 {
            self.handshake(packet, side, outlet.place);
        }
        if packet.tcp_flags & ACK != 0
            && self.sides.get_mut(other).is_some_and(|acknowledged| acknowledged.stream.acknowledge(packet.ack))
        {
            self.run_out_of_patience(other, outlet);
        }
        if packet.length > 0
            && let Some(own) = self.sides.get_mut(side)
        {
            let seq = packet.seq.wrapping_add(u32::from(packet.tcp_flags & SYN != 0));
            let segment = Segment { seq, payload: packet.payload, length: packet.length };
            let lost = own.stream.lost_bytes;
            own.unheard_since.get_or_insert(outlet.place.time);
            match own.stream.segment(segment, outlet) {
                Order::InOrder => {}
                Order::Late => own.out_of_order += 1,
                Order::Old if own.had(packet, outlet.place.time) => twice = true,
                Order::Old => {
                    own.retransmitted += 1;
                    own.unheard += 1;
                }
            }
            if own.stream.lost_bytes > lost {
                own.loss = Some(outlet.place.time);
            }
            self.note_records(side, outlet);
        }
        if twice {
            self.row.duplicates += 1;
        } else {
            self.closing(packet, side, outlet);
        }
        twice
    }

    /// The stream of the other side, in which something waits: its records go the other way.
    #[cold]
    fn run_out_of_patience(&mut self, other: usize, outlet: &mut Outlet<'_, Conversation<'_>>) {
        let Some(acknowledged) = self.sides.get_mut(other) else { return };
        let forth = outlet.sink.path;
        outlet.sink.path = Path { from: forth.to, to: forth.from, side: other as u8, ..forth };
        let lost = acknowledged.stream.lost_bytes;
        acknowledged.stream.run_out_of_patience(outlet);
        if acknowledged.stream.lost_bytes > lost {
            acknowledged.loss = Some(outlet.place.time);
        }
        outlet.sink.path = forth;
        self.note_records(other, outlet);
    }

    fn handshake(&mut self, packet: &Packet<'_>, side: usize, place: Place) {
        let Some(own) = self.sides.get_mut(side) else { return };
        if own.isn.is_none() {
            own.isn = Some(packet.seq);
            if !own.stream.begun() {
                own.stream = Stream::new(Some(packet.seq.wrapping_add(1)));
                own.stream.doubtful = self.doubtful;
            }
        }
        let row = &mut self.row;
        if packet.tcp_flags & ACK != 0 {
            self.client = self.client.or(Some(1 - side.min(1)));
            if row.synack == 0 {
                (row.synack_frame, row.synack_time) = (place.frame, place.time);
            }
            row.synack = row.synack.saturating_add(1);
        } else {
            self.client = self.client.or(Some(side));
            if row.syn == 0 {
                (row.syn_frame, row.syn_time) = (place.frame, place.time);
            }
            row.syn = row.syn.saturating_add(1);
            row.syn_last = row.syn_last.max(place.time);
        }
    }

    fn closing(&mut self, packet: &Packet<'_>, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) {
        let Some(own) = self.sides.get_mut(side) else { return };
        if packet.ip_id != 0 {
            own.newest_id = Some(packet.ip_id as u16);
        }
        if packet.length > 0 {
            own.newest_time = outlet.place.time;
        }
        if packet.tcp_flags & FIN != 0 {
            own.fin = own.fin.saturating_add(1);
        }
        if packet.tcp_flags & RST != 0 {
            own.rst = own.rst.saturating_add(1);
            if self.row.rst_frame == 0 {
                let Place { capture, frame, time } = outlet.place;
                (self.row.rst_capture, self.row.rst_frame, self.row.rst_time) = (capture, frame, time);
            }
        }
    }

    fn note_records(&mut self, side: usize, outlet: &mut Outlet<'_, Conversation<'_>>) {
        let Some(own) = self.sides.get_mut(side) else { return };
        own.calls += std::mem::take(&mut outlet.sink.calls);
        own.replies += std::mem::take(&mut outlet.sink.replies);
        let lost_step = std::mem::take(&mut own.stream.records.confused);
        own.damaged += u32::from(lost_step);
        if std::mem::take(&mut outlet.sink.confused) || lost_step {
            own.damage = own.damage.max(Some(outlet.place.time));
        }
        if self.row.prog == UNKNOWN {
            self.row.prog = outlet.sink.prog;
        }
    }

    fn finish_streams(&mut self, at: u32, stored: &mut usize, messages: &mut Messages, oddities: &mut Oddities) {
        for side in 0..2 {
            let path = self.path(side, at);
            let Some(own) = self.sides.get_mut(side) else { continue };
            let mut sink =
                Conversation { messages, path, calls: 0, replies: 0, prog: UNKNOWN, starttls: false, confused: false };
            let mut room = MAX_STORED.saturating_sub(*stored);
            let before = room;
            let place = oddities.place;
            let lost = own.stream.lost_bytes;
            let outlet = &mut Outlet { sink: &mut sink, oddities, room: &mut room, place };
            own.stream.give_up_all(outlet);
            own.stream.lose(own.stream.unseen());
            if own.stream.lost_bytes > lost {
                own.loss = Some(own.last);
            }
            self.note_records(side, outlet);
            if let Some(own) = self.sides.get_mut(side) {
                room += own.stream.records.release();
            }
            *stored = (*stored + before).saturating_sub(room);
        }
    }

    fn row(&self) -> FlowRow {
        let guess = || {
            let [low, high] = &self.sides;
            match (low.calls + high.replies).cmp(&(high.calls + low.replies)) {
                std::cmp::Ordering::Greater => 0,
                std::cmp::Ordering::Less => 1,
                // `client` of the row holds the first sender until now.
                std::cmp::Ordering::Equal => self.row.client as usize,
            }
        };
        let client = self.client.unwrap_or_else(guess).min(1);
        let [low, high] = &self.sides;
        let (c, s) = if client == 0 { (low, high) } else { (high, low) };
        let path = self.path(client, 0);
        let rpc = c.calls + c.replies + s.calls + s.replies > 0;
        let (c_unheard, s_unheard) = (c.unheard_until(c.last), s.unheard_until(s.last));
        FlowRow {
            flow: self.id,
            client: path.from.address,
            client_port: path.from.port,
            server: path.to.address,
            server_port: path.to.port,
            c_frames: c.frames,
            c_bytes: c.bytes,
            c_retransmitted: c.retransmitted,
            c_out_of_order: c.out_of_order,
            c_lost_bytes: c.stream.lost_bytes,
            c_cut_frames: c.cut_frames,
            c_damaged: c.damaged,
            c_fin: c.fin,
            c_rst: c.rst,
            c_calls: c.calls,
            c_replies: c.replies,
            c_last: if c.frames > 0 { c.last } else { NO_TIME },
            c_unheard: c_unheard.again,
            c_unheard_first: c_unheard.first,
            c_unheard_last: c_unheard.last,
            s_frames: s.frames,
            s_bytes: s.bytes,
            s_retransmitted: s.retransmitted,
            s_out_of_order: s.out_of_order,
            s_lost_bytes: s.stream.lost_bytes,
            s_cut_frames: s.cut_frames,
            s_damaged: s.damaged,
            s_fin: s.fin,
            s_rst: s.rst,
            s_calls: s.calls,
            s_replies: s.replies,
            s_last: if s.frames > 0 { s.last } else { NO_TIME },
            s_unheard: s_unheard.again,
            s_unheard_first: s_unheard.first,
            s_unheard_last: s_unheard.last,
            flags: self.row.flags | if rpc { flag::RPC } else { 0 },
            ..self.row
        }
    }
}

impl Side {
    /// A frame of the other side came.
    fn heard(&mut self, time: i64) {
        if self.unheard > 0 {
            self.longest_unheard = self.unheard_until(time);
            self.unheard = 0;
        }
        self.unheard_since = None;
    }

    /// The longest stretch in which nothing came back, where the present one, if there is one, lasts until then.
    fn unheard_until(&self, time: i64) -> Unheard {
        let longest = self.longest_unheard;
        let present = self.unheard_since.filter(|_| self.unheard > 0);
        let length = |stretch: &Unheard| stretch.last.saturating_sub(stretch.first);
        present
            .map(|first| Unheard { again: self.unheard, first, last: time })
            .filter(|present| longest.again == 0 || length(present) > length(&longest))
            .unwrap_or(longest)
    }

    /// Whether data seen before is a second capture: a retransmission has a later identification than what was sent last, and
    /// where there is none does not come at once.
    fn had(&self, packet: &Packet<'_>, time: i64) -> bool {
        let newest = self.newest_id.filter(|_| packet.ip_id != 0);
        let at_once = time.saturating_sub(self.newest_time).saturating_abs() <= TWICE_ANEW_NS;
        at_once || newest.is_some_and(|newest| (packet.ip_id as u16).wrapping_sub(newest) as i16 <= 0)
    }
}

/// What is known of a sender's checksums.
#[cold]
fn known<'a>(trust: &'a mut HashMap<(IpAddr, u8), Trust>, packet: &Packet<'_>) -> &'a mut Trust {
    if trust.len() >= MAX_ADDRESSES {
        trust.clear();
    }
    trust.entry((packet.src, packet.transport)).or_default()
}

/// Whether a connection is known to be of iWARP, by this segment at the latest.
#[inline(never)]
fn is_iwarp(known: &mut bool, packet: &Packet<'_>) -> bool {
    *known |= infiniband::is_iwarp(packet.payload);
    *known
}

fn is_to_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// What two captures of one datagram have in common and two datagrams have not.
fn fingerprint(packet: &Packet<'_>) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let add = |sum: u64, value: u64| (sum ^ value).wrapping_mul(MIX).rotate_left(29);
    let head = packet.payload.chunks_exact(8).take(32);
    let words = head.map(|chunk| chunk.try_into().map_or(0, u64::from_be_bytes));
    let numbers = u64::from(packet.seq) << 32 | u64::from(packet.tcp_flags);
    words.fold(add(numbers, packet.length as u64), add)
}
