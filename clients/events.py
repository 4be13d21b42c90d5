"""What a reader of speech is told: the public events and the result.

Owns: these types and nothing else. Must not know: messages, sockets, or who makes or consumes the events. Invariant:
they are plain values; audio in them is never copied. Positions of audio are in samples of the job from its beginning,
positions of text in code points of the job's text, durations in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Frame:
    """A run of audio. pcm: signed 16-bit little-endian mono, not to be written to. offset: of its first sample in the
    job. rate: samples a second, the same in all frames of a job. take: the name of the attempt that it comes from;
    within a segment it is always the same."""

    pcm: memoryview
    offset: int
    rate: int
    segment: int
    take: str

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.pcm) >> 1

    @property
    def end(self) -> int:
        """The offset of the sample behind the last."""
        return self.offset + (len(self.pcm) >> 1)

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return self.samples / self.rate


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the text, about a sentence, is about to be heard. Comes before its first frame, and again when
    another take of it begins. offset: where it begins in the audio. start, length: its range of the text."""

    number: int
    take: str
    offset: int
    start: int
    length: int
    provider: str
    voice: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A timing. kind: "word", "sentence" or "mark" (one named in SSML). offset, seconds: where in the job's audio.
    start, length: the range of the job's text. confidence: 1.0 where the engine said so itself, less for an estimate;
    method: how that was made, "" where the engine said so."""

    kind: str
    offset: int
    seconds: float
    start: int
    length: int
    name: str
    confidence: float
    segment: int
    take: str
    method: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the daemon is doing for the job. kind: "queued", "loading", "started", "moved", "again", "waiting",
    "skipped", "unpacking", "cloning", or a word of a later version. data: particulars. text: the same in a sentence for
    people."""

    kind: str
    data: dict[str, Any]
    text: str
    segment: int = -1

    @property
    def factor(self) -> float:
        """Of "started" and "moved": seconds of work for a second of audio, of who speaks now; 0 where unknown."""
        told = self.data.get("factor", 0.0)
        return float(told) if isinstance(told, int | float) and told > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Rewound:
    """All audio from `offset` on is void: that segment is made anew and comes again from there. Frames before it
    stand. `take` is the one that is gone."""

    offset: int
    segment: int
    reason: str
    take: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a passage. start, end: seconds from the recording's beginning. confidence: 0 to 1."""

    start: float
    end: float
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class About:
    """What a recording is: the first that is heard of it. duration: seconds. language: BCP 47, as given or found out;
    confidence: how sure that is, 0 to 1. speech: seconds in which somebody speaks, None where nobody looked. provider,
    model: who hears it."""

    duration: float
    language: str
    confidence: float
    speech: float | None
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a recording, about a sentence, and what is said in it. number: of its row in the transcript, from 1.
    start, end: seconds. text: with the space before it that it needs; all of them put together are the transcript.
    confidence: 0 to 1. words: where they were asked for."""

    number: int
    start: float
    end: float
    text: str
    confidence: float
    language: str
    words: tuple[Word, ...]
    provider: str
    model: str


Event = Frame | Segment | Mark | Notice | Rewound | About | Passage


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended.

    state: "finished", "failed" or "cancelled". code, message: the reason, where there is one; a finished job of which
    segments were left out has the code "incomplete". samples, rate, seconds: of all its audio. segments, skipped: how
    many pieces there were, and how many of them were left out. speakers: who said how many, as maps with provider,
    version, voice, segments. first_audio_s: from the request to the first audio here, None where none came. total_s:
    from the request to the end.
    """

    job: str
    state: Literal["queued", "running", "waiting", "finished", "failed", "cancelled"]
    code: str = ""
    message: str = ""
    samples: int = 0
    rate: int = 0
    segments: int = 0
    skipped: int = 0
    speakers: list[dict[str, Any]] = field(default_factory=list)
    first_audio_s: float | None = None
    total_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long the audio is."""
        return self.samples / self.rate if self.rate else 0.0

    @property
    def complete(self) -> bool:
        """Whether all of the text was said."""
        return self.state == "finished" and not self.skipped

    @property
    def realtime_factor(self) -> float | None:
        """Seconds from request to end for a second of audio: under 1 it was faster than it sounds. None without
        audio. It says something about the engine only if nobody slowed it down by listening."""
        return self.total_s / self.seconds if self.samples and self.rate else None


HEARD = {
    "started": "{provider} listens with {model}",
    "moved": "{provider} goes on with {model}",
    "again": "{provider} listens again from where it broke off",
}
"""Notices that are told in other words where a recording is transcribed."""


def notice_text(kind: str, data: dict[str, Any], *, hears: bool = False) -> str:
    """A notice in a sentence for a person. hears: the job is a transcription. Words of later versions are shown as they
    are."""
    provider = str(data.get("provider", "")) or "the provider"
    reason = str(data.get("reason", ""))
    because = f": {reason}" if reason else ""
    if hears and kind in HEARD:
        return f"{HEARD[kind].format(provider=provider, model=data.get('voice') or 'its model')}{because}"
    match kind:
        case "queued":
            place = data.get("place", 0)
            return f"waiting for {provider}" + (f", {place} before this one" if place else "")
        case "loading":
            percent = data.get("percent", -1)
            note = str(data.get("note", ""))
            done = f" ({percent:.0f} %)" if isinstance(percent, int | float) and percent >= 0 else ""
            return f"{provider} is loading{done}" + (f": {note}" if note else "")
        case "started":
            return f"{provider} speaks with {data.get('voice') or 'its own voice'}"
        case "moved":
            return f"{provider} goes on with {data.get('voice') or 'its own voice'}{because}"
        case "again":
            return f"a sentence is tried again with {provider}{because}"
        case "waiting":
            return f"waiting until {provider} is available{because}"
        case "skipped":
            return f"a sentence was left out{because}"
        case "progress":
            length = data.get("length", 0)
            return f"{data.get('seconds', 0):.0f} s heard" + (f" of {length:.0f} s" if length else "")
        case "unpacking":
            return "the audio is being unpacked"
        case "cloning":
            return f"{provider} makes the voice {data.get('voice', '')} from its recordings"
        case "leaving":
            return "the daemon is being stopped; the job goes on with the next one"
        case _:
            return f"{kind}{because}"
