"""What a person is told while a job is made: what it waits for, who speaks, how far it is.

Owns: the line on standard error. Must not know: where the audio goes. Invariant: on a terminal there is one line,
that is written over and gone at the end; elsewhere each thing worth knowing is a line of its own, once, and what is
fleeting (percentages, who speaks) is not told at all. `quiet` leaves what went wrong.
"""

from __future__ import annotations

import shutil
import sys
import time

import click

from ..events import Event, Frame, Notice, Rewound, Segment
from ..pace import CHARS_PER_S, start_s
from . import output

REDRAW_S = 0.1
BAR = 24
SURE_S = 1.0
"""Before so long nobody can say how much longer it takes."""

WRONG = frozenset({"skipped"})
FLEETING = frozenset({"started", "progress"})
LASTING = frozenset({"moved", "skipped"})


class Teller:
    """Tells of one job. total: characters of the text, 0 where unknown. plays: it is heard as it is made. progress:
    with a bar of what is made."""

    def __init__(self, *, quiet: bool = False, total: int = 0, plays: bool = False, progress: bool = False) -> None:
        self._live = output.moving(sys.stderr) and not quiet
        self._quiet = quiet
        self._plays = plays
        self._begin_s: float | None = None
        self._end_s = 0.0
        self._progress = progress and self._live
        self._total = total
        self._said: set[tuple[str, str]] = set()
        self._shown = ""
        self._drawn_at = 0.0
        self._began_at = time.monotonic()
        self._chars = 0
        self._rate = 1

    @property
    def live(self) -> bool:
        """Whether there is a line that moves."""
        return self._live

    @property
    def seconds(self) -> float:
        """How much audio came, less what was taken back."""
        return max(0.0, self._end_s - self._begin_s) if self._begin_s is not None else 0.0

    def event(self, event: Event) -> None:
        """Something that a speech told."""
        if isinstance(event, Frame):
            self._rate = event.rate
            self._end_s = event.end / event.rate
            if self._begin_s is None:
                self._begin_s = event.offset / event.rate
            self._made(self._end_s)
        elif isinstance(event, Rewound):
            self._end_s = min(self._end_s, event.offset / self._rate)
        elif isinstance(event, Segment):
            self._chars = max(self._chars, event.start + event.length)
        elif isinstance(event, Notice):
            self._notice(event)

    def _notice(self, notice: Notice) -> None:
        if notice.factor > 1:
            self._once(("slow", str(notice.data.get("provider", ""))), self._estimate(notice))
        if notice.kind in WRONG or (notice.kind in LASTING and not self._quiet):
            self.line(notice.text)
        elif self._live:
            if not (self._progress and notice.kind == "started"):
                self._show(notice.text)
        elif notice.kind not in FLEETING:
            # The same wait with another percentage or place is the same line.
            self._once((notice.kind, str(notice.data.get("provider", ""))), notice.text)

    def _estimate(self, notice: Notice) -> str:
        """How long somebody waits for an engine that is slower than speech."""
        who = notice.data.get("provider") or "the provider"
        said = f"{who} takes about {notice.factor:.1f} s for a second of speech"
        seconds = self._total / CHARS_PER_S
        if not seconds:
            return said
        if self._plays:
            wait = start_s(seconds, notice.factor) + float(notice.data.get("first_audio_s") or 0.0)
            return f"{said}; it begins in about {output.duration(wait)}"
        return f"{said}; {output.duration(seconds)} of it take about {output.duration(seconds * notice.factor)}"

    def waiting(self, text: str) -> None:
        """Something else than the daemon is waited for."""
        self.passing(text)
        if not self._live:
            self._once(("", text), text)

    def passing(self, text: str) -> None:
        """How far it is: shown where it can be written over, and nowhere else."""
        if self._live:
            self._show(text)

    def _once(self, key: tuple[str, str], text: str) -> None:
        if key not in self._said and not self._quiet:
            self._said.add(key)
            self.line(text)

    def _made(self, seconds: float) -> None:
        now = time.monotonic()
        if not self._progress or now - self._drawn_at < REDRAW_S:
            return
        self._drawn_at = now
        passed = max(now - self._began_at, 0.001)
        made = f"{output.duration(seconds)} of audio, {seconds / passed:.3g} times as fast as it sounds"
        if self._total:
            part = min(self._chars / self._total, 1.0)
            left = f"  {output.duration(passed * (1 - part) / part)} left" if part and passed >= SURE_S else ""
            made = f"[{'#' * round(part * BAR):-<{BAR}}] {part:4.0%}{left}  {made}"
        self._show(made)

    def _show(self, text: str) -> None:
        room = max(shutil.get_terminal_size().columns - 1, 20)
        self._shown = output.clean(text)[:room]
        sys.stderr.write(f"\r\x1b[K{self._shown}")
        sys.stderr.flush()

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        click.echo(f"voicebus: {output.clean(text)}", err=True)

    def clear(self) -> None:
        """Leave nothing of the line that moves."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = ""
