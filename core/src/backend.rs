//! What stands behind the network layer, for some of the shards: flows, RPC, exchanges, bodies. The back ends know nothing of
//! each other, but for changes of the names of files ([`Together`]).

use std::sync::Arc;

use hashbrown::HashSet;

use crate::batch::{Accesses, Copies, Exchanges, Flows, Latencies, Packets, Tallies};
use crate::births::Births;
use crate::damage::Damage;
use crate::flow::Ends;
use crate::flow_table::{FlowFates, FlowTable};
use crate::known_names::{Decision, Together};
use crate::matcher::{Matcher, Reach};
use crate::oddity::{Oddity, Place};
use crate::packets::Packet;
use crate::procedures::ByProcedure;
use crate::select::RawMessage;
use crate::shard::{At, SHARDS};
use crate::strings::{NO_STRING, Strings};
use crate::tunnel::UnreadCounts;
use crate::weight::Weight;
use crate::xdr::Table;

/// What became final in one back end.
#[derive(Default)]
pub struct Rows {
    pub exchanges: Exchanges,
    pub copies: Copies,
    pub flows: Flows,
    pub oddities: Vec<Oddity>,
    pub decoded: Vec<Table>,
    pub tallies: Tallies,
    pub latencies: Latencies,
    pub accesses: Accesses,
    pub messages: Vec<RawMessage>,
    pub packets: Packets,
    pub weight: Weight,
}

impl Rows {
    pub fn append(&mut self, mut rows: Rows) {
        self.exchanges.append(rows.exchanges);
        self.copies.append(rows.copies);
        self.flows.append(rows.flows);
        self.oddities.append(&mut rows.oddities);
        if self.decoded.is_empty() {
            self.decoded = rows.decoded;
        } else {
            self.decoded.iter_mut().zip(rows.decoded).for_each(|(table, more)| table.append(more));
        }
        self.tallies.append(rows.tallies);
        self.latencies.append(rows.latencies);
        self.accesses.append(rows.accesses);
        self.messages.append(&mut rows.messages);
        self.packets.append(rows.packets);
        self.weight += rows.weight;
    }
}

pub struct Backend {
    pub flows: FlowTable,
    pub matcher: Matcher,
    /// What numbers were given when; nothing where this is the only back end, whose numbers are final.
    pub births: Option<Births>,
    /// The shards but that at hand, and in which place each is; one place has nothing.
    reaches: [Reach; SHARDS],
    places: [usize; SHARDS],
    shard: usize,
}

impl Default for Backend {
    fn default() -> Self {
        Backend::new(FlowTable::default(), Matcher::default(), None)
    }
}

impl Backend {
    pub fn new(flows: FlowTable, matcher: Matcher, births: Option<Births>) -> Backend {
        let mut places = [0; SHARDS];
        places.iter_mut().enumerate().for_each(|(shard, place)| *place = shard);
        Backend { flows, matcher, births, places, reaches: Default::default(), shard: 0 }
    }

    /// Takes a shard to hand, and notes where decoding stands.
    #[inline]
    fn enter(&mut self, shard: usize, place: Place) {
        self.matcher.oddities.place = place;
        if shard != self.shard {
            self.change(shard);
        }
    }

    #[inline]
    fn change(&mut self, shard: usize) {
        let Some(place) = self.places.get(shard).copied() else { return };
        if let (Some(reach), Some(own)) = (self.reaches.get_mut(place), self.places.get_mut(self.shard)) {
            self.matcher.swap(reach, shard);
            *own = place;
            self.shard = shard;
        }
    }

    /// Notes what this event gave numbers to.
    #[inline]
    pub fn note(&mut self, event: u64, place: Place) {
        let exchanges = *self.matcher.next_number();
        let Some(births) = &mut self.births else { return };
        births.note(event, place, exchanges, self.flows.next_id, self.matcher.bodies.strings.len() as u32);
    }

    /// The strings in use have these final numbers.
    pub fn know(&mut self, known: Vec<u32>) {
        if let Some(births) = &mut self.births {
            births.know(known);
        }
    }

    /// The final number of a string that was in use when numbers were made final.
    pub fn known_string(&self, number: u32) -> u32 {
        match &self.births {
            Some(births) => births.known().get(number as usize).copied().unwrap_or(NO_STRING),
            None => number,
        }
    }

    pub fn begin(&mut self, at: At, side: usize, place: Place, ends: Ends) {
        self.flows.begin(at, side, place, ends);
    }

    #[inline]
    pub fn packet(&mut self, at: At, side: usize, place: Place, packet: &Packet<'_>, doubted: bool) {
        self.enter(at.shard(), place);
        self.flows.packet(at, side, packet, doubted, &mut self.matcher);
    }

    pub fn damaged(&mut self, at: At, side: usize, place: Place, length: usize) {
        self.flows.damaged(at, side, length, place);
    }

    pub fn unreachable(&mut self, at: At, place: Place, code: u8) {
        self.flows.unreachable(at, code, place);
    }

    pub fn evict(&mut self, at: At, place: Place) {
        self.enter(at.shard(), place);
        self.flows.evict(at, &mut self.matcher);
    }

    /// The capture has ended: what waits for holes in the streams of a shard goes on without them.
    pub fn finish_streams(&mut self, shard: usize, place: Place) {
        self.enter(shard, place);
        self.flows.finish_streams(shard, &mut self.matcher);
    }

    /// Every exchange of a shard leaves as a row.
    pub fn finish_exchanges(&mut self, shard: usize, place: Place, damage: &Damage) {
        self.enter(shard, place);
        self.matcher.finish_all(&FlowFates { flows: &self.flows, damage });
    }

