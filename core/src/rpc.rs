//! ONC RPC messages (RFC 5531): headers parsed in place, and records cut out of a TCP stream by their marks (section 11).
//!
//! [`Records`] takes a stream's bytes in order, in any pieces, and hands out each record once it is complete: as a slice of
//! the segment where it lies whole in one, else from a small buffer that stores only as much as [`Sink::keep`] asks for, so
//! that the data of READ and WRITE goes by uncopied. A stream whose beginning was not captured, or that lost bytes across a
//! record's end, is scanned for the next record that proves itself by its header; known holes inside a record cost only that
//! record's missing part. RPC is recognised by its header alone, on any port: lockd and statd have dynamic ones.

use memchr::memmem;

use crate::oddity::Place;

/// Largest record believed. Linux's RPC_MAX payload is 1 MiB, other servers go to 4 MiB and COMPOUNDs a little beyond.
pub const MAX_RECORD: usize = 16 << 20;
/// Bytes of a record stored before its header is asked how much of it is worth keeping: header, both credentials (400 bytes
/// each at most, RFC 5531 section 8.2), a handle and some arguments.
pub const HEAD: usize = 1024;
/// The most of one record that is ever stored: a READDIRPLUS or DUMP reply as long as servers make them.
pub const MAX_KEEP: usize = 1 << 20;
/// The most stored for all streams together: unfinished records and segments ahead of a hole.
pub const MAX_STORED: usize = 64 << 20;
pub const RPCSEC_GSS: u32 = 6;
const AUTH_SYS: u32 = 1;
/// Opaque authentication bodies are at most this long (RFC 5531 section 8.2).
const MAX_AUTH: u32 = 400;
/// A call's header up to its procedure, and the shortest whole call (NULL with AUTH_NONE).
const CALL_FIXED: usize = 24;
/// A call's header with two credentials.
const LONGEST_HEADER: usize = CALL_FIXED + 2 * (8 + MAX_AUTH as usize);
/// The shortest reply: MSG_DENIED with AUTH_ERROR.
const SHORTEST_REPLY: usize = 20;

const CALL: u32 = 0;
const REPLY: u32 = 1;
const RPC_VERSION: u32 = 2;
/// Accepted and denied replies in one code: accept_stat as it is, then these.
pub const RPC_MISMATCH: u8 = 16;
pub const AUTH_ERROR: u8 = 32;
/// The procedure, or program, that is not known.
pub const UNKNOWN: u32 = u32::MAX;

#[inline]
pub fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auth<'a> {
    pub flavor: u32,
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    pub xid: u32,
    pub prog: u32,
    pub vers: u32,
    /// [`UNKNOWN`] where the capture cut it off.
    pub proc: u32,
    pub cred: Auth<'a>,
    pub verf: Auth<'a>,
    /// None where the capture cut the header.
    pub args: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    pub xid: u32,
    /// accept_stat, [`RPC_MISMATCH`], or [`AUTH_ERROR`] + auth_stat; None where the capture cut it off.
    pub status: Option<u8>,
    pub verf: Auth<'a>,
    pub results: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Call(Call<'a>),
    Reply(Reply<'a>),
}

/// machinename and uid of an AUTH_SYS credential (RFC 5531 appendix A).
pub fn sys_credential<'a>(cred: &Auth<'a>) -> Option<(&'a [u8], u32)> {
    const MAX_MACHINE_NAME: usize = 255;
    if cred.flavor != AUTH_SYS {
        return None;
    }
    let length = word(cred.body, 4).map(|length| length as usize).filter(|length| *length <= MAX_MACHINE_NAME)?;
    let name = cred.body.get(8..8 + length)?;
    let uid = word(cred.body, 8 + length.next_multiple_of(4))?;
    Some((name, uid))
}

