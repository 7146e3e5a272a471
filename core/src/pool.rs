//! The exchanges in reach, found by client, server and xid: those that share all three are a chain, the newest first.

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap};
use slotmap::{DefaultKey, SlotMap};

use crate::exchange::{Exchange, Path, XidKey};

/// An exchange's place, which none that comes later has.
pub type ExchangeId = DefaultKey;

#[derive(Default)]
pub struct Pool {
    exchanges: SlotMap<ExchangeId, Exchange>,
    newest: HashMap<XidKey, ExchangeId, DefaultHashBuilder>,
    pub next_number: u32,
}

impl Pool {
    /// Begins an exchange; `path` as its call goes.
    pub fn insert(&mut self, key: XidKey, xid: u32, path: Path) -> ExchangeId {
        let Pool { exchanges, newest, next_number } = self;
        let number = std::mem::replace(next_number, next_number.wrapping_add(1));
        exchanges.insert_with_key(|at| Exchange { older: newest.insert(key, at), ..Exchange::new(number, xid, path) })
    }

    #[inline]
    pub fn get(&self, at: ExchangeId) -> Option<&Exchange> {
        self.exchanges.get(at)
    }

    #[inline]
    pub fn get_mut(&mut self, at: ExchangeId) -> Option<&mut Exchange> {
        self.exchanges.get_mut(at)
    }

    pub fn newest(&self, key: XidKey) -> Option<&Exchange> {
        self.newest.get(&key).and_then(|at| self.get(*at))
    }

    /// Those of one client, server and xid, the newest first.
    pub fn chain(&self, key: XidKey) -> impl Iterator<Item = (ExchangeId, &Exchange)> {
        let found = |at: ExchangeId| self.get(at).map(|known| (at, known));
        let first = self.newest.get(&key).copied().and_then(found);
        std::iter::successors(first, move |(_, known)| known.older.and_then(found))
    }

    pub fn iter(&self) -> impl Iterator<Item = (ExchangeId, &Exchange)> {
        self.exchanges.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.exchanges.values_mut()
    }

    /// Takes an exchange out.
    #[inline]
    pub fn remove(&mut self, at: ExchangeId) {
        if let Some(gone) = self.exchanges.remove(at) {
            self.unlink(gone.key(), at, gone.older);
        }
    }

    fn unlink(&mut self, key: XidKey, at: ExchangeId, older: Option<ExchangeId>) {
        if let Entry::Occupied(mut newest) = self.newest.entry(key)
            && *newest.get() == at
        {
            match older {
                Some(older) => *newest.get_mut() = older,
                None => drop(newest.remove()),
            }
            return;
        }
        let newer = self.chain(key).find(|(_, known)| known.older == Some(at)).map(|(newer, _)| newer);
        if let Some(known) = newer.and_then(|newer| self.get_mut(newer)) {
            known.older = older;
        }
    }
}
