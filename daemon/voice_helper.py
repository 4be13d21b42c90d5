"""A helper process: looks at a recording that somebody uploaded.

``python -m voicebus.daemon.voice_helper FILE SHA256``. Ends with 0 and what it measured as a line of JSON on standard
error, or with 1 and why it cannot be used; at once, in whatever state, when its standard input ends.

Owns: the decoding of what is not trusted, and the measuring. Must not know: what is good enough (`core.judging`), whose
it is. Invariant: it writes no file and starts no process, takes a bounded time and a bounded memory, whatever the
bytes are; it ends with 0 only for bytes that have this SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import resource
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile

from ..bus.recordings import BEGIN, foreign
from .core.records import SampleFacts

LONGEST_S = 600.0
"""So much of a recording is looked at; one that is longer is refused by its length anyway."""

_CPU_S = 30
_MEMORY = 2 << 30
_FRAME_S = 0.02
_CEILING = 0.5  # of full scale: below, flat tops are not from clipping
_RUN = 3  # samples at full scale that stand together
_LOWEST_DB = -90.0
_QUIET_DB = 30.0  # below the speech, where silence begins


class Unusable(Exception):
    """A file that is no recording; the message says why, and what to do."""


def look(path: Path, digest: str) -> SampleFacts:
    """What there is to know of a recording. Raises Unusable, OSError."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise Unusable("What came is not what its SHA-256 says: send it again.")
        file.seek(0)
        samples, rate, form = _decoded(file)
    return measured(samples, rate, form)


def _decoded(file: IO[bytes]) -> tuple[Any, int, str]:
    """Samples as float32 (frames, channels), their rate, and what kind of file it is."""
    begin = file.read(BEGIN)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            frames = sound.read(int(LONGEST_S * sound.samplerate), dtype="float32", always_2d=True)
            return frames, int(sound.samplerate), str(sound.format)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise Unusable(_unreadable(begin, error)) from None


def _unreadable(begin: bytes, error: Exception) -> str:
    if form := foreign(begin):
        return f"It is {form.name}, which is not read here; convert it: ffmpeg -i IT voice.flac"
    # Whatever libsndfile says begins with the name of the file, which is ours and tells nobody anything.
    why = str(error).rpartition(">: ")[2].rstrip(".")[:120]
    return f"It is not read as audio ({why}); wav, flac, ogg, opus, mp3 and aiff are."


def measured(samples: Any, rate: int, form: str = "") -> SampleFacts:
    """samples: float32 (frames, channels), full scale 1.0. Raises Unusable for none, or for what is no number."""
    if not len(samples) or not np.isfinite(samples).all():
        raise Unusable("There is no sound in it.")
    mono = samples.mean(axis=1)
    frame = max(1, int(rate * _FRAME_S))
    blocks = mono[: len(mono) // frame * frame].reshape(-1, frame) if len(mono) >= frame else mono[None, :]
    levels = np.array([_db(float(value)) for value in np.sqrt((blocks.astype(np.float64) ** 2).mean(axis=1))])
    level = float(np.percentile(levels, 90))
    loud = np.flatnonzero(levels > max(level - _QUIET_DB, _LOWEST_DB + 1))
    lead, tail = (int(loud[0]), len(levels) - 1 - int(loud[-1])) if len(loud) else (len(levels), len(levels))
    single = max(_db(_rms(samples[:, channel])) for channel in range(samples.shape[1]))
    return SampleFacts(
        seconds=round(len(mono) / rate, 3),
        rate=rate,
        channels=int(samples.shape[1]),
        form=form,
        peak=round(_db(float(np.abs(samples).max())), 1),
        level=round(level, 1),
        floor=round(float(np.percentile(levels, 5)), 1),
        clipped=_clipped(samples),
        lead=round(lead * frame / rate, 3),
        tail=round(tail * frame / rate, 3),
        mixed=round(max(0.0, single - _db(_rms(mono))), 1),
    )


def _clipped(samples: Any) -> float:
    """The part of the samples that stand at full scale together with their neighbours: a single one may be a peak."""
    highest = float(np.abs(samples).max())
    if highest < _CEILING:
        return 0.0
    # What was clipped before it was made a little quieter is as flat as what stands at full scale.
    full = np.abs(samples) >= 0.9995 * highest
    runs = full.copy()
    for by in range(1, _RUN):
        runs[by:] &= full[:-by]
        runs[:by] = False
    return round(float(runs.mean()), 6)


def _rms(samples: Any) -> float:
    return float(np.sqrt((samples.astype(np.float64) ** 2).mean()))


def _db(value: float) -> float:
    return max(_LOWEST_DB, 20 * math.log10(value)) if value > 0 else _LOWEST_DB


def confine() -> None:
    """Give up what decoding a stranger's file does not need: writing files, much memory, much time."""
    for what, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):  # a system may not know it, or have less already
            resource.setrlimit(what, (most, most))


def _end_with_input() -> None:
    """Whoever started us is gone, or wants us gone."""
    while os.read(0, 64):
        pass
    os._exit(1)


def main() -> int:
    """Look at one file, and say what was found."""
    source, digest = sys.argv[1:]
    threading.Thread(target=_end_with_input, daemon=True).start()
    confine()
    try:
        found = json.dumps(asdict(look(Path(source), digest)))
    except MemoryError:
        found = "It is too long, or takes too much memory to be looked at."
    except OSError as error:
        found = error.strerror or str(error)
    except Unusable as error:
        found = str(error)
    else:
        print(found, file=sys.stderr)  # noqa: T201 - this is how it answers
        return 0
    print(found, file=sys.stderr)  # noqa: T201 - this is how it answers
    return 1


if __name__ == "__main__":
    sys.exit(main())
