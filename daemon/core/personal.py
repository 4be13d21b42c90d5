"""What the core holds of users' own voices besides the voices themselves.

Owns: the shape of that state, and how files beside the voices are called. Must not know: what happens when (`samples`,
`voices`, `prompts`). Invariant: plain data only; a file's name is made here of hexadecimal digits and nothing else, so
no word of a client's ever gets into one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ...bus.messages import VoiceSpec
from .records import SampleFacts, VoiceSaved

DIGEST = re.compile(r"[0-9a-f]{64}\Z")
"""SHA-256, as it names a recording."""

FOLDER = "voices/"
"""Where all this is, below the state directory."""

SAMPLE_SUFFIX, PROMPT_SUFFIX = ".sample", ".prompt"

_MATERIAL = 32


@dataclass(slots=True)
class Upload:
    """A recording that a user uploads or has. have: bytes that are there. state: "part", "checking" or "ready". facts:
    what was measured, once it is ready. askers: who waits for an answer, as (peer, request). touched: when somebody
    last wanted something of it."""

    size: int
    have: int = 0
    state: str = "part"
    facts: SampleFacts | None = None
    askers: dict[tuple[bytes, str], None] = field(default_factory=dict)
    touched: float = 0.0


@dataclass(slots=True)
class Making:
    """A voice prompt that is made. voice: as it is made from. attempt: who is at it, "" for nobody. data, size: what
    has come of it, of so many bytes. storing: it is being written down. deaths: workers that died of it; tries: that
    failed otherwise. refusal, code: why it is not made any more, "" while it may be."""

    voice: VoiceSaved
    key: str
    attempt: str = ""
    data: bytearray = field(default_factory=bytearray)
    size: int = 0
    storing: bool = False
    deaths: int = 0
    tries: int = 0
    refusal: str = ""
    code: str = ""

    @property
    def open(self) -> bool:
        """Whether somebody is wanted to make it."""
        return not (self.attempt or self.storing or self.refusal)


def voice_key(uid: int, name: str) -> tuple[int, str]:
    """What makes two names the same voice: capitals do not count, nor how accents are put together."""
    return uid, unicodedata.normalize("NFC", name).casefold()


def sample_file(sample: str) -> str:
    """The file of a recording."""
    assert DIGEST.match(sample)
    return f"{sample}{SAMPLE_SUFFIX}"


def digest(parts: Iterable[str]) -> str:
    """SHA-256 of words, which differs wherever any of them or their order does."""
    import hashlib  # late: it brings OpenSSL, which a daemon without voices of anybody's own does not need

    made = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "little") + data)
    return made.hexdigest()


def material(spec: VoiceSpec) -> str:
    """What a voice is cloned from, in short: its recordings and what is said in them."""
    return digest(word for each in spec.samples for word in (each.sample, each.text))[:_MATERIAL]


def origin(spec: VoiceSpec) -> str:
    """What makes a voice sound as it does, in short: its material, or how it is described."""
    return material(spec) if spec.samples else digest([spec.description])[:_MATERIAL]


def prompt_file(spec: VoiceSpec, key: str) -> str:
    """The file of a voice prompt: the voice's material, so that what is left of a voice is found, and the key."""
    return f"{material(spec)}.{key}{PROMPT_SUFFIX}"


def key_in(file: str) -> str:
    """The key in the name of a voice prompt's file."""
    return file.split(".")[1]


def files_of(voices: Iterable[VoiceSaved], found: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those files of users, of all that were found, that some voice of the same user has or was made from it."""
    samples = set()
    materials = set()
    for voice in voices:
        samples |= {(voice.uid, sample_file(each.sample)) for each in voice.samples}
        materials.add((voice.uid, material(voice.spec)))
    return {key for key in found if key in samples or (key[0], key[1].partition(".")[0]) in materials}
