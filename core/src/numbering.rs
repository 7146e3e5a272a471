//! Numbers of exchanges, flows and strings, which several back ends give on their own, made those that a single one would have
//! given: by when each was first seen.
//!
//! Back ends give provisional numbers and note after which event they had given how many. From time to time they stop, their
//! notes are merged in the order of events, and their rows, and what is yet in reach, get the final numbers.

use crate::backend::{Backend, Rows};
use crate::oddity::{Oddities, Place};
use crate::strings::{NO_STRING, Strings};
use crate::xdr::{ColumnValues, Kind, Table};

/// The first provisional number: final ones are lower.
pub const PROVISIONAL: u32 = 1 << 31;

/// So many had been numbered after this event.
#[derive(Clone, Copy, Debug)]
struct Run {
    event: u64,
    end: u32,
    place: Place,
}

/// Things of one kind that one back end has numbered.
#[derive(Debug)]
struct Numbered {
    runs: Vec<Run>,
    first: u32,
    end: u32,
}

impl Numbered {
    #[inline]
    fn note(&mut self, event: u64, end: u32, place: Place) {
        if end != self.end {
            self.end = end;
            self.runs.push(Run { event, end, place });
        }
    }

    /// Those to come begin with this number.
    fn from(first: u32) -> Numbered {
        Numbered { runs: Vec::new(), first, end: first }
    }
}

/// What one back end has numbered since its numbers were made final.
#[derive(Debug)]
pub struct Births {
    exchanges: Numbered,
    flows: Numbered,
    strings: Numbered,
    /// The final numbers of strings that were in use when numbers were made final.
    known: Vec<u32>,
}

impl Default for Births {
    fn default() -> Self {
        let (exchanges, flows) = (Numbered::from(PROVISIONAL), Numbered::from(PROVISIONAL));
        Births { exchanges, flows, strings: Numbered::from(0), known: Vec::new() }
    }
}

impl Births {
    /// How many strings have final numbers.
    pub fn known(&self) -> usize {
        self.known.len()
    }
}

impl Backend {
    /// Notes what this event gave numbers to.
    #[inline]
    pub fn note(&mut self, event: u64, place: Place) {
        let exchanges = *self.matcher.next_number();
        let Some(births) = &mut self.births else { return };
        births.exchanges.note(event, exchanges, place);
        births.flows.note(event, self.flows.next_id, place);
        births.strings.note(event, self.matcher.bodies.strings.len() as u32, place);
    }
}

/// The final numbers so far.
#[derive(Default)]
pub struct Numbering {
    exchanges: u32,
    flows: u32,
    pub strings: Strings,
}

/// The final numbers of what a back end had numbered, by the number that it gave.
#[derive(Default)]
struct Final {
    exchanges: Vec<u32>,
    flows: Vec<u32>,
    strings: Vec<u32>,
}

impl Final {
    fn exchange(&self, number: u32) -> u32 {
        numbered(&self.exchanges, number)
    }

    fn flow(&self, number: u32) -> u32 {
        numbered(&self.flows, number)
    }

    fn string(&self, number: u32) -> u32 {
        self.strings.get(number as usize).copied().unwrap_or(NO_STRING)
    }
}

fn numbered(known: &[u32], number: u32) -> u32 {
    let at = number.checked_sub(PROVISIONAL);
    at.and_then(|at| known.get(at as usize)).copied().unwrap_or(number)
}

impl Numbering {
    /// Takes the rows of all back ends, with final numbers, which what is in reach gets, too.
    pub fn settle(&mut self, backends: &mut [Backend], oddities: &mut Oddities) -> Vec<Rows> {
        let births: Vec<Births> = backends.iter_mut().filter_map(|backend| backend.births.take()).collect();
        let mut finals: Vec<Final> =
            births.iter().map(|births| Final { strings: births.known.clone(), ..Final::default() }).collect();
        in_order(
            &births,
            |births| &births.exchanges,
            |at, count, _| {
                extend(finals.get_mut(at).map(|known| &mut known.exchanges), &mut self.exchanges, count);
            },
        );
        in_order(
            &births,
            |births| &births.flows,
            |at, count, _| {
                extend(finals.get_mut(at).map(|known| &mut known.flows), &mut self.flows, count);
            },
        );
        in_order(
            &births,
            |births| &births.strings,
            |at, count, place| {
                let (Some(known), Some(backend)) = (finals.get_mut(at), backends.get(at)) else { return };
                for _ in 0..count {
                    let own = known.strings.len() as u32;
                    known.strings.push(self.string(&backend.matcher.bodies.strings, own, place, oddities));
                }
            },
        );
        let settled = backends.iter_mut().zip(&finals).map(|(backend, known)| {
            let mut rows = backend.take();
            known.apply(&mut rows);
            backend.births = Some(Births::default());
            backend.renumber(|number| known.exchange(number), |number| known.flow(number), PROVISIONAL);
            let earlier = backend.renew_strings();
            backend.know(earlier.iter().map(|number| known.string(*number)).collect());
            rows
        });
        settled.collect()
    }

