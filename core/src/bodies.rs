//! Bodies of messages: the layouts by which they are decoded, the tables that they fill, and the strings in both.

use std::sync::Arc;

use crate::batch::ExchangeRow;
use crate::known_names::{Decision, KnownNames, Together};
use crate::oddity::Oddities;
use crate::procedures::ByProcedure;
use crate::shard::SHARDS;
use crate::strings::{NO_STRING, Strings};
use crate::weight::Weight;
use crate::xdr::{Layout, Layouts, Outcome, Owner, Run, Table};

/// One of arguments and one of results.
const ROWS_OF_LOOKUP: u32 = 2;

#[derive(Default)]
pub struct Bodies {
    pub layouts: Arc<Layouts>,
    pub tables: Vec<Table>,
    pub strings: Strings,
    /// The shard at hand.
    pub shard: usize,
    /// Of the strings that came since tables were taken.
    pub weight: Weight,
    names: KnownNames,
    secondary_rows: [u32; SHARDS],
    /// In each shard, the machine of the last call that names one, since tables were taken.
    latest_machine: [Option<u32>; SHARDS],
}

impl Bodies {
    pub fn new(layouts: Arc<Layouts>, tables: Vec<Table>) -> Bodies {
        Bodies { layouts, tables, ..Bodies::default() }
    }

    #[inline]
    pub fn layout(&self, number: Option<u16>) -> Option<&Layout> {
        self.layouts.get(number)
    }

    /// Decodes a body of `length` bytes, of which `body` was captured, by the layout of this number.
    #[inline(always)]
    pub fn decode(
        &mut self,
        layout: Option<u16>,
        (body, length): (&[u8], usize),
        owner: Owner,
        oddities: &mut Oddities,
    ) -> Option<Outcome> {
        let layout = self.layouts.get(layout)?;
        if let Some(outcome) = layout.brief(body, length) {
            return Some(outcome);
        }
        let rows = self.secondary_rows.get_mut(self.shard)?;
        let (tables, strings, weight) = (&mut self.tables, &mut self.strings, &mut self.weight);
        let mut run = Run { tables, strings, oddities, owner, rows, weight };
        Some(run.run(layout, body, length))
    }

    /// The number of a machine's name, which is mostly that of the call before.
    pub fn machine(&mut self, name: &[u8]) -> Option<u32> {
        let latest = self.latest_machine.get_mut(self.shard)?;
        if latest.and_then(|number| self.strings.get(number)) != Some(name) {
            *latest = self.strings.intern(name, false);
            self.weight.add_string(name.len());
        }
        *latest
    }

    /// The number of the handle that a call is about.
    pub fn handle(&mut self, handle: &[u8], oddities: &mut Oddities) -> u32 {
        let number = self.strings.intern(handle, true);
        if number.is_none() && self.strings.is_first_refusal(true) {
            oddities.push("strings-full", handle.len() as u64);
        }
        number.unwrap_or(NO_STRING)
    }

    /// Takes another pool of strings; returns the one before.
    pub fn replace_strings(&mut self, strings: Strings) -> Strings {
        self.latest_machine = Default::default();
        std::mem::replace(&mut self.strings, strings)
    }

    /// From the exchange of this number on, what these procedures repeat is not kept ([`KnownNames::begin`]).
    pub fn begin_to_know_names(&mut self, lookups: ByProcedure<usize>, together: Arc<Together>, next: u32) {
        let layouts = lookups.iter().map(|((prog, vers, proc), _)| self.layouts.find(prog, vers, proc));
        let layouts = layouts.flat_map(|numbers| [numbers.args, numbers.results]);
        let mut tables: Vec<usize> = layouts.filter_map(|number| self.layout(number)?.table).collect();
        tables.sort_unstable();
        tables.dedup();
        self.names.begin(lookups, tables, together, next);
    }

    /// Whether an exchange that shows names of files repeats what is known, with these results ([`KnownNames::repeats`]).
    pub fn repeats(&mut self, row: &ExchangeRow, args: (Option<u64>, bool), results: &[u8], now: i64) -> bool {
        let repeats = self.names.repeats(self.shard, row, args, results, now);
        if repeats && let Some(rows) = self.secondary_rows.get_mut(self.shard) {
            *rows = rows.saturating_sub(ROWS_OF_LOOKUP);
        }
        repeats
    }