/// An authenticator and what follows it; `None` where the bytes end, an error where it cannot be one.
#[inline(always)]
fn auth(data: &[u8], at: usize) -> Result<Option<(Auth<'_>, usize)>, ()> {
    let Some([flavor, length]) = words(data, at) else { return Ok(None) };
    if length > MAX_AUTH {
        return Err(());
    }
    let start = at + 8;
    let end = start + length as usize;
    let next = end.next_multiple_of(4); // `start` is one
    Ok(data.get(start..end).filter(|_| next <= data.len()).map(|body| (Auth { flavor, body }, next)))
}

/// So many words from there on, if they are all there.
#[inline(always)]
fn words<const COUNT: usize>(data: &[u8], at: usize) -> Option<[u32; COUNT]> {
    let (words, _) = data.get(at..)?.as_chunks::<4>();
    words.first_chunk::<COUNT>().map(|words| words.map(u32::from_be_bytes))
}

/// Parses a message of which `data` is the captured part of `length` bytes. `None`: not an RPC message.
#[inline(never)]
pub fn parse(data: &[u8], length: usize) -> Option<Message<'_>> {
    parse_inline(data, length)
}

/// As [`parse`], where every record passes.
#[inline(always)]
pub fn parse_inline(data: &[u8], length: usize) -> Option<Message<'_>> {
    let cut = data.len() < length;
    let [xid, kind] = words(data, 0)?;
    match kind {
        CALL => parse_call(data, xid, cut).map(Message::Call),
        REPLY if length >= SHORTEST_REPLY => parse_reply(data, xid, cut).map(Message::Reply),
        _ => None,
    }
}

#[inline(always)]
fn parse_call(data: &[u8], xid: u32, cut: bool) -> Option<Call<'_>> {
    let (cred, verf) = (Auth::default(), Auth::default());
    let call = |rpc_version: u32, prog: u32, vers: u32, proc: u32| {
        (rpc_version == RPC_VERSION).then_some(Call { xid, prog, vers, proc, cred, verf, args: None })
    };
    let Some([rpc_version, prog, vers, proc]) = words(data, 8) else {
        let [rpc_version, prog, vers] = words(data, 8)?;
        return call(rpc_version, prog, vers, UNKNOWN).filter(|_| cut);
    };
    let mut call = call(rpc_version, prog, vers, proc)?;
    let Some((cred, next)) = auth(data, CALL_FIXED).ok()? else { return cut.then_some(call) };
    call.cred = cred;
    let Some((verf, next)) = auth(data, next).ok()? else { return cut.then_some(call) };
    call.verf = verf;
    call.args = data.get(next..);
    Some(call)
}

#[inline(always)]
fn parse_reply(data: &[u8], xid: u32, cut: bool) -> Option<Reply<'_>> {
    let mut reply = Reply { xid, status: None, verf: Auth::default(), results: None };
    match word(data, 8) {
        None => return cut.then_some(reply),
        Some(0) => {}
        Some(1) => return parse_denied(data, reply, cut),
        Some(_) => return None,
    }
    let Some((verf, next)) = auth(data, 12).ok()? else { return cut.then_some(reply) };
    reply.verf = verf;
    match word(data, next) {
        None => return cut.then_some(reply),
        Some(status @ 0..=5) => reply.status = Some(status as u8),
        Some(_) => return None,
    }
    reply.results = data.get(next + 4..);
    Some(reply)
}

/// A denied reply has no verifier (RFC 5531 section 9).
#[cold]
fn parse_denied<'a>(data: &'a [u8], mut reply: Reply<'a>, cut: bool) -> Option<Reply<'a>> {
    match (word(data, 12), word(data, 16)) {
        (Some(0), _) => reply.status = Some(RPC_MISMATCH),
        (Some(1), Some(stat @ 0..=31)) => reply.status = Some(AUTH_ERROR + stat as u8),
        (None | Some(1), None) if cut => {}
        _ => return None,
    }
    Some(reply)
}

/// The verifier of a reply after which the connection turns to TLS (RFC 9289 section 4.1).
pub const STARTTLS: &[u8] = b"STARTTLS";

