//! Valid packets of a few flows in any order, of streams and datagrams that hold RPC messages with any bodies: gets behind
//! the checks of link and IP, into reassembly, records and exchanges.
//!
//! The input is a script: how the captures are fed, then steps of one byte and their operands.

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use nfsrpc_fuzz::rows::{Ask, Pieces, decode};
use nfsrpc_fuzz::wire::{ACK, Capture, End, FIN, RST, SYN, TCP, UDP};
use nfsrpc_fuzz::{Result, Unstructured, message};

const MOST_STEPS: usize = 400;
const FLAGS: [u8; 8] = [ACK, 0, ACK, SYN, SYN | ACK, FIN | ACK, RST, ACK | 8];

/// Two ends, and all that each has to say.
struct Talk {
    ends: [End; 2],
    isn: [u32; 2],
    streams: [Vec<u8>; 2],
    sent: [usize; 2],
}

struct Script {
    files: Vec<Capture>,
    talks: Vec<Talk>,
}

fn talk((client, client_port): (u8, u16), server_port: u16, isn: u32) -> Talk {
    let end = |host, port| End { ip: Ipv4Addr::new(10, 0, 0, host), port };
    let ends = [end(client, client_port), end(9, server_port)];
    Talk { ends, isn: [isn, !isn], streams: Default::default(), sent: [0; 2] }
}

impl Script {
    fn new() -> Script {
        // Equal hosts, ports or both: what tells flows and exchanges apart.
        let talks = vec![
            talk((1, 700), 2049, 1_000),
            talk((1, 701), 2049, u32::MAX - 50),
            talk((1, 700), 32_803, 0x7fff_ff00),
            talk((2, 700), 2049, 0),
        ];
        Script { files: vec![Capture::default()], talks }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (step, way) = (input.arbitrary::<u8>()?, input.arbitrary::<u8>()?);
        let (Some(file), side) = (self.files.last_mut(), usize::from(way & 1)) else { return Ok(()) };
        let talk = &mut self.talks[usize::from(way >> 1 & 3)];
        let (from, to) = (talk.ends[side], talk.ends[1 - side]);
        file.time += u64::from(way >> 3) * 100;
        match step % 16 {
            0..=3 => {
                let message = any_message(input)?;
                let record = message::record(input, &message)?;
                talk.streams[side].extend(record);
            }
            4 => talk.streams[side].extend(message::bytes(input)?),
            5..=9 => talk.send(side, input, file)?,
            10 => {
                let (seq, ack) = (input.arbitrary::<u32>()?, input.arbitrary::<u32>()?);
                let numbers = (talk.isn[side].wrapping_add(seq), talk.isn[1 - side].wrapping_add(ack));
                let (flags, cut) = (input.arbitrary()?, input.arbitrary::<u8>()?.saturating_sub(200));
                file.tcp(from, to, flags, numbers, message::bytes(input)?, cut.into());
            }
            11 | 12 => {
                let (cut, message) = (input.arbitrary::<u8>()?.saturating_sub(200), any_message(input)?);
                file.udp(from, to, &message, cut.into());
            }
            13 => file.in_fragments(input.arbitrary::<u8>()?.into(), input.arbitrary::<u8>()?.into()),
            14 => match input.arbitrary::<u8>()? {
                0..=99 => file.again(),
                100..=199 => file.time += u64::from(input.arbitrary::<u16>()?) * 10_000,
                200..=229 => file.time = file.time.saturating_sub(input.arbitrary::<u16>()?.into()),
                230..=249 => file.unreachable(from, to, if way & 8 != 0 { TCP } else { UDP }),
                _ => {
                    let next = file.next();
                    self.files.push(next);
                }
            },
            _ => talk.isn[side] = talk.isn[side].wrapping_add(input.arbitrary()?),
        }
        Ok(())
    }
}

impl Talk {
    /// The next bytes of a stream, or some before or behind them.
    fn send(&mut self, side: usize, input: &mut Unstructured<'_>, file: &mut Capture) -> Result<()> {
        let (control, length) = (input.arbitrary::<u8>()?, usize::from(input.arbitrary::<u16>()? % 4096));
        let jump = if control & 8 != 0 { isize::from(input.arbitrary::<i16>()?) } else { 0 };
        let cut = if control & 16 != 0 { usize::from(input.arbitrary::<u8>()?) } else { 0 };
        let (stream, flags) = (&self.streams[side], FLAGS[usize::from(control & 7)]);
        let start = self.sent[side].saturating_add_signed(jump).min(stream.len());
        let end = (start + length).min(stream.len());
        let payload = if flags & SYN != 0 { &[] } else { &stream[start..end] };
        let first = if flags & SYN != 0 { 0 } else { 1 + start as u32 };
        let ack = 1 + self.sent[1 - side] as u32;
        let numbers = (self.isn[side].wrapping_add(first), self.isn[1 - side].wrapping_add(ack));
        file.tcp(self.ends[side], self.ends[1 - side], flags, numbers, payload, cut);
        if jump == 0 && flags & SYN == 0 {
            self.sent[side] = end;
        }
        Ok(())
    }
}

/// Few xids, so that they come again.
fn any_message(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (kind, xid) = (input.arbitrary::<u8>()?, u32::from(input.arbitrary::<u8>()?));
    match kind % 8 {
        0..=2 => message::call(input, xid),
        3..=5 => message::reply(input, xid),
        6 => Ok(message::bytes(input)?.to_vec()),
        _ => Ok(vec![0; usize::from(input.arbitrary::<u16>()? % 4096)]),
    }
}

fn fuzz(input: &mut Unstructured<'_>) -> Result<()> {
    let (pieces, ask) = (Pieces::new(input.arbitrary()?, input.arbitrary()?), Ask(input.arbitrary()?));
    let mut script = Script::new();
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        script.step(input)?;
    }
    let files: Vec<&[u8]> = script.files.iter().map(|file| file.bytes.as_slice()).collect();
    let whole = decode(&files, Pieces::WHOLE, ask).expect("these are captures");
    assert_eq!(Ok(&whole), decode(&files, pieces, ask).as_ref(), "pieces give other rows");
    whole.check();
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let _ = fuzz(&mut Unstructured::new(data));
});
