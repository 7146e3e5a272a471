//! Lock sessions that are over and healthy, and that nothing else depends on: they leave while a capture is being read.
//!
//! Steps (a LOCK, its UNLOCK, a CANCEL, a callback) of one owner on one range, in order of time, are cut where nothing of it goes
//! on. Such a stretch leaves if it is a LOCK and its UNLOCK, each as usual, that no other one of its place, a range of a file,
//! met in time. What stays all the same is what a question about something odd may lead to: stretches of a client next to
//! anything odd on the file, its steps next to what is late on the wire, the first and the last of each connection and name,
//! and the latest of each file. Which steps are usual, and what is late, comes in from outside.

use std::hash::{BuildHasher, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use crate::batch::NO_TIME;
use crate::tally::INTERVAL_NS;

const SECOND: i64 = 1_000_000_000;
/// Frames of several interfaces are captured, and requests of several connections served, out of order within so much.
pub const MOMENT: i64 = SECOND;
const NEVER: i64 = i64::MAX;
/// Stretches of a file with ranges that overlap are compared with so many that begin next. One that lasts longer meets all.
const NEAR: usize = 16;
/// The last byte of a range that goes to the end of the file, however large that grows.
pub const TO_THE_END: u64 = u64::MAX;
/// Linux has no byte beyond this one: a range that goes so far goes to the end of the file.
const OFFSET_MAX: u64 = i64::MAX as u64;
/// Moments that are looked at; of more, one in two seconds, four, ….
const MAX_MOMENTS: usize = 1 << 12;

/// What a step is.
pub mod step_flag {
    pub const LOCK: u8 = 1;
    pub const UNLOCK: u8 = 2;
    /// The server calls, not the client.
    pub const GRANT: u8 = 4;
    /// Nothing goes on after it.
    pub const OVER: u8 = 8;
    /// It was answered once, in time, with success.
    pub const USUAL: u8 = 16;

    pub const ALL: [(&str, u8); 5] =
        [("LOCK", LOCK), ("UNLOCK", UNLOCK), ("GRANT", GRANT), ("OVER", OVER), ("USUAL", USUAL)];
}
use step_flag as flag;

#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    pub exchange: u32,
    pub capture: u16,
    pub client: u32,
    pub server: u32,
    pub flow: u32,
    pub vers: u32,
    pub time: i64,
    pub reply_time: i64,
    pub flags: u8,
    pub claim: Claim,
}

/// Who asks for which range of which file; handles, owners and names are numbers of strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    pub fh: u32,
    pub oh: u32,
    pub svid: i64,
    pub offset: u64,
    pub length: u64,
    pub caller_name: u32,
    pub exclusive: bool,
}

impl Claim {
    fn end(&self) -> u64 {
        last_byte(self.offset, self.length)
    }

    fn overlaps(&self, other: &Claim) -> bool {
        self.offset <= other.end() && other.offset <= self.end()
    }
}

/// The last byte of a range; one whose length is 0 goes to the end of the file.
pub fn last_byte(offset: u64, length: u64) -> u64 {
    let last = offset.checked_add(length.wrapping_sub(1));
    last.filter(|last| *last < OFFSET_MAX).unwrap_or(TO_THE_END)
}

impl Step {
    fn is(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The address that locks.
    pub fn locker(&self) -> u32 {
        if self.is(flag::GRANT) { self.server } else { self.client }
    }
}

/// When a host wrote to a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    pub handle: u32,
    pub client: u32,
    pub first: i64,
    pub last: i64,
}

/// What there is beside the steps.
#[derive(Default)]
pub struct Beside {
    pub accesses: Vec<Access>,
    /// When a host, or its lock manager, restarted; sorted.
    pub restarts: Vec<i64>,
    /// What is not over by then stays.
    pub until: i64,
    /// Who was denied a range may request it again within so much, and these tries are one series.
    pub pause: i64,
    /// So many stay as the latest of their file and client; beyond, the oldest leave.
    pub max_latest: usize,
}

/// The steps of one owner on one range, from where nothing was under way until nothing is.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    number: u32,
    /// The places of its first and last step.
    first: u32,
    last: u32,
    begin: i64,
    end: i64,
    exclusive: bool,
    healthy: bool,
    odd: bool,
    met: bool,
    next_to_odd: bool,
    latest: bool,
    /// For what one of its steps is.
    stays: bool,
    locker: u32,
    numbers: Numbers,
}