/// Where records go.
pub trait Sink {
    /// How many bytes of this record are worth storing, by its first [`HEAD`] bytes.
    fn keep(&mut self, head: &[u8]) -> usize;
    /// The longest that a record can be that begins so.
    fn most(&self, head: &[u8]) -> usize;
    /// A record is complete. `data` may be shorter than `length`: bulk data skipped, or bytes not captured (`lost`). `end` is
    /// the sequence number after it. Returns false, and has done nothing, if it cannot be so long and was not `doubted` yet.
    fn record(&mut self, record: Record<'_>) -> bool;
    /// Whether a call with this xid is waiting for its reply on this connection.
    fn awaits(&self, xid: u32) -> bool;
    /// The stream is not as it should be ([`crate::oddity`]).
    fn odd(&mut self, kind: &'static str, detail: u64);
}

/// What a stream works with: where its records go, where it stands, and the room left of [`MAX_STORED`].
pub struct Outlet<'a, S> {
    pub sink: &'a mut S,
    pub room: &'a mut usize,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub data: &'a [u8],
    pub length: usize,
    pub lost: bool,
    /// Only its length is known: a datagram's, or looked into for others.
    pub doubted: bool,
    pub end: u32,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing proved yet, and the beginning was not seen.
    Scanning,
    /// At a record mark, of which so many bytes are in `mark`.
    Mark(usize),
    Fragment {
        remaining: usize,
        last: bool,
    },
    /// The connection's first bytes were seen and are no RPC record. Where they were damaged, one may yet come.
    Foreign,
    /// What follows is certainly something else.
    Stopped,
}

#[derive(Debug)]
pub struct Records {
    state: State,
    mark: [u8; 4],
    head: Vec<u8>,
    /// Length of the record so far, stored or not.
    length: usize,
    keep: usize,
    asked: bool,
    lost: bool,
    /// Longer, by its mark, than it can be: it ends where the next one begins.
    too_long: bool,
    pub proved: bool,
    /// Something stood where a record should: what went by meanwhile is not known.
    pub confused: bool,
}

impl Records {
    /// `from_start`: the stream's first byte is known, so that it must begin with a record.
    pub fn new(from_start: bool) -> Self {
        let state = if from_start { State::Mark(0) } else { State::Scanning };
        Records {
            state,
            mark: [0; 4],
            head: Vec::new(),
            length: 0,
            keep: HEAD,
            asked: false,
            lost: false,
            too_long: false,
            proved: false,
            confused: false,
        }
    }

    /// In the middle of nothing: what comes next cannot be attributed.
    pub fn synchronised(&self) -> bool {
        matches!(self.state, State::Mark(_) | State::Fragment { .. })
    }

    pub fn foreign(&self) -> bool {
        matches!(self.state, State::Foreign | State::Stopped)
    }

    /// What follows is something else: TLS, after STARTTLS (RFC 9289 section 4.1).
    pub fn stop<S>(&mut self, outlet: &mut Outlet<'_, S>) {
        self.restart(outlet.room);
        self.state = State::Stopped;
    }

    /// Frees what is stored of an unfinished record, which will not be finished, and returns the room it took. Whether the
    /// stream was in step stays known.
    pub fn release(&mut self) -> usize {
        let room = self.head.len();
        self.head = Vec::new();
        room
    }