    /// How much waits to be taken.
    pub fn weight(&self) -> Weight {
        let Matcher { bodies, output, .. } = &self.matcher;
        Weight {
            exchanges: output.uncounted,
            messages: bodies.rows() + output.copies.count(),
            sums: output.counts.undrained() + self.flows.rows.count(),
            strings: bodies.weight.strings + output.counts.handles,
            ..bodies.weight
        }
    }

    /// Strings that other back ends may have, too; a long one counts for several.
    pub fn strings_apart(&self) -> usize {
        self.births
            .as_ref()
            .map_or(0, |births| self.matcher.bodies.strings.weight().saturating_sub(births.known().len()))
    }

    /// How many exchanges and flows have provisional numbers.
    pub fn numbered(&self) -> usize {
        self.births.as_ref().map_or(0, Births::numbered)
    }

    /// Frames captured twice, and those of iWARP, since the last call.
    pub fn take_counts(&mut self) -> (u32, UnreadCounts) {
        (std::mem::take(&mut self.flows.duplicates), std::mem::take(&mut self.flows.iwarp))
    }

    /// The tables of fields, and what becomes of exchanges that perhaps repeat a known name.
    fn take_tables(&mut self) -> (Vec<Table>, Decision) {
        let next = *self.matcher.next_number();
        let (tables, decision) = self.matcher.bodies.take_tables(next);
        for shard in 0..if decision == Decision::Nothing { 0 } else { SHARDS } {
            self.enter(shard, self.matcher.oddities.place);
            self.matcher.decide(decision);
        }
        (tables, decision)
    }

    /// What is final since the last call.
    pub fn take(&mut self) -> Rows {
        let weight = self.weight();
        let (decoded, decision) = self.take_tables();
        let Backend { flows, matcher, .. } = self;
        let Matcher { output, oddities, .. } = matcher;
        let repeating = output.repeating.take();
        if decision == Decision::Stay {
            output.rows.append(repeating);
        }
        output.uncounted = 0;
        let (tallies, latencies) = output.counts.take();
        Rows {
            exchanges: output.rows.take(),
            copies: output.copies.take(),
            flows: flows.rows.take(),
            oddities: oddities.take(),
            decoded,
            tallies,
            latencies,
            accesses: output.counts.take_accesses(),
            messages: std::mem::take(&mut output.messages),
            packets: flows.followed.packets.take(),
            weight,
        }
    }

    /// The flows in reach, as they stand.
    pub fn flows_in_reach(&self) -> Flows {
        let mut flows = Flows::default();
        self.flows.in_reach(&mut flows);
        flows.take()
    }

    /// The exchanges in reach, as they stand.
    pub fn exchanges_in_reach(&mut self, damage: &Damage) -> Exchanges {
        let mut exchanges = Exchanges::default();
        for shard in 0..SHARDS {
            self.enter(shard, self.matcher.oddities.place);
            self.matcher.in_reach(&FlowFates { flows: &self.flows, damage }, &mut exchanges);
        }
        let mut exchanges = exchanges.take();
        exchanges.machine.iter_mut().for_each(|machine| *machine = self.known_string(*machine));
        exchanges
    }

    /// The addresses of what is in reach, but for flows that go on.
    pub fn addresses(&mut self, used: &mut HashSet<u32>) {
        used.extend(self.flows.addresses());
        for shard in 0..SHARDS {
            self.enter(shard, self.matcher.oddities.place);
            used.extend(self.matcher.addresses());
        }
    }

    /// From now on, LOOKUPs that repeat a known name are counted only.
    pub fn begin_to_know_names(&mut self, lookups: ByProcedure<usize>, together: Arc<Together>) {
        let next = *self.matcher.next_number();
        self.matcher.bodies.begin_to_know_names(lookups, together, next);
    }

    /// Secondary rows and sums by handle have all their room again.
    pub fn forget_rows(&mut self) {
        self.matcher.bodies.forget_rows();
        self.matcher.output.counts.forget();
    }

    /// Numbers of strings begin anew, with those in use. Returns their earlier numbers.
    pub fn renew_strings(&mut self) -> Vec<u32> {
        let apart = self.births.is_some();
        let fresh = if apart { Strings::apart() } else { Strings::default() };
        let old = self.matcher.bodies.replace_strings(fresh);
        let mut earlier = Vec::new();
        for shard in 0..SHARDS {
            self.enter(shard, self.matcher.oddities.place);
            self.matcher.renew_strings(|strings, number| {
                let Some(value) = old.get(number) else { return NO_STRING };
                let new = strings.intern(value, old.is_sparing(number)).unwrap_or(NO_STRING);
                if new as usize == earlier.len() {
                    earlier.push(number);
                }
                new
            });
        }
        earlier
    }

    /// Exchanges and flows get other numbers, in reach and in what waits to be taken, and those to come begin with `next`.
    pub fn renumber(&mut self, exchange: impl Fn(u32) -> u32, flow: impl Fn(u32) -> u32, next: u32) {
        for shard in 0..SHARDS {
            self.enter(shard, self.matcher.oddities.place);
            self.matcher.renumber(&exchange, &flow);
        }
        self.flows.renumber(&flow);
        self.flows.next_id = next;
        *self.matcher.next_number() = next;
        let Matcher { output, oddities, bodies, .. } = &mut self.matcher;
        output.renumber(&exchange, &flow);
        bodies.renumber(&exchange, next);
        oddities.renumber(|kind, number| match kind {
            "call-evicted" => exchange(number),
            "flow-evicted" => flow(number),
            _ => number,
        });
    }
}
