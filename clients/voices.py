"""Users' own voices, for both clients.

Owns: the names under which programs find what `voicing` does. Must not know: sockets, messages. Invariant: each does
the same for `Client` and for `AsyncClient`, from the same steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bus.messages import Consent
from . import asking, designing, steps, voicing
from .asking import Entry
from .voicing import Added, Given, Recording, Row

__all__ = ["Added", "AsyncVoiced", "Recording", "Voiced"]


class Voiced:
    """Voices of this user's own, for `Client`."""

    if TYPE_CHECKING:

        def _ask(self, message: Any, body: bytes = b"") -> Any: ...

    def _run(self, work: steps.Steps[Any]) -> Any:
        return steps.run(work, self._ask)

    def add_voice(
        self,
        name: str,
        recordings: Iterable[Given] = (),
        *,
        description: str = "",
        languages: Iterable[str] = (),
        chain: Iterable[Entry] = (),
        consent: Consent | str | Mapping[str, Any] | None = None,
        who: str = "",
    ) -> Added:
        """Add a voice: cloned from recordings, or, without any but a reference from `design_reference`, designed from
        its description.

        recordings: paths or bytes, each alone or as ``(it, what is said in it)``; 3 to 30 s of clear speech of one
        person, in the formats of `Recording`. chain: who speaks it, best first; left out, whoever can. consent: the
        statement that this voice may be cloned, which is needed for a cloned one and kept with it; who: whose statement
        it is. Returns the voice's name and advice on its recordings. Raises InvalidRequest for what cannot be used,
        Conflict for a name that is taken, StorageError, QueueFull where your share of the disk is used up, OSError.
        """
        given = list(recordings)
        cloned = voicing.of_somebody(given)
        spec = asking.voice_spec(cloned, description, languages, chain, voicing.consent_of(consent, who))
        added: Added = self._run(voicing.add(name, spec, given))
        return added

    def design_reference(
        self, description: str, *, text: str = "", language: str = "", provider: str = "", seed: int | None = None
    ) -> Recording:
        """Make a reference for a voice from a description of it, to hear it or to hand it to `add_voice` with the same
        description: from then on the voice is cloned from it, and so the same in each sentence.

        text: what it says, one sentence of 3 to 30 s; left out, one of ours in this language. provider: who makes it;
        left out, whoever can. seed: with which; left out, one by chance, which stands in what is returned
        (`origin.seed`). Returns a WAV file with what is said in it. Raises InvalidRequest, DaemonError where nobody can
        now, JobFailed.
        """
        client: Any = self
        rows = client.providers()
        plan = designing.plan(rows, description, text=text, language=language, provider=provider, seed=seed)
        speech = client.speak(plan.text, **plan.options)
        pcm = b"".join(bytes(frame.pcm) for frame in speech.frames())
        return plan.recording(pcm, speech.rate, speech.result)

    def redesign_voice(self, name: str, reference: Recording) -> Added:
        """Put another reference in the place of a designed voice's, with the description that it was made from. Raises
        as `add_voice`, and NotFound."""
        added: Added = self._run(voicing.redesign(name, reference))
        return added

    def change_voice(
        self,
        name: str,
        recordings: Iterable[Given] = (),
        *,
        texts: Mapping[str, str] | None = None,
        keep: Iterable[str] | None = None,
        description: str | None = None,
        languages: Iterable[str] | None = None,
        chain: Iterable[Entry] | None = None,
    ) -> Added:
        """Change some of a voice; what is left out stays. recordings: more of them. texts: what is said in those that
        are there, by their SHA-256 or the beginning of it. keep: which of those to keep. Raises as `add_voice`, and
        NotFound."""
        new = asking.voice_changes(keep, description, languages, chain)
        added: Added = self._run(voicing.change(name, recordings, texts, **new))
        return added

    def rename_voice(self, name: str, to: str) -> str:
        """Give a voice another name; returns it. Raises NotFound, Conflict."""
        return str(self._run(voicing.rename(name, to)))

    def remove_voice(self, name: str) -> None:
        """Remove a voice with its recordings and all that was made of them. Returns when nothing is left of it on the
        disk; jobs that were to be spoken with it end. Raises NotFound, StorageError."""
        self._run(voicing.remove(name))

    def voice(self, name: str) -> Row:
        """A voice of your own, as its row: voice, kind, languages, description, chain, speakers, samples, consent,
        created, problem. Raises NotFound."""
        row: Row = self._run(voicing.look_up(name))
        return row

    def recording(self, sample: str) -> bytes:
        """A recording of yours, as it was uploaded. sample: its SHA-256. Raises NotFound."""
        return bytes(self._run(voicing.fetch(sample)))

    def export_voice(self, name: str, target: str | Path) -> Path:
        """Write a voice with its recordings and its consent into one file. Raises NotFound, OSError."""
        from . import voice_file

        return Path(self._run(voice_file.export(name, Path(target))))

    def import_voice(self, source: str | Path, name: str = "") -> Added:
        """Add a voice from such a file, under its own name or another. Raises InvalidRequest where it is none, and as
        `add_voice`."""
        from . import voice_file

        added: Added = self._run(voice_file.bring_in(Path(source), name))
        return added