    /// Takes the next bytes of the stream, which begin at sequence number `seq`.
    #[inline(always)]
    pub fn push<S: Sink>(&mut self, mut data: &[u8], mut seq: u32, outlet: &mut Outlet<'_, S>) {
        if matches!(self.state, State::Fragment { .. }) && begins_record(data, outlet.sink).is_some() {
            self.end_here(seq, outlet);
        }
        while !data.is_empty() {
            let used = match self.state {
                State::Stopped => return,
                State::Foreign => match begins_record(data, outlet.sink) {
                    Some(xid) => {
                        outlet.sink.odd("late-rpc", u64::from(xid));
                        self.state = State::Mark(0);
                        0
                    }
                    None => return,
                },
                State::Scanning => match find_record(data, outlet.sink) {
                    Some(at) => {
                        self.state = State::Mark(0);
                        at
                    }
                    None => return,
                },
                State::Mark(0) if self.length == 0 => match self.whole(data, seq, outlet) {
                    Some(used) => used,
                    None if self.proved && !may_begin_record(data) => {
                        self.refuse(word(data, 0).unwrap_or_default(), outlet);
                        0
                    }
                    None => self.take_mark(data, 0, seq, outlet),
                },
                State::Mark(have) => self.take_mark(data, have, seq, outlet),
                State::Fragment { remaining, last } => self.fragment(data, remaining, last, seq, outlet),
            };
            data = data.get(used..).unwrap_or_default();
            seq = seq.wrapping_add(used as u32);
        }
    }

    /// `size` bytes of the stream are not in the capture.
    pub fn hole<S: Sink>(&mut self, size: usize, seq: u32, outlet: &mut Outlet<'_, S>) {
        match self.state {
            State::Foreign | State::Stopped | State::Scanning => {}
            State::Mark(_) => self.restart(outlet.room),
            State::Fragment { remaining, last } => {
                self.keep = self.head.len();
                self.asked = true;
                self.lost = true;
                let inside = size.min(remaining);
                self.advance(inside, remaining, last, seq, outlet);
                if size > inside {
                    self.restart(outlet.room);
                }
            }
        }
    }

    /// The usual case: mark, one fragment and nothing missing, all within this piece. Handed out without a copy.
    #[inline(always)]
    fn whole<S: Sink>(&mut self, data: &[u8], seq: u32, outlet: &mut Outlet<'_, S>) -> Option<usize> {
        let mark = word(data, 0)?;
        let length = (mark & 0x7fff_ffff) as usize;
        let record =
            data.get(4..4 + length).filter(|_| mark >> 31 == 1 && is_length(length) && may_begin_record(data))?;
        if !self.proved && parse(record, length).is_none() {
            return None;
        }
        self.proved = true;
        let end = seq.wrapping_add(4 + length as u32);
        let place = outlet.place;
        let record = Record { data: record, length, lost: false, doubted: false, end, place };
        outlet.sink.record(record).then_some(4 + length)
    }

    fn take_mark<S: Sink>(&mut self, data: &[u8], have: usize, seq: u32, outlet: &mut Outlet<'_, S>) -> usize {
        let used = (4 - have).min(data.len());
        for (to, from) in self.mark.iter_mut().skip(have).zip(data) {
            *to = *from;
        }
        if have + used < 4 {
            self.state = State::Mark(have + used);
            return used;
        }
        let mark = u32::from_be_bytes(self.mark);
        let (last, size) = (mark >> 31 == 1, (mark & 0x7fff_ffff) as usize);
        let length = self.length + size;
        if length > MAX_RECORD || (last && length < SHORTEST_REPLY) {
            self.refuse(mark, outlet);
            return used;
        }
        self.state = State::Fragment { remaining: size, last };
        if size == 0 {
            self.advance(0, 0, last, seq.wrapping_add(used as u32), outlet);
        }
        used
    }

    /// The next bytes of a fragment of which so many remain. Returns how many of them are its own.
    fn fragment<S: Sink>(
        &mut self,
        data: &[u8],
        remaining: usize,
        last: bool,
        seq: u32,
        outlet: &mut Outlet<'_, S>,
    ) -> usize {
        let size = remaining.min(data.len());
        let piece = data.get(..size).unwrap_or_default();
        if self.length == 0 {
            self.too_long = remaining > outlet.sink.most(piece);
        } else if self.length < LONGEST_HEADER && !self.too_long {
            let head = [self.head.as_slice(), piece.get(..LONGEST_HEADER).unwrap_or(piece)].concat();
            self.too_long = self.length + remaining > outlet.sink.most(&head);
        }
        if self.too_long
            && let Some(at) = self.next_inside(data, size, outlet.sink)
        {
            self.store(data.get(..at).unwrap_or_default(), outlet);
            self.length += at;
            self.end_here(seq.wrapping_add(at as u32), outlet);
            return at;
        }
        self.store(piece, outlet);
        self.advance(size, remaining, last, seq, outlet);
        size
    }

