"""Voice prompts: what a provider makes of a voice's recordings before it can speak with it.

Owns: when one is made, by whom, what becomes of it, and who may have its bytes. Must not know: files, what is in a
prompt. Invariant: of what several jobs need one is made, once, and kept; a sentence is sent to a worker only when the
prompt that it needs is there; a worker that dies of making one costs another try elsewhere, and recordings that bring
down two are left alone; whoever makes one that is not wanted any more has been told to stop; nobody is sent a recording
or a prompt but a worker that has just been given work with it; of a prompt that is not kept any more, whoever may hold
it has been told to forget it.
"""

from __future__ import annotations

from ...bus.codec import encode
from ...bus.messages import Forget, Prompt, Work
from ...bus.prompts import PROMPT_BYTES, BadPrompt, check
from . import failing, feeding, leases, own, waiting
from .effects import DropVoiceFiles, StorePrompt
from .failing import Failure
from .failures import RULES
from .personal import FOLDER, Making, key_in, prompt_file, sample_file
from .pronunciations import Respelled
from .records import VoiceSaved
from .state import Attempt, Job, ProviderState, Take, Worker
from .world import World

PROMPTS_OF_VOICE = 6
"""So many prompts of a voice are kept; beyond, those go that no model which is here needs."""


# ------------------------------------------------------------------------------------------------------- begun


def start(world: World, provider: ProviderState, worker: Worker, job: Job, now: float) -> None:
    """Have a worker make the prompt that a job needs."""
    entry = job.entry
    assert entry.own is not None and provider.catalogue is not None
    key = own.prompt_of(entry)
    making = world.makings.setdefault(key, Making(entry.own, entry.prompt))
    name = world.attempt_name()
    take = Take(name, provider.name, provider.version, entry.own.name)
    attempt = Attempt(name, worker.id, None, None, take, 1, now, now, 1, 1, Respelled(""), making=key)
    making.attempt, making.data, making.size = name, bytearray(), 0
    worker.leases[name] = attempt
    worker.prompts.add(key)
    worker.idle_since = now
    model, revision, mode = provider.catalogue.prompts
    asked = {
        "key": entry.prompt,
        "model": model,
        "revision": revision,
        "mode": mode,
        "samples": [
            {"sample": told.sample, "size": saved.bytes, "text": told.text}
            for told, saved in zip(entry.own.spec.samples, entry.own.samples, strict=True)
        ],
    }
    work = Work(session=worker.session, attempt=name, kind="prompt", language=job.language, prompt=entry.prompt)
    world.to_worker(worker.peer, work, encode(asked))
    world.notice(job, "cloning", provider=provider.name, voice=entry.own.name)


# --------------------------------------------------------------------------------------------- what a worker says


def came(world: World, worker: Worker, message: Prompt, body: bytes, now: float) -> str:
    """Some of a prompt has come. Returns what is wrong with it, "" for nothing."""
    attempt = worker.leases.get(message.attempt)
    if attempt is None or attempt.stopping is not None:
        world.counters["stale frames"] += 1
        return ""
    if attempt.making is None:
        return "a voice prompt that nobody asked for"
    attempt.progress_at = now
    making = world.makings[attempt.making]
    if message.offset != len(making.data) or not body or not 0 < message.size <= PROMPT_BYTES:
        return f"a piece of a voice prompt at {message.offset} of {message.size} bytes, with {len(making.data)} there"
    making.data += body
    making.size = message.size
    return "" if len(making.data) <= making.size else "a voice prompt that is longer than it says"


def done(world: World, worker: Worker, attempt: Attempt, now: float) -> str:
    """A worker says that a prompt is whole; its slot is free. Returns what is wrong with that."""
    assert attempt.making is not None
    making = world.makings[attempt.making]
    data = bytes(making.data)
    try:
        wrong = "" if len(data) == making.size and check(data) == making.key else "it is not what was asked for"
    except BadPrompt as error:
        wrong = str(error)
    if wrong:
        fail(world, attempt, Failure("protocol", f"a voice prompt that cannot be used: {wrong}"), now)
        return f"a voice prompt that cannot be used: {wrong}"
    making.attempt, making.storing = "", True
    making.data = bytearray()
    worker.jobs_done += 1
    world.effects.append(StorePrompt(*attempt.making, data))
    return ""


def stored(world: World, uid: int, name: str, size: int, reason: str, now: float) -> None:
    """A prompt is kept, or could not be."""
    making = world.makings.pop((uid, name), None)
    if making is None:  # the voice is gone
        world.effects.append(DropVoiceFiles(uid, (name,)))
        return
    if reason:
        world.count("voice prompts that could not be kept", reason)
        _refuse(world, (uid, name), f"what was made of the voice could not be kept: {reason}", "storage", now)
        return
    world.prompts[uid, name] = size
    _make_room(world, uid, making.voice)
    world.unsettled.update(world.providers)