    /// All tables, but for what repeats, if it goes; the next exchange has this number.
    pub fn take_tables(&mut self, next: u32) -> (Vec<Table>, Decision) {
        let mut tables: Vec<Table> = self.tables.iter_mut().map(Table::take).collect();
        (self.weight, self.latest_machine) = Default::default();
        let decision = self.names.decide();
        self.names.take_out(decision, &mut tables, next);
        (tables, decision)
    }

    /// Exchanges get other numbers, and those to come begin with `next`.
    pub fn renumber(&mut self, exchange: impl Fn(u32) -> u32, next: u32) {
        let owners = self.tables.iter_mut().flat_map(|table| &mut table.owners);
        owners.for_each(|owner| owner.exchange = exchange(owner.exchange));
        self.names.renumber(exchange, next);
    }

    /// Rows of all tables.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.owners.len()).sum()
    }

    /// There is room for secondary rows again.
    pub fn forget_rows(&mut self) {
        self.secondary_rows = [0; SHARDS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::{Kind, code};

    const LOOKUP: (u32, u32, u32) = (100_003, 3, 3);

    #[test]
    fn what_strings_weigh_does_not_depend_on_which_shards_a_back_end_has() {
        let weight = |shards: &[usize]| {
            let mut bodies = Bodies::default();
            for shard in (0..3).flat_map(|_| shards) {
                bodies.shard = *shard;
                bodies.machine(&vec![*shard as u8; 255]);
            }
            bodies.weight
        };
        let apart = [weight(&[1]), weight(&[2])].into_iter().sum::<Weight>();
        assert_eq!(apart, Weight { strings: 2, long: 2 * (255 - 64), ..Weight::default() });
        assert_eq!(weight(&[1, 2]), apart);
    }

    #[test]
    fn a_string_that_comes_again_weighs_again_once_rows_were_taken() {
        let mut bodies = Bodies::default();
        let mut weighs = |name: &[u8]| {
            bodies.machine(name);
            bodies.weight.strings
        };
        assert_eq!([weighs(b"a"), weighs(b"a"), weighs(b"b"), weighs(b"a")], [1, 1, 2, 3]);
        bodies.take_tables(0);
        assert_eq!(bodies.weight, Weight::default());
        bodies.machine(b"a");
        assert_eq!(bodies.weight.strings, 1);
    }

    /// As there may be millions that repeat while batches are taken, but seldom thinned.
    #[test]
    fn rows_that_repeat_take_no_room() {
        let tables = vec![Table::new("args", &[("name".into(), Kind::Bytes)])];
        let ops = [(code::OPAQUE, 0, 64, 0, Vec::new()), (code::END, 0, 0, 0, Vec::new())];
        let mut layout = Layout::new(&ops, Some(0), 1024, &tables).expect("a layout");
        layout.secondary = true;
        let mut layouts = Layouts::default();
        layouts.add(LOOKUP.0, LOOKUP.1, LOOKUP.2, false, layout);
        let number = layouts.find(LOOKUP.0, LOOKUP.1, LOOKUP.2).args;
        let mut bodies = Bodies::new(Arc::new(layouts), tables);
        bodies.begin_to_know_names([(LOOKUP, 0)].into(), Arc::default(), 0);
        let rows = [1, 2, 3].map(|exchange| {
            let row = ExchangeRow { exchange, prog: LOOKUP.0, vers: LOOKUP.1, proc: LOOKUP.2, ..Default::default() };
            let owner = Owner { exchange, ..Owner::default() };
            bodies.decode(number, (&[0, 0, 0, 1, b'a', 0, 0, 0], 8), owner, &mut Oddities::default());
            bodies.repeats(&row, (Some(1), true), &[0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4], 1);
            bodies.secondary_rows[0]
        });
        assert_eq!(rows, [1, 0, 0], "with those of the results, which come then, one more");
        assert_eq!(bodies.take_tables(4).0[0].owners.iter().map(|owner| owner.exchange).collect::<Vec<_>>(), [1]);
    }
}
