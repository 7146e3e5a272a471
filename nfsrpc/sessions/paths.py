"""Paths of file handles: a handle is named by its directory's handle and a name, up to the root that MNT gave.

What is not known of the way up is shown as "...": a client may have mounted and looked up before the capture. The first
name that a handle is seen with counts also for the time before; what changed later is a list in the order of time, so a
path is asked for at a time. A handle keeps its last path when the name is removed, since locks outlive names.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from nfsrpc import tables
from nfsrpc.columns import NAT, NULLS, Array, Coded, Masked, Source
from nfsrpc.decode import NO_STRING, Decoded, text_of
from nfsrpc.sessions.grouping import group
from nfsrpc.sessions.name_sources import LINKS, MOVES, NAMES
from nfsrpc.sessions.naming import Events, concerning, events, news
from nfsrpc.tables import Calls

UNKNOWN = "..."
# Events walked through, some 500 bytes each: 128 MB. The first ones count, since roots come first.
MAX_EVENTS = 1 << 18
# Deeper than trees of files are; a longer way up goes round in a circle.
MAX_DEPTH = 256
# Of Linux (limits.h): no program can open a longer one, which would take more memory than all messages that name it.
PATH_MAX = 4096
NOT_ENDED = -1

Key: TypeAlias = tuple[int, int]  # server, handle
Place: TypeAlias = tuple[int, int, int]  # server, directory, name


class Naming(NamedTuple):
    """A handle's place since an event."""

    key: Key
    place: Place
    event: int


