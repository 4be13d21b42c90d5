"""Bytes that workers ask for by key: recordings to transcribe, samples and prompts of voices.

Owns: who is sent which bytes next, and how many at a time. Must not know: files, what is in the bytes, who made a key
mean something (`SOURCES`, to which the modules that own such things add). Invariant: a worker is sent what it asked for
and no more, a few pieces in each pass, so that no listener's audio waits behind a recording of an hour and no pipe is
ever full of it; a key that means nothing to it, or nothing any more, is answered with why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...bus.codec import encode
from ...bus.messages import Feed
from ...bus.messages import Need as NeedMessage
from .effects import FeedWorker, ToWorker
from .state import Need, Worker
from .world import World

PIECE_BYTES = 32 * 1024
"""Bytes in one FEED: 20 us of copying, and read from a disk in one go."""

PIECES = 2
"""Pieces for one worker in one pass of the loop."""

WINDOW_BYTES = 256 * 1024
"""Most that one NEED brings. A worker's pipe takes 64 messages; this is 8 of them."""

NEEDS = 4
"""Most NEEDs of one worker that wait. With the window: half of its pipe."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes of a key are. size: of the whole. file: its name below the state directory; "" where they are in
    memory, which `read` gives a range of. sent: is told up to where a run of them goes that is sent now."""

    size: int
    file: str = ""
    read: Callable[[int, int], bytes] | None = None
    sent: Callable[[int], None] | None = None


Find = Callable[[World, Worker, str, int, float | None], "Source | str"]
"""Finds what a key means to a worker. The key is without its kind; then comes the offset from which bytes are wanted,
and the time where the worker has just asked, None where a piece is about to be sent. Returns where the bytes are, or
why there are none."""

SOURCES: dict[str, Find] = {}
"""Kinds of key (what is before the colon) to who finds what they mean."""


def need(world: World, worker: Worker, message: NeedMessage, body: bytes, now: float) -> str:
    """A worker asks for bytes. Returns what is wrong with that, "" for nothing."""
    if len(worker.needs) >= NEEDS:
        return f"more than {NEEDS} NEEDs at once"
    found = _find(world, worker, message.key, message.offset, now)
    if isinstance(found, str) or message.offset > found.size:
        why = found if isinstance(found, str) else f"There are {found.size} bytes of it, not {message.offset}."
        world.to_worker(worker.peer, _missing(worker, message.key, message.offset, why))
        return ""
    up_to = min(message.up_to, message.offset + WINDOW_BYTES, found.size)
    if not found.size:
        world.to_worker(worker.peer, Feed(session=worker.session, key=message.key))
    elif up_to > message.offset:
        worker.needs.append(Need(message.key, message.offset, up_to))
        world.feeding[worker.id] = None
    return ""


def go_on(world: World) -> None:
    """Send the next pieces to whoever waits for some."""
    for name in list(world.feeding):
        worker = world.workers.get(name)
        for _ in range(PIECES):
            if worker is not None and worker.needs:
                _send(world, worker)
        if worker is None or not worker.needs:
            del world.feeding[name]


def _send(world: World, worker: Worker) -> None:
    need = worker.needs[0]
    found = _find(world, worker, need.key, need.at, None)
    if isinstance(found, str):
        worker.needs.popleft()
        world.to_worker(worker.peer, _missing(worker, need.key, need.at, found))
        return
    at, end = need.at, min(need.up_to, need.at + PIECE_BYTES)
    need.at = end
    if found.sent is not None:
        found.sent(end)
    if end >= need.up_to:
        worker.needs.popleft()
    header = _header(world, Feed(session=worker.session, key=need.key, offset=at, size=found.size))
    if found.read is not None:
        world.effects.append(ToWorker(worker.peer, header, found.read(at, end)))
        return
    why = "The file with it cannot be read; the daemon's log has more."
    missing = _header(world, _missing(worker, need.key, at, why))
    world.effects.append(FeedWorker(worker.peer, header, missing, found.file, at, end - at))


def _find(world: World, worker: Worker, key: str, offset: int, now: float | None) -> Source | str:
    kind, _, rest = key.partition(":")
    find = SOURCES.get(kind)
    return find(world, worker, rest, offset, now) if find is not None else f"Nothing is called {key!r}."


def _missing(worker: Worker, key: str, offset: int, why: str) -> Feed:
    return Feed(session=worker.session, key=key, offset=offset, missing=why[:1000])


def _header(world: World, message: Feed) -> bytes:
    message.epoch = world.epoch
    return encode(message)
