//! Which flow a packet belongs to, by the addresses and ports of its two ends, and where that flow is held: the last thing that
//! is done for all packets in their order. What is known of addresses and of senders' checksums, of which one flow may decide
//! what becomes of another's packets, is here, too; all else is divided by pairs of hosts (`shard`).

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

use crate::addresses::{Addresses, is_to_many};
use crate::backends::Backends;
use crate::checksum::Sum;
use crate::damage::{Damage, Senders};
use crate::flow::Ends;
use crate::flow_key::FlowKey;
use crate::oddity::{Oddities, Place};
use crate::packets::{Addressed, Content};
use crate::protocol::{TCP, UDP};
use crate::shard::{At, SHARDS, shard_of};

/// Flows in reach; at 1.4 kB each 23 MB. A node sees a few thousand; beyond, the one longest silent of a few is let go.
pub const MAX_FLOWS: usize = 1 << 14;
/// How many flows are compared when one has to go.
const EVICTION_SAMPLE: usize = 16;

/// Most frames are of flows that had one of late: so many are found without the index.
const LATEST: usize = 1 << 8;

struct Latest([u32; LATEST]);

impl Default for Latest {
    fn default() -> Self {
        Latest([0; LATEST])
    }
}

#[derive(Default)]
pub struct FlowIndex {
    pub addresses: Addresses,
    pub damage: Damage,
    pub oddities: Oddities,
    /// Of the frame at hand.
    pub place: Place,
    /// Numbers of flows, by their keys.
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    flows: Vec<Indexed>,
    /// Flows of the latest frames, each in the one place that its key may have.
    latest: Latest,
    /// Where the next search for a flow to let go begins.
    hand: usize,
    /// How many places each shard has, and which of them are free.
    places: [usize; SHARDS],
    free: [Vec<At>; SHARDS],
    senders: Senders,
}

/// A flow as the index has it.
#[derive(Debug)]
struct Indexed {
    key: FlowKey,
    at: At,
    address: [u32; 2],
    last: i64,
    /// Frames of each side with a right checksum.
    right: [u32; 2],
}

impl Indexed {
    /// Counts a frame with a right checksum; at times returns how many more there were than it returned before.
    fn verified(&mut self, side: usize) -> Option<u32> {
        let right = self.right.get_mut(side)?;
        *right = right.saturating_add(1);
        right.is_power_of_two().then(|| right.div_ceil(2))
    }
}

impl FlowIndex {
    /// Returns where the flow of a packet is held that is not damaged.
    pub fn take(&mut self, place: Place, content: Content<'_>, backends: &mut Backends) -> Option<At> {
        self.place = place;
        match content {
            Content::Packet(packet) => return self.packet(place, packet, backends),
            Content::Unreachable(packet, code) => self.unreachable(place, packet, code, backends),
            Content::Damaged(packet) => self.damaged(place, packet, backends),
            Content::Frame(..) => {}
        }
        None
    }

    /// As [`Self::take`], of a packet.
    #[inline(always)]
    pub fn packet(&mut self, place: Place, packet: &Addressed<'_>, backends: &mut Backends) -> Option<At> {
        self.place = place;
        let (key, side) = FlowKey::of(packet);
        let damage = if packet.sum == Sum::Wrong { self.senders.is_damage(packet) } else { Some(false) };
        if damage == Some(true) {
            self.oddities.place = place;
            self.oddities.push("checksum", packet.packet.length as u64);
            self.damaged(place, Some(packet), backends);
            return None;
        }
        let number = self.find(key, place, packet, side, backends);
        let flow = self.flows.get_mut(number as usize)?;
        flow.last = flow.last.max(place.time);
        if packet.sum == Sum::Right
            && let Some(count) = flow.verified(side)
        {
            self.senders.right(packet, count);
        }
        backends.packet(flow.at, side, place, &packet.packet, damage.is_none());
        Some(flow.at)
    }

    /// An undecided frame: what it may have been is missing from its flow, if that was seen before. Else its ports are
    /// perhaps not its own, and it is missing between these hosts; where one is new, between any.
    #[cold]
    #[inline(never)]
    fn damaged(&mut self, place: Place, packet: Option<&Addressed<'_>>, backends: &mut Backends) {
        let Some(packet) = packet else { return self.damage.note(None, None, place.time) };
        let (key, side) = FlowKey::of(packet);
        if self.number(key).is_none() {
            let [from, to] = [packet.src, packet.dst].map(|ip| self.addresses.known(ip, packet.domain));
            self.damage.note(from, to, place.time);
            if from.is_none() || to.is_none() || !matches!(packet.packet.transport, TCP | UDP) {
                return;
            }
        }
        let number = self.find(key, place, packet, side, backends);
        if let Some(flow) = self.flows.get(number as usize) {
            backends.damaged(flow.at, side, place, &packet.packet);
        }
    }

    /// An ICMP error quoting a packet of a flow.
    #[cold]
    fn unreachable(&mut self, place: Place, quoted: &Addressed<'_>, code: u8, backends: &mut Backends) {
        let number = self.number(FlowKey::of(quoted).0);
        if let Some(flow) = number.and_then(|number| self.flows.get(number as usize)) {
            backends.unreachable(flow.at, place, code);
        }
    }

    #[inline(always)]
    fn number(&self, key: FlowKey) -> Option<u32> {
        let is_it = |number: &u32| self.flows.get(*number as usize).is_some_and(|flow| flow.key == key);
        self.index.find(self.hasher.hash_one(key), is_it).copied()
    }

