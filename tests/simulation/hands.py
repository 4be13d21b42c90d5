"""What each effect of the core does in the simulated world.

Owns: the messages that wait for a full pipe. Must not know: when a pass is, what is right (`judge` is told). Invariant:
effects are carried out as `daemon/shell.py` and `daemon/lanes.py` do it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voicebus.daemon.core.core import Core
from voicebus.daemon.core.effects import (
    Ask,
    Commit,
    DropFile,
    DropInput,
    DropLog,
    Expire,
    FeedWorker,
    Kill,
    Leave,
    Pack,
    Report,
    Spawn,
    Stored,
    SyncLog,
    ToClient,
    ToWorker,
    Unpack,
    WriteNote,
    WriteTake,
)
from voicebus.daemon.core.records import Outcome

from .disk import Disk
from .network import Full, Network, Unreachable
from .store import Store
from .voice_hands import VoiceHands

if TYPE_CHECKING:
    from .clock import Clock
    from .judge import Judge

RETRY_S = 0.02
"""Until a full pipe is tried again."""


class Died(Exception):
    """The daemon's process is gone, in the middle of whatever it was doing."""


class Hands(VoiceHands):
    """The part of a daemon that does things."""

    core: Core | None
    run: int
    die: Callable[..., None]
    _other: Callable[[Callable[[], object]], None]
    _clock: Clock
    _network: Network
    _disk: Disk
    _store: Store
    _judge: Judge
    _processes: Any
    _lanes: dict[bytes, deque[tuple[bytes, bytes]]]

    def _table(self) -> dict[type, Callable[[Any], None]]:
        return {
            ToClient: self._to_client,
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
            Unpack: self._unpack,
            Commit: self._commit,
            Ask: self._store.ask,
            Expire: self._store.expire,
            Report: self._report,
            Leave: self._leave,
            **self._voice_table(),
        }

    def _to_client(self, effect: ToClient) -> None:
        core = self.core
        assert core is not None
        peer, header, body = effect.peer, effect.header, effect.body
        if type(body) is Stored:
            try:
                body = self._disk.read(body)
            except OSError:
                self._give_up(peer)
                return
        data = bytes(body) if body is not None else b""  # type: ignore[arg-type]
        told = self._judge.to_client(peer, header, data)
        self._clock.trace(">", header, peer, told)
        if peer in self._lanes:
            self._lanes[peer].append((header, data))
            return
        try:
            self._network.send(peer, header, data, bounded=True)
        except Full:
            self._lanes[peer] = deque([(header, data)])
            core.client_full(peer, self._clock.now)
            self._clock.after(RETRY_S, self._retry_later, self.run, peer, RETRY_S)
        except Unreachable:
            core.client_gone(peer, self._clock.now)

    def _give_up(self, peer: bytes) -> None:
        self._lanes.pop(peer, None)
        assert self.core is not None
        self.core.client_gone(peer, self._clock.now)

    def _retry_later(self, run: int, peer: bytes, pause: float) -> None:
        """As `Lanes.retry_all`: again and again, at longer and longer intervals while nothing moves."""
        if run != self.run or self.core is None or peer not in self._lanes:
            return

        def retry() -> None:
            if peer in self._lanes:
                moved = self._retry(peer)
                longer = RETRY_S if moved else min(2 * pause, 0.5)
                self._clock.after(longer, self._retry_later, run, peer, longer)

        self._other(retry)

    def _retry(self, peer: bytes) -> bool:
        lane = self._lanes[peer]
        before = len(lane)
        try:
            while lane:
                self._network.send(peer, *lane[0], bounded=True)
                lane.popleft()
        except Full:
            return len(lane) < before
        except Unreachable:
            self._give_up(peer)
            return True
        del self._lanes[peer]
        assert self.core is not None
        self.core.client_drained(peer, self._clock.now)
        return True

    @property
    def held(self) -> int:
        """Bytes that wait for clients."""
        return sum(len(body) for lane in self._lanes.values() for _, body in lane)

    def _to_worker(self, effect: ToWorker) -> None:
        assert self.core is not None
        assert not isinstance(effect.body, Stored)
        data = bytes(effect.body) if effect.body is not None else b""
        try:
            full = self._processes.pipe_full(effect.peer)
            if not full:
                self._network.send(effect.peer, effect.header, data, bounded=False)
        except Unreachable:
            full = True
        if full:
            self.core.worker_gone(effect.peer, self._clock.now)
        told = self._judge.workers.to_worker(effect.peer, effect.header, data)
        self._clock.trace(">", effect.header, effect.peer, told)

    def _feed_worker(self, effect: FeedWorker) -> None:
        try:
            data = self._disk.read_file(effect.file, effect.at, effect.length)
        except OSError:
            self._to_worker(ToWorker(effect.peer, effect.missing))
        else:
            self._to_worker(ToWorker(effect.peer, effect.header, data))

    def _spawn(self, effect: Spawn) -> None:
        assert self.core is not None
        self._clock.trace(f"spawn {effect.worker}")
        self._judge.workers.spawned(effect.worker)
        pid = self._processes.spawn(effect.worker, effect.provider, effect.ticket)
        self.core.spawned(effect.worker, pid, self._clock.now)

    def _kill(self, effect: Kill) -> None:
        assert self.core is not None
        self._clock.trace(f"kill {effect.worker}")
        self._judge.workers.kills(effect.worker, self.core.world.workers[effect.worker].ours)
        self._processes.kill(effect.worker)

    def _write_take(self, effect: WriteTake) -> None:
        assert self.core is not None
        self._clock.trace(f"write {effect.log} {effect.take}")
        try:
            pcm_at, marks_at = self._disk.write_take(effect)
        except OSError as error:
            self.core.take_lost(effect.log, effect.take, str(error), self._clock.now)
        else:
            self.core.take_written(effect.log, effect.take, pcm_at, marks_at, self._clock.now)

    def _write_note(self, effect: WriteNote) -> None:
        self._judge.noted(effect.meta)
        try:
            self._disk.write_note(effect)
        except OSError:
            self._clock.trace("a note is lost")

    def _drop_log(self, effect: DropLog) -> None:
        self._clock.trace(f"drop {effect.log}")
        self._disk.drop(effect.log)

    def _sync_log(self, effect: SyncLog) -> None:
        self._clock.trace(f"sync {effect.log}")
        run = self.run

        def done() -> None:
            assert self.core is not None
            self._disk.sync(effect.log)
            self.core.synced(effect.log, "", self._clock.now)

        self._clock.after(self._chance.choice((0.002, 0.05, 2.0)), self._other_of, run, done)

    def _drop_input(self, effect: DropInput) -> None:
        self._clock.trace(f"drop the recording of {effect.log}")
        self._disk.inputs.pop(f"logs/{effect.log}.input", None)

    def _drop_file(self, effect: DropFile) -> None:
        self._clock.trace(f"drop {effect.log} packed {effect.packed}")
        self._disk.drop_file(effect.log, packed=effect.packed)

    def _pack(self, effect: Pack) -> None:
        self._helper(effect.log, self._disk.pack, packed=True)

    def _unpack(self, effect: Unpack) -> None:
        self._helper(effect.log, self._disk.unpack, packed=False)

    def _helper(self, name: str, work: Callable[[str], None], *, packed: bool) -> None:
        """A helper process works for a while; it ends with its daemon, and with the log."""
        self._clock.trace(f"helper for {name}, packed {packed}")
        run = self.run

        def done() -> None:
            if self.core is None or run != self.run:
                return
            reason = ""
            try:
                work(name)
            except OSError as error:
                reason = str(error)
            told = self.core.packed if packed else self.core.unpacked
            told(name, self._disk.size(name, packed=packed), reason, self._clock.now)

        self._clock.after(self._chance.choice((0.02, 0.3, 1.5)), self._other_of, run, done)

    def _other_of(self, run: int, do: Callable[[], None]) -> None:
        if run == self.run and self.core is not None:
            self._other(do)

    def _commit(self, effect: Commit) -> None:
        assert self.core is not None
        if effect.record is None:
            self.core.committed(Outcome(effect.ticket), self._clock.now)
        else:
            self._clock.trace(f"commit {effect.ticket} {type(effect.record).__name__}")
            self._store.commit(effect)

    def _report(self, effect: Report) -> None:
        self._clock.trace(f"{effect.level}: {effect.text}")

    def _leave(self, effect: Leave) -> None:
        self.die(power=False)
        raise Died