class NameHistory:
    """The first place of each handle, and the changes in the order of time."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.first: dict[Key, Naming] = {}
        self.changes: list[Naming] = []
        self.ends: dict[Naming, int] = {}  # the event by which a handle has left its place
        self._now: dict[Key, Naming] = {}
        self._holders: dict[Place, Key] = {}
        columns = (events.kind, events.server, events.handle, events.directory, events.name)
        targets = (events.to_directory, events.to_name)
        rows = zip(*map(np.ndarray.tolist, (*columns, *targets)), strict=True)
        for event, (kind, server, handle, directory, name, to_directory, to_name) in enumerate(rows):
            key, place = (server, handle), (server, directory, name)
            if kind == NAMES or (kind == LINKS and key not in self._now):
                self._put(key, place, event)
            elif kind == LINKS:
                self._holders[place] = key
            else:
                holder = self._vacate(place, event)
                if kind == MOVES and holder is not None:
                    self._put(holder, (server, to_directory, to_name), event)

    @property
    def all(self) -> list[Naming]:
        return sorted([*self.first.values(), *self.changes], key=lambda naming: naming.event)

    @property
    def change_times(self) -> Array:
        return self.events.time[np.array([change.event for change in self.changes], dtype=np.int64)]

    def _vacate(self, place: Place, event: int) -> Key | None:
        """Empties a place, and returns the handle that had it, as far as is known."""
        holder = self._holders.pop(place, None)
        if holder is not None and self._now[holder].place == place:
            self.ends.setdefault(self._now[holder], event)
        return holder

    def _put(self, key: Key, place: Place, event: int) -> None:
        before = self._now.get(key)
        if before is not None and before.place == place and before not in self.ends:
            return
        if self._holders.get(place, key) != key:
            self._vacate(place, event)
        if before is not None:
            self.ends.setdefault(before, event)
        naming = self._now[key] = Naming(key, place, event)
        self._holders[place] = key
        if self.first.setdefault(key, naming) is not naming:
            self.changes.append(naming)


class PathWalk:
    """Upwards from handles, as names are at one time; `change` goes on to a later one."""

    def __init__(self, decoded: Decoded, names: NameHistory) -> None:
        self.strings = decoded.strings
        self.places = {key: naming.place for key, naming in names.first.items()}

    def change(self, namings: Iterable[Naming]) -> None:
        self.places.update((naming.key, naming.place) for naming in namings)

    def path(self, key: Key) -> str | None:
        if key not in self.places:
            return None
        steps: list[str] = []
        length = 0
        while key in self.places and len(steps) < MAX_DEPTH and length < PATH_MAX:
            server, directory, name = self.places[key]
            steps.append(text_of(self.strings[name]))
            length += len(steps[-1]) + 1
            if directory == NO_STRING:
                return "/".join([steps.pop().rstrip("/"), *reversed(steps)]) or "/"
            key = (server, directory)
        return "/".join([UNKNOWN, *reversed(steps)])


class HandlePaths:
    """The paths of a trace's handles."""

    def __init__(self, decoded: Decoded, calls: Calls) -> None:
        self.decoded, self.calls = decoded, calls

    @cached_property
    def events(self) -> Events:
        return news(events(self.decoded, self.calls))

    def of(self, servers: Array, handles: Array, times: Array) -> Coded:
        """The paths of handles (by number) on servers (by code) at these times; null where nothing is known."""
        needed = concerning(self.events, handles, len(self.decoded.strings)).first(MAX_EVENTS)
        return self._resolved(NameHistory(needed), servers, handles, times)

    def _resolved(self, names: NameHistory, servers: Array, handles: Array, times: Array) -> Coded:
        epochs = np.searchsorted(names.change_times, times, side="right")
        groups, first = group(epochs, servers, handles)
        order = np.argsort(epochs[first], kind="stable")
        queries = (values[first[order]].tolist() for values in (epochs, servers, handles))
        paths: list[str | None] = [None] * len(first)
        walk, changed = PathWalk(self.decoded, names), 0
        for at, epoch, server, handle in zip(order.tolist(), *queries, strict=True):
            walk.change(names.changes[changed:epoch])
            changed = epoch
            paths[at] = walk.path((server, handle))
        return Coded.distinct(groups, paths)

    def files(self, servers: Array, handles: Array, times: Array) -> Coded:
        """The text for each handle: its path, or where that is not known, its short form."""
        paths = self.of(servers, handles, times)
        short = self.decoded.text(Masked(handles, handles != NO_STRING), short_handle)
        behind = short.codes.astype(np.int32) + len(paths.labels)
        codes = np.where((paths.codes < 0) & (short.codes >= 0), behind, paths.codes)
        return Coded.distinct(codes, [*paths.labels, *short.labels])

    @cached_property
    def _names(self) -> NameHistory:
        return NameHistory(self.events.first(MAX_EVENTS))

    def at(self, server: int, time: int) -> Callable[[bytes], str | None]:
        """A function from a handle to its path, on a server (by code) at that time."""
        walk = PathWalk(self.decoded, self._names)
        walk.change(self._names.changes[: int(np.searchsorted(self._names.change_times, time, side="right"))])
        return lambda handle: walk.path((server, self._numbers.get(handle, NO_STRING)))

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {string: number for number, string in enumerate(self.decoded.strings)}

    def table(self) -> tables.Paths:
        names = self._names
        namings = names.all
        learnt = np.array([naming.event for naming in namings], dtype=np.int64)
        ended = np.array([names.ends.get(naming, NOT_ENDED) for naming in namings], dtype=np.int64)
        places = np.array([naming.key + naming.place[1:] for naming in namings], dtype=np.int64).reshape(-1, 4)
        servers, handles, directories, own_names = places.T
        times = names.events.time[learnt]
        source = self.calls.take(names.events.call[learnt])
        columns: dict[str, Source] = {
            "capture": source["reply_capture"],
            "frame": source["reply_frame"],
            "time": times,
            "server": source["server"],
            "path": self._resolved(names, servers, handles, times),
            "fh": self.decoded.text(handles, bytes.hex),
            "handle": self.decoded.text(handles, short_handle),
            "directory": self.decoded.text(directories, bytes.hex),
            "name": self.decoded.text(own_names),
            "procedure": source["procedure"],
            "exchange": source["exchange"],
        }
        return tables.Paths(tables.PATHS, len(namings), columns | self._ends(names.events, ended))

    def _ends(self, events: Events, ended: Array) -> dict[str, Source]:
        """The columns of how handles left their places, by event."""
        over = ended != NOT_ENDED
        at = np.where(over, ended, 0)
        by = self.calls.take(events.call[at])
        procedure = by["procedure"]
        return {
            "until": np.where(over, events.time[at], NAT),
            "until_capture": np.where(over, by["reply_capture"], NULLS["u16?"]).astype(np.uint16),
            "until_frame": np.where(over, by["reply_frame"], NULLS["u32?"]).astype(np.uint32),
            "until_procedure": Coded(np.where(over, procedure.codes, -1), procedure.labels),
        }


def short_handle(handle: bytes) -> str:
    """A file handle as Wireshark's summaries show it: by its CRC-32.

    >>> short_handle(bytes.fromhex("0100010165000000bf2b00009eb3f91d"))
    'FH:0x4c28b0b1'
    """
    return f"FH:0x{zlib.crc32(handle):08x}"
