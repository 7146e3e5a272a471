//! Numbers of exchanges, flows and strings, which several back ends give on their own, made those that a single one would have
//! given: by when each was first seen.
//!
//! Back ends give provisional numbers and note after which event they had given how many. From time to time they stop, their
//! notes are merged in the order of events, and their rows, and what is yet in reach, get the final numbers.

use crate::backend::{Backend, Rows};
use crate::births::{Births, PROVISIONAL, in_order};
use crate::oddity::{Oddities, Place};
use crate::strings::{NO_STRING, Strings};
use crate::xdr::{ColumnValues, Kind, Table};

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
            births.iter().map(|births| Final { strings: births.known().to_vec(), ..Final::default() }).collect();
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

fn extend(known: Option<&mut Vec<u32>>, next: &mut u32, count: u32) {
    // Final numbers stay lower than provisional ones.
    let number = |next: &mut u32| std::mem::replace(next, (*next + 1) % PROVISIONAL);
    if let Some(known) = known {
        known.extend((0..count).map(|_| number(next)));
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
