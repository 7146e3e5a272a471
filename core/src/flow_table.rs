//! All flows: packets go to the flow that they belong to, which is found, started, ended or dropped here.
//!
//! A SYN with another initial sequence number on a known four-tuple is a new connection: the kernel's lockd client reconnects
//! from the same reserved port. The connection before it is kept a while for the fate of its unanswered calls.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use crate::addresses::Addresses;
use crate::batch::{FlowRow, Flows, PacketRow, Packets, flow_flag as flag};
use crate::checksum::Sum;
use crate::conversation::Conversation;
use crate::damage::{Damage, Senders};
use crate::exchange::{Fate, Fates, Party, Path};
use crate::flow::Flow;
use crate::flow_key::FlowKey;
use crate::infiniband;
use crate::matcher::Matcher;
use crate::oddity::Place;
use crate::packets::Packet;
use crate::protocol::{SYN, TCP, UDP};
use crate::rpc::{Outlet, Room};
use crate::tunnel::UnreadCounts;

/// Flows in reach; at 1.4 kB each 92 MB. A node sees a few thousand; beyond, the one longest silent of a few is let go.
pub const MAX_FLOWS: usize = 1 << 16;
/// Ended connections of which the fate of unanswered calls is still known.
const MAX_ENDED: usize = 1 << 13;
/// How many flows are compared when one has to go.
const EVICTION_SAMPLE: usize = 16;

#[derive(Default)]
pub struct FlowTable {
    pub addresses: Addresses,
    pub rows: Flows,
    pub followed: Followed,
    /// Frames captured twice.
    pub duplicates: u32,
    /// Frames of iWARP.
    pub iwarp: UnreadCounts,
    /// Slot of the flow of the packet at hand, unless that is damaged.
    at: Option<u32>,
    index: HashMap<FlowKey, u32>,
    pool: Vec<Flow>,
    latest: Option<(FlowKey, u32)>,
    next_id: u32,
    /// Where the next search for a flow to let go begins.
    hand: usize,
    ended: Ended,
    senders: Senders,
    damage: Damage,
    room: Room,
}

/// Flows of which every frame is noted, and those notes.
#[derive(Default)]
pub struct Followed {
    pub flows: HashSet<u32>,
    pub packets: Packets,
}

/// Connections that others have taken the place of, by their number, in the order in which they ended.
#[derive(Default)]
struct Ended {
    flows: HashMap<u32, Box<Flow>>,
    order: VecDeque<u32>,
}

impl Ended {
    /// Keeps one more, and returns the oldest if it finds no room.
    fn push(&mut self, flow: Flow) -> Option<Box<Flow>> {
        self.order.push_back(flow.id);
        self.flows.insert(flow.id, Box::new(flow));
        let full = self.order.len() > MAX_ENDED;
        full.then(|| self.order.pop_front().and_then(|id| self.flows.remove(&id)))?
    }

    fn get(&self, id: u32) -> Option<&Flow> {
        self.flows.get(&id).map(Box::as_ref)
    }

    fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.order.iter().filter_map(|id| self.get(*id))
    }
}

