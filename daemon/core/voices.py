"""Voices of users' own: added, changed, renamed, removed.

Owns: what a voice must have, and the order in which one comes and goes. Must not know: tables, files, audio, how a
voice speaks (`routing`, `prompts`). Invariant: a voice is used only once it is written down; one that is removed is not
used from that moment on, and its end is told when its record and every file that no other voice needs are gone; the
same request again is answered again.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from ...bus.codec import HEADER_BYTES, VOICE_NAME, encode
from ...bus.messages import SampleSpec, Voice, VoiceDone, VoiceSpec
from ...bus.wording import counted
from . import failing, prompts, samples, waiting
from .catalogue import Problem
from .effects import DropVoiceFiles
from .personal import DIGEST, PROMPT_SUFFIX, Upload, material, sample_file, voice_key
from .records import Outcome, SampleSaved, VoiceRemoved, VoiceRenamed, VoiceSaved
from .state import Client
from .world import Pending, World

TEXT_CHARS = 1000
"""Longest transcript of a recording, and longest description of a voice: both are read before each sentence."""

STATEMENT_CHARS = 2000
RECORD_BYTES = HEADER_BYTES // 2

AGAIN_S = 0.5

_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,16})*\Z")

_OUTDATED = (
    "Its reference was made from other words than these, and would go on sounding like them. "
    "Make another of the new ones: voicebus voices design NAME --again --describe TEXT"
)

REMEMBERED = 1000
"""Names of removed voices that are known, so that a request whose answer was lost is answered the same."""


def restore(world: World, found: Sequence[VoiceSaved], files: Mapping[tuple[int, str], int], now: float) -> None:
    """Take up the voices of an earlier daemon. files: what is there beside them, with its size."""
    moments: defaultdict[int, set[float]] = defaultdict(set)
    for saved in found:
        voice = _unlike(saved, moments[saved.uid])
        moments[voice.uid].add(voice.created)
        world.voices[voice_key(voice.uid, voice.name)] = voice
        for each in voice.samples:
            if files.get((voice.uid, sample_file(each.sample))) == each.bytes:
                recording = Upload(each.bytes, each.bytes, "ready", each.facts, touched=now)
                world.uploads[voice.uid, each.sample] = recording
    world.prompts.update({key: size for key, size in files.items() if key[1].endswith(PROMPT_SUFFIX)})


def _unlike(voice: VoiceSaved, moments: Container[float]) -> VoiceSaved:
    """The voice, told from all others of its user by the moment at which it was made: two may have been written down
    at one. moments: those of the others."""
    while voice.created in moments:
        voice = replace(voice, created=math.nextafter(voice.created, math.inf))
    return voice


def do(world: World, client: Client, said: Voice, body: bytes, now: float) -> None:
    """A client wants something done with a voice of its own."""
    names = (said.name, said.to) if said.action == "rename" else (said.name,)
    for key in (voice_key(client.uid, name) for name in names):
        if key in world.changing:
            _meanwhile(world, client, said, world.changing[key])
            return
    if not world.durable:
        text = "This daemon keeps nothing on the disk, and so no voices; see: voicebus daemon status"
        world.error(client.peer, "storage", text, request=said.request)
        return
    {"add": _set, "change": _set, "rename": _rename, "remove": _remove}[said.action](world, client, said, now)


def _meanwhile(world: World, client: Client, said: Voice, pending: Pending) -> None:
    """A voice with this name is being changed, or gets it: the same once more waits for the same answer, anything else
    has to come again."""
    same = voice_key(client.uid, said.name) == pending.old
    if same and (said.action, said.to, said.spec) == pending.said:
        pending.askers[client.peer, said.request] = None
    else:
        text = f"The voice {said.name!r}, or the name it is to have, is just being changed; try again in a moment."
        world.error(client.peer, "queue_full", text, request=said.request, retry_after=AGAIN_S)


# --------------------------------------------------------------------------------------------------- add and change


def _set(world: World, client: Client, said: Voice, now: float) -> None:
    before = world.voices.get(voice_key(client.uid, said.name))
    if said.action == "add" and before is not None and _same(before.spec, said.spec):
        _done(world, client.peer, said.request, "add", before.name)
        return
    problem = _unfit(world, client, said, before)
    if problem is not None:
        world.error(client.peer, problem.code, problem.message, request=said.request)
        return
    voice = VoiceSaved(
        client.uid,
        before.name if before is not None else said.name,
        _with_consent(said.spec, before),
        tuple(_saved(world, client.uid, each.sample) for each in said.spec.samples),
        before.was if before is not None else "",
        before.created if before is not None else 0.0,
    )
    _commit(world, client, said, voice, now)


def _same(before: VoiceSpec, spec: VoiceSpec) -> bool:
    """Whether this was asked before. The date of a consent is put to it when it is written down."""
    given = (before.consent.who, before.consent.statement) == (spec.consent.who, spec.consent.statement)
    rest = ("kind", "description", "languages", "chain", "samples")
    return given and all(getattr(before, name) == getattr(spec, name) for name in rest)


def _with_consent(spec: VoiceSpec, before: VoiceSaved | None) -> VoiceSpec:
    """A change that says nothing of consent leaves what was recorded."""
    if spec.consent.statement or before is None:
        return spec
    return VoiceSpec(spec.kind, spec.description, spec.languages, spec.chain, spec.samples, before.spec.consent)


def _saved(world: World, uid: int, sample: str) -> SampleSaved:
    recording = world.uploads[uid, sample]
    assert recording.facts is not None
    return SampleSaved(sample, recording.size, recording.facts)


def _unfit(world: World, client: Client, said: Voice, before: VoiceSaved | None) -> Problem | None:
    spec, limits = said.spec, world.settings.limits
    if said.action == "change" and before is None:
        return _unknown(said.name)
    if said.action == "add":
        if before is not None:
            return Problem("conflict", f"There is a voice {before.name!r} already; change or remove that one.")
        if problem := _name_problem(world, client.uid, said.name):
            return problem
        if sum(key[0] == client.uid for key in world.voices) >= limits.voices:
            limit = counted(limits.voices, "voice is", "voices are")
            return Problem("queue_full", f"{limit} the limit; remove some that are not needed.")
    return _spec_problem(world, client.uid, spec, before)


def _name_problem(world: World, uid: int, name: str) -> Problem | None:
    """Why a name cannot be a voice's, None if it can."""
    if not VOICE_NAME.match(name):
        text = (
            f"{name!r} cannot be the name of a voice: use up to 64 letters, digits and _ . - after a letter or digit."
        )
        return Problem("invalid", text)
    if voice_key(uid, name) in world.voices:
        return Problem("conflict", f"There is a voice {name!r} already.")
    if name.casefold() in {each.casefold() for each in world.settings.chains}:
        return Problem("conflict", f"{name!r} is the name of a chain in the configuration; take another.")
    if name.casefold() in {each.casefold() for each in world.providers}:
        text = f"{name!r} is the name of a provider, which is what that word means in a chain; take another name."
        return Problem("conflict", text)
    for provider in world.providers.values():
        if provider.catalogue is not None and isinstance(provider.catalogue.resolve(name, ""), str):
            return Problem("conflict", f"{provider.name} knows a voice {name!r}; take another name.")
    return None


