"""Recordings: how they come in, are looked at, and go out again.

Owns: what is there of each user's recordings, and their share of the disk. Must not know: files, audio, voices beyond
whether one has a recording. Invariant: a recording is ready only when a helper has found that it is what its name says
and that a voice can be made from it; every piece may come again at any time and is answered again; what no voice has
and nobody touches goes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ...bus.codec import encode
from ...bus.messages import Fetch, Fetched, Sample, SampleHeld
from . import judging
from .effects import CheckSample, DropVoiceFiles, Filed, WriteSample
from .personal import DIGEST, Upload, sample_file
from .records import SampleFacts, VoiceRemoved
from .state import Client
from .world import World

UNUSED_S = 900.0
"""How long a recording stays that no voice has."""

FETCH_BYTES = 256 * 1024
"""Most bytes in one FETCHED."""

UPLOADS = 64
"""Most recordings of one user that no voice has."""


def piece(world: World, client: Client, said: Sample, body: bytes, now: float) -> None:
    """A piece of a recording has come, or the question how much is there."""
    if why := _unfit(world, client, said, body):
        world.error(client.peer, *why, request=said.request)
        return
    key = (client.uid, said.sample)
    recording = world.uploads.get(key)
    if recording is None:
        recording = world.uploads[key] = Upload(said.size)
    recording.touched = now
    recording.askers[client.peer, said.request] = None
    if recording.state == "ready":
        _answer(world, key, recording)
    elif recording.state == "part":
        world.effects.append(WriteSample(*key, said.offset, body))


def _unfit(world: World, client: Client, said: Sample, body: bytes) -> tuple[str, str] | None:
    limits = world.settings.limits
    if not world.durable:
        return "storage", "This daemon keeps nothing on the disk, and so no voices; see: voicebus daemon status"
    if not DIGEST.match(said.sample):
        return "invalid", "A recording is named by the SHA-256 of its file, 64 of 0-9 a-f."
    if not 0 < said.size <= limits.sample_bytes:
        return "too_long", f"A recording of {said.size} bytes; at most {limits.sample_bytes} are taken."
    if said.offset + len(body) > said.size:
        return "invalid", f"A piece that ends at {said.offset + len(body)} of {said.size} bytes."
    known = world.uploads.get((client.uid, said.sample))
    if known is not None:
        same = known.size == said.size
        return None if same else ("conflict", f"That recording has {known.size} bytes, not {said.size}.")
    return _over(world, client.uid, said.size)


def _over(world: World, uid: int, size: int) -> tuple[str, str] | None:
    limits = world.settings.limits
    mine = limits.voice_bytes_per_user
    if taken(world) + size > limits.voice_bytes or (mine and taken(world, uid) + size > mine):
        return "queue_full", "Recordings of voices are at their limit of disk; remove voices that are not needed."
    used = in_voices(world, uid)
    if sum(key[0] == uid and key[1] not in used for key in world.uploads) >= UPLOADS:
        return "queue_full", f"{UPLOADS} recordings belong to no voice yet; add their voices first."
    return None


def taken(world: World, uid: int | None = None) -> int:
    """Bytes of disk that recordings and voice prompts take, of one user or of all."""
    recordings = sum(each.size for key, each in world.uploads.items() if uid in (None, key[0]))
    return recordings + sum(size for key, size in world.prompts.items() if uid in (None, key[0]))


def in_voices(world: World, uid: int) -> set[str]:
    """The recordings that some voice of a user has, or is about to have: it is being written down with them."""
    coming = [pending.voice for pending in world.changing.values() if not isinstance(pending.record, VoiceRemoved)]
    voices = [*world.voices.values(), *(voice for voice in coming if voice is not None)]
    return {each.sample for voice in voices if voice.uid == uid for each in voice.samples}


def written(world: World, uid: int, sample: str, have: int, reason: str, now: float) -> None:
    """A piece is on the disk, or could not be put there."""
    recording = world.uploads.get((uid, sample))
    if recording is None or recording.state != "part":
        return
    if reason:
        _refuse(world, (uid, sample), recording, "storage", f"The recording could not be written: {reason}")
        return
    recording.have = have
    if have < recording.size:
        _answer(world, (uid, sample), recording)
    else:
        recording.state = "checking"
        world.effects.append(CheckSample(uid, sample))


def checked(world: World, uid: int, sample: str, facts: SampleFacts | None, reason: str, now: float) -> None:
    """A helper has looked at a recording. facts: None where it cannot be read, for that reason."""
    key = (uid, sample)
    recording = world.uploads.get(key)
    if recording is None or recording.state != "checking":
        return
    bad = judging.refusal(facts) if facts is not None else None
    if facts is None or bad is not None:
        text = bad.text if bad is not None else reason
        _refuse(world, key, recording, "invalid", f"No voice can be made from this recording. {text}")
        return
    recording.state, recording.facts, recording.touched = "ready", facts, now
    _answer(world, key, recording)


def _refuse(world: World, key: tuple[int, str], recording: Upload, code: str, text: str) -> None:
    del world.uploads[key]
    world.effects.append(DropVoiceFiles(key[0], (sample_file(key[1]),)))
    for peer, request in recording.askers:
        world.error(peer, code, text, request=request)


def _answer(world: World, key: tuple[int, str], recording: Upload) -> None:
    ready = recording.state == "ready"
    body = encode(told(recording.facts)) if recording.facts is not None else None
    for peer, request in recording.askers:
        held = SampleHeld(request=request, sample=key[1], size=recording.size, have=recording.have, ready=ready)
        world.to_client(peer, held, body)
    recording.askers.clear()


def told(facts: SampleFacts) -> dict[str, Any]:
    """What a client is told of a recording: what was measured, and what to do about it."""
    return {**asdict(facts), "advice": [asdict(each) for each in judging.advice(facts)]}


def fetch(world: World, client: Client, said: Fetch, body: bytes, now: float) -> None:
    """Send some of a recording to whoever it belongs to."""
    recording = world.uploads.get((client.uid, said.sample))
    if recording is None or recording.state != "ready" or said.offset >= recording.size:
        text = "There is no such recording of yours, or not so much of it."
        world.error(client.peer, "not_found", text, request=said.request)
        return
    recording.touched = now
    length = min(FETCH_BYTES, recording.size - said.offset)
    answer = Fetched(request=said.request, sample=said.sample, size=recording.size, offset=said.offset)
    world.to_client(client.peer, answer, Filed(client.uid, sample_file(said.sample), said.offset, length))


def sweep(world: World, now: float) -> None:
    """Recordings that no voice has and nobody has touched for long go."""
    for uid in {key[0] for key in world.uploads}:
        old = {key[1] for key, each in world.uploads.items() if key[0] == uid and now - each.touched > UNUSED_S}
        for sample in sorted(old - in_voices(world, uid)):
            del world.uploads[uid, sample]
            world.effects.append(DropVoiceFiles(uid, (sample_file(sample),)))