/// What a step, or a stretch, belongs to.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    file: u32,
    range: u32,
    owner: u32,
    /// The same owner of the same range is there as well: a host translates addresses.
    at_two_addresses: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// The place of the step in order of time.
    step: u32,
    flags: u8,
    stays: bool,
    numbers: Numbers,
}

impl Row {
    fn is(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

#[derive(Default)]
pub struct Sifted {
    /// Of the sessions that leave, where the LOCK and the UNLOCK are among the steps.
    gone: Vec<(u32, u32)>,
    /// UNLOCKs of owners that had unlocked before, in a session that may have left.
    pub unlocked_again: Vec<u32>,
    steps: Steps,
    /// The number of the stretch of each of [`Self::exchanges`].
    pub stretches: Vec<u32>,
    /// By that number, whether something about a stretch, or next to it, is odd: it may be what explains something.
    pub odd: Vec<bool>,
}

/// Steps in order of time, and rows of what they belong to, those of an owner together.
#[derive(Default)]
pub struct Steps {
    steps: Vec<Step>,
    rows: Vec<Row>,
    counts: Counts,
}

/// What there is of what rows belong to.
#[derive(Default)]
struct Counts {
    owners: usize,
    ranges: usize,
    /// The number of each file by its handle.
    files: HashMap<u32, u32>,
}

impl Steps {
    /// Of steps in order of time. `moments`: when something was late, or failed, and until when what follows from it may come.
    pub fn new(steps: Vec<Step>, moments: Vec<i64>) -> Steps {
        let stays = that_stay(&steps, &few(moments));
        let row = |((step, stays), at): ((&Step, _), _)| Row { step: at, flags: step.flags, stays, ..Row::default() };
        let mut rows: Vec<Row> = steps.iter().zip(stays).zip(0..).map(row).collect();
        let counts = number(&steps, &mut rows);
        Steps { rows: in_groups(&rows, counts.owners, |row| row.numbers.owner), counts, steps }
    }

    fn step(&self, at: u32) -> Step {
        self.steps.get(at as usize).copied().unwrap_or_default()
    }

    fn by_owner(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, next| one.numbers.owner == next.numbers.owner)
    }

    /// UNLOCKs with which all begins that is known of their owners.
    pub fn unlocking_first(&self) -> impl Iterator<Item = Step> {
        let firsts = self.by_owner().filter_map(|rows| rows.first().filter(|row| row.is(flag::UNLOCK)));
        firsts.map(|row| self.step(row.step))
    }

    /// `known`: of [`Self::unlocking_first`], those of owners that had a session of that range which has left.
    pub fn sift(self, beside: &Beside, known: &HashSet<u32>) -> Sifted {
        let mut sifted = Sifted { steps: self, ..Sifted::default() };
        let stretches = sifted.cut(known, beside.pause);
        sifted.judge(stretches, beside);
        sifted
    }
}

/// Steps that are the first or the last of their connection, or of a name of their client; and those of two hosts that are the
/// last before, or the first after, something late or failed.
fn that_stay(steps: &[Step], moments: &[i64]) -> Vec<bool> {
    let rank = |step: &Step| moments.partition_point(|moment| *moment < step.time);
    let flow = ends(steps.iter().map(|step| (step.flow, 0)));
    let name = |step: &Step| (step.client, step.server, step.vers, step.claim.caller_name);
    let name = ends(steps.iter().map(|step| (name(step), 0)));
    // The ends of two hosts are ends of a name: without moments there is nothing else to find.
    let pair = ends(steps.iter().filter(|_| !moments.is_empty()).map(|step| ((step.client, step.server), rank(step))));
    let pair = pair.into_iter().chain(std::iter::repeat(false));
    flow.into_iter().zip(name).zip(pair).map(|((flow, name), pair)| flow || name || pair).collect()
}

/// Some of many moments: of those close to each other the first one.
pub fn few(mut moments: Vec<i64>) -> Vec<i64> {
    moments.sort_unstable();
    let mut step = MOMENT;
    while moments.len() > MAX_MOMENTS {
        moments.dedup_by_key(|moment| moment.div_euclid(step));
        step = step.saturating_mul(2);
    }
    moments
}

/// Of items with a group and a rank: which are the first or the last of their group, or between which of it the rank changes.
fn ends<K: Eq + Hash>(items: impl Iterator<Item = (K, usize)>) -> Vec<bool> {
    let mut marks = Vec::new();
    let mut latest: HashMap<K, (usize, usize)> = HashMap::new();
    for (group, rank) in items {
        let before = latest.insert(group, (marks.len(), rank));
        let changes = before.is_none_or(|(_, known)| known != rank);
        if changes && let Some(mark) = before.and_then(|(before, _)| marks.get_mut(before)) {
            *mark = true;
        }
        marks.push(changes);
    }
    for (last, _) in latest.into_values() {
        marks.get_mut(last).into_iter().for_each(|mark| *mark = true);
    }
    marks
}

/// Different keys, numbered as they come.
struct Numbered<K> {
    keys: Vec<K>,
    /// The hash of each, so that keys are looked at where it is equal, and its number.
    table: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
}

impl<K: Hash + Eq> Numbered<K> {
    fn new(room: usize) -> Self {
        let (keys, table) = (Vec::with_capacity(room), HashTable::with_capacity(room));
        Numbered { keys, table, hasher: DefaultHashBuilder::default() }
    }