def _spec_problem(world: World, uid: int, spec: VoiceSpec, before: VoiceSaved | None) -> Problem | None:
    texts = [spec.description]
    for each in spec.samples:
        texts += [each.text, each.heard, each.origin.description]
    if any(len(text) > TEXT_CHARS for text in texts) or len(spec.consent.statement) > STATEMENT_CHARS:
        return Problem(
            "too_long", f"A description, or what is said in a recording, has at most {TEXT_CHARS} characters."
        )
    if len(encode(spec)) > RECORD_BYTES:
        return Problem("too_long", "There is more to this voice than one record can hold; use fewer recordings.")
    if spec.kind == "designed" and not spec.description.strip():
        return Problem("invalid", "A designed voice needs a description of how it sounds.")
    if spec.kind == "cloned" and not spec.samples:
        return Problem("invalid", "A cloned voice needs at least one recording.")
    if _of_somebody(spec) and not (spec.consent.statement.strip() or (before and before.spec.consent.statement)):
        return Problem("invalid", "Recordings need the word of whoever is heard, or may speak for them (consent).")
    if spec.kind == "designed" and any(
        _made(each) and each.origin.description != spec.description for each in spec.samples
    ):
        return Problem("invalid", _OUTDATED)
    wrong = next((tag for tag in spec.languages if not _TAG.match(tag)), None)
    if wrong is not None:
        return Problem("unknown_language", f"{wrong!r} is no language tag, such as en or de-AT.")
    return _samples_problem(world, uid, spec)


