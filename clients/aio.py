"""The client for programs with asyncio.

Owns: `AsyncClient` and `AsyncSpeech`, and when the event loop serves the socket. Must not know: what messages mean,
audio formats. Invariant: nothing here blocks the loop; a cancelled task leaves the client usable. There is no task in
the background: the loop calls back when the socket has something or a repeat is due. (That is also why this uses
the socket's descriptor and not zmq.asyncio, whose futures would need a task to wait on them.) An object belongs to
the loop in which it was opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar, Unpack

from ..bus.codec import decode_rows
from ..bus.errors import Disconnected, InvalidRequest, VoicebusError
from ..bus.messages import Cancel, CancelAll, Query
from . import asking, starting
from .connection import Link
from .events import Event, Frame, Result
from .following import AsyncFollowed
from .history import AsyncKept
from .questions import Named, OfJob
from .reading import Reading
from .session import Session
from .speech import ClientBase, attached_reading, reading_for
from .timing import AsyncAligns
from .transcribing import AsyncHears
from .voices import AsyncVoiced

F = TypeVar("F", bound=AsyncFollowed)


class AsyncSpeech(AsyncFollowed):
    """One job's audio, as an asynchronous iterable of events; see `Speech`."""

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self._wait()
            if event is None:
                return
            yield event
            if isinstance(event, Frame):
                self._report(event.end)

    async def frames(self) -> AsyncIterator[Frame]:
        """Only the audio; see `Speech.frames`."""
        async for event in self:
            if isinstance(event, Frame):
                yield event

    async def wait(self) -> Result:
        """Read to the end, keeping nothing. Raises as iterating does."""
        async for _ in self:
            pass
        return self._finished()

    async def save(
        self,
        target: str | Path | IO[bytes],
        format: str | None = None,  # noqa: A002
        *,
        on_event: Callable[[Event], object] | None = None,
        partial: bool = False,
    ) -> Result:
        """Write the audio to a file or an open binary stream; see `Speech.save`. Encoding runs in the loop's thread,
        some 0.1 to 0.4 ms for a frame; writing to a slow stream holds up the loop."""
        from . import saving

        with saving.Saving(self, target, format, on_event=on_event, partial=partial) as writer:
            async for event in self:
                writer.event(event)
            writer.finish()
        return self._finished()

    async def _feed(self, pieces: AsyncIterable[str] | Iterable[str]) -> None:
        """Send text from an iterable as fast as it comes and the daemon keeps it."""
        try:
            async for piece in _each(pieces):
                if not await self._send(asking.text_bytes(piece)):
                    return
            self._act(lambda reading, now: reading.end(now))
        except Exception as error:  # noqa: BLE001 - whatever the caller's iterator raises is the caller's to see
            self._feed_failed(error)


async def _each(pieces: AsyncIterable[str] | Iterable[str]) -> AsyncIterator[str]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)


