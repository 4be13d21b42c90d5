"""Transcripts as files: plain text, JSON, and the two common forms of subtitles.

Owns: the formats. Must not know: where they go, who heard it. Invariant: the same transcript gives the same text; times
in subtitles never go back, and no line of theirs is empty.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..bus.errors import VoicebusError
from .events import Passage
from .transcribing import Transcript

if TYPE_CHECKING:
    from .sync import Client

LINE_CHARS = 84
"""Longest text of one subtitle, two lines of the usual 42; a longer passage is cut between words."""


def txt(transcript: Transcript) -> str:
    """One passage a line."""
    return "".join(f"{line}\n" for passage in transcript.passages if (line := passage.text.strip()))


def as_map(transcript: Transcript) -> dict[str, Any]:
    """All that is known of a transcript, in plain data. Times in seconds."""
    about, result = transcript.about, transcript.result
    return {
        "text": transcript.text,
        "language": transcript.language,
        "language_confidence": about.confidence if about else 0.0,
        "duration": about.duration if about else 0.0,
        "speech": about.speech if about else None,
        "provider": about.provider if about else "",
        "model": about.model if about else "",
        "job": result.job if result else "",
        "code": result.code if result else "",
        "segments": [_segment(passage) for passage in transcript.passages],
    }


def _segment(passage: Passage) -> dict[str, Any]:
    row = {name: getattr(passage, name) for name in ("start", "end", "text", "confidence", "language")}
    return {**row, "words": [asdict(word) for word in passage.words]} if passage.words else row


def of_job(client: Client, job: str) -> dict[str, Any]:
    """All that is known of a transcript, as `as_map`; empty where it is missing from the disk."""
    try:
        transcription = client.transcript(job)
    except VoicebusError:
        return {}
    with contextlib.suppress(VoicebusError):  # of a job that failed, what was heard before is a transcript too
        transcription.wait()
    return as_map(transcription.transcript)


def as_json(transcript: Transcript) -> str:
    """The map of `as_map`, indented."""
    return f"{json.dumps(as_map(transcript), ensure_ascii=False, indent=2)}\n"


def srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    blocks = (
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_cues(transcript.passages), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT subtitles."""
    blocks = (
        f"{_time(start, '.')} --> {_time(end, '.')}\n{_escaped(text)}\n"
        for start, end, text in _cues(transcript.passages)
    )
    return "\n".join(("WEBVTT\n", *blocks))


FORMATS: dict[str, Callable[[Transcript], str]] = {"txt": txt, "json": as_json, "srt": srt, "vtt": vtt}
"""Format, which is also its extension, to what writes it."""


def _cues(passages: Iterable[Passage]) -> Iterable[tuple[float, float, str]]:
    """The subtitles: times and text. Where words are timed, a long passage is cut by them, else by its length."""
    for passage in passages:
        pieces = _by_words(passage) if passage.words else _by_length(passage)
        yield from ((start, max(end, start), text) for start, end, text in pieces if text)


def _by_words(passage: Passage) -> Iterable[tuple[float, float, str]]:
    text, start, end = "", passage.start, passage.start
    for word in passage.words:
        if text and len(text) + len(word.text) > LINE_CHARS:
            yield start, end, _flat(text)
            text, start = "", word.start
        text, end = text + word.text, word.end
    yield start, max(end, passage.end), _flat(text)


def _by_length(passage: Passage) -> Iterable[tuple[float, float, str]]:
    whole = _flat(passage.text)
    lines = [""]
    for word in whole.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LINE_CHARS:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    at, each = passage.start, (passage.end - passage.start) / max(sum(map(len, lines)), 1)
    for line in lines:
        yield at, at + each * len(line), line
        at += each * len(line)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, mark: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{mark}{thousandths:03}"