def _made(sample: SampleSpec) -> bool:
    """Whether a recording is nobody's voice."""
    return bool(sample.origin.provider)


def _of_somebody(spec: VoiceSpec) -> bool:
    """Whether somebody is heard in it who may not want to be cloned."""
    return any(spec.kind == "cloned" or not _made(each) for each in spec.samples)


def _samples_problem(world: World, uid: int, spec: VoiceSpec) -> Problem | None:
    named = [each.sample for each in spec.samples]
    if len(set(named)) < len(named):
        return Problem("invalid", "The same recording is there twice.")
    for name in named:
        recording = world.uploads.get((uid, name)) if DIGEST.match(name) else None
        if recording is None or recording.state != "ready":
            return Problem("not_found", f"The recording {name[:12]} is not there; send it first.")
    return None


def _unknown(name: str) -> Problem:
    return Problem("not_found", f"There is no voice {name!r} of yours; see: voicebus voices --mine")


# ------------------------------------------------------------------------------------------------- rename and remove


def _rename(world: World, client: Client, said: Voice, now: float) -> None:
    key, to = voice_key(client.uid, said.name), voice_key(client.uid, said.to)
    voice, other = world.voices.get(key), world.voices.get(to)
    if voice is None and other is not None and voice_key(client.uid, other.was) == key:
        _done(world, client.peer, said.request, "rename", other.name)  # by an earlier saying of the same
        return
    problem = _unknown(said.name) if voice is None else None
    if problem is None and to != key:
        problem = _name_problem(world, client.uid, said.to)
    if problem is not None:
        world.error(client.peer, problem.code, problem.message, request=said.request)
        return
    assert voice is not None
    renamed = VoiceSaved(voice.uid, said.to, voice.spec, voice.samples, voice.name, voice.created)
    _commit(world, client, said, renamed, now, VoiceRenamed(voice.name, renamed))


def _remove(world: World, client: Client, said: Voice, now: float) -> None:
    key = voice_key(client.uid, said.name)
    voice = world.voices.pop(key, None)
    if voice is None:
        _done(world, client.peer, said.request, "remove", said.name, found=key in world.removed)
        return
    _unspoken(world, voice, f"the voice {voice.name} was removed", now)
    _commit(world, client, said, voice, now, VoiceRemoved(voice.uid, voice.name))


def _unspoken(world: World, voice: VoiceSaved, why: str, now: float) -> None:
    """Nobody speaks with a voice any more: jobs that were to go on to the next of their chain, or end."""
    for job in list(world.unfinished.values()):
        mine = [entry for entry in job.chain if entry.own is not None and entry.own.is_same(voice)]
        for entry in mine:
            entry.refusal, entry.code = why, "unknown_voice"
        if mine and job.entry in mine:
            for attempt in list(job.attempts.values()):
                failing.void(world, attempt, why, now)
            waiting.reroute(world, job, now)


# ------------------------------------------------------------------------------------------------------ written down


