"""What must not be left when a daemon has gone: the leak gate at the end of every test that starts one.

Owns: the questions that only the operating system can answer about this process and about everything that was started
in a folder. Must not know: what the test is about. Invariant: it looks at what is there, and believes nobody's word.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec
import numpy as np  # noqa: F401 - begins threads when it is first imported, which are no test's

T = TypeVar("T")

OF_A_STATE = re.compile(r"daemon\.lock|daemon\.log(\.\d+)?|logs|voices|voicebus\.db|voicebus\.db-reserve")
"""What a daemon that left in order may have in its state directory. The database's own helpers (``-wal``, ``-shm``) are
gone by then, as is anything staged."""

OF_THE_LOGS = re.compile(r".+\.(takes|flac)")


def until(probe: Callable[[], T], what: str = "it", within: float = 15.0) -> T:
    """What `probe` gives once that is true. For what tells nobody of itself: it is asked again and again."""
    end = time.monotonic() + within
    pause = threading.Event()
    while not (found := probe()):
        assert time.monotonic() < end, f"{what} did not happen within {within:g} s"
        pause.wait(0.01)
    return found


def own_descriptors() -> dict[str, str]:
    """What this process has open, by number."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        try:
            found[path.name] = str(path.readlink())
        except OSError:  # the descriptor of this very listing
            continue
    return found


def own_threads() -> int:
    """How many threads this process has, those of libraries too."""
    return len(list(Path("/proc/self/task").iterdir()))


def processes_of(root: Path) -> set[int]:
    """All processes that were started with this folder in their environment, whoever their parents are; not we."""
    found, mark = set(), os.fsencode(str(root))
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                if mark in (path / "environ").read_bytes() and "Z" not in (path / "stat").read_text().split()[2]:
                    found.add(int(path.name))
            except OSError:  # gone while we looked
                continue
    return found


class Gate:
    """Made before anything is started; `shut` when all should be gone. root: the folder in which everything is that the
    test starts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptors, self._threads = own_descriptors(), own_threads()

    def shut(self) -> None:
        """Nothing of this process's own and no process is left. Raises AssertionError."""
        until(lambda: not processes_of(self._root), f"the end of {processes_of(self._root)}")
        left = set(own_descriptors().items()) - set(self._descriptors.items())
        assert not left, f"descriptors are left: {left}"
        until(lambda: own_threads() <= self._threads, "the end of the clients' threads")


def left_in_order(run: Path, state: Path, *, never_killed: bool = True) -> None:
    """What a daemon that was asked to leave has left in its directories: no socket, nothing half made, and no journal
    that belongs to no job. never_killed: no daemon before it was; what a killed one left stays for a grace."""
    sockets = list(run.iterdir()) if run.exists() else []
    assert not sockets, f"sockets are left: {sockets}"
    strange = [path for path in state.iterdir() if not OF_A_STATE.fullmatch(path.name)]
    assert not strange, f"the state directory has {strange}"
    if never_killed:
        journals = {path.name for path in (state / "logs").iterdir()}
        strays = {name for name in journals if not OF_THE_LOGS.fullmatch(name) or not _owned(name, _logs(state))}
        assert not strays, f"journals without a job: {strays}"
        files = list((state / "voices").glob("*/*"))
        nobodys = [path.name for path in files if not _of_a_voice(path.name, _voices(state))]
        assert not nobodys, f"files of voices that are gone: {nobodys}"


def _logs(state: Path) -> set[str]:
    """The names of the logs of all jobs that the database knows."""
    database = state / "voicebus.db"
    if not database.exists():
        return set()
    # Nobody writes it any more; and a look must not leave files of its own.
    db = apsw.Connection(f"file:{database}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        return {row[0] for row in db.execute("SELECT log FROM jobs")}
    finally:
        db.close()


def _voices(state: Path) -> list[tuple[str, ...]]:
    """Of all voices that the database knows: the names of their recordings, and of what is made of them."""
    database = state / "voicebus.db"
    if not database.exists():
        return []
    db = apsw.Connection(f"file:{database}?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        voices = [msgspec.msgpack.decode(row[0]) for row in db.execute("SELECT voice FROM voices")]
    finally:
        db.close()
    return [tuple(each["sample"] for each in voice["samples"]) for voice in voices]


def _of_a_voice(name: str, voices: list[tuple[str, ...]]) -> bool:
    if name.endswith(".prompt"):
        return bool(voices)  # its name is made of recordings and transcripts; `test_voices` looks closer
    return any(name.startswith(sample) for samples in voices for sample in samples)


def _owned(name: str, logs: set[str]) -> bool:
    return any(name.startswith(f"{log}-") for log in logs)
