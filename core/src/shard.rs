//! Where a flow is held: conversations are divided by their two hosts among a fixed number of shards, whatever the number of
//! processors, so that what has a limit has the same one for any number of them.

/// More would divide limits further, and the part of the work that is not divided keeps no more than so many cores busy.
pub const SHARDS: usize = 8;

/// A shard, and the place in its list of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At(u32);

impl At {
    pub fn new(shard: usize, slot: usize) -> At {
        At((slot * SHARDS + shard) as u32)
    }

    pub fn shard(self) -> usize {
        self.0 as usize % SHARDS
    }

    pub fn slot(self) -> usize {
        self.0 as usize / SHARDS
    }
}

/// The shard of the conversations between two hosts, by the numbers of their addresses: those of one server with many
/// clients, which were seen one after the other, go evenly to all.
pub fn shard_of([low, high]: [u32; 2]) -> usize {
    low.wrapping_add(high) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_of_a_server_are_evenly_divided() {
        let mut shards: Vec<_> = (1..=8).map(|client| shard_of([client, 0])).collect();
        shards.sort_unstable();
        assert_eq!(shards, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(shard_of([3, 9]), shard_of([9, 3]));
        assert_eq!((At::new(7, 1_000).shard(), At::new(7, 1_000).slot()), (7, 1_000));
    }
}
