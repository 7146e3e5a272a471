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
    next_number: u32,
}

impl Pool {
    /// Begins an exchange; `path` as its call goes.
    pub fn insert(&mut self, key: XidKey, xid: u32, path: Path) -> ExchangeId {
        let at = self.exchanges.insert(Exchange::new(self.next_number, xid, path));
        self.next_number = self.next_number.wrapping_add(1);
        let older = self.newest.insert(key, at);
        if let Some(known) = self.exchanges.get_mut(at) {
            known.older = older;
        }
        at
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

    /// Takes an exchange out.
    pub fn remove(&mut self, at: ExchangeId) -> Option<Exchange> {
        let gone = self.exchanges.remove(at)?;
        let key = gone.key();
        if let Entry::Occupied(mut newest) = self.newest.entry(key)
            && *newest.get() == at
        {
            match gone.older {
                Some(older) => *newest.get_mut() = older,
                None => drop(newest.remove()),
            }
            return Some(gone);
        }
        let newer = self.chain(key).find(|(_, known)| known.older == Some(at)).map(|(newer, _)| newer);
        if let Some(known) = newer.and_then(|newer| self.get_mut(newer)) {
            known.older = gone.older;
        }
        Some(gone)
    }
}
