"""Rules of the core about voices of users' own, each broken on purpose.

Owns: the breaking; `mutants` says for how long and which seed finds it. Must not know: how it is found.
"""

from __future__ import annotations

from typing import Any

from voicebus.bus.messages import VoiceDone
from voicebus.daemon.core import core, feeding, own, prompts, restoring, samples, voices
from voicebus.daemon.core.personal import PROMPT_SUFFIX
from voicebus.daemon.core.records import VoiceSaved

from .broken import Swap, nothing


def told_before_it_is_written_down() -> list[Swap]:
    commit = voices._commit

    def sooner(w: Any, client: Any, said: Any, voice: Any, *args: Any) -> None:
        commit(w, client, said, voice, *args)
        w.to_client(client.peer, VoiceDone(request=said.request, action=said.action, name=voice.name))
        w.changing[voices.voice_key(client.uid, said.name)].askers.clear()

    return [(voices, "_commit", sooner)]


def spoken_with_what_is_gone() -> list[Swap]:
    return [(voices, "_unspoken", nothing)]


def files_left_behind() -> list[Swap]:
    return [(voices, "_unneeded", lambda world, before: ())]


def voices_forgotten() -> list[Swap]:
    return [(voices, "restore", nothing)]


def prompts_forgotten() -> list[Swap]:
    restore = voices.restore

    def forgetful(w: Any, found: Any, files: Any, now: float) -> None:
        restore(w, found, {key: size for key, size in files.items() if not key[1].endswith(PROMPT_SUFFIX)}, now)

    return [(voices, "restore", forgetful)]


def made_by_two() -> list[Swap]:
    return [(own, "startable", lambda world, entry: True)]


def spoken_without_a_prompt() -> list[Swap]:
    return [(own, "equipped", lambda world, entry: True)]


def maker_lost_for_good() -> list[Swap]:
    return [(prompts, "lost", nothing)]


def fed_beyond_the_need() -> list[Swap]:
    need = feeding.need

    def generous(w: Any, worker: Any, message: Any, *args: Any) -> str:
        message.up_to = 1 << 40
        return need(w, worker, message, *args)

    return _of_workers(need, generous)


def fed_from_the_beginning() -> list[Swap]:
    need = feeding.need

    def again(w: Any, worker: Any, message: Any, *args: Any) -> str:
        message.offset = 0
        return need(w, worker, message, *args)

    return _of_workers(need, again)


def _of_workers(need: Any, other: Any) -> list[Swap]:
    return [(core._FROM_WORKER, kind, other) for kind, rule in core._FROM_WORKER.items() if rule is need]


def ready_before_anybody_looked() -> list[Swap]:
    written = samples.written

    def sooner(w: Any, uid: int, sample: str, have: int, *args: Any) -> None:
        written(w, uid, sample, have, *args)
        recording = w.uploads.get((uid, sample))
        if recording is not None and recording.state == "checking":
            recording.state = "ready"
            samples._answer(w, (uid, sample), recording)
            recording.state = "checking"

    return [(samples, "written", sooner)]


# Found in the core by this simulation, and put back in.


def a_changed_voice_is_another() -> list[Swap]:
    def same(self: Any, other: Any) -> bool:
        return bool(self.uid == other.uid and self.spec == other.spec and self.created == other.created)

    return [(VoiceSaved, "is_same", same)]


def a_coming_voice_has_no_recordings() -> list[Swap]:
    def there(w: Any, uid: int) -> set[str]:
        return {each.sample for key, voice in w.voices.items() if key[0] == uid for each in voice.samples}

    return [(samples, "in_voices", there)]


def a_coming_name_is_free() -> list[Swap]:
    return [(voices, "_names", lambda pending: {pending.old})]


def two_of_one_moment_are_one() -> list[Swap]:
    return [(voices, "_unlike", lambda voice, moments: voice)]


def half_of_two_voices() -> list[Swap]:
    return [(restoring, "_no_other_voice", nothing)]


def doubted_and_left_behind() -> list[Swap]:
    def doubt(w: Any, attempt: Any, failure: Any) -> None:
        entry = attempt.job.entry if attempt.job is not None else None
        if entry is not None and entry.prompt and failure.told and failure.code == "unavailable":
            w.prompts.pop(own.prompt_of(entry), None)

    return [(prompts, "_doubt", doubt)]
