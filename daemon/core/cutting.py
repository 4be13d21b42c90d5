"""Text into segments, a little ahead of whoever makes them.

Owns: `Job.segments` while it grows. Must not know: why text comes, who speaks it. Invariant: a boundary that was given
out stays; and no call cuts more than a few thousand characters, since a megabyte of text at once would hold up
everybody's audio for a quarter of a second, or for two where somebody means harm.
"""

from __future__ import annotations

from .state import Job, Segment

AHEAD = 32
"""So many segments are cut ahead of the one that is made next."""

SLICE = 4096
"""Characters cut at a time: a millisecond of prose, ten of the worst there is."""

ENDS = ("\n", "\r", "\u2029")
"""What ends a sentence at the end of a piece; a slice must not end so by chance."""


def add(job: Job, text: str, *, last: bool = False) -> None:
    """More text has come; all of it, if this is the last."""
    job.text.append(text)
    if not job.submit.ssml:
        job.uncut.append(text)
    if last:
        finish(job)
    else:
        ahead(job)


def finish(job: Job) -> None:
    """All text has come."""
    job.complete = True
    if job.submit.ssml:
        job.segments.append(Segment(0, 0, job.text.length))
        job.cut = True
    else:
        ahead(job)


def ahead(job: Job) -> None:
    """Cut until enough segments wait, or the text is out. A recording has nothing to be cut."""
    if job.recording is not None:
        return
    while len(job.segments) - job.fresh < AHEAD and not job.cut:
        if job.uncut:
            piece = _slice(job)
            job.cut = job.complete and not job.uncut
            job.splitter.feed(piece, last=job.cut)
        elif job.complete:
            job.splitter.finish()
            job.cut = True
        else:
            return
        for start, end in job.splitter.take():
            job.segments.append(Segment(len(job.segments), start, end))


def _slice(job: Job) -> str:
    """The next few thousand characters that have not been cut."""
    piece, begin = job.uncut[0], job.uncut_from
    end = begin + SLICE
    while end < len(piece) and piece[end - 1] in ENDS:
        end += 1
    if end >= len(piece):
        job.uncut.popleft()
        job.uncut_from = 0
    else:
        job.uncut_from = end
    return piece[begin:end]
