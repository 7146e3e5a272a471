//! Calls and replies over one connection whose segments come in any order, cut anywhere, overlapping and again, but all of
//! them: every message is found, every pair paired, and nothing is said to be lost.
//!
//! The input is how it is fed, the messages, and the segments.

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use nfsrpc_fuzz::rows::{Ask, Numbers, Pieces, column, decode};
use nfsrpc_fuzz::wire::{ACK, Capture, End, SYN};
use nfsrpc_fuzz::{Result, Unstructured, message};

const ENDS: [End; 2] =
    [End { ip: Ipv4Addr::new(10, 0, 0, 1), port: 700 }, End { ip: Ipv4Addr::new(10, 0, 0, 9), port: 2049 }];
const MOST_CALLS: u8 = 12;
const MOST_SEGMENTS: usize = 200;
/// The segments of the last pass, which sends everything once more.
const SMALLEST: usize = 40;
const LARGEST: usize = 1_460;

struct Connection {
    isn: [u32; 2],
    streams: [Vec<u8>; 2],
    /// Which bytes have come, and how many without a gap.
    come: [Vec<bool>; 2],
    acked: [usize; 2],
    capture: Capture,
}

impl Connection {
    /// Acknowledges what has come: bytes that have not are given up once they are acknowledged, and here all of them come.
    fn send(&mut self, side: usize, start: usize, end: usize) {
        let (other, seq) = (1 - side, self.isn[side].wrapping_add(1 + start as u32));
        let come = &self.come[other];
        self.acked[other] += come[self.acked[other]..].iter().take_while(|come| **come).count();
        let ack = self.isn[other].wrapping_add(1 + self.acked[other] as u32);
        self.capture.tcp(ENDS[side], ENDS[other], ACK, (seq, ack), &self.streams[side][start..end], 0);
        self.capture.time += 10;
        self.come[side][start..end].fill(true);
    }

    fn connect(&mut self) {
        let [client, server] = self.isn;
        self.capture.tcp(ENDS[0], ENDS[1], SYN, (client, 0), &[], 0);
        self.capture.tcp(ENDS[1], ENDS[0], SYN | ACK, (server, client.wrapping_add(1)), &[], 0);
    }
}

fn count(numbers: &Numbers, name: &str) -> usize {
    column(numbers, name).iter().filter(|frame| **frame != 0).count()
}

fn fuzz(input: &mut Unstructured<'_>) -> Result<()> {
    let pieces = Pieces::new(input.arbitrary()?, input.arbitrary()?);
    let isn = [input.arbitrary()?, input.arbitrary()?];
    let mut streams = [Vec::new(), Vec::new()];
    let (calls, answered) = (input.arbitrary::<u8>()? % MOST_CALLS, input.arbitrary::<u16>()?);
    let is_answered = |xid: &u32| answered >> xid & 1 != 0;
    for xid in 0..u32::from(calls) {
        let call = message::call(input, xid)?;
        streams[0].extend(message::record(input, &call)?);
    }
    for xid in (0..u32::from(calls)).filter(is_answered) {
        let reply = message::reply(input, xid)?;
        streams[1].extend(message::record(input, &reply)?);
    }
    let come = [0, 1].map(|side: usize| vec![false; streams[side].len()]);
    let mut connection = Connection { isn, streams, come, acked: [0; 2], capture: Capture::default() };
    connection.connect();
    let last = SMALLEST + usize::from(input.arbitrary::<u8>()?) * LARGEST / 256;
    for _ in 0..MOST_SEGMENTS {
        if input.is_empty() {
            break;
        }
        let (place, length) = (usize::from(input.arbitrary::<u16>()?), usize::from(input.arbitrary::<u16>()? % 2048));
        let (side, start) = (place & 1, place >> 1);
        let size = connection.streams[side].len();
        connection.send(side, start.min(size), (start + length).min(size));
    }
    for side in [0, 1] {
        let size = connection.streams[side].len();
        (0..size).step_by(last).for_each(|start| connection.send(side, start, (start + last).min(size)));
    }
    check(&connection, pieces, calls.into(), (0..u32::from(calls)).filter(is_answered).count());
    Ok(())
}

fn check(connection: &Connection, pieces: Pieces, calls: usize, replies: usize) {
    let files = [connection.capture.bytes.as_slice()];
    let rows = decode(&files, Pieces::WHOLE, Ask(0)).expect("this is a capture");
    assert_eq!(Ok(&rows), decode(&files, pieces, Ask(0)).as_ref(), "pieces give other rows");
    rows.check();
    assert_eq!((count(&rows.exchanges, "call_frame"), count(&rows.exchanges, "reply_frame")), (calls, replies));
    assert_eq!((count(&rows.exchanges, "exchange"), column(&rows.copies, "frame").len()), (calls.saturating_sub(1), 0));
    assert_eq!((count(&rows.flows, "c_lost_bytes"), count(&rows.flows, "s_lost_bytes")), (0, 0), "lost bytes");
    let odd = rows.oddities.iter().find(|oddity| !oddity.2.starts_with("xdr-"));
    assert_eq!(odd, None, "nothing was wrong");
}

fuzz_target!(|data: &[u8]| {
    let _ = fuzz(&mut Unstructured::new(data));
});
