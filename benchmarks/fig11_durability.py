"""Figure 11: what it costs that nothing is lost.

Measured, through the store's own interface, on the disk of the temporary directory: seconds from the commit of a job
to the word that it is done, one at a time, with the interpreter otherwise idle and while searches run; the same for a
thousand jobs that come at once, each. With 100 000 finished jobs of 20 words: opening the store and loading what is
unfinished, the names of all journals, a search ranked and newest first, a deletion that leaves no trace. The length of
the write-ahead log after 3000 commits while another program reads without end. Floors: for a commit, 4 KiB appended to
a file and synced, which no durable acceptance can be cheaper than; for many at once, one at a time; for a search,
looking through all texts with LIKE; for the log, the same without that reader. Aims: a few of the floor's; tens of
milliseconds at start; milliseconds for a search.
"""

from __future__ import annotations

import itertools
import os
import random
import select
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw
from common import Row, median, percentile, rounds, say

from voicebus.bus.messages import Submit
from voicebus.daemon.core.records import Found, JobDeleted, JobEnded, JobSaved, SegmentSaved, Wanted
from voicebus.daemon.store import MemoryStore, Store, open_store
from voicebus.daemon.store_opening import open_database
from voicebus.daemon.store_records import apply

TITLE = "what it costs that nothing is lost"
HISTORY = 100_000
COMMITS = 200
AT_ONCE = 1000
LOG_COMMITS = 3000
TEXT = b"This is a sentence of usual length, which somebody wants to hear now."
FILE = "jobs.db"

numbers = itertools.count(1_000_000)


def job(text: bytes = TEXT) -> JobSaved:
    number = next(numbers)
    name = f"job-{number}"
    return JobSaved(number, 1000, name, f"log-{number}", "en", 22050, Submit(job=name, keep="history"), text)


def end(saved: JobSaved) -> JobEnded:
    speakers = ({"provider": "espeak", "version": "1.52", "voice": "en", "segments": 1},)
    segment = SegmentSaved(0, 0, len(saved.text), "whole", saved.log, "espeak", "1.52", "en", samples=60_000)
    return JobEnded(saved.order, saved.log, "finished", "", "", 22050, 60_000, 0, 120_100, speakers, (segment,))


def opened(folder: Path) -> Store:
    store = open_store(folder / FILE, lambda _: None)
    assert store.condition.mode == "disk", store.condition
    return store


def collect(store: Store, *tickets: int) -> None:
    """Wait until these are done."""
    waiting = set(tickets)
    while waiting:
        if (fd := store.fileno()) is not None:
            select.select([fd], [], [])
        waiting -= {each.ticket for each in store.completed()}


def commit_s(store: Store) -> float:
    """Seconds of an acceptance."""
    record = job()
    begin = time.perf_counter()
    store.commit(record.order, record)
    collect(store, record.order)
    return time.perf_counter() - begin


def commit_while_searching_s(store: Store, word: str) -> float:
    store.ask(1, Wanted("history", 1000, where={"text": word, "sort": "best"}))
    record = job()
    begin = time.perf_counter()
    store.commit(record.order, record)
    took, waiting = 0.0, {1, record.order}
    while waiting:
        select.select([store.fileno()], [], [])
        waiting -= {each.ticket for each in store.completed()}
        took = took or (time.perf_counter() - begin if record.order not in waiting else 0.0)
    return took


def append_s(fd: int) -> float:
    """The floor: seconds to append 4 KiB and sync."""
    begin = time.perf_counter()
    os.write(fd, bytes(4096))
    os.fdatasync(fd)
    return time.perf_counter() - begin


