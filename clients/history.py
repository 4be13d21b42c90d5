"""What is kept of jobs that are over: found, read, kept for good, removed, and said again.

Owns: what the history can be narrowed by, and how an old job becomes a new request. Must not know: sockets, threads,
event loops. Invariant: what is said again is asked for in the words of the first time, except for what the caller
changes.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from ..bus.codec import decode_rows
from ..bus.errors import InvalidRequest, NotFound
from ..bus.messages import Delete, Deposit, Import, Pin, Query
from . import asking, steps

if TYPE_CHECKING:
    from .aio import AsyncSpeech
    from .importing import OnJob, Tally
    from .sync import Speech

PAGE_ROWS = 200

Moment = str | float | dt.date
"""A date: in ISO 8601, as seconds since 1970, or as `datetime` has it. Without a zone it is of this machine."""


class Filters(TypedDict, total=False):
    """What the history is narrowed by; all of them can be left out.

    text: words that must all be in the text, the last may go on. sort: "newest" first, or for words "best" first.
    voice, provider: who spoke some of it. state: "finished", "failed" or "cancelled". since, until: when it was asked
    for; until a day means that day's end. pinned: whether it is exempt from retention. keep: "job" or "history".
    """

    text: str | None
    sort: Literal["newest", "best"] | None
    voice: str | None
    provider: str | None
    state: str | None
    since: Moment | None
    until: Moment | None
    pinned: bool | None
    keep: str | None


def where(filters: Mapping[str, Any]) -> dict[str, str]:
    """What goes into QUERY for these. Raises InvalidRequest, TypeError."""
    unknown = [name for name in filters if name not in Filters.__annotations__]
    if unknown:
        raise TypeError(f"history() has no filter {unknown[0]!r}; there are {', '.join(Filters.__annotations__)}")
    return asking.where(**{name: _word(value) for name, value in filters.items() if value is not None})


def _word(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return repr(value.timestamp())
    if isinstance(value, dt.date):
        return value.isoformat()
    return repr(float(value)) if isinstance(value, int | float) else value


def options_again(
    row: Mapping[str, Any], changes: Mapping[str, Any], providers: list[dict[str, Any]]
) -> asking.Options:
    """The options with which a job of the history is said again. row: of the history, with its `request`. changes: of
    them; a voice or a provider replaces the whole chain. providers: as listed: the seed that was used, if none was
    asked for, goes only to those who take one."""
    asked = row["request"]
    if asked.get("kind") == "transcribe":
        raise InvalidRequest(f"{row['job']} is the transcript of a recording; what is in it can be spoken as a text.")
    style = asked["style"]
    chain = [(choice["provider"], choice["voice"]) for choice in asked["chain"]]
    same: asking.Options = {
        "chain": chain or _speaker(row["speakers"]),
        "language": asked["language"],
        "rate": style["rate"],
        "pitch": style["pitch"],
        "volume": style["volume"],
        "punctuation": style["punctuation"],
        "instruct": style["instruct"],
        "options": style["options"],
        "ssml": asked["ssml"],
        "seed": _seed(row, providers),
        "skip_bad": asked["skip_bad"],
        "sample_rate": asked["rate"],
        "priority": asked["priority"],
        "patience": asked["patience_s"],
        "keep": asked["keep"],
    }
    if changes.keys() & {"voice", "provider", "chain"}:
        del same["chain"]
    return {**same, **changes}  # type: ignore[typeddict-item]


def _seed(row: Mapping[str, Any], providers: list[dict[str, Any]]) -> int | None:
    """The seed with which it was said, None where there was no use for one."""
    if row["request"]["seed"] is not None:
        return int(row["request"]["seed"])
    takers = {found["provider"] for found in providers if found["capabilities"].get("seed")}
    speakers = {who["provider"] for who in row["speakers"]}
    return int(row["seed"]) if speakers and speakers <= takers else None


def _speaker(speakers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Whom to ask where nobody was named: who said most of it then."""
    most = max(speakers, key=lambda who: who["segments"], default=None)
    return [(most["provider"], most["voice"])] if most is not None else []


def _page(found: dict[str, str], cursor: str, wanted: int | None) -> Query:
    return Query(what="history", cursor=cursor, limit=min(wanted or PAGE_ROWS, PAGE_ROWS), where=found)


def _only(rows: list[dict[str, Any]], job: str) -> dict[str, Any]:
    if not rows:
        raise NotFound(f"There is no job {job!r} in the history.")
    return rows[0]


