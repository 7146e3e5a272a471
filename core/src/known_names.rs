//! LOOKUPs (RFC 1813 §3.3.3, RFC 1094 §2.2.5) that give a file the name once more that it had. They teach nothing of where
//! files are, so that they are counted, and not listed.
//!
//! By the handle in its results, the arguments of the last LOOKUP of each file are known in each shard, both as hashes. Any
//! other success that shows or changes names (CREATE, RENAME, REMOVE, READDIRPLUS, MNT), and any other name of a file that one
//! client has looked up, makes all old that was known, in all back ends. These do not see at once what another one did: so all
//! rows are made, and those that repeat go when rows are taken, unless any names have changed since rows were taken before: then
//! all begin anew, because what each of them had been asked for before the change, and what after it, is chance.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::batch::ExchangeRow;
use crate::procedures::ByProcedure;
use crate::rpc::word;
use crate::shard::SHARDS;
use crate::xdr::Table;

/// Files whose names are known in a shard, of 50 bytes each: in all as many as are kept for paths. Then it begins anew.
const MAX_FILES: usize = (1 << 16) / SHARDS;
/// A name that is used is listed again after so long, as those that were not used for long leave first where they are too many.
const LISTED_AGAIN_NS: i64 = 300_000_000_000;
/// Handles longer than this are none (RFC 1813 §2.4).
const MAX_HANDLE: usize = 64;

/// What all back ends know together.
#[derive(Default)]
pub struct Together {
    /// How often names may have changed.
    changes: AtomicU64,
    /// The arguments of the LOOKUP of each file that was listed last.
    names: Mutex<HashMap<u64, u64>>,
    hasher: DefaultHashBuilder,
}

impl Together {
    fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the names: which back end listed one last is chance, too.
    fn forget(&self) {
        self.names().clear();
    }

    /// Notes a name that is listed; another one than before is a change.
    fn name(&self, file: u64, args: u64) {
        let mut names = self.names();
        if names.len() >= MAX_FILES * SHARDS && !names.contains_key(&file) {
            names.clear();
            self.change();
        }
        if names.insert(file, args).is_some_and(|before| before != args) {
            self.change();
        }
    }
}

/// What was asked for by a LOOKUP, when it was listed, and after how many changes.
#[derive(Clone, Copy)]
struct Asked {
    args: u64,
    listed: i64,
    changes: u64,
}

/// Whether an exchange gives a file the name that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeats {
    #[default]
    No,
    /// Unless names have changed meanwhile, which is known when rows are taken.
    Perhaps,
    /// Its rows have gone.
    Yes,
}

/// Of exchanges that perhaps repeat a known name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There are none.
    Nothing,
    Stay,
    Go,
}

#[derive(Default)]
pub struct KnownNames {
    /// The procedures, each with the length of the handle in its results, where XDR does not tell it (0: it does). Without any,
    /// nothing is known.
    lookups: ByProcedure<usize>,
    known: [HashMap<u64, Asked>; SHARDS],
    together: Arc<Together>,
    /// How often names had changed when rows were taken.
    taken_at: u64,
    /// The tables that have their arguments and results.
    tables: Vec<usize>,
    /// Exchanges that repeat a known name.
    repeating: Vec<u32>,
    /// The first exchange of which no row was taken yet.
    fresh: u32,
}

impl KnownNames {
    /// From now on, successes of these procedures are compared, whose fields are in these tables. `together` is what all
    /// back ends know, whose hashes of arguments are the same; `fresh`: the number of the next exchange.
    pub fn begin(&mut self, lookups: ByProcedure<usize>, tables: Vec<usize>, together: Arc<Together>, fresh: u32) {
        let taken_at = together.changes();
        *self = KnownNames { lookups, tables, together, taken_at, fresh, ..KnownNames::default() };
    }