    /// The number of a key, and whether it is new.
    fn of(&mut self, key: K) -> (u32, bool) {
        let Numbered { keys, table, hasher } = self;
        let hash = hasher.hash_one(&key);
        let is_key = |(known, number): &(u64, u32)| *known == hash && keys.get(*number as usize) == Some(&key);
        match table.entry(hash, is_key, |(known, _)| *known) {
            Entry::Occupied(known) => (known.get().1, false),
            Entry::Vacant(free) => {
                let number = keys.len() as u32;
                free.insert((hash, number));
                keys.push(key);
                (number, true)
            }
        }
    }
}

/// Which groups have more than one value. Groups come as they are numbered: a new one has the next number.
#[derive(Default)]
struct Several(Vec<(u32, bool)>);

impl Several {
    fn add(&mut self, group: u32, value: u32) {
        match self.0.get_mut(group as usize) {
            Some((first, differs)) => *differs |= *first != value,
            None => self.0.push((value, false)),
        }
    }

    fn has(&self, group: u32) -> bool {
        self.0.get(group as usize).is_some_and(|(_, differs)| *differs)
    }
}

/// Numbers what rows belong to.
fn number(steps: &[Step], rows: &mut [Row]) -> Counts {
    let mut counts = Counts::default();
    let (mut ranges, mut claims) = (Numbered::new(0), Numbered::new(rows.len() / 2));
    let mut known: Vec<Numbers> = Vec::with_capacity(rows.len() / 2);
    let mut addresses = Several::default();
    for (step, row) in steps.iter().zip(&mut *rows) {
        let Claim { fh, oh, svid, offset, .. } = step.claim;
        let end = step.claim.end();
        let (owner, is_new) = claims.of((fh, oh, svid, offset, end));
        if is_new {
            let next = counts.files.len() as u32;
            let file = *counts.files.entry(fh).or_insert(next);
            let (range, _) = ranges.of((file, offset, end));
            known.push(Numbers { file, range, owner, ..Numbers::default() });
        }
        row.numbers = known.get(owner as usize).copied().unwrap_or_default();
        addresses.add(owner, step.locker());
    }
    (counts.owners, counts.ranges) = (known.len(), ranges.keys.len());
    if addresses.0.iter().any(|(_, differs)| *differs) {
        let mut owners = Numbered::new(counts.owners);
        for (step, Row { numbers, .. }) in steps.iter().zip(rows) {
            numbers.at_two_addresses = addresses.has(numbers.owner);
            (numbers.owner, _) = owners.of((numbers.owner, step.locker()));
        }
        counts.owners = owners.keys.len();
    }
    counts
}

/// Rows by the number of their group, of which there are so many, as they come.
fn in_groups<T: Copy + Default>(rows: &[T], groups: usize, number: impl Fn(&T) -> u32) -> Vec<T> {
    let mut places = vec![0; groups];
    for row in rows {
        if let Some(place) = places.get_mut(number(row) as usize + 1) {
            *place += 1;
        }
    }
    let mut before = 0;
    for place in &mut places {
        before += *place;
        *place = before;
    }
    let mut sorted = vec![T::default(); rows.len()];
    for row in rows {
        if let Some(place) = places.get_mut(number(row) as usize) {
            if let Some(free) = sorted.get_mut(*place) {
                *free = *row;
            }
            *place += 1;
        }
    }
    sorted
}

impl Stretch {
    fn of(rows: &[Row], (first, last): (&Step, &Step), begun_before: bool, pause: i64) -> Stretch {
        let numbers = rows.first().map(|row| row.numbers).unwrap_or_default();
        let locks = first.is(flag::LOCK | flag::USUAL);
        let is_pair = rows.len() == 2 && locks && last.is(flag::UNLOCK | flag::USUAL);
        let healthy = is_pair && first.reply_time <= last.time;
        let is_held = rows.len() == 1 && locks;
        let odd = !healthy && !is_held;
        let pause = if last.is(flag::LOCK) { pause } else { 0 };
        Stretch {
            begin: if begun_before { NO_TIME } else { first.time },
            end: if last.is(flag::OVER) { last.reply_time.saturating_add(pause) } else { NEVER },
            exclusive: first.claim.exclusive,
            healthy,
            odd,
            stays: rows.iter().any(|row| row.stays),
            locker: first.locker(),
            numbers,
            ..Stretch::default()
        }
    }

