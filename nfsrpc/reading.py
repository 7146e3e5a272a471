"""Captures to batches of rows: files grouped by vantage, and each vantage's bytes through one decoder.

Files that continue each other (a ring of tcpdump -C, -W, -G) go through one decoder, in order of their first frames, so
that connections and calls continue from file to file. Files that overlap in time are vantages of their own, each with
its decoder, because one frame in two of them is captured twice, and 127.0.0.1 is two hosts. Rings and single files are
read at once, as many as there are jobs; where there are fewer of them, each decoder has several back ends.
A file that cannot be read stops none of the others: it is left out, and named in `skipped`.
Nothing here needs numpy before a decoder returns rows: reading goes on in a thread while numpy and the modules that
evaluate rows are imported.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from heapq import heappop, heappush
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeAlias, TypeVar

from nfsrpc._core import Decoder, Layouts, NotACapture
from nfsrpc.protocols import PROTOCOLS, Program, compile  # noqa: A004
from nfsrpc.protocols.numbers import Nfs2Proc, Nfs3Proc, Prog
from nfsrpc.sources import Capture, SourceError, is_read_once, open_capture, rings_of, usable

Wanted: TypeAlias = Mapping[str, Collection[str]]
Progress: TypeAlias = Callable[[int, int | None], None]  # bytes done, bytes in all (None when a pipe has no size)
Batch: TypeAlias = dict[str, Any]
Local: TypeAlias = tuple[int, int, str, bool]  # file, interface, address, whether the host only forwarded from there
Item = TypeVar("Item")
Result = TypeVar("Result")

NO_TIME = -1 << 63  # as the core has it
END_OF_TIME = (1 << 63) - 1
# Between two files of a ring lies the silence between two frames; a file that begins later is another trace.
RING_GAP = 120_000_000_000
# Frames from several interfaces and CPUs are written out of order by this much, also at the seam of a ring.
RING_OVERLAP = 1_000_000_000
# The core numbers files, and the interfaces of each, with 16 bits.
MAX_FILES = 1 << 16
# More than any machine has processors: the core counts threads with 64 bits. Of longer numbers Python makes none.
MAX_JOBS = 1 << 12
MAX_DIGITS = 1000
# Enough for the first frame of every format, jumbo frames and pcapng's headers included.
PEEK_BYTES = 1 << 17
# Where exchanges are counted, so many listed ones are taken from the decoder at a time, of some 200 bytes, and thinned:
# after the same frames for any number of jobs, because it decides what stays.
DRAIN_ROWS = 1 << 14
# Frames after which it is asked how many there are: few beside those rows; to ask costs nothing beside decoding them.
ASKED_EVERY = 1 << 12
# Where all exchanges are listed, so many rows are taken at a time, of some 300 bytes in the core and 100 outside. A
# quarter of them take a tenth more time.
PIECE_ROWS = 1 << 17
# Addresses of which more are known are looked at: those that no row uses are forgotten. 150 bytes each.
MAX_ADDRESSES = 1 << 16

# Programs whose messages have names of files: there may be millions, which must not take the room of locks.
SECONDARY = (Prog.NFS, Prog.MOUNT)

# WRITE of NFSv3 and NFSv2, counted by file handle: not listed, it still shows which client writes to a locked file.
# With the length of the handle where XDR has none; after it, where the offset stands, if it has 64 bits, and the count.
WRITES = (
    ((Prog.NFS, 3, Nfs3Proc.WRITE), (0, 0, True, 8)),
    ((Prog.NFS, 2, Nfs2Proc.WRITE), (32, 4, False, 12)),
)

# LOOKUPs that repeat a known name are not listed where batches are thinned: each with the length of the handle in its
# results where XDR has none.
LOOKUPS = (((Prog.NFS, 3, Nfs3Proc.LOOKUP), 0), ((Prog.NFS, 2, Nfs2Proc.LOOKUP), 32))

BAD_ENDINGS = {"empty": "is empty", "cut-header": "is cut within its header"}


class Counting(NamedTuple):
    """The procedures whose ordinary exchanges are counted instead of listed, and the functions that thin batches."""

    procedures: Sequence[tuple[int, int, int]]  # program, version, number
    fullness: Callable[[list[Batch]], float]  # from 1 on, batches will be thinned, to one
    thinned: Callable[[list[Batch], dict[str, Any], int, Mapping[str, Mapping[str, str]]], list[Batch]]
    without_addresses: Callable[[Batch, Any], Batch]  # but for those of these numbers, and those that it uses


class Head(NamedTuple):
    """What the first frames of a file show."""

    first: int = NO_TIME
    senders: frozenset[str] = frozenset()  # the addresses that the capturing host sent from


class VantageBatches(NamedTuple):
    """The batches of rows of some captures, by vantage."""

    files: list[Capture]
    vantages: list[Vantage]  # in the order of their first frames
    damages: Mapping[int, str]  # of files that could not be read to their end: what is wrong
    kinds: Mapping[str, Mapping[str, str]]  # of the columns of messages
    skipped: tuple[SourceError, ...] = ()  # what is wrong with the files that could not be read at all


def read(
    sources: Iterable[Any],
    wanted: Wanted | None = None,
    programs: Sequence[Program] = PROTOCOLS,
    progress: Progress | None = None,
    counting: Counting | None = None,
    jobs: int | None = None,
) -> VantageBatches:
    """Reads captures (paths, open files, bytes) to their end, with the `wanted` fields of messages (None: all).

    Raises SourceError where none of them can be read.
    """
    return prepared(sources, wanted, programs, progress, counting, jobs)()


def prepared(
    sources: Iterable[Any],
    wanted: Wanted | None = None,
    programs: Sequence[Program] = PROTOCOLS,
    progress: Progress | None = None,
    counting: Counting | None = None,
    jobs: int | None = None,
    others: bool = False,
) -> Callable[[], VantageBatches]:
    """Prepares the reading of captures, and returns the function that reads them, nearly without the interpreter.

    With `others`, captures of other places are joined later, which may show what these lack.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs is {jobs}: it takes at least one processor")
    threads = min(jobs or usual_jobs(), MAX_JOBS)
    files, errors = usable(sources)
    if not files:
        raise none_of(errors) if errors else ValueError("no capture is given")
    if len(files) > MAX_FILES:
        raise SourceError(str(files[MAX_FILES]), f"there are more than {MAX_FILES} files", "analyse fewer at once")
    compiled, specs = compile(programs, wanted)
    layouts = Layouts(compiled, specs, () if wanted is None else SECONDARY)
    kinds = {table: dict(columns) for table, columns in specs}
    counted = counting.procedures if counting else ()
    nothing: dict[str, Any] = {}

    def new_vantage(number: int, backends: int) -> Vantage:
        full = (DRAIN_ROWS, ASKED_EVERY) if counting else None
        decoder = Decoder(layouts, number, counted, by_handle=WRITES, jobs=backends, stop_at=full)
        return Vantage(decoder, kinds, nothing, counting, beside=backends > 1)

    def run() -> VantageBatches:
        heads, refused = heads_of(files, alone=not errors)
        skipped = [*errors, *refused]
        if not heads:
            raise none_of(skipped)
        found = [file for file, _ in heads]
        reader = FileReader(found, progress)
        vantages = vantages_of(reader, [head for _, head in heads], new_vantage, threads, others)
        return VantageBatches(found, vantages, reader.damages, kinds, (*skipped, *reader.lost.values()))

    return run