    /// Whether a success that shows names, with these results, repeats what is known. Its rows may go, then. `args`: the hash
    /// of its arguments, if they are known whole, and whether it may go, because nothing else about it is to be listed.
    pub fn repeats(
        &mut self,
        shard: usize,
        row: &ExchangeRow,
        (args, usual): (Option<u64>, bool),
        results: &[u8],
        now: i64,
    ) -> bool {
        let Some(known) = self.known.get_mut(shard).filter(|_| !self.tables.is_empty()) else { return false };
        let lookup = self.lookups.get((row.prog, row.vers, row.proc));
        let Some(handle) = lookup.and_then(|length| handle(results, *length)) else {
            self.together.change();
            return false;
        };
        let file = self.together.hasher.hash_one((row.server, row.prog, row.vers, handle));
        let Some(args) = args else {
            self.together.change();
            return false;
        };
        let changes = self.together.changes();
        let before = known.get(&file);
        let again = before.is_some_and(|asked| {
            (asked.args, asked.changes) == (args, changes)
                && (0..LISTED_AGAIN_NS).contains(&now.saturating_sub(asked.listed))
        });
        if again && usual && row.exchange >= self.fresh {
            self.repeating.push(row.exchange);
            return true;
        }
        if known.len() >= MAX_FILES {
            known.clear();
        }
        self.together.name(file, args);
        known.insert(file, Asked { args, listed: now, changes: self.together.changes() });
        false
    }

    /// What is to become of exchanges that repeat a known name, now that rows are taken.
    pub fn decide(&mut self) -> Decision {
        let changes = self.together.changes();
        let changed = std::mem::replace(&mut self.taken_at, changes) != changes;
        if changed {
            // What was asked for before the last change, and what after it, differs between back ends by chance.
            self.known.iter_mut().for_each(HashMap::clear);
            self.together.forget();
        }
        match (self.tables.is_empty(), changed) {
            (true, _) => Decision::Nothing,
            (_, true) => Decision::Stay,
            _ => Decision::Go,
        }
    }

    /// Takes the rows of what goes out of what is taken of all tables. `next`: the number of the next exchange.
    pub fn take_out(&mut self, decision: Decision, tables: &mut [Table], next: u32) {
        self.fresh = next;
        let mut gone = std::mem::take(&mut self.repeating);
        if gone.is_empty() || decision != Decision::Go {
            return;
        }
        gone.sort_unstable();
        for table in &self.tables {
            if let Some(table) = tables.get_mut(*table) {
                table.retain(|owner| gone.binary_search(&owner.exchange).is_err());
            }
        }
    }

    /// Exchanges get other numbers, and those to come begin with `next`, which is higher than all others.
    pub fn renumber(&mut self, exchange: impl Fn(u32) -> u32, next: u32) {
        self.repeating.iter_mut().for_each(|number| *number = exchange(*number));
        self.fresh = exchange(self.fresh).min(next);
    }
}

