//! The readers of pcap, pcapng and snoop alone, as fast as can be: any bytes, whole and in pieces.
//!
//! The last two bytes are the size of the pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nfsrpc_core::capture::{Ending, Interface, NotACapture, Reader};
use nfsrpc_core::oddity::{Oddities, Oddity};

type Kept = (u32, i64, u32, u32, u32, Vec<u8>);

#[derive(Debug, PartialEq)]
struct Read {
    frames: Vec<Kept>,
    oddities: Vec<Oddity>,
    interfaces: Vec<Interface>,
    format: &'static str,
    ending: Result<Ending, NotACapture>,
}

fn read(file: &[u8], size: usize) -> Result<Read, NotACapture> {
    let (mut reader, mut oddities, mut frames) = (Reader::new(), Oddities::default(), Vec::new());
    let sink = &mut |frame: nfsrpc_core::capture::CapturedFrame<'_>, _: &mut Oddities| {
        assert!(frame.wire_len as usize >= frame.data.len(), "more captured than sent");
        let data = frame.data.to_vec();
        frames.push((frame.number, frame.time, frame.interface, frame.link_type, frame.wire_len, data));
    };
    for piece in file.chunks(size.max(1)).map(Some).chain([None]) {
        reader.read(piece, sink, &mut oddities)?;
    }
    let (ending, format) = (reader.finish(), reader.format());
    Ok(Read { frames, oddities: oddities.take(), interfaces: reader.interfaces().to_vec(), format, ending })
}

fuzz_target!(|data: &[u8]| {
    let Some((file, size)) = data.split_last_chunk() else { return };
    let whole = read(file, usize::MAX);
    assert_eq!(whole, read(file, u16::from_le_bytes(*size).into()), "pieces give other frames");
    let Ok(whole) = whole else { return };
    assert!(whole.frames.iter().map(|frame| frame.5.len()).sum::<usize>() <= file.len(), "more frames than bytes");
    assert!(whole.frames.windows(2).all(|pair| pair[0].0 < pair[1].0), "frames are numbered in order");
    assert!(whole.frames.iter().all(|frame| (frame.2 as usize) < whole.interfaces.len()), "an interface unknown");
});
