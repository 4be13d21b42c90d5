"""What a caller brings: the text of a job or its recording, at once or piece by piece.

Owns: the bounds on it, and where it goes. Must not know: who asked, what is answered (`jobs`). Invariant: what is
refused has left no trace.
"""

from __future__ import annotations

from ...bus.messages import Submit
from . import cutting, quotas, recordings
from .catalogue import Problem
from .records import JobSaved, TextAdded
from .state import Job
from .world import World

SSML_CHARS = 60_000
"""Longest SSML document: it is one segment, since only the engine understands where it could be split."""

TEXTS_FULL = "The texts of all jobs that are not over are at their limit together; try again later."


def body_of(world: World, message: Submit, body: bytes) -> tuple[Problem | None, str]:
    """What is wrong with the text or the recording of a request; and the text."""
    if message.kind == "transcribe":
        return recordings.unfit(world, message, body), ""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return Problem("invalid", "The text is not UTF-8."), ""
    most, problem = world.settings.limits.text_bytes, None
    if len(body) > most:
        problem = Problem("too_long", f"A text of {len(body)} bytes; at most {most}.")
    elif message.complete and not text.strip():
        problem = Problem("empty_text", "There is nothing to say: the text is empty.")
    elif message.ssml and len(text) > SSML_CHARS:
        problem = Problem("too_long", f"SSML of {len(text)} characters; at most {SSML_CHARS} fit into one document.")
    return problem, text


def take_in(world: World, job: Job, text: str, body: bytes) -> JobSaved:
    """The job has its first piece. Returns what is to be written down of it."""
    if job.submit.kind == "transcribe":
        return recordings.begin(world, job, body)
    cutting.add(job, text, last=job.submit.complete)
    world.text_chars += len(text)
    return JobSaved(job.order, *job.key, job.log, job.language, job.rate, job.submit, body)


def added(world: World, job: Job, n: int, body: bytes) -> TextAdded:
    """Piece `n` has come. Returns what is to be written down of it."""
    if job.recording is not None:
        return recordings.add(world, job, n, body)
    text = body.decode()
    cutting.add(job, text)
    world.text_chars += len(text)
    return TextAdded(job.order, n, body)


def unfit_piece(world: World, job: Job, n: int, have: int, body: bytes) -> Problem | None:
    """What is wrong with one more piece of a text."""
    if job.complete:
        return Problem("ended", f"The text of {job.id} is complete; nothing can be added.")
    if n != have + 1:
        return Problem("out_of_order", f"Send piece {have + 1} of {job.id} first.")
    if world.text_chars >= world.settings.limits.texts_bytes:
        return Problem("queue_full", TEXTS_FULL)
    if (full := quotas.text_refusal(world, job.key[0])) is not None:
        return full
    if job.text.length + len(body) > world.settings.limits.text_bytes:
        return Problem("too_long", f"The text of {job.id} would be over {world.settings.limits.text_bytes} characters.")
    try:
        body.decode()
    except UnicodeDecodeError:
        return Problem("invalid", f"Piece {n} of {job.id} is not UTF-8: pieces end between characters.")
    return None
