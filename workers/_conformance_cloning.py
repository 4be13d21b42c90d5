"""The checks of the conformance suite for engines that clone voices.

Owns: what is asked of them. Must not know: which engine. Invariant: as in `_conformance_checks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..bus import prompts
from ..bus.prompts import BadPrompt, VoicePrompt
from ._conformance_checks import Broken, Subject
from .engine import EngineError, Request, Sample, hum
from .level import Level
from .selftest import AUDIBLE

TEXT = "This is said in a voice that was made a moment ago."


def clones(subject: Subject) -> None:
    """A voice prompt made from a recording can be packed and unpacked, and the engine speaks with it audibly."""
    prompt = subject.prompt()
    try:
        back = prompts.unpack(prompts.pack(replace(prompt, key="k", model="m")))
    except (BadPrompt, AttributeError, TypeError) as error:
        raise Broken(f"its voice prompt cannot be kept: {error}") from None
    if (back.arrays, back.words) != (dict(prompt.arrays), dict(prompt.words)):
        raise Broken("its voice prompt is another after it was packed")
    level = Level()
    level.add(subject.make(Request(TEXT, "", prompt=back)).pcm)
    if level.peak < AUDIBLE:
        raise Broken(f"the audio has a peak of {level.peak} of 32768")


def voices_differ(subject: Subject) -> None:
    """Another recording is another voice prompt, and so is the same one with another transcript where that counts."""
    one = subject.prompt()
    other = subject.engine.create_voice_prompt([Sample(hum(3.0, 16_000))])
    if one.arrays == other.arrays:
        raise Broken("two recordings made the same voice prompt")


def names_its_prompts(subject: Subject) -> None:
    """It says what its voice prompts are for, in three words of which the first is not empty."""
    told: Any = subject.engine.prompts_for()
    if len(told) != 3 or not all(isinstance(word, str) and len(word) <= 128 for word in told) or not told[0]:
        raise Broken(f"prompts_for is {told!r}")


def refuses_bad_recordings(subject: Subject) -> None:
    """What is no audio is refused as invalid_input, and the engine goes on."""
    for what, data in (("nothing", b""), ("garbage", b"no audio " * 500), ("half a file", hum()[:40])):
        try:
            subject.engine.create_voice_prompt([Sample(data, "words")])
        except EngineError as error:
            if error.code != "invalid_input":
                raise Broken(f"{what} was refused as {error.code!r}: {error.message}") from None
        else:
            raise Broken(f"{what} made a voice prompt")
    clones(subject)


def refuses_foreign_prompts(subject: Subject) -> None:
    """A voice prompt that is not its own is refused as invalid_input; no other voice stands in for it."""
    foreign = VoicePrompt({"x": prompts.Array("U8", (3,), b"abc")}, key="foreign")
    try:
        made = subject.make(Request(TEXT, "", prompt=foreign))
    except EngineError as error:
        if error.code != "invalid_input":
            raise Broken(f"it was refused as {error.code!r}") from None
    else:
        raise Broken(f"it made {len(made.pcm) // 2} samples")


def forgets(subject: Subject) -> str | None:
    """A voice prompt that it was told to forget is not spoken with again: another one under the same key is another
    voice."""
    if not subject.engine.capabilities().seed:
        return "it takes no seed, so two voices cannot be told apart by a sample"
    other = replace(subject.engine.create_voice_prompt([Sample(hum(3.0, 16_000))]), key="other")
    one = replace(subject.prompt(), key="same")
    wanted = subject.make(Request(TEXT, "", prompt=other, seed=7)).pcm
    for key in ("same", ""):
        subject.make(Request(TEXT, "", prompt=one, seed=7))
        subject.engine.forget(key)
        if subject.make(Request(TEXT, "", prompt=replace(other, key="same"), seed=7)).pcm != wanted:
            raise Broken(f"it still spoke with the one that it was told to forget, by {key!r}")
        subject.engine.forget("same")
    return None


CLONING: dict[str, Callable[[Subject], str | None]] = {
    "cloning": clones,
    "cloned-voices": voices_differ,
    "prompts-for": names_its_prompts,
    "bad-recordings": refuses_bad_recordings,
    "forgetting": forgets,
    "foreign-prompts": refuses_foreign_prompts,
}
