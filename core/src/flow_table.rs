//! The flows of the shards that one back end has: packets go to the flow that they belong to, which is started and ended here.
//!
//! A SYN with another initial sequence number on a known four-tuple is a new connection: the kernel's lockd client reconnects
//! from the same reserved port. The connection before it is kept a while for the fate of its unanswered calls.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};

use crate::batch::{FlowRow, Flows, PacketRow, Packets, flow_flag as flag};
use crate::conversation::Conversation;
use crate::damage::Damage;
use crate::exchange::{Fate, Fates, Party, Path};
use crate::flow::{Ends, Flow};
use crate::infiniband;
use crate::matcher::Matcher;
use crate::oddity::Place;
use crate::packets::Packet;
use crate::protocol::{SYN, TCP};
use crate::rpc::{MAX_STORED, Outlet};
use crate::shard::{At, SHARDS};
use crate::tunnel::UnreadCounts;

/// Ended connections of a shard of which the fate of unanswered calls is still known.
const MAX_ENDED: usize = 1 << 10;
/// The number of a flow that is none: its place is free.
const NO_FLOW: u32 = u32::MAX;

#[derive(Default)]
pub struct FlowTable {
    pub rows: Flows,
    pub followed: Followed,
    /// Frames captured twice.
    pub duplicates: u32,
    /// Frames of iWARP.
    pub iwarp: UnreadCounts,
    pub next_id: u32,
    shards: [Shard; SHARDS],
}

/// The flows of one shard.
struct Shard {
    pool: Vec<Flow>,
    ended: Ended,
    /// What is left of its share of [`MAX_STORED`].
    room: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Shard { pool: Vec::new(), ended: Ended::default(), room: MAX_STORED / SHARDS }
    }
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

    /// Flows with other numbers.
    fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        let flows = std::mem::take(&mut self.flows);
        self.order.iter_mut().for_each(|id| *id = number(*id));
        self.flows.extend(flows.into_values().map(|mut flow| {
            flow.id = number(flow.id);
            (flow.id, flow)
        }));
    }
}

impl Shard {
    fn get(&self, at: At) -> Option<&Flow> {
        self.pool.get(at.slot())
    }

    /// Those in reach, the ones that have ended first.
    fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.ended.iter().chain(self.pool.iter().filter(|flow| flow.id != NO_FLOW))
    }
}

impl FlowTable {
    /// `followed`: flows of which every frame is noted; `first`: the number of the first flow.
    pub fn new(followed: HashSet<u32>, first: u32) -> FlowTable {
        let followed = Followed { flows: followed, ..Followed::default() };
        FlowTable { followed, next_id: first, ..FlowTable::default() }
    }

    fn shard(&self, at: At) -> Option<&Shard> {
        self.shards.get(at.shard())
    }

    pub fn get(&self, at: At) -> Option<&Flow> {
        self.shard(at)?.get(at)
    }

    /// The flow with this number, which was at this place.
    fn known(&self, at: At, number: u32) -> Option<&Flow> {
        let shard = self.shard(at)?;
        shard.get(at).filter(|flow| flow.id == number).or_else(|| shard.ended.get(number))
    }

    fn get_mut(&mut self, at: At) -> Option<&mut Flow> {
        self.shards.get_mut(at.shard())?.pool.get_mut(at.slot())
    }

    /// `side` sent the first frame that was seen.
    pub fn begin(&mut self, at: At, side: usize, place: Place, ends: Ends) {
        self.create(at, place, ends);
        if let Some(flow) = self.get_mut(at) {
            flow.row.client = side as u32;
        }
    }

