"""What MARKS says, as public events.

Owns: the change from positions in a take and a segment to positions in the job. Must not know: readings, sockets.
"""

from __future__ import annotations

from ..bus.messages import MarkRow, Marks
from .events import Mark, Segment


def announced(message: Marks) -> Segment:
    """The segment that a take's first MARKS announces."""
    return Segment(
        message.segment,
        message.take,
        message.offset,
        message.start,
        message.length,
        message.provider,
        message.voice,
    )


def timed(message: Marks, row: MarkRow, rate: int) -> Mark:
    """One timing. rate: samples a second of the job."""
    at = message.offset + row.sample
    seconds = at / rate if rate else 0.0
    start = message.start + row.start
    return Mark(
        row.kind, at, seconds, start, row.length, row.name, row.confidence, message.segment, message.take, row.method
    )