def _commit(
    world: World,
    client: Client,
    said: Voice,
    voice: VoiceSaved,
    now: float,
    record: VoiceRenamed | VoiceRemoved | None = None,
) -> None:
    pending = Pending("voice", (client.uid, ""), 0, now, record or voice)
    pending.voice, pending.old = voice, voice_key(client.uid, said.name)
    pending.said = (said.action, said.to, said.spec)
    pending.askers[client.peer, said.request] = None
    for key in _names(pending):
        world.changing[key] = pending
    world.commit(pending)


def _names(pending: Pending) -> set[tuple[int, str]]:
    """The keys that are taken while a voice changes: its own, and the one that it gets."""
    assert pending.voice is not None
    return {pending.old, voice_key(pending.voice.uid, pending.voice.name)}


def _settle(world: World, pending: Pending) -> None:
    for key in _names(pending):
        del world.changing[key]


def settled(world: World, pending: Pending, outcome: Outcome, now: float) -> None:
    """A voice is written down as it is now, or not."""
    voice = pending.voice
    assert voice is not None
    removed = isinstance(pending.record, VoiceRemoved)
    if outcome.state == "failed":
        world.count("commits that failed", outcome.reason)
        if removed:
            world.voices[pending.old] = voice
        _settle(world, pending)
        for peer, request in pending.askers:
            text = f"The voice {voice.name} could not be written down: {outcome.reason}"
            world.error(peer, "storage", text, request=request)
        return
    before = voice if removed else world.voices.pop(pending.old, None)
    if before is not None and (removed or material(before.spec) != material(voice.spec)):
        prompts.forget(world, before, now)
        if not removed:
            _unspoken(world, before, f"the voice {before.name} was changed", now)
    if not removed:
        moments = {other.created for other in world.voices.values() if other.uid == voice.uid}
        world.voices[voice_key(voice.uid, voice.name)] = _unlike(voice.dated(outcome.at), moments)
    names = _unneeded(world, before) if before is not None else ()
    if names:
        world.ticket += 1
        world.removing[world.ticket] = pending
        world.effects.append(DropVoiceFiles(voice.uid, names, world.ticket))
    else:
        _answer(world, pending)


def _unneeded(world: World, before: VoiceSaved) -> tuple[str, ...]:
    """The files of a voice as it was that no voice of its user needs now; they count as gone from here on."""
    uid = before.uid
    used = samples.in_voices(world, uid)
    made = {material(voice.spec) for key, voice in world.voices.items() if key[0] == uid}
    names = []
    for each in before.samples:
        if each.sample not in used:
            world.uploads.pop((uid, each.sample), None)
            names.append(sample_file(each.sample))
    if material(before.spec) not in made:
        prompts.recall(world, uid, material(before.spec))
        mine = [key for key in world.prompts if key[0] == uid and key[1].startswith(material(before.spec))]
        for key in sorted(mine):
            del world.prompts[key]
            names.append(key[1])
    return tuple(names)


def files_dropped(world: World, ticket: int, reason: str, now: float) -> None:
    """What a voice needed is gone from the disk, or could not be removed."""
    pending = world.removing.pop(ticket)
    if not reason:
        _answer(world, pending)
        return
    world.count("files of voices that could not be removed", reason)
    _settle(world, pending)
    for peer, request in pending.askers:
        world.error(peer, "storage", f"The voice is gone, but not all of its files: {reason}", request=request)


def _answer(world: World, pending: Pending) -> None:
    assert pending.voice is not None
    _settle(world, pending)
    if isinstance(pending.record, VoiceRemoved):
        world.removed[pending.old] = None
        while len(world.removed) > REMEMBERED:
            del world.removed[next(iter(world.removed))]
    else:
        world.removed.pop(voice_key(pending.voice.uid, pending.voice.name), None)
    for peer, request in pending.askers:
        _done(world, peer, request, pending.said[0], pending.voice.name)


def _done(world: World, peer: bytes, request: str, action: str, name: str, *, found: bool = True) -> None:
    world.to_client(peer, VoiceDone(request=request, action=action, name=name, found=found))