    /// `doubted`: it may be damaged.
    #[inline]
    pub fn packet(&mut self, at: At, side: usize, packet: &Packet<'_>, doubted: bool, matcher: &mut Matcher) {
        let place = matcher.oddities.place;
        if packet.transport == TCP && packet.tcp_flags & SYN != 0 && self.syn(at, side, packet, matcher) {
            return self.damaged(at, side, packet.length, place);
        }
        if !self.followed.flows.is_empty() {
            self.follow(at, packet, side, place);
        }
        let FlowTable { shards, duplicates, iwarp, .. } = self;
        let Some(Shard { pool, room, .. }) = shards.get_mut(at.shard()) else { return };
        let Some(flow) = pool.get_mut(at.slot()) else { return };
        flow.row.last = flow.row.last.max(place.time);
        let path = flow.path(side, at);
        let (own, other) = Flow::sides_from(&mut flow.sides, side);
        if own.captured_before(packet, place.time, other) {
            flow.row.duplicates += 1;
            *duplicates += 1;
            return;
        }
        own.count(packet, place.time);
        if doubted {
            own.note_damage(place.time);
        }
        let proved = own.stream.records.proved;
        other.heard(place.time);
        let mut sink = Conversation::new(matcher, path);
        let outlet = &mut Outlet { sink: &mut sink, room, place };
        if packet.transport == TCP {
            if !proved && packet.length > 0 && is_iwarp(&mut flow.iwarp, packet) {
                iwarp.rdma(infiniband::iwarp_holds_rpc(packet.payload));
            }
            let twice = flow.tcp(packet, side, outlet);
            if outlet.sink.starttls {
                flow.row.flags |= flag::TLS;
                flow.sides.iter_mut().for_each(|side| side.stream.records.stop(outlet));
            }
            *duplicates += u32::from(twice);
        } else {
            flow.udp(packet, side, outlet);
        }
    }

    /// Begins a new connection if this SYN opens one. Returns whether it is none but a damaged segment.
    #[cold]
    fn syn(&mut self, at: At, side: usize, packet: &Packet<'_>, matcher: &mut Matcher) -> bool {
        let place = matcher.oddities.place;
        let Some(flow) = self.get(at).filter(|flow| flow.is_new_connection(packet, side, place.time)) else {
            return false;
        };
        if flow.goes_on(packet, side) {
            matcher.oddities.push("corrupt-syn", packet.seq.into());
            self.follow(at, packet, side, place);
            return true;
        }
        let (open, ends) = (flow.is_open(), flow.ends);
        self.end(at, flag::SUPERSEDED, matcher);
        self.create(at, place, ends);
        if let Some(flow) = self.get_mut(at) {
            flow.doubtful = open;
        }
        false
    }

    /// The program of the flow with this number, which was at this place.
    pub fn program(&self, at: At, number: u32) -> Option<u32> {
        self.known(at, number)?.program()
    }

    /// A frame of this flow that may have been anything.
    #[cold]
    #[inline(never)]
    pub fn damaged(&mut self, at: At, side: usize, length: usize, place: Place) {
        if let Some(own) = self.get_mut(at).and_then(|flow| flow.sides.get_mut(side)) {
            own.damaged += 1;
            own.note_damage(place.time);
            own.stream.damaged_bytes += length as u64;
        }
    }

    /// Notes a frame of a flow that is followed.
    #[cold]
    fn follow(&mut self, at: At, packet: &Packet<'_>, side: usize, place: Place) {
        let Some(flow) = self.get(at).filter(|flow| self.followed.flows.contains(&flow.id)) else { return };
        let Party { address: source, port: source_port } = flow.path(side, at).from;
        let Place { capture, frame, .. } = place;
        let (tcp_flags, length, flow) = (packet.tcp_flags, packet.length as u32, flow.id);
        self.followed.packets.push(PacketRow { capture, frame, flow, source, source_port, tcp_flags, length, kind: 0 });
    }

    /// An ICMP error quoting a packet of this flow.
    pub fn unreachable(&mut self, at: At, code: u8, place: Place) {
        let Some(flow) = self.get_mut(at) else { return };
        if flow.row.icmp == 0 {
            (flow.row.icmp_frame, flow.row.icmp_time, flow.row.icmp_code) = (place.frame, place.time, code);
        }
        flow.row.icmp = flow.row.icmp.saturating_add(1);
        let flow = flow.id;
        let Followed { flows, packets } = &mut self.followed;
        if flows.contains(&flow) {
            let Place { capture, frame, .. } = place;
            packets.push(PacketRow { capture, frame, flow, kind: 1, ..PacketRow::default() });
        }
    }

