"""The core's hands: what each effect does in the world, and what comes of it.

Owns: the order in which effects are carried out. Must not know: sockets' incoming side, time. Invariant:
effects are carried out in the order of the core's list, those that come of them after those that are listed
already, and nothing is left over when `carry_out` returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import zmq

from ..bus import sockets
from .core.effects import (
    Ask,
    Commit,
    DropFile,
    DropInput,
    DropLog,
    Effect,
    Expire,
    FeedWorker,
    Kill,
    Leave,
    Pack,
    Report,
    Spawn,
    SyncLog,
    ToClient,
    ToWorker,
    Unpack,
    WriteNote,
    WriteTake,
)
from .core.records import Found, Outcome, Unfinished
from .core.settings import Settings
from .files import Files
from .inbox import Deliver
from .inputs import Inputs
from .journal import Journals
from .lanes import Hears, Lanes
from .logs import log
from .packer import Packer, not_started
from .processes import Processes, unstartable
from .store import Store
from .syncer import Syncer
from .voice_hands import HearsOfVoices, VoiceHands

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Core(Hears, HearsOfVoices, Protocol):
    """The decisions, as the shell sees them (`daemon/core`)."""

    effects: list[Effect]

    @property
    def hungry(self) -> bool: ...
    @property
    def client_message(self) -> Deliver: ...
    @property
    def worker_message(self) -> Deliver: ...
    def start(self, now: float) -> None: ...
    def bad_client_message(self, peer: bytes, uid: int, pid: int, reason: str, now: float) -> None: ...
    def worker_gone(self, peer: bytes, now: float) -> None: ...
    def bad_worker_message(self, peer: bytes, reason: str, now: float) -> None: ...
    def spawned(self, worker: str, pid: int, now: float) -> None: ...
    def spawn_failed(self, worker: str, reason: str, now: float) -> None: ...
    def exited(self, worker: str, code: int | None, signal: int | None, stderr: list[str], now: float) -> None: ...
    def take_written(self, log: str, take: str, pcm_at: int, marks_at: int, now: float) -> None: ...
    def take_lost(self, log: str, take: str, reason: str, now: float) -> None: ...
    def committed(self, outcome: Outcome, now: float) -> None: ...
    def synced(self, log: str, reason: str, now: float) -> None: ...
    def packed(self, log: str, size: int, reason: str, now: float) -> None: ...
    def unpacked(self, log: str, size: int, reason: str, now: float) -> None: ...
    def found(self, found: Found, now: float) -> None: ...
    def restore(self, order: int, unfinished: Sequence[Unfinished], disk: Mapping[int, int]) -> None: ...
    def late(self, by: float, now: float) -> None: ...
    def tick(self, now: float) -> None: ...
    def reload(self, settings: Settings, now: float) -> None: ...
    def terminate(self, now: float) -> None: ...
    def next_deadline(self, now: float) -> float | None: ...


class Shell:
    """Carries out effects. leaving: the exit code, once the core has said to leave."""

    def __init__(
        self,
        core: Core,
        lanes: Lanes,
        workers: zmq.Socket[bytes],
        processes: Processes,
        journals: Journals,
        store: Store,
        packer: Packer,
        syncer: Syncer,
        files: Files,
        inputs: Inputs,
        voices: VoiceHands,
    ) -> None:
        self.leaving: int | None = None
        self._core = core
        self._lanes = lanes
        self._send_worker = sockets.sender(workers)
        self._processes = processes
        self._journals = journals
        self._store = store
        self._packer = packer
        self._syncer = syncer
        self._files = files
        self._inputs = inputs
        self._do: dict[type, Callable[[Any, float], None]] = {
            ToClient: lanes.send,
            ToWorker: self._to_worker,
            FeedWorker: self._feed_worker,
            Spawn: self._spawn,
            Kill: self._kill,
            WriteTake: self._write_take,
            WriteNote: self._write_note,
            SyncLog: self._sync_log,
            DropLog: self._drop_log,
            DropInput: self._drop_input,
            DropFile: self._drop_file,
            Pack: self._pack,
            Unpack: self._pack,
            Commit: self._commit,
            Ask: self._ask,
            Expire: self._expire,
            **voices.does,
            Report: self._report,
            Leave: self._leave,
        }

    def carry_out(self, now: float) -> None:
        """Do all that the core wants done, and all that comes of it."""
        effects, do = self._core.effects, self._do
        try:
            # What comes of an effect is added to the same list, behind the rest.
            for effect in effects:
                do[type(effect)](effect, now)
        finally:
            effects.clear()

    def after_client(self, peer: bytes, now: float) -> None:
        """After each message of a client: a sign that it reads, and effects to carry out."""
        if peer in self._lanes.waiting:
            self._lanes.retry(peer, now)
        self.carry_out(now)

    def after_worker(self, peer: bytes, now: float) -> None:
        """After each message of a worker."""
        self.carry_out(now)

    def collect(self, now: float) -> None:
        """Hand the core what the store has done and found."""
        for done in self._store.completed():
            if isinstance(done, Outcome):
                self._core.committed(done, now)
            else:
                self._core.found(self._with_audio(done), now)

    def _with_audio(self, found: Found) -> Found:
        """What was found, with the word on whether the audio that it tells of is there."""
        saved = found.saved
        if saved is None or saved.ended is None:
            return found
        name, packed = saved.job.log, saved.audio == "packed"
        if self._journals.size(name, packed=packed) >= saved.ended.disk:
            return found
        size = self._journals.size(name, packed=True)
        if size and not packed:  # since the store was asked
            saved = replace(saved, audio="packed", ended=replace(saved.ended, disk=size))
        else:
            saved = replace(saved, audio="missing")
        return replace(found, saved=saved)

    def _to_worker(self, effect: ToWorker, now: float) -> None:
        send, body = self._send_worker, effect.body
        assert body is None or isinstance(body, bytes | memoryview)
        try:
            send(effect.peer, _MORE)
        except zmq.ZMQError:  # gone, or its pipe is full: a worker that does not read is as good as gone
            self._core.worker_gone(effect.peer, now)
            return
        if body is None:
            send(effect.header, _NOBLOCK)
        else:
            send(effect.header, _MORE)
            send(body, _NOBLOCK)

    def _feed_worker(self, effect: FeedWorker, now: float) -> None:
        try:
            body = self._files.read(effect.file, effect.at, effect.length)
        except (OSError, ValueError) as error:
            log.error("%s cannot be read for a worker: %s", effect.file, error)
            self._to_worker(ToWorker(effect.peer, effect.missing), now)
        else:
            self._to_worker(ToWorker(effect.peer, effect.header, body), now)

    def _spawn(self, effect: Spawn, now: float) -> None:
        try:
            pid = self._processes.spawn(effect.worker, effect.provider, effect.ticket)
        except (OSError, ValueError) as error:
            self._core.spawn_failed(effect.worker, unstartable(effect.provider, error), now)
        else:
            self._core.spawned(effect.worker, pid, now)

    def _kill(self, effect: Kill, now: float) -> None:
        self._processes.kill(effect.worker)

    def _write_take(self, effect: WriteTake, now: float) -> None:
        try:
            pcm_at, marks_at = self._journals.append(effect.log, effect.meta, effect.marks, effect.pcm)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            log.error("journal %s: a take cannot be written: %s", effect.log, reason)
            self._core.take_lost(effect.log, effect.take, reason, now)
        else:
            self._core.take_written(effect.log, effect.take, pcm_at, marks_at, now)

    def _write_note(self, effect: WriteNote, now: float) -> None:
        try:
            self._journals.append(effect.log, effect.meta, b"", [])
        except (OSError, ValueError) as error:
            log.warning("journal %s: a note cannot be written: %s", effect.log, error)

    def helped(self, log: str, size: int, reason: str, now: float, *, packed: bool) -> None:
        """A helper has packed or unpacked a log, or could not."""
        (self._core.packed if packed else self._core.unpacked)(log, size, reason, now)

    def _pack(self, effect: Pack | Unpack, now: float) -> None:
        packed = isinstance(effect, Pack)
        try:
            self._packer.begin(effect.log, packed=packed)
        except OSError as error:
            self.helped(effect.log, 0, not_started(error), now, packed=packed)

    def _sync_log(self, effect: SyncLog, now: float) -> None:
        self._syncer.begin(effect.log)

    def synced(self, now: float) -> None:
        """Tell the core which journals have reached the disk."""
        for name, reason in self._syncer.done():
            self._core.synced(name, reason, now)

    def _drop_file(self, effect: DropFile, now: float) -> None:
        try:
            self._journals.drop_file(effect.log, packed=effect.packed)
        except (OSError, ValueError) as error:
            log.warning("a file of log %s cannot be removed: %s", effect.log, error)

    def _drop_log(self, effect: DropLog, now: float) -> None:
        self._packer.stop(effect.log)
        try:
            self._journals.drop(effect.log)
        except (OSError, ValueError) as error:
            log.warning("journal %s cannot be removed: %s", effect.log, error)

    def _drop_input(self, effect: DropInput, now: float) -> None:
        try:
            self._inputs.drop(effect.log)
        except (OSError, ValueError) as error:
            log.warning("the recording of log %s cannot be removed: %s", effect.log, error)

    def _commit(self, effect: Commit, now: float) -> None:
        if effect.record is None:
            self._core.committed(Outcome(effect.ticket), now)
            return
        self._store.commit(effect.ticket, effect.record)
        if self._store.fileno() is None:
            self.collect(now)

    def _ask(self, effect: Ask, now: float) -> None:
        self._store.ask(effect.ticket, effect.wanted)
        if self._store.fileno() is None:
            self.collect(now)

    def _expire(self, effect: Expire, now: float) -> None:
        self._store.expire(effect.ticket, effect.policy)
        if self._store.fileno() is None:
            self.collect(now)

    def _report(self, effect: Report, now: float) -> None:
        log.log(_LEVELS.get(effect.level, 20), "%s", effect.text)

    def _leave(self, effect: Leave, now: float) -> None:
        self.leaving = effect.code