class Kept:
    """The history of this user, for `Client`."""

    if TYPE_CHECKING:
        _importing: threading.Lock

        def _ask(self, message: Query | Delete | Pin | Import | Deposit, body: bytes = b"") -> Any: ...
        def _list(self, what: str, **fields: str | None) -> list[dict[str, Any]]: ...
        def providers(self) -> list[dict[str, Any]]: ...
        def speak(self, text: str, **options: Unpack[asking.Options]) -> Speech: ...

    def history(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> Iterator[dict[str, Any]]:
        """The jobs that are over and kept, newest first, as rows with job, state, code, created, finished (seconds
        since 1970), samples, rate, segments, skipped, speakers, language, keep, pinned, audio ("kept", "packed" or
        "missing"), bytes, text (its beginning). limit: how many at most. filters: see `Filters`. They are fetched in
        pages while they are read. Raises InvalidRequest, StorageError."""
        found = where(filters)
        return self._history(found, limit)

    def _history(self, found: dict[str, str], limit: int | None) -> Iterator[dict[str, Any]]:
        cursor, left = "", limit
        while left is None or left > 0:
            page, body = self._ask(_page(found, cursor, left))
            rows = decode_rows(body)
            yield from rows
            left = left if left is None else left - len(rows)
            cursor = page.next
            if not cursor:
                return

    def kept(self, job: str) -> dict[str, Any]:
        """One job of the history: its row, and with it message, trail, seed (that was used) and request (what was asked
        for). Raises NotFound."""
        return _only(self._list("history", job=asking.job_name(job)), job)

    def text(self, job: str) -> str:
        """The text of a job, running or over. Raises NotFound."""
        return "".join(row["text"] for row in self._list("text", job=asking.job_name(job)))

    def delete(self, job: str) -> None:
        """Remove a job with its text, its audio and all that is known of it; one that runs is cancelled. Returns when
        nothing is left of it on the disk but its name, which is not free for a week. Raises NotFound, StorageError."""
        self._ask(Delete(job=asking.job_name(job)))

    def pin(self, job: str, pinned: bool = True) -> None:
        """Keep a job whatever the retention says, or no longer. Raises NotFound, InvalidRequest where nothing is kept
        of it."""
        self._ask(Pin(job=asking.job_name(job), pinned=pinned))

    def import_history(self, path: str | Path, *, on_job: OnJob | None = None) -> Tally:
        """Bring the jobs of an archive, as `voicebus.clients.archive.export` makes it, into the history, as jobs of
        this user: with the text, audio, dates and names that they had. A job whose name is there already, or was
        deleted within a week, is skipped. Returns when all is on the disk.

        on_job: called with the name of each job before it is brought, and with what was done until then. Raises
        InvalidRequest where the file is no archive, OSError, QueueFull where there is no room for more, StorageError,
        Disconnected. What was brought by then stays; importing the file again goes on where it broke off.
        """
        from . import importing

        done = importing.Tally()
        with self._importing:
            steps.run(importing.steps(path, done, on_job), self._ask)
        return done

    def say_again(self, job: str, /, **changes: Unpack[asking.Options]) -> Speech:
        """Have the text of a job of the history said once more, as a new job. changes: other options than the first
        time; a voice or provider replaces whom it had asked. With the same seed an engine that can says it the same
        way. Raises NotFound, and what `speak` raises."""
        row = self.kept(job)
        return self.speak(self.text(job), **options_again(row, changes, self.providers()))


class AsyncKept:
    """The history of this user, for `AsyncClient`; see `Kept`."""

    if TYPE_CHECKING:
        _importing: asyncio.Lock

        async def _ask(self, message: Query | Delete | Pin | Import | Deposit, body: bytes = b"") -> Any: ...
        async def _list(self, what: str, **fields: str | None) -> list[dict[str, Any]]: ...
        async def providers(self) -> list[dict[str, Any]]: ...
        async def speak(self, text: str, **options: Unpack[asking.Options]) -> AsyncSpeech: ...

    def history(self, *, limit: int | None = None, **filters: Unpack[Filters]) -> AsyncIterator[dict[str, Any]]:
        """The jobs that are over and kept, as rows; see `Client.history`."""
        found = where(filters)
        return self._history(found, limit)

    async def _history(self, found: dict[str, str], limit: int | None) -> AsyncIterator[dict[str, Any]]:
        cursor, left = "", limit
        while left is None or left > 0:
            page, body = await self._ask(_page(found, cursor, left))
            rows = decode_rows(body)
            for row in rows:
                yield row
            left = left if left is None else left - len(rows)
            cursor = page.next
            if not cursor:
                return

    async def kept(self, job: str) -> dict[str, Any]:
        """One job of the history; see `Client.kept`."""
        return _only(await self._list("history", job=asking.job_name(job)), job)

    async def text(self, job: str) -> str:
        """The text of a job, running or over. Raises NotFound."""
        return "".join(row["text"] for row in await self._list("text", job=asking.job_name(job)))

    async def delete(self, job: str) -> None:
        """Remove a job and all that is kept of it; see `Client.delete`."""
        await self._ask(Delete(job=asking.job_name(job)))

    async def pin(self, job: str, pinned: bool = True) -> None:
        """Keep a job whatever the retention says, or no longer; see `Client.pin`."""
        await self._ask(Pin(job=asking.job_name(job), pinned=pinned))

    async def import_history(self, path: str | Path, *, on_job: OnJob | None = None) -> Tally:
        """Bring the jobs of an archive into the history; see `Client.import_history`. The file is read in other
        threads, and `on_job` is called there."""
        from . import importing

        done = importing.Tally()
        async with self._importing:
            await steps.run_async(importing.steps(path, done, on_job), self._ask, in_threads=True)
        return done

    async def say_again(self, job: str, /, **changes: Unpack[asking.Options]) -> AsyncSpeech:
        """Have the text of a job of the history said once more; see `Client.say_again`."""
        row = await self.kept(job)
        options = options_again(row, changes, await self.providers())
        return await self.speak(await self.text(job), **options)
