"""Which entry of its chain a job is at.

Owns: `Job.position` and `Job.chain`. Must not know: slots and queues. Invariant: a job moves down its chain and never
back; it moves for a reason that is in its trail (an entry that cannot, has failed, or is not there within the job's
patience), never for speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ...bus.messages import Choice, Submit
from . import keeping, own
from .catalogue import Catalogue, Problem
from .records import VoiceSaved
from .state import Entry, Job, ProviderState
from .world import World

NOBODY_HEARS = (
    "Nobody here transcribes. Set up whisper: make an environment with `pip install 'voicebus[whisper]'`, name it in "
    "[providers.whisper] of the configuration, and see docs/providers.md."
)

HEARD_PATIENCE_S = 1.0
"""Patience once audio is there: long enough for a small worker to be started again (espeak takes 0.2 s)."""


def chain_for(world: World, uid: int, asked: Sequence[Choice], kind: str = "speak") -> list[Entry] | Problem:
    """The chain that a request of this user may use, or what is wrong with it."""
    settings = world.settings
    usual = (settings.transcribe or _hearers(world)) if kind == "transcribe" else settings.chain
    entries: list[Entry] = []
    for choice in asked or usual:
        found = _entries(world, uid, choice, usual, kind)
        if isinstance(found, Problem):
            return found
        entries += found
    for entry in entries:
        if entry.provider not in world.providers:
            near = get_close_matches(entry.provider, list(world.providers), 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            known = ", ".join(sorted(world.providers)) or "none"
            text = f"There is no provider {entry.provider!r}{hint} Configured: {known}.{_mistake(world)}"
            return Problem("unknown_provider", text)
    if not entries and kind == "transcribe":
        return Problem("unknown_provider", f"{NOBODY_HEARS}{_mistake(world)}")
    if not entries:
        return Problem("unknown_provider", f"No provider is configured.{_mistake(world)}")
    return entries


def _hearers(world: World) -> list[Choice]:
    """Where the configuration names nobody who transcribes: those who have said that they do."""
    told = {name: provider.catalogue for name, provider in world.providers.items() if provider.catalogue is not None}
    return [Choice(name) for name, catalogue in told.items() if catalogue.capabilities["transcribe"]]


def _entries(world: World, uid: int, choice: Choice, usual: Sequence[Choice], kind: str) -> list[Entry] | Problem:
    """What one choice stands for: a voice of the user's own goes before a chain of that name, and that before all."""
    settings = world.settings
    mine = own.voice(world, uid, choice) if kind == "speak" else None
    if mine is not None:
        return own.entries(world, mine, choice.provider)
    if choice.provider:
        return [Entry(choice.provider, choice.voice)]
    if choice.voice in settings.chains:
        return [Entry(c.provider, c.voice) for c in settings.chains[choice.voice]]
    return [Entry(c.provider, choice.voice or c.voice) for c in usual]


def _mistake(world: World) -> str:
    """A mistake in the configuration may be why something is not there."""
    if not world.settings.problems:
        return ""
    first = world.settings.problems[0]
    return f" In the configuration, line {first.line}, {first.where}: {first.reason}; see `voicebus config check`."


def resolve(world: World, entry: Entry, submit: Submit, language: str, rate: int) -> None:
    """Find the provider's own name for what was asked, or why this entry cannot do it; neither, as long as the
    provider has not told what it has. rate: of the job, 0 while nobody knows it."""
    provider = world.providers[entry.provider]
    catalogue = provider.catalogue
    if entry.refusal or catalogue is None:
        return
    # Looked at each time: the rate may have become known only with the first entry's audio.
    if submit.kind == "speak" and rate not in (0, provider.rate) and not catalogue.capabilities["resamples"]:
        why = f"{entry.provider} makes {provider.rate} samples a second, and its environment has no soxr to make {rate}"
        entry.refusal, entry.code = why, "unsupported"
    if entry.refusal or (entry.resolved and entry.own is None):
        return
    if submit.kind == "transcribe":
        _resolve_hearing(entry, catalogue, submit)
        return
    if not catalogue.capabilities["speak"]:
        entry.refusal, entry.code = f"{entry.provider} transcribes, and does not speak", "unsupported"
        return
    lacking = catalogue.lacks(submit)
    if lacking:
        entry.refusal, entry.code = f"{entry.provider} cannot do {lacking}", "unsupported"
        return
    if entry.own is not None:
        _as_own(world, entry, entry.own, catalogue)
        return
    answer = catalogue.resolve(entry.voice, language)
    if isinstance(answer, Problem):
        entry.refusal, entry.code = f"{entry.provider}: {answer.message}", answer.code
    else:
        entry.resolved = answer


