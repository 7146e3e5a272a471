//! The exchanges in reach, found by client, server and xid: those that share all three are a chain, the newest first.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use slotmap::SlotMap;

use crate::exchange::{Exchange, ExchangeId, Path};

/// Client and server in one word, the xid, and the hash of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XidKey {
    ends: u64,
    xid: u32,
    hash: u64,
}

impl XidKey {
    fn is_of(&self, exchange: &Exchange) -> bool {
        let row = &exchange.row;
        row.xid == self.xid && ends(row.client, row.server) == self.ends
    }
}

fn ends(client: u32, server: u32) -> u64 {
    u64::from(client) << 32 | u64::from(server)
}

#[derive(Default)]
pub struct Pool {
    exchanges: SlotMap<ExchangeId, Exchange>,
    /// By client, server and xid, which stand in the exchange alone.
    newest: HashTable<ExchangeId>,
    hasher: DefaultHashBuilder,
    pub next_number: u32,
}

impl Pool {
    #[inline]
    pub fn key(&self, client: u32, server: u32, xid: u32) -> XidKey {
        let ends = ends(client, server);
        XidKey { ends, xid, hash: self.hasher.hash_one((ends, xid)) }
    }

    fn key_of(&self, exchange: &Exchange) -> XidKey {
        self.key(exchange.row.client, exchange.row.server, exchange.row.xid)
    }

    /// Begins an exchange; `path` as its call goes; `again`: others may have its key.
    pub fn insert(&mut self, key: XidKey, path: Path, again: bool) -> ExchangeId {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let at = self.exchanges.insert(Exchange::new(number, key.xid, path));
        let Pool { exchanges, newest, hasher, .. } = self;
        let is_it = |at: &ExchangeId| exchanges.get(*at).is_some_and(|known| key.is_of(known));
        if let Some(newest) = again.then(|| newest.find_mut(key.hash, is_it)).flatten() {
            let older = std::mem::replace(newest, at);
            if let Some(exchange) = exchanges.get_mut(at) {
                exchange.older = Some(older);
            }
        } else {
            newest.insert_unique(key.hash, at, |at| {
                exchanges
                    .get(*at)
                    .map_or(0, |known| hasher.hash_one((ends(known.row.client, known.row.server), known.row.xid)))
            });
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

    #[inline]
    fn newest_at(&self, key: XidKey) -> Option<ExchangeId> {
        self.newest.find(key.hash, |at| self.get(*at).is_some_and(|known| key.is_of(known))).copied()
    }

    pub fn newest(&self, key: XidKey) -> Option<&Exchange> {
        self.newest_at(key).and_then(|at| self.get(at))
    }

    /// Those of one client, server and xid, the newest first.
    #[inline]
    pub fn chain(&self, key: XidKey) -> impl Iterator<Item = (ExchangeId, &Exchange)> {
        let found = |at: ExchangeId| self.get(at).map(|known| (at, known));
        std::iter::successors(self.newest_at(key).and_then(found), move |(_, known)| known.older.and_then(found))
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
        let Some((key, older)) = self.get(at).map(|gone| (self.key_of(gone), gone.older)) else { return };
        match (self.newest.find_entry(key.hash, |newest| *newest == at), older) {
            (Ok(mut newest), Some(older)) => *newest.get_mut() = older,
            (Ok(newest), None) => drop(newest.remove()),
            (Err(_), _) => self.pass_over(key, at, older),
        }
        self.exchanges.remove(at);
    }

    /// What came after this one of the chain comes after the one before it.
    #[cold]
    fn pass_over(&mut self, key: XidKey, at: ExchangeId, older: Option<ExchangeId>) {
        let newer = self.chain(key).find(|(_, known)| known.older == Some(at)).map(|(newer, _)| newer);
        if let Some(known) = newer.and_then(|newer| self.get_mut(newer)) {
            known.older = older;
        }
    }
}