def _make_room(world: World, uid: int, voice: VoiceSaved) -> None:
    """Prompts for models that are not here any more go, beyond a few."""
    begin = prompt_file(voice.spec, "").partition(".")[0]
    mine = [name for user, name in world.prompts if user == uid and name.startswith(begin)]
    models = [provider.catalogue for provider in world.providers.values() if provider.catalogue is not None]
    needed = {prompt_file(voice.spec, own.prompt_key(voice, catalogue)) for catalogue in models}
    extra = tuple(name for name in mine if name not in needed)[: max(len(mine) - PROMPTS_OF_VOICE, 0)]
    for name in extra:
        del world.prompts[uid, name]
        recall(world, uid, name)
    if extra:
        world.effects.append(DropVoiceFiles(uid, extra))


# --------------------------------------------------------------------------------------------- what goes wrong


def fail(world: World, attempt: Attempt, failure: Failure, now: float) -> None:
    """An attempt of any kind has ended badly."""
    if attempt.making is None:
        _doubt(world, attempt, failure)
        failing.fail(world, attempt, failure, now)
        return
    worker = world.workers[attempt.worker]
    provider, rule = world.providers[worker.provider], RULES[failure.code]
    worker.last_failure = f"{failure.code}: {failure}"
    failing.tell_breaker(world, provider, rule, failure, now)
    making = world.makings[attempt.making]
    world.unsettled.add(provider.name)
    line = f"{provider.name}: {failure.code} ({failure}), on making the voice {making.voice.name}"
    world.count("failed attempts", line)
    making.attempt = ""
    making.tries += rule.tries > 0
    making.deaths += rule.blames and not failure.told and (attempt.begun or failure.code == "hang")
    if making.deaths >= 2:
        making.refusal, making.code = f"The recordings brought down two workers. {line}", "quarantined"
    elif rule.action == "stop":
        making.refusal, making.code = line, failure.code
    if making.refusal:
        _refuse(world, attempt.making, making.refusal, making.code, now)
    elif rule.action != "again" or (rule.tries and making.tries > rule.tries):
        del world.makings[attempt.making]
        _refuse(world, attempt.making, line, failure.code, now)


def _doubt(world: World, attempt: Attempt, failure: Failure) -> None:
    """A worker that cannot go on for want of something may have found the prompt missing or damaged: the next attempt
    has it made anew, which costs little where it was something else."""
    entry = attempt.job.entry if attempt.job is not None else None
    if entry is not None and entry.prompt and failure.told and failure.code == "unavailable":
        uid, name = own.prompt_of(entry)
        if world.prompts.pop((uid, name), None) is not None:
            world.effects.append(DropVoiceFiles(uid, (name,)))  # which nobody would find when the voice goes
        recall(world, uid, name)


def lost(world: World, attempt: Attempt, failure: Failure, now: float) -> None:
    """A worker is gone with an attempt that it had not begun."""
    if attempt.making is None:
        failing.probed(world, world.providers[world.workers[attempt.worker].provider], attempt, failure, now)
        return
    world.makings[attempt.making].attempt = ""
    world.unsettled.update(world.providers)


def _refuse(world: World, key: tuple[int, str], why: str, code: str, now: float) -> None:
    """Jobs that need this prompt go on to the next of their chain, or end."""
    for job in list(world.unfinished.values()):
        mine = [entry for entry in job.chain if entry.prompt and own.prompt_of(entry) == key]
        for entry in mine:
            entry.refusal, entry.code = why, code
        if mine and job.entry in mine and not job.over:
            for attempt in list(job.attempts.values()):
                failing.void(world, attempt, why, now)
            waiting.reroute(world, job, now)


def forget(world: World, voice: VoiceSaved, now: float) -> None:
    """A voice is gone, or is another: what is being made of it is of no use."""
    for key in [key for key, making in world.makings.items() if making.voice.is_same(voice)]:
        making = world.makings.pop(key)
        for worker in world.workers.values():
            attempt = worker.leases.get(making.attempt)
            if attempt is not None:
                leases.stop(world, attempt, "the voice is gone", now)


def recall(world: World, uid: int, begin: str) -> None:
    """What is in files whose names begin so is not to be used any more: tell the workers that may hold it. Whoever
    needs it after that asks for it again."""
    for worker in world.workers.values():
        for key in sorted(key for key in worker.prompts if key[0] == uid and key[1].startswith(begin)):
            worker.prompts.discard(key)
            world.to_worker(worker.peer, Forget(session=worker.session, key=f"prompt:{key_in(key[1])}"))


# --------------------------------------------------------------------------------------------- bytes for workers


def _sample(world: World, worker: Worker, key: str, offset: int, now: float | None) -> feeding.Source | str:
    for attempt in worker.leases.values():
        making = world.makings.get(attempt.making) if attempt.making is not None else None
        if making is not None:
            for each in making.voice.samples:
                if each.sample == key:
                    return feeding.Source(each.bytes, f"{FOLDER}{making.voice.uid}/{sample_file(key)}")
    return "No work of yours has that recording."


def _prompt(world: World, worker: Worker, key: str, offset: int, now: float | None) -> feeding.Source | str:
    for attempt in worker.leases.values():
        entry = attempt.job.entry if attempt.job is not None else None
        if entry is not None and entry.prompt == key:
            place = own.prompt_of(entry)
            if place in world.prompts:
                worker.prompts.add(place)
                return feeding.Source(world.prompts[place], f"{FOLDER}{place[0]}/{place[1]}")
    return "No work of yours has that voice prompt."


feeding.SOURCES.update(sample=_sample, prompt=_prompt)