def _as_own(world: World, entry: Entry, mine: VoiceSaved, catalogue: Catalogue) -> None:
    """Looked at each time: a worker with another model needs another voice prompt."""
    found = own.realize(mine, entry.provider, catalogue)
    if isinstance(found, Problem):
        entry.refusal, entry.code = found.message, found.code
    else:
        entry.resolved, entry.prompt = found
        problem = own.refused(world, entry) if entry.prompt else own.stands_in(world, entry)
        if problem is not None:
            entry.refusal, entry.code = problem.message, problem.code


def _resolve_hearing(entry: Entry, catalogue: Catalogue, submit: Submit) -> None:
    answer = catalogue.transcriber(entry.voice, submit)
    if isinstance(answer, Problem):
        entry.refusal, entry.code = f"{entry.provider} {answer.message}", answer.code
    else:
        entry.resolved = answer


def refusal(world: World, chain: list[Entry], submit: Submit, language: str) -> Problem | None:
    """Why nobody in the chain could ever do this, if that is known already."""
    rate = submit.rate or world.providers[chain[0].provider].rate
    for entry in chain:
        resolve(world, entry, submit, language, rate)
    if all(entry.refusal for entry in chain):
        return Problem(chain[0].code, "; ".join(dict.fromkeys(entry.refusal for entry in chain)))
    return None


@dataclass(frozen=True, slots=True)
class Condition:
    """How a provider is, and in words why.

    state: "ready"; "starting": it will be ready; "away": it may come back (it rests after failures, or its workers
    come from outside and none is there), and is waited for only where there is nobody else; "out": it will not.
    """

    state: str
    why: str = ""


def condition(world: World, provider: ProviderState, now: float) -> Condition:
    """How a provider is now."""
    workers = [worker for name in provider.workers if (worker := world.workers[name]).wanted != "down"]
    if not provider.breaker.allows(now):
        return Condition("away", f"{provider.name} has failed too often lately and rests")
    if any(worker.state == "ready" for worker in workers):
        return Condition("ready")
    if any(worker.state != "fatal" for worker in workers):
        return Condition("starting", f"{provider.name} is not ready yet")
    # Not the reason of the last failure: that may have another user's text in it, and this is told to everybody.
    configured = provider.name in world.settings.providers
    alone = "no worker is connected" if configured else provider.reason
    why = f"{provider.name}: {workers[0].reason if workers else alone}"
    return Condition("away" if provider.settings.key and configured else "out", why)


def route(world: World, job: Job, now: float) -> str:
    """Find the entry that the job goes on with; "" if there is one, else why there is none (the job cannot go on)."""
    waited = now - job.starved_since if job.starved_since is not None else 0.0
    waiting: int | None = None
    reasons = []
    for index in range(job.position, len(job.chain)):
        entry = job.chain[index]
        resolve(world, entry, job.submit, job.language, job.rate)
        if entry.refusal:
            reasons.append(entry.refusal)
            continue
        found = condition(world, world.providers[entry.provider], now)
        if found.state == "ready":
            _settle_on(world, job, index, reasons)
            return ""
        if found.state == "starting" or (found.state == "away" and waited < job.submit.patience_s):
            waiting = index if waiting is None else waiting
            if found.state == "starting" and waited < _patience(job):
                break
        reasons.append(found.why)
    if waiting is None:
        return "; ".join(dict.fromkeys([*job.trail, *reasons]))
    _settle_on(world, job, waiting, reasons)
    return ""


def _patience(job: Job) -> float:
    """How long a job waits for a better entry of its chain. Who is listening already is not kept waiting for
    long: a silence in mid-sentence is worse than a change that the chain allows."""
    if job.length > 0 or job.heard > 0:
        return min(job.submit.patience_s, HEARD_PATIENCE_S)
    return job.submit.patience_s


def _settle_on(world: World, job: Job, index: int, reasons: list[str]) -> None:
    if index == job.position:
        return
    job.trail += [reason for reason in reasons if reason not in job.trail]
    job.position = index
    _note(world, job)
    for segment in job.segments[job.placed :]:
        segment.tries_here = 0


def _note(world: World, job: Job) -> None:
    """A later daemon goes on with the entry at which this one was, once it has spoken."""
    if job.made:
        keeping.note(world, job, "moved", position=job.position, trail=job.trail[-8:])


def move_down(world: World, job: Job, reason: str, now: float) -> str:
    """The entry that the job is at has failed it; the next one, please. "" or why there is none."""
    if reason not in job.trail:
        job.trail.append(reason)
    if job.position + 1 >= len(job.chain):
        return "; ".join(job.trail)
    job.position += 1
    _note(world, job)
    job.starved_since = job.failing_since = None
    for segment in job.segments[job.placed :]:
        segment.tries_here = 0
    return route(world, job, now)