    fn string(&mut self, strings: &Strings, number: u32, place: Place, oddities: &mut Oddities) -> u32 {
        let (value, sparing) = (strings.get(number).unwrap_or_default(), strings.is_sparing(number));
        let found = self.strings.intern(value, sparing);
        if found.is_none() && self.strings.is_first_refusal(sparing) {
            oddities.place = place;
            oddities.push("strings-full", value.len() as u64);
        }
        found.unwrap_or(NO_STRING)
    }

    /// Begins anew with the final numbers of strings, with those in use, right after they were made final and taken.
    pub fn forget(&mut self, backends: &mut [Backend]) {
        if !self.strings.all_taken() {
            return;
        }
        self.strings = Strings::default();
        for backend in backends {
            let own = &backend.matcher.bodies.strings;
            let again = |number| {
                let value = own.get(number).unwrap_or_default();
                self.strings.intern(value, own.is_sparing(number)).unwrap_or(NO_STRING)
            };
            let known = (0..own.len() as u32).map(again).collect();
            backend.know(known);
        }
    }
}

impl Backend {
    /// The strings in use have these final numbers.
    fn know(&mut self, known: Vec<u32>) {
        if let Some(births) = &mut self.births {
            births.strings = Numbered::from(known.len() as u32);
            births.known = known;
        }
    }

    /// The final number of a string that was in use when numbers were made final.
    pub fn known_string(&self, number: u32) -> u32 {
        match &self.births {
            Some(births) => births.known.get(number as usize).copied().unwrap_or(NO_STRING),
            None => number,
        }
    }
}

fn extend(known: Option<&mut Vec<u32>>, next: &mut u32, count: u32) {
    // Final numbers stay lower than provisional ones.
    let number = |next: &mut u32| std::mem::replace(next, (*next + 1) % PROVISIONAL);
    if let Some(known) = known {
        known.extend((0..count).map(|_| number(next)));
    }
}

/// Hands out what the back ends have numbered in the order of events: of which, how many, where.
fn in_order(births: &[Births], kind: impl Fn(&Births) -> &Numbered, mut sink: impl FnMut(usize, u32, Place)) {
    let mut left: Vec<(&[Run], u32)> =
        births.iter().map(&kind).map(|numbered| (numbered.runs.as_slice(), numbered.first)).collect();
    loop {
        let heads = left.iter().enumerate().filter_map(|(at, (runs, _))| runs.first().map(|run| (run.event, at)));
        let Some((_, at)) = heads.min() else { return };
        let Some((runs, begin)) = left.get_mut(at) else { return };
        let Some((run, rest)) = runs.split_first() else { return };
        sink(at, run.end.wrapping_sub(*begin), run.place);
        (*runs, *begin) = (rest, run.end);
    }
}

impl Final {
    /// Rows get final numbers.
    fn apply(&self, rows: &mut Rows) {
        let each = |column: &mut Vec<u32>, number: &dyn Fn(u32) -> u32| {
            column.iter_mut().for_each(|value| *value = number(*value));
        };
        let exchange = |number: u32| self.exchange(number);
        let flow = |number: u32| self.flow(number);
        let string = |number: u32| self.string(number);
        for column in [&mut rows.exchanges.exchange, &mut rows.copies.exchange] {
            each(column, &exchange);
        }
        for column in [&mut rows.exchanges.flow, &mut rows.copies.flow, &mut rows.flows.flow] {
            each(column, &flow);
        }
        for column in [&mut rows.exchanges.machine, &mut rows.tallies.machine, &mut rows.accesses.handle] {
            each(column, &string);
        }
        rows.messages.iter_mut().for_each(|message| message.exchange = self.exchange(message.exchange));
        rows.decoded.iter_mut().for_each(|table| self.apply_to(table));
        for oddity in &mut rows.oddities {
            match oddity.kind {
                "call-evicted" => oddity.detail = self.exchange(oddity.detail as u32).into(),
                "flow-evicted" => oddity.detail = self.flow(oddity.detail as u32).into(),
                _ => {}
            }
        }
    }

    fn apply_to(&self, table: &mut Table) {
        table.owners.iter_mut().for_each(|owner| owner.exchange = self.exchange(owner.exchange));
        for column in table.columns.iter_mut().filter(|column| column.kind == Kind::Bytes) {
            let ColumnValues::Narrow(values) = &mut column.values else { continue };
            for (value, valid) in values.iter_mut().zip(&column.valid) {
                if *valid {
                    *value = self.string(*value);
                }
            }
        }
    }
}