impl FlowTable {
    /// `followed`: flows of which every frame is noted.
    pub fn new(followed: HashSet<u32>) -> FlowTable {
        FlowTable { followed: Followed { flows: followed, ..Followed::default() }, ..FlowTable::default() }
    }

    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>, matcher: &mut Matcher) {
        let (key, side) = FlowKey::of(packet);
        let place = matcher.oddities.place;
        self.at = None;
        let damage = if packet.sum == Sum::Wrong { self.senders.is_damage(packet) } else { Some(false) };
        if damage == Some(true) {
            matcher.oddities.push("checksum", packet.length as u64);
            return self.damaged(Some(packet), matcher);
        }
        let mut at = self.find(key, packet, side, matcher);
        if packet.transport == TCP
            && packet.tcp_flags & SYN != 0
            && self.is_new_connection(at, packet, side, place.time)
        {
            if self.pool.get(at as usize).is_some_and(|flow| flow.goes_on(packet, side)) {
                matcher.oddities.push("corrupt-syn", packet.seq.into());
                self.follow(at, packet, side, place);
                return self.damaged(Some(packet), matcher);
            }
            let open = self.pool.get(at as usize).is_some_and(Flow::is_open);
            self.end(at, flag::SUPERSEDED, matcher);
            at = self.create(key, matcher);
            if let Some(flow) = self.pool.get_mut(at as usize) {
                flow.doubtful = open;
            }
        }
        self.at = Some(at);
        if !self.followed.flows.is_empty() {
            self.follow(at, packet, side, place);
        }
        let Some(flow) = self.pool.get_mut(at as usize) else { return };
        flow.row.last = flow.row.last.max(place.time);
        let path = flow.path(side, at);
        let Some(own) = flow.sides.get_mut(side) else { return };
        if own.captured_before(packet, place.time) {
            flow.row.duplicates += 1;
            self.duplicates += 1;
            return;
        }
        if packet.sum == Sum::Right
            && let Some(count) = own.verified()
        {
            self.senders.right(packet, count);
        }
        own.count(packet, place.time);
        if damage.is_none() {
            own.note_damage(place.time);
        }
        let proved = own.stream.records.proved;
        if let Some(other) = flow.sides.get_mut(1 - side.min(1)) {
            other.heard(place.time);
        }
        let mut sink = Conversation::new(matcher, path);
        let outlet = &mut Outlet { sink: &mut sink, room: &mut self.room.0, place };
        if packet.transport == TCP {
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
    }

    /// The flow of the packet at hand with its slot; none of one that is damaged.
    pub fn current(&self) -> Option<(u32, &Flow)> {
        let at = self.at?;
        self.pool.get(at as usize).map(|flow| (at, flow))
    }

    /// The program of the flow with this number, which was at this slot.
    pub fn program(&self, slot: u32, number: u32) -> Option<u32> {
        let live = self.pool.get(slot as usize).filter(|flow| flow.id == number);
        live.or_else(|| self.ended.get(number))?.program()
    }

    /// An undecided frame: what it may have been is missing from its flow, if that was seen before. Else its ports are
    /// perhaps not its own, and it is missing between these hosts; where one is new, between any.
    #[cold]
    #[inline(never)]
    pub fn damaged(&mut self, packet: Option<&Packet<'_>>, matcher: &mut Matcher) {
        let Place { time, .. } = matcher.oddities.place;
        let Some(packet) = packet else { return self.damage.note(None, None, time) };
        let (key, side) = FlowKey::of(packet);
        if !self.index.contains_key(&key) {
            let [from, to] = [packet.src, packet.dst].map(|ip| self.addresses.known(ip, packet.domain));
            self.damage.note(from, to, time);
            if from.is_none() || to.is_none() || !matches!(packet.transport, TCP | UDP) {
                return;
            }
        }
        let at = self.find(key, packet, side, matcher);
        let flow = self.pool.get_mut(at as usize);
        if let Some(own) = flow.and_then(|flow| flow.sides.get_mut(side)) {
            own.damaged += 1;
            own.note_damage(time);
            own.stream.damaged_bytes += packet.length as u64;
        }
    }

    /// Notes a frame of a flow that is followed.
    #[cold]
    fn follow(&mut self, at: u32, packet: &Packet<'_>, side: usize, place: Place) {
        let Followed { flows, packets } = &mut self.followed;
        let Some(flow) = self.pool.get(at as usize).filter(|flow| flows.contains(&flow.id)) else { return };
        let Party { address: source, port: source_port } = flow.path(side, at).from;
        let Place { capture, frame, .. } = place;
        let (tcp_flags, length) = (packet.tcp_flags, packet.length as u32);
        packets.push(PacketRow { capture, frame, flow: flow.id, source, source_port, tcp_flags, length, kind: 0 });
    }

    /// An ICMP error quoting a packet of this flow.
    pub fn unreachable(&mut self, quoted: &Packet<'_>, code: u8, place: Place) {
        let at = self.index.get(&FlowKey::of(quoted).0);
        let Some(flow) = at.and_then(|at| self.pool.get_mut(*at as usize)) else { return };
        if flow.row.icmp == 0 {
            (flow.row.icmp_frame, flow.row.icmp_time, flow.row.icmp_code) = (place.frame, place.time, code);
        }
        flow.row.icmp = flow.row.icmp.saturating_add(1);
        let Followed { flows, packets } = &mut self.followed;
        if flows.contains(&flow.id) {
            let Place { capture, frame, .. } = place;
            packets.push(PacketRow { capture, frame, flow: flow.id, kind: 1, ..PacketRow::default() });
        }
    }

    /// The capture has ended: what waits for holes goes on without them.
    pub fn finish_streams(&mut self, matcher: &mut Matcher) {
        for (flow, at) in self.pool.iter_mut().zip(0..) {
            flow.finish_streams(at, &mut self.room.0, matcher);
        }
    }

    /// Every flow leaves as a row.
    pub fn finish_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        self.rows = self.with_those_in_reach(rows);
        (self.ended, self.pool) = (Ended::default(), Vec::new());
        self.index.clear();
        self.latest = None;
        debug_assert_eq!(self.room.0, Room::default().0, "all room is given back");
    }

    /// The flows still in reach, as they stand.
    pub fn in_reach(&self) -> Flows {
        self.with_those_in_reach(Flows::default()).take()
    }

    fn with_those_in_reach(&self, mut rows: Flows) -> Flows {
        self.ended.iter().chain(&self.pool).for_each(|flow| rows.push(flow.row()));
        rows
    }

    /// Forgets the addresses of which no flow, and none of these exchanges, is in reach.
    pub fn forget(&mut self, mut used: HashSet<u32>) {
        used.extend(self.ended.iter().chain(&self.pool).flat_map(|flow| flow.address));
        self.damage.retain(&used);
        self.addresses.retain(&used);
    }

    #[inline(always)]
    fn find(&mut self, key: FlowKey, packet: &Packet<'_>, side: usize, matcher: &mut Matcher) -> u32 {
        if let Some((latest, at)) = self.latest
            && latest == key
        {
            return at;
        }
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None => {
                let at = self.create(key, matcher);
                let (source, target) = (packet.src, packet.dst);
                let (low, high) = if side == 0 { (source, target) } else { (target, source) };
                let address = [low, high].map(|ip| self.addresses.number(ip, packet.domain, &mut matcher.oddities));
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

    fn is_new_connection(&self, at: u32, packet: &Packet<'_>, side: usize, time: i64) -> bool {
        self.pool.get(at as usize).is_some_and(|flow| flow.is_new_connection(packet, side, time))
    }

    /// Begins a flow, in the place of the one with this key if there is one.
    fn create(&mut self, key: FlowKey, matcher: &mut Matcher) -> u32 {
        let row = Flow::first_row(key.transport(), matcher.oddities.place);
        let address = self.index.get(&key).and_then(|at| self.pool.get(*at as usize)).map(|old| old.address);
        let flow = Flow::new(self.next_id, key, address.unwrap_or_default(), row);
        self.next_id = self.next_id.wrapping_add(1);
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if self.pool.len() < MAX_FLOWS => self.pool.len() as u32,
            None => self.evict(matcher),
        };
        match self.pool.get_mut(at as usize) {
            Some(slot) => *slot = flow,
            None => self.pool.push(flow),
        }
        self.index.insert(key, at);
        at
    }

    /// The flow at `at` is over; its place will be taken at once.
    fn end(&mut self, at: u32, why: u16, matcher: &mut Matcher) {
        let Some(flow) = self.pool.get_mut(at as usize) else { return };
        flow.finish_streams(at, &mut self.room.0, matcher);
        flow.row.flags |= why;
        let placeholder = Flow::new(flow.id, flow.key, flow.address, FlowRow::default());
        let gone = std::mem::replace(flow, placeholder);
        if let Some(oldest) = self.ended.push(gone) {
            self.rows.push(oldest.row());
        }
    }

    fn evict(&mut self, matcher: &mut Matcher) -> u32 {
        let count = self.pool.len();
        let sample = (0..EVICTION_SAMPLE).map(|step| (self.hand + step) % count);
        let oldest = sample.min_by_key(|at| self.pool.get(*at).map_or(i64::MAX, |flow| flow.row.last)).unwrap_or(0);
        self.hand = (self.hand + EVICTION_SAMPLE) % count;
        if let Some(flow) = self.pool.get(oldest) {
            matcher.oddities.push("flow-evicted", u64::from(flow.id));
            self.index.remove(&flow.key);
            self.latest = None;
        }
        self.end(oldest as u32, flag::EVICTED, matcher);
        oldest as u32
    }
}