    /// What stands here is no record: a stream that never proved itself is not RPC, one that did is out of step.
    fn refuse<S: Sink>(&mut self, mark: u32, outlet: &mut Outlet<'_, S>) {
        self.restart(outlet.room);
        if self.proved {
            self.confused = true;
            outlet.sink.odd("record-mark", u64::from(mark));
        } else {
            self.state = State::Foreign;
        }
    }

    fn store<S: Sink>(&mut self, data: &[u8], outlet: &mut Outlet<'_, S>) {
        let mut rest = data;
        while !rest.is_empty() {
            if self.head.len() >= self.keep {
                if self.asked {
                    return;
                }
                self.asked = true;
                self.keep = outlet.sink.keep(&self.head).clamp(HEAD, MAX_KEEP);
                continue;
            }
            let take = rest.len().min(self.keep - self.head.len());
            if take > *outlet.room {
                outlet.sink.odd("memory-limit", MAX_STORED as u64);
                (self.keep, self.asked, self.lost) = (self.head.len(), true, true);
                return;
            }
            *outlet.room -= take;
            let (now, later) = rest.split_at(take);
            self.head.extend_from_slice(now);
            rest = later;
        }
    }

    /// `used` bytes of the fragment went by, the first at sequence number `seq`; the record may be complete now.
    fn advance<S: Sink>(&mut self, used: usize, remaining: usize, last: bool, seq: u32, outlet: &mut Outlet<'_, S>) {
        self.length += used;
        if used < remaining {
            self.state = State::Fragment { remaining: remaining - used, last };
            return;
        }
        self.state = State::Mark(0);
        if last {
            self.finish(seq.wrapping_add(used as u32), outlet);
        }
    }

    /// The next record has started: the mark of this one was wrong.
    #[cold]
    fn end_here<S: Sink>(&mut self, seq: u32, outlet: &mut Outlet<'_, S>) {
        if !self.proved && parse(&self.head, usize::MAX).is_none() {
            return;
        }
        self.too_long = true;
        self.state = State::Mark(0);
        self.finish(seq, outlet);
    }

    /// Where in the first `size` bytes of `data`, which are the next of this record, another one begins that leaves no doubt.
    #[cold]
    fn next_inside(&self, data: &[u8], size: usize, sink: &impl Sink) -> Option<usize> {
        let from = SHORTEST_REPLY.saturating_sub(self.length);
        let begins =
            |at: usize| at >= from && at < size && begins_record(data.get(at..).unwrap_or_default(), sink).is_some();
        find_sign(data, size, begins)
    }

    /// The record is complete; `end` is the sequence number after it.
    fn finish<S: Sink>(&mut self, end: u32, outlet: &mut Outlet<'_, S>) {
        *outlet.room += self.head.len();
        let head = std::mem::take(&mut self.head);
        let (length, lost) = (self.length, self.lost);
        if self.too_long {
            self.confused = true;
            outlet.sink.odd("record-mark", u64::from(u32::from_be_bytes(self.mark)));
        }
        self.forget();
        if !self.proved && parse(&head, length).is_none() {
            self.state = State::Foreign;
            return;
        }
        self.proved = true;
        let place = outlet.place;
        outlet.sink.record(Record { data: &head, length, lost, doubted: true, end, place });
    }

    fn forget(&mut self) {
        (self.length, self.keep, self.asked, self.lost, self.too_long) = (0, HEAD, false, false, false);
    }