def in_turns(**parts: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each part, COMMITS times, one after the other: a disk that others use changes from moment to
    moment."""
    found: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(COMMITS):
        for name, part in parts.items():
            found[name].append(part())
    return found


def at_once_s(store: Store) -> float:
    """Seconds for each of AT_ONCE jobs that come together."""
    records = [job() for _ in range(AT_ONCE)]
    begin = time.perf_counter()
    for record in records:
        store.commit(record.order, record)
    collect(store, *(record.order for record in records))
    return (time.perf_counter() - begin) / AT_ONCE


def costs(runs: int, folder: Path) -> list[Row]:
    """Of commits."""
    store, memory = opened(folder), MemoryStore()
    fd = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    commit_s(store)  # the first page is written, the code is warm
    turns, many = [], []
    for _ in range(runs):
        turns.append(
            in_turns(disk=lambda: commit_s(store), floor=lambda: append_s(fd), memory=lambda: commit_s(memory))
        )
        many.append(at_once_s(store))
    os.close(fd)
    store.close()
    disk, floor, in_memory = ([1e3 * median(turn[name]) for turn in turns] for name in ("disk", "floor", "memory"))
    late, late_floor = ([1e3 * percentile(turn[name], 0.99) for turn in turns] for name in ("disk", "floor"))
    one = Row(11, "a job accepted, on disk", "ms", disk, floor, "4 KiB appended and synced", aim="(<= 3)")
    one.met = one.ratio <= 3
    one.note = f"in memory {1e3 * median(in_memory):.1f} us"
    tail = Row(11, "its p99", "ms", late, late_floor, "the floor's p99")
    return [one, tail, Row(11, f"each of {AT_ONCE} jobs at once", "ms", [1e3 * s for s in many], disk, "one at a time")]


def fill(folder: Path) -> list[str]:
    """A history of HISTORY jobs; words of it, from usual to rare."""
    chance = random.Random(11)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(words))))
    db, _ = open_database(folder / FILE, 0.0)
    db.execute("PRAGMA synchronous = OFF; BEGIN").fetchall()
    for number in range(1, HISTORY + 1):
        record = job(" ".join(chance.choices(words, cum_weights=weights, k=20)).encode())
        apply(db, record, 1.7e9 + number)
        apply(db, end(record), 1.7e9 + number + 3)
        if number % 5000 == 0:
            db.execute("COMMIT; BEGIN")
            db.wal_checkpoint()
    db.execute("COMMIT")
    db.close()
    return words


def start_s(folder: Path) -> tuple[float, float]:
    """Seconds to a store that has loaded what is unfinished, and to know all journals."""
    begin = time.perf_counter()
    store = opened(folder)
    assert store.load()[1] == []
    loaded = time.perf_counter()
    names = store.logs()
    took = loaded - begin, time.perf_counter() - loaded
    assert names is not None
    assert len(names) >= HISTORY - 1000
    store.close()
    return took


def asked(store: Store, wanted: Wanted) -> Found:
    store.ask(1, wanted)
    select.select([store.fileno()], [], [])
    [found] = store.completed()
    assert isinstance(found, Found)
    assert not found.reason, found.reason
    return found


def search_s(store: Store, word: str, sort: str) -> float:
    begin = time.perf_counter()
    found = asked(store, Wanted("history", 1000, where={"text": word, "sort": sort}))
    took = time.perf_counter() - begin
    assert found.rows
    return took


def like_s(db: apsw.Connection, word: str) -> float:
    """The floor: the hundred newest texts with a word, without an index of words."""
    begin = time.perf_counter()
    query = "SELECT job FROM pieces WHERE CAST(text AS TEXT) LIKE ? ORDER BY job DESC LIMIT 100"
    db.execute(query, (f"%{word}%",)).fetchall()
    return time.perf_counter() - begin


def delete_s(store: Store, left: list[str]) -> float:
    begin = time.perf_counter()
    store.commit(1, JobDeleted(1000, left.pop()))
    select.select([store.fileno()], [], [])
    assert [(outcome.ticket, outcome.state) for outcome in store.completed()] == [(1, "done")]
    return time.perf_counter() - begin


def with_history(runs: int, folder: Path) -> list[Row]:
    """With a long history: start, search, deletion, and commits while searches run."""
    begin = time.perf_counter()
    words = fill(folder)
    size = (folder / FILE).stat().st_size / 2**20
    say(f"  {HISTORY} jobs in {size:.0f} MiB, made in {time.perf_counter() - begin:.0f} s")
    starts = [start_s(folder) for _ in range(runs)]
    store = opened(folder)
    db = apsw.Connection(str(folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)
    left = [row["job"] for row in asked(store, Wanted("history", 1000, limit=1000)).rows]
    usual, rare = words[20], words[3000]
    found = rounds(
        runs,
        best=lambda: search_s(store, rare, "best"),
        newest=lambda: search_s(store, rare, "newest"),
        usual=lambda: search_s(store, usual, "best"),
        like=lambda: like_s(db, rare),
        turns=lambda: in_turns(alone=lambda: commit_s(store), busy=lambda: commit_while_searching_s(store, usual)),
    )
    db.close()
    gone = [1e3 * delete_s(store, left) for _ in range(runs)]
    store.close()
    alone, busy = ([1e3 * median(turn[name]) for turn in found["turns"]] for name in ("alone", "busy"))
    ms = {name: [1e3 * each for each in found[name]] for name in ("best", "newest", "usual", "like")}
    start = Row(11, "opened and loaded, 100 000 jobs", "ms", [1e3 * s for s, _ in starts], aim="tens of ms")
    start.met = start.value < 100
    ranked = Row(11, "search for a rare word, ranked", "ms", ms["best"], ms["like"], "LIKE over all texts", aim="ms")
    ranked.met = ranked.value < 10
    return [
        start,
        Row(11, "names of all journals", "ms", [1e3 * s for _, s in starts]),
        ranked,
        Row(11, "the same, newest first", "ms", ms["newest"], ms["like"], "LIKE over all texts"),
        Row(11, "search for a usual word, ranked", "ms", ms["usual"]),
        Row(11, "a job accepted while searches run", "ms", busy, alone, "without them"),
        Row(11, "a job deleted, no trace left", "ms", gone),
    ]


def log_mib(folder: Path, *, reader: bool) -> tuple[float, bool]:
    """The longest that the log became, and whether people were told."""
    folder.mkdir()
    store = opened(folder)
    other = apsw.Connection(str(folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)
    if reader:
        other.execute("BEGIN; SELECT count(*) FROM jobs").fetchall()
    longest, told = 0, False
    for ticket in range(LOG_COMMITS):
        store.commit(ticket, job())
        collect(store, ticket)
        longest = max(longest, (folder / f"{FILE}-wal").stat().st_size)
        told = told or bool(store.condition.reason)
    other.close()
    store.close()
    return longest / 2**20, told


def log_rows(runs: int, folder: Path) -> list[Row]:
    """Of the write-ahead log."""
    names = itertools.count()
    found = rounds(
        min(runs, 3),
        held=lambda: log_mib(folder / f"held-{next(names)}", reader=True),
        free=lambda: log_mib(folder / f"free-{next(names)}", reader=False),
    )
    held, free = [size for size, _ in found["held"]], [size for size, _ in found["free"]]
    row = Row(11, f"log after {LOG_COMMITS} commits, a reader that never ends", "MiB", held, free, "without it")
    told = sum(told for _, told in found["held"])
    row.note = f"people were told in {told} of {len(held)} rounds: from 64 MiB on; the daemon's own reads end after 2 s"
    return [row]


def measure(runs: int) -> list[Row]:
    folder = Path(tempfile.mkdtemp(prefix="vb-bench-"))
    try:
        for name in ("costs", "history", "log"):
            (folder / name).mkdir()
        return costs(runs, folder / "costs") + with_history(runs, folder / "history") + log_rows(runs, folder / "log")
    finally:
        shutil.rmtree(folder)