    /// A shared lock stands in the way of exclusive ones only.
    fn is_alone(&self) -> bool {
        self.odd || self.exclusive
    }

    fn is_odd(&self) -> bool {
        self.odd || self.met || self.next_to_odd || self.numbers.at_two_addresses
    }

    /// Whether a restart was within a moment of it.
    fn spans(&self, restarts: &[i64]) -> bool {
        let begin = self.begin.saturating_sub(MOMENT);
        let end = self.end.saturating_add(MOMENT);
        let first = restarts.partition_point(|restart| *restart < begin);
        restarts.get(first).is_some_and(|restart| *restart < end)
    }
}

impl Sifted {
    /// The exchanges of all steps, those of a stretch together.
    pub fn exchanges(&self) -> impl Iterator<Item = u32> {
        self.steps.rows.iter().map(|row| self.steps.step(row.step).exchange)
    }

    /// The LOCK and the UNLOCK of each session that leaves.
    pub fn left(&self) -> impl Iterator<Item = (&Step, &Step)> {
        let step = |at: u32| self.steps.steps.get(at as usize);
        self.gone.iter().filter_map(move |(lock, unlock)| step(*lock).zip(step(*unlock)))
    }

    /// All steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps.steps
    }

    fn cut(&mut self, known: &HashSet<u32>, pause: i64) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for own in self.steps.by_owner() {
            let mut before: Option<&Row> = None;
            for rows in own.split_inclusive(|row| row.is(flag::OVER)) {
                let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
                let (step, its_last) = (self.steps.step(first.step), self.steps.step(last.step));
                let unlocks = first.is(flag::UNLOCK);
                // It had the range since before the capture.
                let begun_before = unlocks && before.is_none() && !known.contains(&step.exchange);
                if unlocks && !begun_before && before.is_none_or(|before| before.is(flag::UNLOCK)) {
                    self.unlocked_again.push(step.exchange);
                }
                let number = stretches.len() as u32;
                self.stretches.extend(rows.iter().map(|_| number));
                let stretch = Stretch::of(rows, (&step, &its_last), begun_before, pause);
                stretches.push(Stretch { number, first: first.step, last: last.step, ..stretch });
                before = Some(last);
            }
        }
        stretches
    }

    /// Which of all stretches leave, and which are odd.
    fn judge(&mut self, stretches: Vec<Stretch>, beside: &Beside) {
        let Steps { steps, counts, .. } = &self.steps;
        let mut of_ranges = vec![0; counts.ranges];
        for range in stretches.iter().map(|stretch| stretch.numbers.range) {
            of_ranges.get_mut(range as usize).into_iter().for_each(|count| *count += 1);
        }
        let mut stretches = in_groups(&stretches, counts.files.len(), |stretch| stretch.numbers.file);
        for of_file in stretches.chunk_by_mut(|one, next| one.numbers.file == next.numbers.file) {
            of_file.sort_by_key(|stretch| stretch.begin);
            judge_file(of_file, steps, &of_ranges);
        }
        let lockers = mark_latest(&mut stretches, counts.ranges, beside.max_latest);
        self.odd = vec![false; stretches.len()];
        for stretch in &stretches {
            let odd = self.odd.get_mut(stretch.number as usize);
            odd.into_iter().for_each(|odd| *odd = stretch.is_odd());
        }
        let over = beside.until.saturating_sub(MOMENT);
        stretches.retain(|stretch| {
            let Stretch { healthy, latest, stays, end, .. } = *stretch;
            healthy && end < over && !(latest || stays || stretch.is_odd() || stretch.spans(&beside.restarts))
        });
        let writes = Writes::of_strangers(&beside.accesses, &counts.files, &lockers);
        stretches.retain(|stretch| !writes.are_beside(stretch));
        self.gone = stretches.iter().map(|stretch| (stretch.first, stretch.last)).collect();
    }
}