impl Fates for FlowTable {
    fn fate(&self, path: &Path) -> Option<Fate> {
        let live = self.pool.get(path.slot as usize).filter(|flow| flow.id == path.flow);
        let flow = live.or_else(|| self.ended.get(path.flow))?;
        flow.fate(path, self.damage.between(path.to.address, path.from.address))
    }
}

/// Whether a connection is known to be of iWARP, by this segment at the latest.
#[inline(never)]
fn is_iwarp(known: &mut bool, packet: &Packet<'_>) -> bool {
    *known |= infiniband::is_iwarp(packet.payload);
    *known
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::batch::NO_TIME;

    fn packet<'a>() -> Packet<'a> {
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        Packet {
            src: ip,
            dst: ip,
            src_port: 1,
            dst_port: 2,
            transport: TCP,
            ip_id: 0,
            seq: 0,
            ack: 0,
            tcp_flags: 0,
            payload: &[],
            length: 0,
            domain: 0,
            sum: Sum::Unknown,
        }
    }

    #[test]
    fn the_longest_silent_of_the_next_few_goes() {
        let (mut table, mut matcher) = (FlowTable::default(), Matcher::default());
        // Of the first sixteen the last is the longest silent; of all, the one after it.
        let last = |port: u16| match port {
            15 => 20,
            16 => 10,
            _ => 30,
        };
        for port in 0..32 {
            let (key, _) = FlowKey::of(&Packet { src_port: port, dst_port: 100, ..packet() });
            let at = table.create(key, &mut matcher) as usize;
            table.pool[at].row.last = last(port);
        }
        assert_eq!([table.evict(&mut matcher), table.evict(&mut matcher)], [15, 16]);
    }

    #[test]
    fn so_many_connections_that_ended_are_known() {
        let (key, _) = FlowKey::of(&packet());
        let flow = |id| Flow::new(id, key, [0, 0], FlowRow { first: NO_TIME, ..FlowRow::default() });
        let mut ended = Ended::default();
        assert!((0..8_192).all(|id| ended.push(flow(id)).is_none()));
        assert_eq!(ended.push(flow(8_192)).map(|flow| flow.id), Some(0));
        assert_eq!((ended.get(0).is_some(), ended.get(1).is_some(), ended.iter().count()), (false, true, 8_192));
    }
}
