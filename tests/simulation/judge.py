"""What must hold at every step, whatever happens.

Owns: the promises, checked on what goes over the wires and onto the disk. Must not know: how the core keeps them: it
looks into the core's state only to add up sums (`sums`). Invariant: whatever is broken raises Wrong at the step at
which it happens, with what is wrong.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from voicebus.bus import messages as m
from voicebus.bus.codec import decode_to_client
from voicebus.daemon.core.core import Core
from voicebus.daemon.core.settings import Limits

from . import ends, sums
from .ends import Asked
from .oracle import RATE, Oracle, Wrong, check_text, passages
from .voice_judge import VoiceJudge
from .worker_judge import WINDOW, WorkerJudge

if TYPE_CHECKING:
    from .hearing import Heard
    from .plan import Order
    from .store import Store

Key = tuple[int, str]


class Judge:
    """Sees everything, believes nothing. orders: what may be asked for, by user and name."""

    def __init__(self, oracle: Oracle, store: Store, limits: Limits, slots: int) -> None:
        self.orders: dict[Key, Order] = {}
        self.accepted: set[Key] = set()
        self.terminals: dict[Any, m.Terminal] = {}
        self.cancelled: set[Key] = set()
        self.deleting: set[Key] = set()
        self.deleted: set[Key] = set()
        self.pinned: set[Key] = set()
        self.befell: Counter[str] = Counter()
        self.samples_compared = 0
        self.audio: dict[Key, bytes] = {}
        self.held = lambda: 0
        self.who = lambda peer: (0, 0)
        self.now = lambda: 0.0
        self.voices = VoiceJudge(store)
        self.workers = WorkerJudge(self.voices, slots)
        self._oracle = oracle
        self._store = store
        self._limits = limits
        self._slots = slots
        self._core: Core | None = None
        self._run = 0
        self._looks = 0
        self._credit: dict[tuple[bytes, str], int] = {}
        self._near: dict[Key, float] = {}
        self._asked_at: dict[Key, float] = {}
        self._to_client = {
            m.Accepted: self._accepted_told,
            m.Appended: self._appended_told,
            m.Attached: self._of_job,
            m.Notice: self._of_job,
            m.Rewind: self._of_job,
            m.Marks: self._marks_told,
            m.Audio: self._audio_told,
            m.Transcript: self._row_told,
            m.Terminal: self._terminal_told,
            m.Error: self._error_told,
            m.Deleted: self._deleted_told,
            m.Pinned: self._pinned_told,
        }

    # --------------------------------------------------------------------------------------------- daemons come and go

    def born(self, core: Core) -> None:
        """A daemon starts."""
        self._core = core
        self._run += 1

    def died(self) -> None:
        """It is gone, and with it all readings and sessions."""
        self._core = None
        self.voices.died()
        self.workers.gone()
        self._credit.clear()
        for key in self._near:
            self._near[key] = self.now()

    # ------------------------------------------------------------------------------------------------------- clients

    def from_client(self, peer: bytes, uid: int, message: Any, body: bytes) -> None:
        """A client said something, and the daemon is about to hear it."""
        credit = message.up_to if isinstance(message, m.Credit) else getattr(message, "credit", None)
        if credit is not None:
            self._credit[peer, message.job] = max(credit, self._credit.get((peer, message.job), 0))
        self.voices.from_client(peer, uid, message)
        job = getattr(message, "job", None)
        if job is not None:
            self._near[uid, job] = self.now()
        if isinstance(message, m.Submit):
            self._asked_at.setdefault((uid, message.job), self.now())
        if isinstance(message, m.Cancel):
            self.cancelled.add((uid, message.job))
        elif isinstance(message, m.Delete):
            self.deleting.add((uid, message.job))

    def to_client(self, peer: bytes, header: bytes, body: bytes) -> object:
        """The daemon says something to a client: this."""
        message = decode_to_client(header)
        check = self._to_client.get(type(message))
        if isinstance(message, m.SampleHeld):
            self.voices.held(self.who(peer)[0], message)
        elif isinstance(message, m.VoiceDone):
            self.voices.done(peer, self.who(peer)[0], message)
        elif isinstance(message, m.Error) and message.request:
            self.voices.refused(peer, message)
        elif check is not None:
            key = (self.who(peer)[0], message.job)  # type: ignore[union-attr]
            self._near[key] = self.now()
            check(peer, key, message, body)
        return message

    def _kept(self, key: Key) -> bool:
        """Whether anything is to be kept of a job."""
        order = self.orders.get(key)
        if order is None:
            raise Wrong(f"nobody asked for {key}")
        return order.options["keep"] != "nothing"

    def _of_job(self, peer: bytes, key: Key, message: Any, body: bytes) -> None:
        if key in self.deleted:
            raise Wrong(f"{type(message).__name__} of {key} was told after it was said to be deleted")
        if self._kept(key) and self._saved(key) is None:
            raise Wrong(f"{type(message).__name__} of {key} was told before the job was durable")

    def _saved(self, key: Key) -> Any:
        """A job as the store has it, or had it when it was removed."""
        return self._store.jobs.get(key) or self._store.removed.get(key)

    def gone(self, key: Key) -> bool:
        """Whether a job was removed, by its owner or by its age."""
        return key in self._store.removed

    def _deleted_told(self, peer: bytes, key: Key, message: m.Deleted, body: bytes) -> None:
        """Nothing of it is left, in the store or on the disk."""
        if key not in self.deleting:
            raise Wrong(f"{key} was deleted, and nobody had asked for that")
        if not self._kept(key):
            return
        saved = self._store.removed.get(key)
        if key in self._store.jobs or saved is None:
            raise Wrong(f"{key} is said to be deleted, and the store has it")
        if saved.job.log in self._journals():
            raise Wrong(f"{key} is said to be deleted, and its audio is on the disk")
        self.deleted.add(key)

    def _pinned_told(self, peer: bytes, key: Key, message: m.Pinned, body: bytes) -> None:
        saved = self._saved(key)
        if saved is None or saved.pinned is not message.pinned:
            raise Wrong(f"{key} is said to be pinned, and the store does not know it")
        self.pinned.add(key)

    def _accepted_told(self, peer: bytes, key: Key, message: m.Accepted, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        self.accepted.add(key)
        if self._kept(key) and message.pieces > len(self._saved(key).texts):
            raise Wrong(f"{message.pieces} pieces of {key} were acknowledged, {len(self._saved(key).texts)} kept")

    def _appended_told(self, peer: bytes, key: Key, message: m.Appended, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        if not self._kept(key):
            return
        saved = self._saved(key)
        if message.ended and not saved.complete:
            raise Wrong(f"the end of the text of {key} was acknowledged before it was durable")
        if not message.ended and message.n >= len(saved.texts):
            raise Wrong(f"piece {message.n} of {key} was acknowledged before it was durable")

    def _durable_text(self, key: Key) -> str:
        return b"".join(self._saved(key).texts).decode()

    def _marks_told(self, peer: bytes, key: Key, message: m.Marks, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        if self._kept(key):
            text = self._durable_text(key)
            made = self._oracle.made.get(message.take)
            if message.start + message.length > len(text):
                raise Wrong(f"marks of {key} were told of text that is not durable")
            if made is not None and text[message.start : message.start + message.length] != made.text:
                raise Wrong(f"marks of {key} name other text than take {message.take} says")

    def _audio_told(self, peer: bytes, key: Key, message: m.Audio, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        end = message.offset + (len(body) >> 1)
        if end > self._credit.get((peer, message.job), 0):
            raise Wrong(f"audio of {key} was sent up to {end}, beyond the credit of {peer!r}")
        made = self._oracle.made.get(message.take)
        if made is None:
            raise Wrong(f"audio of {key} is said to be of {message.take}, which nobody made")
        if self._kept(key) and made.text not in self._durable_text(key):
            raise Wrong(f"audio of {key} was sent of text that is not durable")

    def _row_told(self, peer: bytes, key: Key, message: m.Transcript, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        if message.n >= self._credit.get((peer, message.job), 0):
            raise Wrong(f"row {message.n} of {key} was sent beyond the credit of {peer!r}")
        if self._kept(key) and not self._saved(key).complete:
            raise Wrong(f"a row of {key} was told before all of the recording was durable")

    def _terminal_told(self, peer: bytes, key: Key, message: m.Terminal, body: bytes) -> None:
        self._of_job(peer, key, message, body)
        message.epoch = ""
        kept = self._kept(key)
        if kept:
            ended = self._saved(key).ended
            samples = 0 if self.orders[key].hears else message.samples  # rows are no audio
            if ended is None or (ended.state, ended.code, ended.samples) != (message.state, message.code, samples):
                raise Wrong(f"the end of {key} was told before it was durable: {message}")
        name = key if kept else (*key, self._run)
        before = self.terminals.setdefault(name, message)
        if before != message:
            raise Wrong(f"{key} has two ends: {before} and {message}")
        if before is message:
            self._check_end(key, message)

    def _error_told(self, peer: bytes, key: Key, message: m.Error, body: bytes) -> None:
        if message.code in ("conflict", "bad_message", "invalid"):
            raise Wrong(f"an honest client was told {message.code}: {message.message}")
        if message.code == "deleted" and key not in self._store.removed:
            raise Wrong(f"{key} is said to be deleted, and is not")
        lost = message.code in ("not_found", "gone") and not self.gone(key) and key not in self.deleting
        if lost and key in self.accepted and self._kept(key):
            raise Wrong(f"{key} was accepted, and now it is {message.code}")

    # ------------------------------------------------------------------------------------------------ how jobs end

    def _check_end(self, key: Key, end: m.Terminal) -> None:
        asked = Asked(self._kept(key), key in self.cancelled, key in self.deleting)
        order = self.orders[key]
        if end.code == "unknown_voice" and self.voices.steady(key[0], order.voice, self._asked_at.get(key, 0.0)):
            raise Wrong(f"{key} ended for want of the voice {order.voice}, which is there")
        if not ends.allowed(order, end, asked, self.befell):
            alone = self.now() - self._near.get(key, 0.0)
            raise Wrong(
                f"{key} ended as {end.state} ({end.code}: {end.message}) without a reason, alone for {alone:.1f} s"
            )

    def heard_to_the_end(self, heard: Heard) -> None:
        """A client has its result: what it has is what was to be heard, told from the samples alone."""
        result = heard.result
        assert result is not None
        if result.state != "finished" or heard.read == "none" or heard.cancelled:
            return
        if heard.order.hears:
            said, whole = [row.partition(" ")[2] for row in heard.rows[1:]], passages(heard.order.text.encode())
            if said != whole:
                raise Wrong(f"{heard.order.name}: heard was {said}, the recording says {whole}")
        else:
            takes = self._oracle.decode(bytes(heard.pcm))
            check_text(takes, heard.order.text, result.skipped)
            self.voices.spoken(heard.uid, heard.order.voice, {made.voice for made in takes})
        if len(heard.pcm) != 2 * result.samples:
            raise Wrong(f"{heard.order.name} has {result.samples} samples, {len(heard.pcm) // 2} came")
        self.samples_compared += result.samples
        key = (heard.uid, heard.order.name)
        what = "\n".join(heard.rows).encode() if heard.order.hears else bytes(heard.pcm)
        if self._kept(key) and self.audio.setdefault(key, what) != what:
            raise Wrong(f"two clients have different audio of {key}")

    def noted(self, meta: dict[str, Any]) -> None:
        """Something is about to be written down in a journal."""
        if meta["note"] == "renamed":
            self._oracle.made[meta["new"]] = self._oracle.made[meta["old"]]

    # ----------------------------------------------------------------------------------------------------- the whole

    def look(self) -> None:
        """After a pass."""
        self._looks += 1
        if self._core is None:
            return
        world = self._core.world
        if world.memory > self._limits.memory_bytes + 2 * WINDOW * self._slots * max(len(world.workers), 1):
            raise Wrong(f"{world.memory} bytes of audio in memory")
        if self.held() > 2 * 30 * RATE * 12:
            raise Wrong(f"{self.held()} bytes wait for clients")
        if self._looks % 8 == 0:
            sums.check(world)

    def in_one_form(self) -> None:
        """While nobody asks for anything: audio that is packed and not being read is there once."""
        assert self._core is not None
        for key, saved in self._store.jobs.items():
            job = self._core.world.jobs.get(key)
            opened = job is not None and job.audio.state in ("open", "opening")
            if saved.audio == "packed" and saved.job.log in self._store.disk.files and not opened:
                raise Wrong(f"{key} is packed, and its journal is there as well")

    def at_the_end(self) -> None:
        """Nothing is left over when all is healed and everybody had time."""
        assert self._core is not None
        world = self._core.world
        sums.check(world)
        sums.nothing_left(world)
        for key in self.accepted:
            if self._kept(key) and self._saved(key).ended is None:
                raise Wrong(f"{key} was accepted and never ended")
        for key in self.pinned & self._store.expired:
            raise Wrong(f"{key} was pinned, and was removed for its age")
        for key in self.deleted & self._store.jobs.keys():
            raise Wrong(f"{key} was deleted, and is there")
        self.voices.at_the_end()
        if self._store.disk.inputs:
            raise Wrong(f"recordings that nobody listens to: {sorted(self._store.disk.inputs)}")
        orphans = self._journals() - self._store.logs().keys() - world.logs.keys()
        if orphans:
            raise Wrong(f"journals that belong to no job: {sorted(orphans)}")

    def _journals(self) -> set[str]:
        return {*self._store.disk.files, *self._store.disk.packed}
