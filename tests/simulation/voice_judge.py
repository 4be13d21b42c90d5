"""What must hold of voices of users' own, at every step.

Owns: the promises about them, checked on what goes over the wires and onto the disk. Must not know: how the core keeps
them. Invariant: whatever is broken raises Wrong at the step at which it happens.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicebus.bus import messages as m
from voicebus.bus import prompts
from voicebus.bus.messages import VoiceSpec

from .oracle import Wrong
from .plan import USERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicebus.daemon.core.core import Core

    from .store import Store

Key = tuple[int, str]


@dataclass(slots=True)
class Need:
    """What a worker has asked for. at: up to where it has come; up_to: how far it may."""

    key: str
    at: int
    up_to: int


def material(spec: VoiceSpec) -> str:
    """What a voice sounds like: its recordings, and what is said in them."""
    return " ".join(f"{each.sample} {each.text}" for each in spec.samples)


class VoiceJudge:
    """now: the time. hold: voices that were acknowledged, by user and name, as what they sound like. heard: all that a
    name ever meant."""

    def __init__(self, store: Store) -> None:
        self.now: Callable[[], float] = lambda: 0.0
        self.hold: dict[Key, str] = {}
        self.heard: dict[Key, set[str]] = {}
        self._store = store
        self._since: dict[Key, float] = {}
        self._asked: dict[tuple[bytes, str], tuple[Key, m.Voice]] = {}
        self._touched: dict[tuple[int, str], float] = {}
        self._needs: dict[str, deque[Need]] = {}
        self._speaks: dict[str, str] = {}
        self._kept: set[str] = set()

    # -------------------------------------------------------------------------------------------------------- daemons

    def restored(self, core: Core) -> None:
        """A daemon has taken up what there is."""
        if set(core.world.voices) != set(self._store.voices):
            raise Wrong(f"the voices {sorted(core.world.voices)} were taken up, of {sorted(self._store.voices)}")
        for key in self.hold:
            self._there(key)
        for uid, name in self._store.disk.voices.files:
            if name.endswith(".prompt") and not self._needed(uid, name):
                raise Wrong(f"the voice prompt {name} of {uid} is left, and no voice has it")
        self._kept = {key for key in self._kept if self._on_disk(key)}

    def died(self) -> None:
        """A daemon is gone, with all that it had in hand."""
        self._asked.clear()
        self._needs.clear()
        self._speaks.clear()

    # -------------------------------------------------------------------------------------------------------- clients

    def from_client(self, peer: bytes, uid: int, message: Any) -> None:
        """A client said something."""
        if isinstance(message, m.Sample):
            self._touched[uid, message.sample] = self.now()
        elif isinstance(message, m.Voice):
            key = (uid, message.name)
            self._asked[peer, message.request] = key, message
            if message.action != "add":
                self.hold.pop(key, None)  # from now on it may be gone, or be another
            if message.action in ("add", "change"):
                self.heard.setdefault(key, set()).add(material(message.spec))
            if message.action == "rename":
                self.hold.pop((uid, message.to), None)
                self.heard.setdefault((uid, message.to), set()).update(self.heard.get(key, ()))

    def held(self, uid: int, message: m.SampleHeld) -> None:
        """A client is told how much of a recording is there."""
        files = self._store.disk.voices.files
        file = files.get((uid, f"{message.sample}.sample"))
        if message.ready:
            if file is None or hashlib.sha256(file.data).hexdigest() != message.sample:
                raise Wrong(f"the recording {message.sample} of {uid} is said to be ready, and is not there")
            return
        part = files.get((uid, f"{message.sample}.sample.part"))
        if message.have > (len(part.data) if part is not None else 0):
            raise Wrong(f"{message.have} bytes of {message.sample} are said to be there")

    def done(self, peer: bytes, uid: int, message: m.VoiceDone) -> None:
        """A client is told that what it wanted of a voice is done."""
        asked = self._asked.pop((peer, message.request), None)
        if asked is None:
            raise Wrong(f"{peer!r} is told of a voice, and had not asked: {message}")
        key, said = asked
        if said.action == "remove":
            self._removed(key)
            return
        if said.action == "rename":
            key = (uid, said.to)
        saved = self._store.voices.get(key)
        if saved is None:
            raise Wrong(f"the voice {key} is said to be there, and the store does not have it")
        if said.action != "rename" and material(saved.spec) != material(said.spec):
            raise Wrong(f"the voice {key} is not what it was said to be")
        if key not in self.hold:
            self.hold[key], self._since[key] = material(saved.spec), self.now()
        self._there(key)

    def refused(self, peer: bytes, message: m.Error) -> None:
        """A client is told that something about a voice or a recording cannot be."""
        self._asked.pop((peer, message.request), None)
        if message.code in ("bad_message", "invalid", "too_long"):
            raise Wrong(f"an honest client was told {message.code}: {message.message}")

    def _there(self, key: Key) -> None:
        """A voice that was acknowledged, and that nobody wants to change, is there with its recordings."""
        saved = self._store.voices.get(key)
        if saved is None or material(saved.spec) != self.hold[key]:
            raise Wrong(f"the voice {key} was acknowledged, and is not there")
        for each in saved.samples:
            file = self._store.disk.voices.files.get((key[0], f"{each.sample}.sample"))
            if file is None or not file.synced or hashlib.sha256(file.data).hexdigest() != each.sample:
                raise Wrong(f"the voice {key} was acknowledged, and its recording {each.sample} is not on the disk")

    def _removed(self, key: Key) -> None:
        if key in self._store.voices:
            raise Wrong(f"the voice {key} is said to be removed, and the store has it")
        saved = self._store.voices_removed.get(key)
        if saved is not None:
            names = {f"{each.sample}.sample" for each in saved.samples}
            self._nothing_left(key[0], lambda name, of: name in names or of == material(saved.spec))

    def _nothing_left(self, uid: int, about: Callable[[str, str], bool]) -> None:
        """Of voices that are gone there are no prompts, and no recordings but such as somebody has sent anew, or wants
        for a voice that is being added."""
        wanted = {each.sample for key, said in self._asked.values() if key[0] == uid for each in said.spec.samples}
        for user, name in self._store.disk.voices.files:
            sample = name.partition(".")[0]
            if user != uid or self._needed(uid, name) or sample in wanted or not about(name, self._of((uid, name))):
                continue
            gone, sent = self._store.voices_gone.get((uid, sample)), self._touched.get((uid, sample), -1.0)
            if name.endswith(".prompt") or (gone is not None and sent < gone):
                raise Wrong(f"{name} of {uid} is on the disk, of a voice that is gone")

    def _needed(self, uid: int, name: str) -> bool:
        """Whether a voice of this user has this recording, or was the prompt made of it."""
        mine = [saved for (user, _), saved in self._store.voices.items() if user == uid]
        if not name.endswith(".prompt"):
            return any(each.sample == name.partition(".")[0] for saved in mine for each in saved.samples)
        of = self._of((uid, name))
        return of == "" or any(material(saved.spec) == of for saved in mine)

    def _of(self, file: tuple[int, str]) -> str:
        """What a prompt was made of, "" for one that a power cut has damaged, and for a recording."""
        try:
            return prompts.unpack(bytes(self._store.disk.voices.files[file].data)).words["of"]
        except prompts.BadPrompt:
            return ""

    # -------------------------------------------------------------------------------------------------------- workers

    def given_out(self, work: m.Work) -> None:
        """A worker is given something to do that has to do with a voice."""
        if not work.prompt:
            return
        if work.kind == "prompt":
            if work.prompt in self._kept and self._on_disk(work.prompt):
                raise Wrong(f"{work.attempt} makes the prompt {work.prompt[:12]}, which is there")
            return
        if not self._on_disk(work.prompt):
            raise Wrong(f"{work.attempt} is to speak with the prompt {work.prompt[:12]}, which is not there")
        if not any(self._needed(uid, name) for uid, name in self._files(work.prompt)):
            raise Wrong(f"{work.attempt} is to speak with a voice that is gone")
        self._speaks[work.attempt] = work.prompt

    def from_worker(self, message: Any) -> None:
        """A worker of a session that holds said something."""
        if isinstance(message, m.Need):
            if message.up_to > message.offset:
                needs = self._needs.setdefault(message.session, deque())
                needs.append(Need(message.key, message.offset, message.up_to))
        elif isinstance(message, m.Done | m.Failed | m.Stopped):
            prompt = self._speaks.pop(message.attempt, "")
            if isinstance(message, m.Failed) and message.code == "unavailable":
                self._kept.discard(prompt)  # it may be missing or damaged, and is made anew

    def over(self, session: str, attempts: Collection[str]) -> None:
        """A session is over, and what it had in hand."""
        self._needs.pop(session, None)
        for attempt in attempts:
            self._speaks.pop(attempt, None)

    def fed(self, message: m.Feed, body: bytes) -> None:
        """A worker is sent bytes: those that it has asked for, in order, and no more."""
        needs = self._needs.get(message.session, deque())
        if message.missing:
            found = next((need for need in needs if (need.key, need.at) == (message.key, message.offset)), None)
            if found is None:
                raise Wrong(f"{message.key} is said to be missing from {message.offset} on, and was not asked for")
            needs.remove(found)
            return
        need = needs[0] if needs else Need("", 0, 0)
        end = message.offset + len(body)
        if (message.key, message.offset) != (need.key, need.at) or end > need.up_to:
            raise Wrong(f"bytes {message.offset} to {end} of {message.key} were sent, asked was for {need}")
        need.at = end
        if end == min(need.up_to, message.size):
            needs.popleft()

    def stored(self, uid: int, name: str, reason: str) -> None:
        """A prompt was kept, or not."""
        if not reason:
            self._kept.add(name.split(".")[1])

    def _files(self, prompt: str) -> list[tuple[int, str]]:
        return [key for key in self._store.disk.voices.files if key[1].split(".")[1] == prompt]

    def _on_disk(self, prompt: str) -> bool:
        return bool(self._files(prompt))

    # -------------------------------------------------------------------------------------------------------- the end

    def steady(self, uid: int, name: str, since: float) -> bool:
        """Whether a voice has been there for all the time since then, and nobody wanted anything of it."""
        return (uid, name) in self.hold and self._since[uid, name] < since

    def spoken(self, uid: int, name: str, voices: set[str]) -> None:
        """A job was heard to its end: all of it in one voice, which its name has meant."""
        if not name:
            wrong = voices - {""}
        else:
            wrong = voices - self.heard.get((uid, name), set()) or (voices if len(voices) > 1 else set())
        if wrong:
            raise Wrong(f"what was to be spoken with {name!r} was spoken with {sorted(voices)}")

    def at_the_end(self) -> None:
        """When all is healed."""
        for key in self.hold:
            self._there(key)
        for user in range(USERS):
            self._nothing_left(1000 + user, lambda name, of: True)
