//! The records of one flow on their way to the exchanges, and what is learnt of the flow from them.

use crate::exchange::Path;
use crate::matcher::{Matcher, MessageKind};
use crate::rpc::{Record, Sink, UNKNOWN};

pub struct Conversation<'a> {
    pub matcher: &'a mut Matcher,
    pub path: Path,
    pub calls: u32,
    pub replies: u32,
    /// Program of the first call.
    pub prog: u32,
    pub starttls: bool,
    /// Something was no message, or a reply to no call: perhaps the reply to another one.
    pub confused: bool,
}

impl Conversation<'_> {
    pub fn new(matcher: &mut Matcher, path: Path) -> Conversation<'_> {
        Conversation { matcher, path, calls: 0, replies: 0, prog: UNKNOWN, starttls: false, confused: false }
    }

    /// Counts a record, and returns whether it can be so long.
    fn note(&mut self, kind: Option<MessageKind>) -> bool {
        match kind {
            Some(MessageKind::Call(prog)) => {
                self.calls += 1;
                self.prog = if self.prog == UNKNOWN { prog } else { self.prog };
            }
            Some(MessageKind::Reply) => self.replies += 1,
            Some(MessageKind::Orphan) => (self.replies, self.confused) = (self.replies + 1, true),
            Some(MessageKind::StartTls) => (self.replies, self.starttls) = (self.replies + 1, true),
            Some(MessageKind::TooLong) => return false,
            None => self.confused = true,
        }
        true
    }
}

impl Sink for Conversation<'_> {
    fn keep(&mut self, head: &[u8]) -> usize {
        self.matcher.keep(&self.path, head)
    }

    fn most(&self, head: &[u8]) -> usize {
        self.matcher.most(&self.path, head)
    }

    fn record(&mut self, record: Record<'_>) -> bool {
        let kind = self.matcher.record(self.path, &record);
        self.note(kind)
    }

    fn awaits(&self, xid: u32) -> bool {
        self.matcher.awaits(&self.path, xid)
    }

    fn odd(&mut self, kind: &'static str, detail: u64) {
        self.matcher.oddities.push(kind, detail);
    }
}
