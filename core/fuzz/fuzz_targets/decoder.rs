//! A capture file of any bytes, whole and in pieces: nothing panics, the rows are the same, and add up.
//!
//! The last four bytes say how: a capture file alone is a good input.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nfsrpc_fuzz::rows::{Ask, Pieces, decode};

fuzz_target!(|data: &[u8]| {
    let Some((file, [low, high, drains, ask])) = data.split_last_chunk() else { return };
    let (pieces, ask) = (Pieces::new(u16::from_le_bytes([*low, *high]), *drains), Ask(*ask));
    let files = [file, file];
    let files = if ask.twice() { &files[..] } else { &files[..1] };
    let whole = decode(files, Pieces::WHOLE, ask);
    assert_eq!(whole, decode(files, pieces, ask), "pieces give other rows");
    if let Ok(rows) = whole {
        rows.check();
    }
});