/// The handle behind the status.
fn handle(results: &[u8], length: usize) -> Option<&[u8]> {
    let (from, length) = if length == 0 { (8, word(results, 4)? as usize) } else { (4, length) };
    results.get(from..)?.get(..length).filter(|handle| handle.len() <= MAX_HANDLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedures::Procedure;

    const LOOKUP: Procedure = (100_003, 3, 3);
    const CREATE: Procedure = (100_003, 3, 8);
    const NOW: i64 = 1_700_000_000_000_000_000;

    fn names() -> KnownNames {
        let mut names = KnownNames::default();
        names.begin([(LOOKUP, 0), ((100_003, 2, 4), 32)].into(), vec![0], Arc::default(), 0);
        names
    }

    /// A success: of version 3 the handle's length comes first.
    fn results(handle: &[u8]) -> Vec<u8> {
        [&[0; 4], &(handle.len() as u32).to_be_bytes()[..], handle, &[0; 88]].concat()
    }

    fn row(exchange: u32, (prog, vers, proc): Procedure) -> ExchangeRow {
        ExchangeRow { exchange, prog, vers, proc, server: 2, ..ExchangeRow::default() }
    }

    #[test]
    fn the_same_name_of_the_same_file_is_known() {
        let mut names = names();
        let mut ask = |exchange, args, handle: &[u8], shard| {
            names.repeats(shard, &row(exchange, LOOKUP), (Some(args), true), &results(handle), NOW)
        };
        assert!(!ask(1, 7, b"one", 0), "news");
        assert!(ask(2, 7, b"one", 0));
        assert!(!ask(3, 7, b"two", 0), "another file of this name");
        assert!(!ask(4, 8, b"one", 0), "another name of this file");
        assert!(!ask(5, 7, b"one", 0), "its first name again");
        assert!(!ask(6, 7, b"one", 1), "each shard has its own");
        assert!(ask(7, 7, b"one", 0), "of the same name no shard makes it old");
        assert!(!ask(8, 8, b"one", 1), "another name in another shard");
        assert!(!ask(9, 7, b"one", 0));
    }

    #[test]
    fn nothing_is_known_before_it_is_asked_for() {
        let mut names = KnownNames::default();
        let ask = |names: &mut KnownNames| names.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(b"one"), NOW);
        assert_eq!([ask(&mut names), ask(&mut names)], [false; 2]);
    }

    #[test]
    fn what_may_change_names_forgets_them() {
        let mut names = names();
        let lookup = |names: &mut KnownNames| names.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(b"one"), NOW);
        assert_eq!([lookup(&mut names), lookup(&mut names)], [false, true]);
        assert!(!names.repeats(1, &row(2, CREATE), (Some(9), true), &results(b"two"), NOW));
        assert!(!lookup(&mut names), "whichever shard it is in");
        assert!(lookup(&mut names));
        assert!(
            !names.repeats(0, &row(2, LOOKUP), (None, true), &results(b"one"), NOW),
            "of arguments that are not known"
        );
        assert!(!lookup(&mut names));
        assert!(!names.repeats(0, &row(2, LOOKUP), (Some(7), true), &results(b"one")[..10], NOW), "of a cut handle");
        assert!(!lookup(&mut names));
        assert!(!names.repeats(0, &row(2, LOOKUP), (Some(7), false), &results(b"one"), NOW), "that is to be listed");
        assert!(lookup(&mut names));
    }

    #[test]
    fn what_may_change_names_is_known_to_all_back_ends() {
        let together = Arc::<Together>::default();
        let [mut one, mut other] = [(); 2].map(|()| {
            let mut names = KnownNames::default();
            names.begin([(LOOKUP, 0)].into(), vec![0], Arc::clone(&together), 0);
            names
        });
        let mut lookup = || one.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(b"one"), NOW);
        assert_eq!([lookup(), lookup()], [false, true]);
        assert!(!other.repeats(4, &row(2, CREATE), (Some(9), true), &results(b"two"), NOW));
        assert_eq!([lookup(), lookup()], [false, true]);
    }

    #[test]
    fn what_repeats_stays_where_names_have_changed_since_rows_were_taken() {
        let mut names = names();
        assert_eq!(names.decide(), Decision::Go);
        names.repeats(3, &row(2, CREATE), (Some(9), true), &results(b"two"), NOW);
        assert_eq!([names.decide(), names.decide()], [Decision::Stay, Decision::Go]);
        assert_eq!(KnownNames::default().decide(), Decision::Nothing);
    }

    #[test]
    fn what_is_known_in_the_end_does_not_depend_on_who_was_asked_before_a_change() {
        for changes_first in [false, true] {
            let mut names = names();
            let create =
                |names: &mut KnownNames| names.repeats(3, &row(2, CREATE), (Some(9), true), &results(b"two"), NOW);
            let lookup =
                |names: &mut KnownNames| names.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(b"one"), NOW);
            if changes_first {
                create(&mut names);
            }
            lookup(&mut names);
            if !changes_first {
                create(&mut names);
            }
            assert_eq!(names.decide(), Decision::Stay);
            assert_eq!([lookup(&mut names), lookup(&mut names)], [false, true], "{changes_first}");
        }
    }

    #[test]
    fn which_back_end_listed_a_name_last_before_a_change_decides_nothing_after_it() {
        for last in [0, 1] {
            let together = Arc::<Together>::default();
            let mut both: [KnownNames; 2] = Default::default();
            both.iter_mut().for_each(|names| names.begin([(LOOKUP, 0)].into(), vec![0], Arc::clone(&together), 0));
            let lookup = |names: &mut KnownNames, shard: usize| {
                names.repeats(shard, &row(1, LOOKUP), (Some(shard as u64), true), &results(b"one"), NOW)
            };
            for at in [1 - last, last] {
                lookup(&mut both[at], at);
            }
            assert_eq!(both.each_mut().map(KnownNames::decide), [Decision::Stay; 2], "two names of a file");
            assert_eq!([lookup(&mut both[0], 0), lookup(&mut both[0], 0)], [false, true]);
            assert_eq!(both.each_mut().map(KnownNames::decide), [Decision::Go; 2], "{last}");
        }
    }

    #[test]
    fn a_name_that_is_known_needs_no_room() {
        let mut names = names();
        let lookup = |names: &mut KnownNames, file: usize, shard: usize| {
            let (shard, handle) = (shard % SHARDS, file.to_be_bytes());
            names.repeats(shard, &row(1, LOOKUP), (Some(file as u64), true), &results(&handle), NOW)
        };
        (0..MAX_FILES * SHARDS).for_each(|file| _ = lookup(&mut names, file, file));
        lookup(&mut names, 0, 1);
        assert_eq!(names.decide(), Decision::Go);
        lookup(&mut names, MAX_FILES * SHARDS, 0);
        assert_eq!(names.decide(), Decision::Stay, "for one more all begin anew");
    }

    #[test]
    fn a_name_is_listed_again_after_five_minutes() {
        let mut names = names();
        let mut ask = |after| names.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(b"one"), NOW + after);
        assert!(!ask(0));
        assert!(ask(LISTED_AGAIN_NS - 1));
        assert!(!ask(LISTED_AGAIN_NS));
        assert!(ask(LISTED_AGAIN_NS + 1));
        assert!(!ask(LISTED_AGAIN_NS - 1), "a time that goes back");
    }

    #[test]
    fn rows_that_were_taken_already_are_not_to_go() {
        let mut names = names();
        let ask = |names: &mut KnownNames, exchange| {
            names.repeats(0, &row(exchange, LOOKUP), (Some(7), true), &results(b"one"), NOW)
        };
        assert!(!ask(&mut names, 1));
        names.take_out(Decision::Go, &mut [], 5);
        assert!(!ask(&mut names, 4));
        assert!(ask(&mut names, 5));
        names.renumber(|number| number + 995, 1000);
        assert!(!ask(&mut names, 999));
        assert!(ask(&mut names, 1000));
    }

    #[test]
    fn as_many_files_are_known_as_there_is_room_for() {
        let mut names = names();
        let mut ask =
            |number: usize| names.repeats(0, &row(1, LOOKUP), (Some(7), true), &results(&number.to_be_bytes()), NOW);
        assert!((0..MAX_FILES).all(|number| !ask(number)));
        assert!(ask(0), "the last one had room");
        assert!(!ask(MAX_FILES), "now it begins anew");
        assert!(!ask(0));
        assert!(ask(MAX_FILES));
    }

    #[test]
    fn together_as_many_are_known_as_in_all_shards() {
        let together = Together::default();
        (0..MAX_FILES * SHARDS).for_each(|file| together.name(file as u64, 7));
        assert_eq!(together.changes(), 0);
        together.name(u64::MAX, 7);
        assert_eq!(together.changes(), 1);
    }

    #[test]
    fn of_version_2_the_handle_has_32_bytes() {
        assert_eq!(handle(&[[0; 4].as_slice(), &[5; 32], &[0; 68]].concat(), 32), Some([5; 32].as_slice()));
        assert_eq!(handle(&[0; 35], 32), None);
        assert_eq!(handle(&results(&[1; 64]), 0), Some([1; 64].as_slice()));
        assert_eq!(handle(&results(&[1; 65]), 0), None);
    }
}