/// Of stretches of one file, by begin, which meet others, and which are next to something odd. `ranges`: how many each has.
fn judge_file(of_file: &mut [Stretch], steps: &[Step], ranges: &[u32]) {
    let range = |stretch: &Stretch| stretch.numbers.range;
    let overlap = ranges_overlap(of_file, steps);
    if overlap {
        mark_owners_of_several(of_file, steps);
    }
    mark_next_to_odd(of_file, |stretch| stretch.locker);
    if overlap {
        judge_place(of_file);
        unmark_ranges_apart(of_file, steps);
    } else if of_file.iter().any(|stretch| ranges.get(range(stretch) as usize) != Some(&1)) {
        // Each range is a place of its own; most have one stretch, which nothing meets.
        of_file.sort_unstable_by_key(|stretch| (range(stretch), stretch.begin, stretch.number));
        of_file.chunk_by_mut(|one, next| range(one) == range(next)).for_each(judge_place);
        of_file.sort_unstable_by_key(|stretch| (stretch.begin, stretch.number));
    }
}

fn claim(stretch: &Stretch, steps: &[Step]) -> Claim {
    steps.get(stretch.first as usize).map(|step| step.claim).unwrap_or_default()
}

/// Whether any ranges of a file overlap: then it is one place.
fn ranges_overlap(of_file: &[Stretch], steps: &[Step]) -> bool {
    let claims = of_file.iter().map(|stretch| claim(stretch, steps));
    let mut ranges: Vec<(u64, u64)> = claims.map(|claim| (claim.offset, claim.end())).collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges.windows(2).any(|pair| matches!(pair, [one, next] if next.0 <= one.1))
}

/// Where ranges overlap, an owner's other ranges may be parts of what it has.
fn mark_owners_of_several(of_file: &mut [Stretch], steps: &[Step]) {
    let (mut persons, mut several) = (Numbered::new(0), Several::default());
    let mut person = |stretch: &Stretch| {
        let Claim { oh, svid, .. } = claim(stretch, steps);
        persons.of((oh, svid, stretch.locker)).0
    };
    of_file.iter().for_each(|stretch| several.add(person(stretch), stretch.numbers.range));
    for stretch in of_file {
        if stretch.healthy && several.has(person(stretch)) {
            (stretch.healthy, stretch.odd) = (false, true);
        }
    }
}

/// Of stretches of one place, by begin.
fn judge_place(of_place: &mut [Stretch]) {
    if of_place.len() == 1 {
        return;
    }
    mark_next_to_odd(of_place, |stretch| (stretch.numbers.range, stretch.exclusive));
    let meets = |by: &dyn Fn(&Stretch) -> bool| meeting(of_place.iter().map(|each| (each.begin, each.end, by(each))));
    let (any, alone) = (meets(&|_| true), meets(&Stretch::is_alone));
    for ((stretch, any), alone) in of_place.iter_mut().zip(any).zip(alone) {
        stretch.met = if stretch.is_alone() { any } else { alone };
    }
}

/// Those of a client, or of a range, that are the last before, or the first after, something odd.
fn mark_next_to_odd<K: Eq + Hash>(stretches: &mut [Stretch], sequence: impl Fn(&Stretch) -> K) {
    let odd = stretches.iter().filter(|stretch| stretch.odd);
    let mut moments: Vec<i64> = odd.flat_map(|stretch| [stretch.begin, stretch.end]).collect();
    if moments.is_empty() {
        return;
    }
    moments.sort_unstable();
    let rank = |stretch: &Stretch| moments.partition_point(|moment| *moment <= stretch.begin);
    let ends = ends(stretches.iter().map(|stretch| (sequence(stretch), rank(stretch))));
    stretches.iter_mut().zip(ends).for_each(|(stretch, is_end)| stretch.next_to_odd |= is_end);
}

