//! Numbers of exchanges, flows and strings, which several back ends give on their own, made those that a single one would have
//! given: by when each was first seen.
//!
//! Back ends give provisional numbers and note after which event each was given. From time to time they stop; then each puts its
//! notes among those of the others, in the order of events, and its rows, and what is yet in reach, get the final numbers.

use crate::backend::{Backend, Rows};
use crate::births::{Births, InOrder, PROVISIONAL, strings_in_order};
use crate::oddity::{Oddities, Place};
use crate::strings::{NO_STRING, Strings};
use crate::xdr::{ColumnValues, Kind};

/// The final numbers so far.
#[derive(Default)]
pub struct Numbering {
    exchanges: u32,
    flows: u32,
    pub strings: Strings,
}

/// What a back end needs to make the numbers final that it gave to exchanges and flows.
pub struct Sequence {
    exchanges: InOrder,
    flows: InOrder,
    own: usize,
}

/// The final number of what a back end has given this one.
fn numbered(known: &[u32], number: u32) -> u32 {
    let at = number.checked_sub(PROVISIONAL);
    at.and_then(|at| known.get(at as usize)).copied().unwrap_or(number)
}

/// The final number of a string that has this one in a back end.
fn final_string(known: &[u32], number: u32) -> u32 {
    known.get(number as usize).copied().unwrap_or(NO_STRING)
}

impl Numbering {
    /// The order of the exchanges and flows that back ends have numbered.
    pub fn sequences(&mut self, backends: &mut [Backend]) -> Vec<Sequence> {
        let numbered = backends.iter_mut().filter_map(|backend| Some(backend.births.as_mut()?.take()));
        let (exchanges, flows) = numbered.unzip();
        let (exchanges, flows) = (InOrder::new(exchanges, self.exchanges), InOrder::new(flows, self.flows));
        (self.exchanges, self.flows) = (exchanges.next(), flows.next());
        let sequence = |own| Sequence { exchanges: exchanges.clone(), flows: flows.clone(), own };
        (0..backends.len()).map(sequence).collect()
    }

    /// The final numbers of the strings of each back end.
    pub fn strings(&mut self, backends: &[Backend], oddities: &mut Oddities) -> Vec<Vec<u32>> {
        let births: Vec<&Births> = backends.iter().filter_map(|backend| backend.births.as_ref()).collect();
        let mut finals: Vec<Vec<u32>> = births.iter().map(|births| births.known().to_vec()).collect();
        strings_in_order(&births, |at, place| {
            let (Some(known), Some(backend)) = (finals.get_mut(at), backends.get(at)) else { return };
            known.push(self.string(&backend.matcher.bodies.strings, known.len() as u32, place, oddities));
        });
        finals
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

/// Exchanges and flows of a back end get their final numbers.
pub fn number(backend: &mut Backend, sequence: &Sequence) {
    let Sequence { exchanges, flows, own } = sequence;
    let (exchanges, flows) = (exchanges.numbers_of(*own), flows.numbers_of(*own));
    backend.renumber(|number| numbered(&exchanges, number), |number| numbered(&flows, number), PROVISIONAL);
}

/// Takes the rows of a back end, with final numbers; what is in reach gets them, too.
pub fn take(backend: &mut Backend, (sequence, strings): &(Sequence, Vec<u32>)) -> Rows {
    number(backend, sequence);
    let mut rows = backend.take();
    apply_strings(strings, &mut rows);
    let earlier = backend.renew_strings();
    backend.know(earlier.iter().map(|number| final_string(strings, *number)).collect());
    rows
}

/// Rows get these final numbers of strings.
fn apply_strings(known: &[u32], rows: &mut Rows) {
    for column in [&mut rows.exchanges.machine, &mut rows.tallies.machine, &mut rows.accesses.handle] {
        column.iter_mut().for_each(|number| *number = final_string(known, *number));
    }
    let columns = rows.decoded.iter_mut().flat_map(|table| &mut table.columns);
    for column in columns.filter(|column| column.kind == Kind::Bytes) {
        let ColumnValues::Narrow(values) = &mut column.values else { continue };
        for (value, valid) in values.iter_mut().zip(&column.valid) {
            if *valid {
                *value = final_string(known, *value);
            }
        }
    }
}