def none_of(errors: Sequence[SourceError]) -> SourceError:
    """One error for several, where no file can be read."""
    error, *others = errors
    if not others:
        return error
    return SourceError(error.path, f"{error.reason}; {len(others)} more cannot be read either", error.remedy)


def usual_jobs() -> int:
    """The number of processors that are used: NFSRPC_JOBS, else all that this process may use."""
    wish = os.environ.get("NFSRPC_JOBS", "")
    if not wish:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (wish.isascii() and wish.isdecimal() and wish.strip("0") and len(wish) < MAX_DIGITS):
        raise SourceError("NFSRPC_JOBS", f"is no number of processors: {wish!r}", "unset it to use all")
    return int(wish)


def vantages_of(
    reader: FileReader,
    heads: Sequence[Head],
    new_vantage: Callable[[int, int], Vantage],
    jobs: int,
    others: bool = False,
) -> list[Vantage]:
    """The vantages, with all their files read, in the order of the times of their first frames."""
    names = list(map(str, reader.files))
    ring_of = rings_of(names, [head.senders for head in heads])
    in_order = sorted(zip((head.first for head in heads), names, range(len(names)), strict=True))
    rings: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, _, number in in_order:
        rings[ring_of[number]].append((first, number))
    backends = max(1, jobs // len(rings))
    alone = len(rings) == 1 and not others

    def vantages(files: Sequence[tuple[int, int]], gap: int = RING_GAP) -> list[Vantage]:
        """The vantages of one ring."""
        ring, found = Ring(gap), list[Vantage]()
        following = [*(first for first, _ in files[1:]), END_OF_TIME]
        for (first, number), next_first in zip(files, following, strict=True):
            vantage = ring.continued_at(first)
            if vantage is None:
                vantage = new_vantage(number, backends)
                found.append(vantage)
            vantage.alone_until = next_first if alone and len(found) == 1 else NO_TIME
            vantage.read(number, reader)
            ring.add(vantage)
        by_name = not all(heads[number].senders for _, number in files)
        if ring.overlaps and ring.pauses and by_name and not any(is_read_once(reader.files[at]) for _, at in files):
            del ring, found, vantage  # and all rows
            return vantages(files, RING_OVERLAP)
        for vantage in found:
            vantage.alone_until = END_OF_TIME if alone and len(found) == 1 else NO_TIME
            vantage.close()
        return found

    place = {number: place for place, (_, _, number) in enumerate(in_order)}
    found = [vantage for ring in at_once(vantages, list(rings.values()), jobs) for vantage in ring]
    return sorted(found, key=lambda vantage: place[vantage.files[0]])


def at_once(work: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> list[Result]:
    """The results of work on items, several at a time; raises the exception of the first one that failed."""
    if jobs == 1 or len(items) == 1:
        return list(map(work, items))
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    waiting, lock = iter(enumerate(items)), Lock()

    def run() -> None:
        while not errors:
            with lock:
                number, item = next(waiting, (-1, items[0]))
            if number < 0:
                return
            try:
                results[number] = work(item)
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors[number] = error

    for wait in [ahead(run) for _ in range(min(jobs, len(items)))]:
        wait()
    for _, error in sorted(errors.items()):
        raise error
    return [results[number] for number in range(len(items))]


def ahead(work: Callable[[], Result]) -> Callable[[], Result]:
    """Starts work in a thread; returns a function that waits for its result, and raises its exception."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in `result`
            errors.append(error)

    def result() -> Result:
        thread.join()
        for error in errors:
            raise error
        return results[0]

    thread = Thread(target=run, name="nfsrpc-ahead", daemon=True)
    thread.start()
    return result


def heads_of(files: Sequence[Capture], alone: bool) -> tuple[list[tuple[Capture, Head]], list[SourceError]]:
    """The files that can be read with what their first frames show, and the errors of the others.

    A file that is `alone` is not opened: its errors come when it is read.
    """
    if alone and len(files) == 1:
        return [(files[0], Head())], []
    found: list[tuple[Capture, Head]] = []
    errors: list[SourceError] = []
    for file in files:
        try:
            found.append((file, Head() if is_read_once(file) else head_of(file)))
        except SourceError as error:
            errors.append(error.with_traceback(None))
    return found, errors


def head_of(file: Capture) -> Head:
    """What the first frames of a file show. Raises SourceError for what is no capture."""
    probe = Decoder()
    with open_capture(file, chunk_size=PEEK_BYTES) as source, refusing(str(file)):
        for chunk in source:
            probe.feed(chunk)
            if source.position >= PEEK_BYTES:
                break
        check(str(file), probe.next_capture())
    rows = drained(probe)
    return Head(int(rows["captures"]["first"][0]), senders_by_file(rows["locals"])[0])


def senders_by_file(locals_: Iterable[Local]) -> Mapping[int, frozenset[str]]:
    """By file the addresses that its capturing host sent from, without those whose packets it forwards."""
    found: defaultdict[int, dict[bool, set[str]]] = defaultdict(lambda: {True: set(), False: set()})
    for file, _, address, forwarded in locals_:
        found[file][forwarded].add(address)
    return defaultdict(frozenset, {file: frozenset(each[False] - each[True]) for file, each in found.items()})


def drained(decoder: Decoder) -> Batch:
    """The rows of a decoder so far.

    The core would import numpy, too, but a panic is printed where that fails: of Ctrl-C meanwhile in the main thread.
    """
    import numpy  # noqa: F401

    return decoder.drain()


def sharing_empty_tables(batch: Batch, nothing: dict[str, Any]) -> Batch:
    """The batch, whose tables of messages without rows are those of all batches: most tables have no rows.

    Of many small captures they would take half of the memory. `nothing`: these tables, by name.
    """
    tables = batch["decoded"]
    for table, columns in tables.items():
        if not len(columns["exchange"]):
            tables[table] = nothing.setdefault(table, columns)
    return batch


def gathered(batches: list[Batch], batch: Batch) -> list[Batch]:
    """The batches and one more, of which the first has all rows of exchanges and messages, each column once."""
    from nfsrpc.columns import lengthened

    def column(known: Any, more: Any) -> Any:
        if isinstance(more, tuple):
            return tuple(map(lengthened, known or (None, None), more))
        return lengthened(known, more)

    def table(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {name: column(known.pop(name, None), values) for name, values in more.items()}

    first = batches[0] if batches else batch | {"exchanges": {}, "decoded": {}}
    first["exchanges"] = table(first["exchanges"], batch["exchanges"])
    for name, more in batch["decoded"].items():
        known = first["decoded"].setdefault(name, more)  # most tables have no rows
        if len(more["exchange"]):
            first["decoded"][name] = table(known if known is not more and len(known["exchange"]) else {}, more)
    if not batches:
        return [first]
    nothing = {name: values[:0].copy() for name, values in batch["exchanges"].items()}
    return [*batches, batch | {"exchanges": nothing, "decoded": {}}]


def check(name: str, ending: str) -> None:
    """Raises SourceError for a file that ended before it began."""
    if ending in BAD_ENDINGS:
        raise SourceError(name, BAD_ENDINGS[ending])


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turns the core's NotACapture into a SourceError with the name of the file."""
    try:
        yield
    except NotACapture as error:
        raise SourceError(name, str(error)) from error


class FileReader:
    """Reads files in chunks, also several at once, and reports the progress over all of them."""

    def __init__(self, files: Sequence[Capture], progress: Progress | None) -> None:
        self.files = files
        self.progress = progress
        self.damages: dict[int, str] = {}
        self.lost: dict[int, SourceError] = {}  # of files that could be read a moment ago
        self.total = total_size(files) if progress else None
        self._done: dict[int, int] = {}  # bytes of each file
        self._reporting = Lock()

    def chunks(self, number: int) -> Iterator[bytes]:
        with open_capture(self.files[number]) as source:
            for chunk in source:
                yield chunk
                self._done[number] = source.position
                if self.progress:
                    with self._reporting:
                        self.progress(sum(self._done.copy().values()), self.total)
            if source.damage:
                self.damages[number] = source.damage

    def broke_off(self, number: int, error: SourceError) -> None:
        """Notes a file of which reading failed. Raises if it is the only one and nothing of it has been read."""
        nothing = number not in self._done
        if nothing and len(self.files) == 1:
            raise error
        if nothing:
            self.lost[number] = error.with_traceback(None)
        self.damages[number] = error.reason


def total_size(files: Sequence[Capture]) -> int | None:
    sizes = []
    for file in files:
        if is_read_once(file):
            return None
        with suppress(SourceError), open_capture(file) as source:
            sizes.append(source.size)
    return sum(size for size in sizes if size is not None) if None not in sizes else None


class Vantage:
    """One capture point: its files, their decoder, and the batches of rows so far.

    `alone_until`: before this time, no other vantage shows what this one may lack.
    """

    def __init__(
        self,
        decoder: Decoder,
        kinds: Mapping[str, Mapping[str, str]],
        nothing: dict[str, Any],
        counting: Counting | None = None,
        beside: bool = False,
    ) -> None:
        """`kinds`: of the columns of messages; `nothing`: their tables without rows, which all vantages share.

        `beside`: batches are thinned in a thread while decoding goes on.
        """
        self.decoder = decoder
        self.kinds = kinds
        self.nothing = nothing
        self.counting = counting
        self.beside = beside
        self.alone_until = NO_TIME
        self.files: list[int] = []
        self.batches: list[Batch] = []
        self.last = NO_TIME
        self.knows_names = False  # the decoder
        self._thinned: Callable[[], list[Batch]] | None = None  # waits for batches that are being thinned

    def read(self, number: int, reader: FileReader) -> None:
        """Reads one more file, to its end."""
        self.files.append(number)
        name = str(reader.files[number])
        if self.counting and self.batches:  # of the files before, each of which may have fewer rows than stop decoding
            self._thin(self.counting)
        try:
            for chunk in reader.chunks(number):
                with refusing(name):
                    full = self.decoder.feed(chunk)
                while full and self.counting:
                    self.batches.append(self._drained())
                    self._thin(self.counting)
                    full = self.decoder.go_on()
                if not self.counting and self.decoder.undrained() >= PIECE_ROWS:
                    self.batches = gathered(self.batches, self._drained())
        except SourceError as error:
            if isinstance(error.__cause__, NotACapture):  # after which the decoder takes nothing more
                raise
            reader.broke_off(number, error)
        self._wait()
        with refusing(name):
            ending = self.decoder.next_capture()
        if number not in reader.damages:
            check(name, ending)
        batch = self._drained()
        self.last = max(self.last, int(batch["captures"]["last"][-1]))
        self.batches = [*self.batches, batch] if self.counting else gathered(self.batches, batch)

    def close(self) -> None:
        """After the last file: what only the end of the capture decides is the last of its batches."""
        last = sharing_empty_tables(self.decoder.close(), self.nothing)
        del self.decoder  # which takes some MB
        nothing = {name: values[:0] for name, values in last["captures"].items()}  # of a next file: there is none
        last |= {"captures": nothing, "capture_formats": [], "interfaces": []}
        if not self.counting:
            self.batches = gathered(self.batches, last)
            return
        batches, self.batches = [*self.batches, last], []
        in_reach = {name: values[:0] for name, values in last["exchanges"].items()}
        del last
        for batch in self.counting.thinned(batches, in_reach, self.alone_until, self.kinds):
            self.batches.append({name: of for name, of in batch.items() if name != "address_numbers"})

    def _drained(self) -> Batch:
        return sharing_empty_tables(drained(self.decoder), self.nothing)

    def _thin(self, counting: Counting) -> None:
        """Has rows thinned where they are many, right after some were taken; these may wait for earlier ones."""
        if counting.fullness(self.batches) < 1:
            return
        self._wait()
        if counting.fullness(self.batches) < 1:  # beside what is left of those of before
            return
        in_reach = self.decoder.exchanges_in_reach()
        self.decoder.forget_strings()
        if not self.knows_names:
            self.decoder.begin_to_know_names(LOOKUPS)
            self.knows_names = True
        many = sum(len(batch["addresses"]) for batch in self.batches) > MAX_ADDRESSES
        staying = self.decoder.forget_addresses() if many else None
        batches, self.batches = self.batches, []
        work = partial(self._thinned_batches, counting, batches, in_reach, staying)
        self._thinned = ahead(work) if self.beside else work
        if not self.beside:
            self._wait()

    def _thinned_batches(
        self, counting: Counting, batches: list[Batch], in_reach: dict[str, Any], staying: Any
    ) -> list[Batch]:
        """One batch of all; `staying`: the addresses that the decoder has not forgotten, if it has forgotten any."""
        batches = counting.thinned(batches, in_reach, self.alone_until, self.kinds)
        return batches if staying is None else [counting.without_addresses(batches[0], staying)]

    def _wait(self) -> None:
        """Batches that are being thinned are there, before those that came since."""
        if self._thinned:
            thinned, self._thinned = self._thinned, None
            self.batches = [*thinned(), *self.batches]


class Ring:
    """The vantages whose files are called as one ring; a file continues one of them by the time of its first frame.

    Where some overlap, these names are those of several hosts' captures, or of a clock that was set back, and a file
    that begins after a pause may be of any host: then only what follows at once continues (a `gap` of RING_OVERLAP).
    Files come in the order of their first frames, so that a vantage which ended too long before one of them is dropped:
    many files of one name cost no more than as many of different names.
    """

    def __init__(self, gap: int = RING_GAP) -> None:
        self.gap = gap
        self.overlaps = False  # whether a file begins while a vantage lasts
        self.pauses = False  # whether a file continues a vantage, and not at once
        self.running: list[tuple[int, int, Vantage]] = []  # by end: those that last beyond the first frame asked for
        self.ended: list[tuple[int, int, Vantage]] = []  # the one that began last first
        self.numbers: dict[Vantage, int] = {}

    def add(self, vantage: Vantage) -> None:
        """Adds a vantage that has been read to the end of a file of this name."""
        if vantage.last != NO_TIME:
            number = self.numbers.setdefault(vantage, len(self.numbers))
            heappush(self.running, (vantage.last, number, vantage))

    def continued_at(self, first: int) -> Vantage | None:
        """The vantage that a file which begins at `first` continues: of several, the one that began last."""
        if first == NO_TIME:
            return None
        while self.running and self.running[0][0] <= first + RING_OVERLAP:
            _, number, vantage = heappop(self.running)
            heappush(self.ended, (-number, vantage.last, vantage))
        self.overlaps |= bool(self.running)
        while self.ended:
            _, last, vantage = heappop(self.ended)
            if first - last <= self.gap:
                self.pauses |= first - last > RING_OVERLAP
                return vantage
        return None
