"""The client for programs without asyncio.

Owns: `Client` and `Speech`, and the hand-over between the caller's threads and the one that serves the socket. Must not
know: what messages mean, audio formats, sound devices. Invariant: every call returns or raises within a bounded time
unless it waits for audio, which ends with the job, `cancel`, or Disconnected. Both classes may be used by any thread.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar, Unpack

from .. import __version__
from ..bus.codec import decode_rows
from ..bus.errors import Disconnected, InvalidRequest, VoicebusError
from ..bus.messages import Cancel, CancelAll, Query
from . import asking, starting
from .connection import Link, Service
from .events import Event, Frame, Result
from .following import Followed
from .history import Kept
from .questions import Asked, Named, OfJob
from .reading import Reading
from .speech import ClientBase, attached_reading, reading_for
from .timing import Aligns
from .transcribing import Hears
from .voices import Voiced
from .waiting import Changes

if TYPE_CHECKING:
    from .playing import Player


F = TypeVar("F", bound=Followed)


class Speech(Followed):
    """One job's audio, as an iterable of events: `Frame`, `Segment`, `Mark`, `Notice`, `Rewound`.

    Iterating ends when the job has finished or was cancelled through this object; otherwise it raises, behind the
    last frame, JobFailed, and Disconnected where the daemon went away for good; JobCancelled comes at once, before
    frames that were not read yet. What was iterated
    counts as heard. It can be iterated once.
    """

    _player: Player | None = None

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self._wait()
            if event is None:
                return
            yield event
            if isinstance(event, Frame):
                self._report(event.end)

    def frames(self) -> Iterator[Frame]:
        """Only the audio. Live speech can be rewound, which this cannot show: ask for it with `whole`, or look at
        each frame's offset."""
        return (event for event in self if isinstance(event, Frame))

    def wait(self) -> Result:
        """Read to the end, keeping nothing. Raises as iterating does."""
        for _ in self:
            pass
        return self._finished()

    def save(
        self,
        target: str | Path | IO[bytes],
        format: str | None = None,  # noqa: A002 - what everybody calls it
        *,
        on_event: Callable[[Event], object] | None = None,
        partial: bool = False,
    ) -> Result:
        """Write the audio to a file, or to an open binary stream, while it comes.

        format: "wav", "raw", "flac", "ogg", "opus" or "mp3"; by the file's extension if left out. A file appears under
        its name when it is complete; with `partial` also with what there is, if anything is, when the job fails or the
        daemon goes away. A format that cannot have the job's sample rate gets the next higher one. Raises
        InvalidRequest for a format that nobody knows, OSError where the file cannot be written, and what iterating
        raises.
        """
        from . import saving

        return saving.save(self, target, format, on_event=on_event, partial=partial)

    def play(
        self,
        *,
        device: str | None = None,
        volume: float = 1.0,
        on_event: Callable[[Event], object] | None = None,
        backend: str | None = None,
    ) -> Result:
        """Play it, and return when the last sample was heard.

        device: a name from `voicebus.clients.playing.devices`. volume: a factor. An exception (Ctrl-C) means silence
        at once, and cancels the job. Raises NoSoundDevice where nothing can be played, and what iterating raises.
        """
        from .playing import Player

        self._player = Player(self, device=device, volume=volume, on_event=on_event, backend=backend)
        return self._player.run()

    def pause(self) -> None:
        """Be silent until `resume`. Safe in a signal handler. The job waits, and costs nothing meanwhile."""
        if self._player is not None:
            self._player.pause()

    def resume(self) -> None:
        """Go on where it was paused, on the default device if the one before is gone."""
        if self._player is not None:
            self._player.resume()

    def cancel(self) -> None:
        """End the job; see `Followed.cancel`."""
        self._silence()
        if self._player is not None:
            self._player.stop()
        super().cancel()

    def _feed(self, pieces: Iterator[str]) -> None:
        """Send text from an iterator as fast as it comes and the daemon keeps it. Runs in a thread of its own."""
        try:
            for piece in pieces:
                if not self._send(asking.text_bytes(piece)):
                    return
            self._act(lambda reading, now: reading.end(now))
        except BaseException as error:  # noqa: BLE001 - whatever the caller's iterator raises is the caller's to see
            self._feed_failed(error)