    /// The capture has ended: what waits for holes goes on without them.
    pub fn finish_streams(&mut self, shard: usize, matcher: &mut Matcher) {
        let Some(Shard { pool, room, .. }) = self.shards.get_mut(shard) else { return };
        for (slot, flow) in pool.iter_mut().enumerate() {
            flow.finish_streams(At::new(shard, slot), room, matcher);
        }
    }

    /// Every flow leaves as a row.
    pub fn finish_rows(&mut self) {
        self.shards.iter().flat_map(Shard::iter).for_each(|flow| self.rows.push(flow.row()));
        debug_assert!(self.shards.iter().all(|shard| shard.room == Shard::default().room), "all room is given back");
        self.shards = Default::default();
    }

    /// The flows still in reach, as they stand.
    pub fn in_reach(&self, rows: &mut Flows) {
        self.shards.iter().flat_map(Shard::iter).for_each(|flow| rows.push(flow.row()));
    }

    /// The addresses of connections that have ended and are known yet.
    pub fn addresses(&self) -> impl Iterator<Item = u32> {
        self.shards.iter().flat_map(|shard| shard.ended.iter()).flat_map(|flow| flow.ends.address)
    }

    /// Flows in reach get other numbers.
    pub fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        for Shard { pool, ended, .. } in &mut self.shards {
            pool.iter_mut().filter(|flow| flow.id != NO_FLOW).for_each(|flow| flow.id = number(flow.id));
            ended.renumber(&number);
        }
        self.rows.turn();
        self.rows.flow.iter_mut().for_each(|flow| *flow = number(*flow));
    }

    /// Begins a flow, in the place of the one that is there.
    fn create(&mut self, at: At, place: Place, ends: Ends) {
        let flow = Flow::new(self.next_id, ends, Flow::first_row(ends.transport, place));
        self.next_id = self.next_id.wrapping_add(1);
        let Some(Shard { pool, .. }) = self.shards.get_mut(at.shard()) else { return };
        match pool.get_mut(at.slot()) {
            Some(slot) => *slot = flow,
            None => pool.push(flow),
        }
    }

    /// The flow is over; its place is free.
    fn end(&mut self, at: At, why: u16, matcher: &mut Matcher) {
        let FlowTable { shards, rows, .. } = self;
        let Some(Shard { pool, ended, room }) = shards.get_mut(at.shard()) else { return };
        let Some(flow) = pool.get_mut(at.slot()) else { return };
        flow.finish_streams(at, room, matcher);
        flow.row.flags |= why;
        let placeholder = Flow::new(NO_FLOW, flow.ends, FlowRow::default());
        if let Some(oldest) = ended.push(std::mem::replace(flow, placeholder)) {
            rows.push(oldest.row());
        }
    }

    /// Another flow needs the place of this one.
    pub fn evict(&mut self, at: At, matcher: &mut Matcher) {
        let Some(flow) = self.get(at) else { return };
        matcher.oddities.push("flow-evicted", u64::from(flow.id));
        self.end(at, flag::EVICTED, matcher);
    }
}

/// The fates of unanswered calls, by their flows and by what frames were damaged.
pub struct FlowFates<'a> {
    pub flows: &'a FlowTable,
    pub damage: &'a Damage,
}

impl Fates for FlowFates<'_> {
    fn fate(&self, path: &Path) -> Option<Fate> {
        let flow = self.flows.known(path.at, path.flow)?;
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
    use super::*;
    use crate::batch::NO_TIME;

    #[test]
    fn so_many_connections_that_ended_are_known() {
        let flow = |id| Flow::new(id, Ends::default(), FlowRow { first: NO_TIME, ..FlowRow::default() });
        let mut ended = Ended::default();
        assert!((0..1_024).all(|id| ended.push(flow(id)).is_none()));
        assert_eq!(ended.push(flow(1_024)).map(|flow| flow.id), Some(0));
        assert_eq!((ended.get(0).is_some(), ended.get(1).is_some(), ended.iter().count()), (false, true, 1_024));
    }
}