    #[inline(always)]
    fn find(
        &mut self,
        key: FlowKey,
        place: Place,
        packet: &Addressed<'_>,
        side: usize,
        backends: &mut Backends,
    ) -> u32 {
        let at = key.mixed() % LATEST;
        let latest = self.latest.0.get(at).copied().unwrap_or_default();
        if self.flows.get(latest as usize).is_some_and(|flow| flow.key == key) {
            return latest;
        }
        let number = match self.number(key) {
            Some(number) => number,
            None => self.begin(key, place, packet, side, backends),
        };
        if let Some(latest) = self.latest.0.get_mut(at) {
            *latest = number;
        }
        number
    }

    #[cold]
    #[inline(never)]
    fn begin(
        &mut self,
        key: FlowKey,
        place: Place,
        packet: &Addressed<'_>,
        side: usize,
        backends: &mut Backends,
    ) -> u32 {
        let number = if self.flows.len() < MAX_FLOWS { self.flows.len() } else { self.evict(place, backends) };
        let (low, high) = if side == 0 { (packet.src, packet.dst) } else { (packet.dst, packet.src) };
        self.oddities.place = place;
        let address = [low, high].map(|ip| self.addresses.number(ip, packet.domain, &mut self.oddities));
        let at = self.room(shard_of(address));
        let flow = Indexed { key, at, address, last: place.time, right: [0; 2] };
        match self.flows.get_mut(number) {
            Some(known) => *known = flow,
            None => self.flows.push(flow),
        }
        let (hasher, flows) = (&self.hasher, &self.flows);
        let hash = |number: &u32| hasher.hash_one(flows.get(*number as usize).map_or(key, |flow| flow.key));
        self.index.insert_unique(hasher.hash_one(key), number as u32, hash);
        let ends = Ends {
            address,
            ports: [key.port(0), key.port(1)],
            transport: key.transport(),
            to_many: [low, high].map(is_to_many),
        };
        backends.begin(at, side, place, ends);
        number as u32
    }

    /// A place in a shard.
    fn room(&mut self, shard: usize) -> At {
        if let Some(at) = self.free.get_mut(shard).and_then(Vec::pop) {
            return at;
        }
        let places = self.places.get_mut(shard);
        At::new(shard, places.map_or(0, |places| std::mem::replace(places, *places + 1)))
    }

    fn evict(&mut self, place: Place, backends: &mut Backends) -> usize {
        let count = self.flows.len();
        let sample = (0..EVICTION_SAMPLE).map(|step| (self.hand + step) % count);
        let oldest =
            sample.min_by_key(|number| self.flows.get(*number).map_or(i64::MAX, |flow| flow.last)).unwrap_or(0);
        self.hand = (self.hand + EVICTION_SAMPLE) % count;
        if let Some(flow) = self.flows.get(oldest) {
            let entry = self.index.find_entry(self.hasher.hash_one(flow.key), |number| *number as usize == oldest);
            if let Ok(entry) = entry {
                entry.remove();
            }
            backends.evict(flow.at, place);
            if let Some(free) = self.free.get_mut(flow.at.shard()) {
                free.push(flow.at);
            }
        }
        oldest
    }

    /// Forgets the addresses of which no flow, and nothing else in reach, is. Returns the numbers of the others, sorted.
    pub fn forget_addresses(&mut self, mut used: HashSet<u32>) -> Vec<u32> {
        used.extend(self.flows.iter().flat_map(|flow| flow.address));
        self.damage.retain(&used);
        self.addresses.retain(&used);
        let mut numbers: Vec<_> = used.into_iter().collect();
        numbers.sort_unstable();
        numbers
    }

    /// No flow goes on.
    pub fn close(&mut self) {
        let (addresses, oddities) = (std::mem::take(&mut self.addresses), std::mem::take(&mut self.oddities));
        *self = FlowIndex { addresses, oddities, ..FlowIndex::default() };
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::packets::Packet;

    fn packet(src_port: u16) -> Addressed<'static> {
        let ip = IpAddr::from(Ipv4Addr::LOCALHOST);
        let packet = Packet { transport: TCP, ..Packet::default() };
        Addressed { src: ip, dst: ip, src_port, dst_port: 100, domain: 0, sum: Sum::Unknown, packet }
    }

    #[test]
    fn the_longest_silent_of_the_next_few_goes() {
        let (mut index, mut backends) = (FlowIndex::default(), Backends::default());
        // Of the first sixteen the last is the longest silent; of all, the one after it.
        let last = |port: u16| match port {
            15 => 20,
            16 => 10,
            _ => 30,
        };
        for port in 0..32 {
            let place = Place { time: last(port), ..Place::default() };
            index.packet(place, &packet(port), &mut backends);
        }
        let place = Place::default();
        assert_eq!([index.evict(place, &mut backends), index.evict(place, &mut backends)], [15, 16]);
    }

    /// More flows than are found without the index, in turns.
    #[test]
    fn every_flow_is_found_again() {
        let (mut index, mut backends) = (FlowIndex::default(), Backends::default());
        let mut found = || -> Vec<_> {
            (200..2_200).map(|port| index.packet(Place::default(), &packet(port), &mut backends)).collect()
        };
        let first = found();
        assert_eq!(found(), first);
        let distinct: HashSet<_> = first.iter().flatten().map(|at| (at.shard(), at.slot())).collect();
        assert_eq!((distinct.len(), index.flows.len()), (2_000, 2_000));
    }

    #[test]
    fn right_checksums_are_told_at_powers_of_two() {
        let (key, _) = FlowKey::of(&packet(1));
        let mut flow = Indexed { key, at: At::default(), address: [0; 2], last: 0, right: [0; 2] };
        let told: Vec<_> = (0..8).map(|_| flow.verified(1)).collect();
        assert_eq!(told, [Some(1), Some(1), None, Some(2), None, None, None, Some(4)]);
    }
}