class AsyncClient(AsyncKept, AsyncHears, AsyncAligns, AsyncVoiced, ClientBase):
    """A connection to the speech service of this machine, opened by ``async with``; see `Client` for its arguments.

    ::

        async with AsyncClient() as client:
            async for event in await client.speak("Good morning."):
                ...
    """

    def __init__(
        self, *, start: bool = True, name: str = "", endpoint: str | None = None, reconnect_s: float = 10.0
    ) -> None:
        super().__init__(start=start, name=name, endpoint=endpoint, reconnect_s=reconnect_s)
        self._speeches: dict[str, AsyncFollowed] = {}
        self._importing = asyncio.Lock()
        self._link: Link | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news: asyncio.Future[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._was_lost = False

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def open(self) -> None:
        """Connect, and start the daemon if need be. Raises as `Client` does."""
        await self._connect(await asyncio.to_thread(self._find))

    async def _connect(self, endpoint: str) -> None:
        session = self._new_session()
        self._link = Link(endpoint, session)
        asyncio.get_running_loop().add_reader(self._link.descriptor, self._serve)
        try:
            self._serve()
            while not session.ready and session.error is None:
                await self._changed()
        except BaseException:
            self.close()
            raise
        if session.error is not None:
            self.close()
            raise session.error

    def close(self) -> None:
        """Leave. Jobs go on; whoever still reads gets Disconnected."""
        link, self._link = self._link, None
        if link is None:
            return
        asyncio.get_running_loop().remove_reader(link.descriptor)
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        for speech in self._speeches.values():
            speech._stop_feeding()  # noqa: SLF001
        link.close(wait=False)
        self._hand_over(link.session)
        self._wake()

    @property
    def version(self) -> str:
        """Of the daemon."""
        welcome = self._session.welcome
        return welcome.version if welcome is not None else ""

    @property
    def _session(self) -> Session:
        if self._link is None:
            raise Disconnected("The client is not open: use it as `async with AsyncClient() as client`.")
        return self._link.session

    # ------------------------------------------------------------------------------------------------ what it can do

    async def speak(
        self, text: str | Iterable[str] | AsyncIterable[str], **options: Unpack[asking.Options]
    ) -> AsyncSpeech:
        """Have a text said; see `Client.speak`. text may also be an asynchronous iterable of pieces."""
        reading = reading_for(text, options, time.monotonic())
        speech = await self._adopt(reading, AsyncSpeech)
        if not isinstance(text, str):
            speech._feeder = asyncio.create_task(speech._feed(text))  # noqa: SLF001
        return speech

    async def attach(self, job: str, offset: int = 0, *, take: str = "", whole: bool = False) -> AsyncSpeech:
        """Hear a job that is there; see `Client.attach`."""
        return await self._adopt(attached_reading(job, offset, take, whole, time.monotonic()), AsyncSpeech)

    async def _adopt(self, reading: Reading, kind: type[F]) -> F:
        session = self._session
        if reading.job in self._speeches:
            raise InvalidRequest(f"{reading.job} is being read by this client already.")

        def act(do: Callable[[Reading, float], None]) -> None:
            do(reading, time.monotonic())
            self._serve()

        speech = self._speeches[reading.job] = kind(reading, act)
        speech._client = self  # noqa: SLF001
        session.add(reading)
        self._serve()
        try:
            while not reading.answered and not reading.over:
                await self._changed()
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
        if self._link is not None:
            self._link.session.drop(job)
            self._serve()

    async def cancel(self, job: str) -> dict[str, Any]:
        """End a job of ours; see `Client.cancel`."""
        speech = self._speeches.get(job)
        if speech is not None and not speech.over:
            speech.cancel()
        end = await self._ask(Cancel(job=asking.job_name(job)))
        return asking.ended(end)

    async def cancel_all(self) -> int:
        """End all jobs of this user. Returns how many."""
        return int((await self._ask(CancelAll())).count)

    async def status(self) -> dict[str, Any]:
        """The daemon's own row; see `Client.status`."""
        rows = await self._list("status")
        return rows[0] if rows else {}

    async def providers(self) -> list[dict[str, Any]]:
        """The providers, as rows."""
        return await self._list("providers")

    async def workers(self) -> list[dict[str, Any]]:
        """The processes that make audio, as rows."""
        return await self._list("workers")

    async def voices(
        self, provider: str | None = None, language: str | None = None, kind: str | None = None
    ) -> list[dict[str, Any]]:
        """The voices, as rows; see `Client.voices`."""
        return await self._list("voices", provider=provider, language=language, kind=kind)

    async def jobs(self, state: str | None = None) -> list[dict[str, Any]]:
        """This user's jobs, as rows."""
        return await self._list("jobs", state=state)

    async def segments(self, job: str) -> list[dict[str, Any]]:
        """A job's segments, as rows. Raises NotFound."""
        return await self._list("segments", job=asking.job_name(job))

    async def _list(self, what: str, **fields: str | None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page, body = await self._ask(Query(what=what, cursor=cursor, where=asking.where(**fields)))
            rows += decode_rows(body)
            cursor = page.next
            if not cursor:
                return rows

    async def _ask(self, message: Named | OfJob, body: bytes = b"") -> Any:
        asked = self._session.ask(message, time.monotonic(), body)
        self._serve()
        while not asked.over:
            await self._changed()
        if asked.error is not None:
            raise asked.error
        return asked.answer

    # ----------------------------------------------------------------------------------------------- serving the socket

    def _serve(self) -> None:
        """Do all that can be done now; called by the loop and after everything that was asked for."""
        link = self._link
        if link is None:
            return
        wake = link.step(time.monotonic())
        self._hand_over(link.session)
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(max(0.0, wake - time.monotonic()), 3600.0), self._serve)
        lost = link.session.missing
        if lost and not self._was_lost and self._start and self._looking is None:
            self._looking = asyncio.create_task(self._look_for_daemon())
        self._was_lost = lost
        self._wake()

    def _hand_over(self, session: Session) -> None:
        for job, speech in list(self._speeches.items()):
            speech._take_over()  # noqa: SLF001
            if speech._over:  # noqa: SLF001
                del self._speeches[job]
                session.drop(job)

    async def _look_for_daemon(self) -> None:
        with contextlib.suppress(VoicebusError):  # the session gives up by itself, with the plainer message
            await asyncio.to_thread(starting.bring_back, self._at)
        self._looking = None

    async def _changed(self) -> None:
        """Wait until anything has happened."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