class Client(Kept, Hears, Aligns, Voiced, ClientBase):
    """A connection to the speech service of this machine.

    start: start the daemon where none runs. name: of your program, for the daemon's lists. endpoint: where to connect
    instead of the user's own daemon or the system's, as ``ipc://PATH``. reconnect_s: how long to wait for a daemon
    that went away.
    Raises NotRunning, StartFailed, VersionMismatch, Disconnected.

    ::

        with Client() as client:
            client.speak("Good morning.").play()
    """

    def __init__(
        self, *, start: bool = True, name: str = "", endpoint: str | None = None, reconnect_s: float = 10.0
    ) -> None:
        super().__init__(start=start, name=name, endpoint=endpoint, reconnect_s=reconnect_s)
        self._changed = Changes()
        self._importing = threading.Lock()
        self._speeches: dict[str, Followed] = {}
        self._connect(self._find())
        if self._start and self._outdated():
            self._service.stop()
            self._connect(starting.restart_daemon(self._at))
        atexit.register(self.close)

    def _connect(self, endpoint: str) -> None:
        session = self._session = self._new_session()
        self._service = Service(Link(endpoint, session), self._on_change, self._on_lost)
        self._service.start()
        try:
            self._wait_for(lambda: session.ready or session.error is not None)
        except BaseException:
            self.close()
            raise
        if session.error is not None:
            self._service.stop()
            raise session.error

    def _outdated(self) -> bool:
        """Whether a daemon of another version runs, which a client started, and which has nothing to do."""
        if self.version == __version__ or self._session.welcome is None:
            return False
        if self._session.welcome.started_by != "client":
            return False
        row = self.status()
        jobs = row.get("jobs", {})
        return row.get("clients", 0) <= 1 and not any(jobs.get(state) for state in ("queued", "running", "waiting"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave. Jobs go on, but for those that were cancelled; whoever still reads gets Disconnected. A program that
        ends without it has it done."""
        atexit.unregister(self.close)
        self._service.stop()

    def interrupt(self, check: Callable[[], object]) -> None:
        """Have the main thread call `check`, which may raise, where it waits in this client, or else when it next
        does. A signal handler may call this, and should rather than raise: what it raises can land anywhere."""
        self._changed.leave(check)
        self._service.post(lambda _session, _now: None)  # after which it wakes those who wait

    @property
    def version(self) -> str:
        """Of the daemon."""
        return self._session.welcome.version if self._session.welcome is not None else ""

    # --------------------------------------------------------------------------------------------------- speaking

    def speak(self, text: str | Iterable[str], **options: Unpack[asking.Options]) -> Speech:
        """Have a text said. Returns when the daemon has accepted it; from then on it is not lost.

        text: the whole of it, or an iterable of pieces, which is read (in a thread) while audio comes: pieces may be
        cut anywhere, also inside a word. options: see `asking.Options`. Raises InvalidRequest for what cannot be,
        Conflict for a job name that is taken, QueueFull, StorageError, Disconnected.
        """
        if not isinstance(text, str):
            if not isinstance(text, Iterable):
                raise TypeError(f"a text or an iterable of texts is wanted, not {type(text).__name__}")
            if options.get("ssml"):
                text = "".join(text)
        reading = reading_for(text, options, time.monotonic())
        speech = self._adopt(reading, Speech)
        if not isinstance(text, str):
            threading.Thread(target=speech._feed, args=(iter(text),), name="voicebus-text", daemon=True).start()  # noqa: SLF001
        return speech

    def save(
        self,
        text: str | Iterable[str],
        target: str | Path | IO[bytes],
        format: str | None = None,  # noqa: A002
        **options: Unpack[asking.Options],
    ) -> Result:
        """Have a text said into a file, at a sample rate that its format can have. As `speak` and `Speech.save`."""
        from . import saving

        form = saving.format_of(target, format)
        options.setdefault("sample_rate", saving.rate_for(form))
        options.setdefault("pace", "render")
        options.setdefault("whole", form not in saving.REWRITABLE or not isinstance(target, str | Path))
        return self.speak(text, **options).save(target, form)

    def attach(self, job: str, offset: int = 0, *, take: str = "", whole: bool = False) -> Speech:
        """Hear a job that is there, running or over, from a sample offset on. take: the take of the sample before, if
        you have heard so far and want to go on exactly there. Raises NotFound."""
        return self._adopt(attached_reading(job, offset, take, whole, time.monotonic()), Speech)

    def _adopt(self, reading: Reading, kind: type[F]) -> F:
        """Take a reading on, and wait until the daemon has answered it."""

        def act(do: Callable[[Reading, float], None]) -> None:
            self._service.post(lambda _session, now: do(reading, now))

        speech = kind(reading, act)
        speech._changed = self._changed  # noqa: SLF001
        speech._drop = self._drop  # noqa: SLF001
        with self._changed:
            before = self._speeches.get(reading.job)
            if before is not None and not before.over:
                raise InvalidRequest(f"{reading.job} is being read by this client already.")
            self._speeches[reading.job] = speech
        self._service.post(lambda session, _now: session.add(reading))
        try:
            self._wait_for(lambda: reading.answered or reading.over)
        except BaseException:
            if reading.new:
                speech.cancel()
            speech.close()
            raise
        if reading.error is not None and not reading.answered:
            raise reading.error
        return speech

    def _drop(self, job: str) -> None:
        self._speeches.pop(job, None)
        self._service.post(lambda session, _now: session.drop(job))

    # ------------------------------------------------------------------------------------------------- everything else

    def cancel(self, job: str) -> dict[str, Any]:
        """End a job of ours. Returns how it ended, perhaps earlier: ``job``, ``state``, ``code``, ``message``,
        ``samples``. Raises NotFound."""
        speech = self._speeches.get(job)
        if speech is not None and not speech.over:
            speech.cancel()
        end = self._ask(Cancel(job=asking.job_name(job)))
        return asking.ended(end)

    def cancel_all(self) -> int:
        """End all jobs of this user. Returns how many."""
        return int(self._ask(CancelAll()).count)

    def status(self) -> dict[str, Any]:
        """The daemon's own row: pid, version, uptime_s, jobs, counters, problems, log_file ..."""
        rows = self._list("status")
        return rows[0] if rows else {}

    def providers(self) -> list[dict[str, Any]]:
        """The providers, as rows with provider, state, ready, voices, breaker, reason ..."""
        return self._list("providers")

    def workers(self) -> list[dict[str, Any]]:
        """The processes that make audio, as rows with worker, provider, pid, state, restarts, last_failure ..."""
        return self._list("workers")

    def voices(
        self, provider: str | None = None, language: str | None = None, kind: str | None = None
    ) -> list[dict[str, Any]]:
        """The voices, as rows with provider, voice, kind, languages, gender, description, variants; those of your own
        first, with more. kind: "preset", "cloned", "designed", or "mine" for all that are your own."""
        return self._list("voices", provider=provider, language=language, kind=kind)

    def jobs(self, state: str | None = None) -> list[dict[str, Any]]:
        """This user's jobs, as rows with job, state, segments, done, samples, rate ..."""
        return self._list("jobs", state=state)

    def segments(self, job: str) -> list[dict[str, Any]]:
        """A job's segments, as rows with segment, start, length, state, provider, voice, trail ... Raises NotFound."""
        return self._list("segments", job=asking.job_name(job))

    def _list(self, what: str, **fields: str | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page, body = self._ask(Query(what=what, cursor=cursor, where=asking.where(**fields)))
            rows += decode_rows(body)
            cursor = page.next
            if not cursor:
                return rows

    def _ask(self, message: Named | OfJob, body: bytes = b"") -> Any:
        asked: list[Asked] = []
        self._service.post(lambda session, now: asked.append(session.ask(message, now, body)))
        self._wait_for(lambda: asked and asked[0].over)
        if asked[0].error is not None:
            raise asked[0].error
        return asked[0].answer

    # ----------------------------------------------------------------------------------------- between the threads

    def _wait_for(self, done: Callable[[], Any]) -> None:
        with self._changed:
            self._changed.wait_for(lambda: done() or not self._service.is_alive())
            if not done():
                raise self._session.error or Disconnected("The client is closed.")

    def _on_change(self) -> None:
        """In the service's thread, after each step."""
        with self._changed:
            for job, speech in list(self._speeches.items()):
                speech._take_over()  # noqa: SLF001
                if speech._over:  # noqa: SLF001
                    del self._speeches[job]
                    self._session.drop(job)
            self._changed.notify_all()

    def _on_lost(self) -> None:
        """The daemon is gone. If it is for us to start, start it again."""
        if self._start:
            with contextlib.suppress(VoicebusError):  # the session gives up by itself, with the plainer message
                starting.bring_back(self._at)