    fn restart(&mut self, room: &mut usize) {
        *room += self.release();
        self.forget();
        self.state = State::Scanning;
    }
}

/// The first record in `data` that proves itself: a call by its header, a reply by its header and a second sign.
fn find_record(data: &[u8], sink: &impl Sink) -> Option<usize> {
    find_sign(data, data.len(), |at| proves_itself(data, at, sink))
}

/// The first place in `data` of a record mark that is one (`proof`), and that has its sign in the first `size` bytes or but
/// little later.
fn find_sign(data: &[u8], size: usize, proof: impl Fn(usize) -> bool) -> Option<usize> {
    // What stands 8 bytes after the beginning of a record mark: msg_type and rpcvers of a call, msg_type and reply_stat of an
    // accepted and of a denied reply.
    const SIGNS: [[u8; 8]; 3] = [[0, 0, 0, 0, 0, 0, 0, 2], [0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 1]];
    // In windows, so that a record found at once costs no look at the rest. A sign belongs to the window that it begins in.
    const WINDOW: usize = 1024;
    let limit = data.len().min(size + SIGNS[0].len());
    (0..limit).step_by(WINDOW).find_map(|from| {
        let end = data.len().min(limit.min(from + WINDOW) + SIGNS[0].len() - 1);
        let window = data.get(from..end).unwrap_or_default();
        let first = |sign: &[u8; 8]| {
            let mut marks = memmem::find_iter(window, sign).filter_map(|at| (from + at).checked_sub(8));
            marks.find(|at| proof(*at))
        };
        SIGNS.iter().filter_map(first).min()
    })
}

/// The xid of the record that a segment begins with, where there is no doubt of it: a call whose header is whole, or a reply that
/// is waited for.
fn begins_record(segment: &[u8], sink: &impl Sink) -> Option<u32> {
    let length = mark_at(segment, 0)?;
    if word(segment, 0)? >> 31 == 0 || !may_begin_record(segment) {
        return None;
    }
    let rest = segment.get(4..)?;
    let captured = rest.get(..length).unwrap_or(rest);
    match parse(captured, length)? {
        Message::Call(call) => {
            (call.args.is_some() && plausible_call(&call, length - captured.len())).then_some(call.xid)
        }
        Message::Reply(reply) => sink.awaits(reply.xid).then_some(reply.xid),
    }
}

/// Whether what follows a record's mark and xid is the type of a message, as far as it is there.
#[inline]
fn may_begin_record(data: &[u8]) -> bool {
    word(data, 8).is_none_or(|kind| kind <= REPLY)
}

fn proves_itself(data: &[u8], at: usize, sink: &impl Sink) -> bool {
    let Some(length) = mark_at(data, at) else { return false };
    let start = at + 4;
    let end = start + length;
    let captured = data.get(start..end.min(data.len())).unwrap_or_default();
    match parse(captured, length) {
        None => false,
        Some(Message::Call(call)) => plausible_call(&call, length.saturating_sub(captured.len())),
        Some(Message::Reply(reply)) => {
            // Senders begin a segment with a record when they have nothing else to send, which is mostly.
            at == 0
                || sink.awaits(reply.xid)
                || end == data.len()
                || (mark_at(data, end).is_some() && word(data, end + 8).is_none_or(|kind| kind <= REPLY))
        }
    }
}

fn mark_at(data: &[u8], at: usize) -> Option<usize> {
    let length = (word(data, at)? & 0x7fff_ffff) as usize;
    is_length(length).then_some(length)
}

#[inline]
fn is_length(length: usize) -> bool {
    (SHORTEST_REPLY..=MAX_RECORD).contains(&length)
}

/// Where nothing else proves it, more is asked of a call than its version: numbers such as the registry gives (RFC 5531
/// section 8.4), authentication that there is, and no arguments of NULL. Version 0, or any, is NULL's alone: rpcinfo asks for
/// a version that no server has, and the reply says which ones it has. `missing`: bytes of it that were not captured.
pub fn plausible_call(call: &Call<'_>, missing: usize) -> bool {
    const HIGHEST_PROGRAM: u32 = 0x6000_0000;
    const HIGHEST_VERSION: u32 = 1 << 16;
    const NULL: u32 = 0;
    let numbers = (1..HIGHEST_PROGRAM).contains(&call.prog)
        && (call.proc == NULL || (1..HIGHEST_VERSION).contains(&call.vers))
        && (call.proc < HIGHEST_VERSION || call.proc == UNKNOWN);
    // RPCSEC_GSS sends its tokens as arguments of NULL (RFC 2203 section 5.2.2).
    let bare = call.args.is_none_or(|args| args.len() + missing == 0);
    let arguments = call.proc != NULL || bare || call.cred.flavor == RPCSEC_GSS;
    numbers && arguments && plausible_auth(&call.cred) && plausible_auth(&call.verf)
}

/// Whether a reply, of which no call is known, says nothing else than a reply can; `length` as in [`parse`].
pub fn plausible_reply(reply: &Reply<'_>, length: usize) -> bool {
    const SUCCESS: u8 = 0;
    const PROG_MISMATCH: u8 = 2;
    const FIXED: usize = 24;
    let header = FIXED + reply.verf.body.len().next_multiple_of(4);
    let whole = match reply.status {
        None => true,
        Some(SUCCESS) => length.is_multiple_of(4),
        // The lowest and the highest version.
        Some(PROG_MISMATCH) => length == header + 8,
        Some(RPC_MISMATCH) => length == FIXED,
        Some(AUTH_ERROR..) => length == SHORTEST_REPLY,
        Some(_) => length == header,
    };
    whole && (plausible_auth(&reply.verf) || reply.verf.body == STARTTLS)
}

/// Authentication by a flavor of RFC 5531, 2203 or 9289, or of those that others registered, with a body that it can have.
fn plausible_auth(auth: &Auth<'_>) -> bool {
    const AUTH_NONE: u32 = 0;
    const AUTH_TLS: u32 = 7;
    const REGISTERED: std::ops::Range<u32> = 300_000..400_000;
    let known = auth.flavor <= AUTH_TLS || REGISTERED.contains(&auth.flavor);
    known && (auth.flavor != AUTH_NONE || auth.body.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps so many bytes of each record, and the latest record.
    struct Kept {
        keep: usize,
        latest: Option<(usize, usize)>,
    }

    impl Sink for Kept {
        fn keep(&mut self, _: &[u8]) -> usize {
            self.keep
        }

        fn most(&self, _: &[u8]) -> usize {
            usize::MAX
        }

        fn record(&mut self, record: Record<'_>) -> bool {
            self.latest = Some((record.data.len(), record.length));
            true
        }

        fn awaits(&self, _: u32) -> bool {
            false
        }

        fn odd(&mut self, _: &'static str, _: u64) {}
    }

    fn call(auth: u32) -> Vec<u8> {
        let header = [1, 0, 2, 100, 1, 1, 1, auth].map(u32::to_be_bytes).concat();
        [header, vec![0; auth.next_multiple_of(4) as usize + 8]].concat()
    }

    #[test]
    fn credentials_are_as_long_as_the_rfc_allows() {
        let parsed = |auth: u32| parse(&call(auth), usize::MAX).is_some();
        assert_eq!([400, 401].map(parsed), [true, false]);
    }

    #[test]
    fn machine_names_are_as_long_as_the_rfc_allows() {
        let name = |length: u32| {
            let body = [&[0; 4], &length.to_be_bytes()[..], &[b'x'; 256], &[0, 0, 0, 7]].concat();
            sys_credential(&Auth { flavor: 1, body: &body }).map(|(name, uid)| (name.len(), uid))
        };
        assert_eq!([255, 256].map(name), [Some((255, 7)), None]);
        assert_eq!(sys_credential(&Auth { flavor: 2, body: &[0; 12] }), None);
    }

    #[test]
    fn the_shortest_reply_denies() {
        let denied = [1, 1, 1, 1, 5].map(u32::to_be_bytes).concat();
        assert!(parse(&denied, 20).is_some());
        assert!(parse(&denied[..19], 19).is_none());
        assert_eq!([19, 20, 16 << 20, (16 << 20) + 1].map(is_length), [false, true, true, false]);
    }

    #[test]
    fn a_call_has_numbers_that_the_registry_gives() {
        let none = Auth::default();
        let plausible = |prog: u32, vers: u32, proc: u32| {
            plausible_call(&Call { xid: 1, prog, vers, proc, cred: none, verf: none, args: Some(&[]) }, 0)
        };
        assert_eq!([0, 1, 0x5fff_ffff, 0x6000_0000].map(|prog| plausible(prog, 1, 1)), [false, true, true, false]);
        assert_eq!([0, 1, 65_535, 65_536].map(|vers| plausible(1, vers, 1)), [false, true, true, false]);
        assert_eq!([0, 65_536].map(|vers| plausible(1, vers, 0)), [true, true], "of NULL");
        assert_eq!([65_535, 65_536, UNKNOWN].map(|proc| plausible(1, 1, proc)), [true, false, true]);
    }

    #[test]
    fn a_record_is_found_on_either_side_of_a_windows_end() {
        let sink = Kept { keep: 0, latest: None };
        let record = [&(1 << 31 | call(0).len() as u32).to_be_bytes()[..], &call(0)].concat();
        let found = |at: usize| find_record(&[&vec![0xff; at][..], &record].concat(), &sink);
        // Its sign stands 8 bytes after its beginning, and takes 8: across the end of the first window, or after it.
        for at in (1_000..1_040).chain(2_030..2_060) {
            assert_eq!(found(at), Some(at));
        }
    }

    #[test]
    fn all_streams_together_store_so_much() {
        const MIB: usize = 1 << 20;
        let (mut sink, mut room) = (Kept { keep: usize::MAX, latest: None }, MAX_STORED);
        let mark = 0x8000_0000 + 2 * MIB as u32;
        let stream = [&mark.to_be_bytes()[..], &call(0), &vec![0; MIB - call(0).len()]].concat();
        let mut stored = || {
            let mut records = Records::new(true);
            records.push(&stream, 0, &mut Outlet { sink: &mut sink, room: &mut room, place: Place::default() });
            (records.head.len(), records.lost)
        };
        assert!((0..64).all(|_| stored() == (MIB, false)));
        assert_eq!(stored(), (0, true));
        assert_eq!(room, 0);
    }

    /// The captured and the whole length of a record of which the first bytes came alone.
    fn kept(keep: usize, size: usize, room: usize) -> Option<(usize, usize)> {
        let (mut sink, mut room) = (Kept { keep, latest: None }, room);
        let message = [call(0), vec![0; size - call(0).len()]].concat();
        let stream = [&(1 << 31 | size as u32).to_be_bytes()[..], &message].concat();
        let mut records = Records::new(true);
        let (first, rest) = stream.split_at(100);
        let before = room;
        let outlet = &mut Outlet { sink: &mut sink, room: &mut room, place: Place::default() };
        records.push(first, 0, outlet);
        records.push(rest, 100, outlet);
        assert_eq!(room, before, "room is given back");
        sink.latest
    }

    #[test]
    fn of_a_record_its_beginning_is_stored_and_what_is_asked_for() {
        const MIB: usize = 1 << 20;
        assert_eq!(kept(0, 1_024, MAX_STORED), Some((1_024, 1_024)));
        assert_eq!(kept(0, 1_028, MAX_STORED), Some((1_024, 1_028)));
        assert_eq!(kept(2_000, 3_000, MAX_STORED), Some((2_000, 3_000)));
        assert_eq!(kept(usize::MAX, MIB, MAX_STORED), Some((MIB, MIB)));
        assert_eq!(kept(usize::MAX, MIB + 4, MAX_STORED), Some((MIB, MIB + 4)));
        // The first 96 bytes find room, and what follows does not.
        assert_eq!(kept(2_000, 3_000, 96), Some((96, 3_000)));
    }
}
