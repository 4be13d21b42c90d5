"""What espeak said, in words, as somebody hears it who knows nothing of the bus: an offline recogniser.

Owns: pocketsphinx, with its own English model and a grammar of twenty words, which it tells apart in espeak's speech
(a free language model does not: 59 % of words; digits neither, "seven" fails). Must not know: jobs. Invariant:
shuffled, byte-shifted or halved audio does not pass for the text; missing samples may, so whoever uses it counts them
too.
"""

from __future__ import annotations

import difflib
import functools
import tempfile
from pathlib import Path
from typing import Any

WORDS = [
    "hello", "world", "yes", "no", "stop", "start", "red", "green", "blue", "computer",
    "speech", "weather", "today", "tomorrow", "monday", "friday", "water", "coffee", "morning", "evening",
]  # fmt: skip
"""What it knows."""

RATE = 16000
SILENCE = 6000
"""Samples of silence on either side: it begins to listen a little late."""


@functools.cache
def _decoder() -> Any:
    from pocketsphinx import Config, Decoder

    with tempfile.TemporaryDirectory() as folder:
        grammar = Path(folder) / "words.gram"
        grammar.write_text(f"#JSGF V1.0;\ngrammar v;\npublic <v> = <w>+;\n<w> = {' | '.join(WORDS)};\n")
        return Decoder(Config(lm=None, jsgf=str(grammar), loglevel="FATAL"))


def understood(pcm: bytes, rate: int) -> list[str]:
    """The words in a run of audio."""
    import numpy as np
    import soxr

    quiet = np.zeros(SILENCE, np.int16)
    heard = soxr.resample(np.frombuffer(pcm, np.int16), rate, RATE)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(np.concatenate([quiet, heard, quiet]).tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr.split() if found else []


def right(text: str, heard: list[str]) -> tuple[int, int]:
    """How many words of a text were understood in their order, and how many it has."""
    said = text.lower().replace(".", " ").split()
    blocks = difflib.SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks), len(said)
