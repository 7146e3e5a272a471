//! Bytes of a capture to columns, in stages: container → link → tunnel → IP → TCP or UDP → RPC record → exchange → XDR.
//! No two modules use each other in a circle. No program number, procedure or rule stands in this crate: what a message body
//! means comes in as a layout (see `xdr`), and what a step of a lock is as flags (see `lock_sessions`).

pub mod addresses;
pub mod answering;
pub mod backend;
pub mod backends;
pub mod batch;
pub mod births;
pub mod bodies;
pub mod capture;
pub mod checksum;
pub mod conversation;
pub mod damage;
pub mod decoder;
pub mod exchange;
pub mod flow;
pub mod flow_index;
pub mod flow_key;
pub mod flow_table;
pub mod gss;
pub mod infiniband;
pub mod ip;
pub mod known_names;
pub mod link;
pub mod lock_sessions;
pub mod matcher;
pub mod numbering;
pub mod oddity;
pub mod order;
pub mod packet_bytes;
pub mod packets;
pub mod pool;
pub mod procedures;
pub mod protocol;
pub mod ring;
pub mod rpc;
pub mod select;
pub mod shard;
pub mod side;
pub mod strings;
pub mod tally;
pub mod tcp;
pub mod tunnel;
pub mod weight;
pub mod xdr;

#[cfg(feature = "python")]
mod arrays;
#[cfg(feature = "python")]
mod binding;
#[cfg(feature = "python")]
mod lock_binding;
#[cfg(feature = "python")]
mod tally_binding;