class AsyncVoiced:
    """Voices of this user's own, for `AsyncClient`; see `Voiced`. Recordings are read in other threads."""

    if TYPE_CHECKING:

        async def _ask(self, message: Any, body: bytes = b"") -> Any: ...

    async def _run(self, work: steps.Steps[Any], *, in_threads: bool = False) -> Any:
        return await steps.run_async(work, self._ask, in_threads=in_threads)

    async def add_voice(
        self,
        name: str,
        recordings: Iterable[Given] = (),
        *,
        description: str = "",
        languages: Iterable[str] = (),
        chain: Iterable[Entry] = (),
        consent: Consent | str | Mapping[str, Any] | None = None,
        who: str = "",
    ) -> Added:
        """Add a voice; see `Client.add_voice`."""
        given = list(recordings)
        cloned = voicing.of_somebody(given)
        spec = asking.voice_spec(cloned, description, languages, chain, voicing.consent_of(consent, who))
        added: Added = await self._run(voicing.add(name, spec, given), in_threads=True)
        return added

    async def design_reference(
        self, description: str, *, text: str = "", language: str = "", provider: str = "", seed: int | None = None
    ) -> Recording:
        """Make a reference for a voice from a description of it; see `Client.design_reference`."""
        client: Any = self
        rows = await client.providers()
        plan = designing.plan(rows, description, text=text, language=language, provider=provider, seed=seed)
        speech = await client.speak(plan.text, **plan.options)
        pcm = b"".join([bytes(frame.pcm) async for frame in speech.frames()])
        return plan.recording(pcm, speech.rate, speech.result)

    async def redesign_voice(self, name: str, reference: Recording) -> Added:
        """Put another reference in the place of a designed voice's; see `Client.redesign_voice`."""
        added: Added = await self._run(voicing.redesign(name, reference), in_threads=True)
        return added

    async def change_voice(
        self,
        name: str,
        recordings: Iterable[Given] = (),
        *,
        texts: Mapping[str, str] | None = None,
        keep: Iterable[str] | None = None,
        description: str | None = None,
        languages: Iterable[str] | None = None,
        chain: Iterable[Entry] | None = None,
    ) -> Added:
        """Change some of a voice; see `Client.change_voice`."""
        new = asking.voice_changes(keep, description, languages, chain)
        added: Added = await self._run(voicing.change(name, recordings, texts, **new), in_threads=True)
        return added

    async def rename_voice(self, name: str, to: str) -> str:
        """Give a voice another name; see `Client.rename_voice`."""
        return str(await self._run(voicing.rename(name, to)))

    async def remove_voice(self, name: str) -> None:
        """Remove a voice; see `Client.remove_voice`."""
        await self._run(voicing.remove(name))

    async def voice(self, name: str) -> Row:
        """A voice of your own, as its row; see `Client.voice`."""
        row: Row = await self._run(voicing.look_up(name))
        return row

    async def recording(self, sample: str) -> bytes:
        """A recording of yours; see `Client.recording`."""
        return bytes(await self._run(voicing.fetch(sample)))

    async def export_voice(self, name: str, target: str | Path) -> Path:
        """Write a voice into one file; see `Client.export_voice`."""
        from . import voice_file

        return Path(await self._run(voice_file.export(name, Path(target))))

    async def import_voice(self, source: str | Path, name: str = "") -> Added:
        """Add a voice from such a file; see `Client.import_voice`."""
        from . import voice_file

        added: Added = await self._run(voice_file.bring_in(Path(source), name), in_threads=True)
        return added
