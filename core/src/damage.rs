//! Damaged frames: whose wrong checksums show damage, and between which hosts frames were damaged that belong to no known
//! flow. What was in such a frame may be a message that is missed elsewhere.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use crate::addresses::MAX_ADDRESSES;
use crate::checksum::Trust;
use crate::packets::Addressed;

/// Pairs of hosts between which frames were damaged that are kept apart.
const MAX_DAMAGE: usize = 1 << 12;

/// What is known of each sender's checksums, by transport.
#[derive(Default)]
pub struct Senders(HashMap<(IpAddr, u8), Trust>);

impl Senders {
    /// So many more packets like this one had a right checksum.
    #[cold]
    pub fn right(&mut self, packet: &Addressed<'_>, count: u32) {
        self.of(packet).right(count);
    }

    /// Whether the wrong checksum of this packet shows damage; None if that is not known.
    #[cold]
    pub fn is_damage(&mut self, packet: &Addressed<'_>) -> Option<bool> {
        self.of(packet).is_damage()
    }

    fn of(&mut self, packet: &Addressed<'_>) -> &mut Trust {
        let Senders(trust) = self;
        if trust.len() >= MAX_ADDRESSES {
            trust.clear();
        }
        trust.entry((packet.src, packet.packet.transport)).or_default()
    }
}

/// The latest time of a damaged frame of no known flow, by sender and receiver (None: unknown, so that it may be any).
#[derive(Default)]
pub struct Damage {
    latest: HashMap<(Option<u32>, Option<u32>), i64>,
}

impl Damage {
    pub fn note(&mut self, from: Option<u32>, to: Option<u32>, time: i64) {
        let full = self.latest.len() >= MAX_DAMAGE && !self.latest.contains_key(&(from, to));
        let latest = self.latest.entry(if full { (None, None) } else { (from, to) }).or_insert(time);
        *latest = time.max(*latest);
    }

    /// When a frame was damaged last that may have gone from one host to the other.
    pub fn between(&self, from: u32, to: u32) -> Option<i64> {
        if self.latest.is_empty() {
            return None;
        }
        let (from, to) = (Some(from), Some(to));
        [(from, to), (from, None), (None, to), (None, None)]
            .iter()
            .filter_map(|pair| self.latest.get(pair))
            .max()
            .copied()
    }

    /// Forgets what is of other hosts than these.
    pub fn retain(&mut self, used: &HashSet<u32>) {
        let is_used = |end: &Option<u32>| end.is_none_or(|end| used.contains(&end));
        self.latest.retain(|(from, to), _| is_used(from) && is_used(to));
    }
}

#[cfg(test)]
mod tests {
    use super::Damage;

    #[test]
    fn damage_is_that_of_two_hosts_or_of_one_or_of_any() {
        let mut damage = Damage::default();
        damage.note(Some(1), Some(2), 10);
        assert_eq!([(1, 2), (2, 1), (1, 3)].map(|(from, to)| damage.between(from, to)), [Some(10), None, None]);
        damage.note(Some(1), None, 20);
        damage.note(None, Some(3), 15);
        damage.note(Some(1), None, 5);
        let between = [(1, 2), (2, 1), (1, 3), (4, 3)].map(|(from, to)| damage.between(from, to));
        assert_eq!(between, [Some(20), None, Some(20), Some(15)]);
        damage.note(None, None, 1);
        assert_eq!(damage.between(2, 1), Some(1));
        damage.retain(&[2, 3].into_iter().collect());
        assert_eq!([(1, 2), (4, 3)].map(|(from, to)| damage.between(from, to)), [Some(1), Some(15)]);
    }

    #[test]
    fn so_many_pairs_are_told_apart() {
        let mut damage = Damage::default();
        (0..4_096).for_each(|n| damage.note(Some(n), Some(9_999), 1));
        assert_eq!(damage.between(7, 8), None);
        damage.note(Some(0), Some(9_999), 2);
        assert_eq!(damage.between(7, 8), None);
        damage.note(Some(4_096), Some(9_999), 3);
        assert_eq!(damage.between(7, 8), Some(3), "between any");
    }
}