/// Of spans of time, by begin, which meet another one that is of those in question.
fn meeting(spans: impl DoubleEndedIterator<Item = (i64, i64, bool)> + Clone) -> Vec<bool> {
    let mut latest = None; // end of those that begin before one
    let before = spans.clone().map(|(begin, end, is_asked)| {
        let met = latest.is_some_and(|latest| latest >= begin);
        latest = latest.max(Some(end).filter(|_| is_asked));
        met
    });
    let mut met: Vec<bool> = before.collect();
    let mut next = None; // begin after one
    for ((begin, end, is_asked), met) in spans.rev().zip(met.iter_mut().rev()) {
        *met |= next.is_some_and(|next| next <= end);
        next = Some(begin).filter(|_| is_asked).or(next);
    }
    met
}

/// Of those that met others on a file whose ranges overlap, those stay so whose ranges do.
fn unmark_ranges_apart(of_place: &mut [Stretch], steps: &[Step]) {
    let met: Vec<_> = of_place.iter().filter(|each| each.met).map(|each| (*each, claim(each, steps))).collect();
    let mut meets = vec![false; met.len()];
    let mut long = vec![false; met.len()];
    let mark = |marks: &mut Vec<bool>, at: usize| marks.get_mut(at).into_iter().for_each(|mark| *mark = true);
    for (at, (one, range)) in met.iter().enumerate() {
        let next = met.iter().enumerate().skip(at + 1).take(NEAR);
        for (near, (other, its)) in next.take_while(|(_, (other, _))| other.begin <= one.end) {
            if near == at + NEAR {
                mark(&mut long, at);
            } else if range.overlaps(its) && (one.is_alone() || other.is_alone()) {
                [at, near].into_iter().for_each(|at| mark(&mut meets, at));
            }
        }
    }
    let long_ones = meeting(met.iter().zip(&long).map(|((each, _), long)| (each.begin, each.end, *long)));
    let mut stay = meets.into_iter().zip(long).zip(long_ones).map(|((meets, long), met)| meets || long || met);
    for stretch in of_place.iter_mut().filter(|each| each.met) {
        stretch.met = stay.next().unwrap_or(true);
    }
}

/// Marks the latest of each range and of each client and file, as many as stay. Returns all files with their lockers.
fn mark_latest(stretches: &mut [Stretch], ranges: usize, most: usize) -> HashSet<(u32, u32)> {
    let mut clients = HashMap::new();
    let mut of_ranges = vec![None; 2 * ranges]; // shared or not
    for (at, Stretch { numbers, exclusive, locker, .. }) in stretches.iter().enumerate() {
        let last = of_ranges.get_mut(2 * numbers.range as usize + usize::from(*exclusive));
        last.into_iter().for_each(|last| *last = Some(at));
        clients.insert((numbers.file, *locker), at);
    }
    for at in of_ranges.into_iter().flatten().chain(clients.values().copied()) {
        stretches.get_mut(at).into_iter().for_each(|stretch| stretch.latest = true);
    }
    let mut latest: Vec<&mut Stretch> = stretches.iter_mut().filter(|each| each.latest && each.healthy).collect();
    let beyond = latest.len().saturating_sub(most);
    if beyond > 0 {
        latest.sort_unstable_by_key(|stretch| (stretch.end, stretch.begin, stretch.number));
        latest.into_iter().take(beyond).for_each(|stretch| stretch.latest = false);
    }
    clients.into_keys().collect()
}

/// When hosts wrote to files on which they never ask for a lock, to the interval in which writes are summed: by file, in order of
/// their begin, until when those up to there went on.
struct Writes(HashMap<u32, Vec<(i64, i64)>>);

impl Writes {
    fn of_strangers(accesses: &[Access], files: &HashMap<u32, u32>, lockers: &HashSet<(u32, u32)>) -> Writes {
        let mut by_file: HashMap<u32, Vec<(i64, i64)>> = HashMap::new();
        for Access { handle, client, first, last } in accesses {
            if let Some(file) = files.get(handle)
                && !lockers.contains(&(*file, *client))
            {
                let span = (first.saturating_sub(INTERVAL_NS), last.saturating_add(INTERVAL_NS));
                by_file.entry(*file).or_default().push(span);
            }
        }
        for writes in by_file.values_mut() {
            writes.sort_unstable();
            let mut until = NO_TIME;
            for (_, last) in writes {
                until = until.max(*last);
                *last = until;
            }
        }
        Writes(by_file)
    }

    fn are_beside(&self, Stretch { numbers, begin, end, .. }: &Stretch) -> bool {
        self.0.get(&numbers.file).is_some_and(|writes| {
            let begun = writes.partition_point(|(first, _)| first <= end);
            writes.get(begun.wrapping_sub(1)).is_some_and(|(_, last)| last >= begin)
        })
    }
}
