"""Scenes of asking: each list, in pages, and nobody else's jobs."""

from __future__ import annotations

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import Error, Failed, Query
from voicebus.daemon.core.queries import PAGE_ROWS
from voicebus.daemon.core.settings import Limits, Problem

from .scenes import Scene, lose, query, scene, speak_all
from .world_of_one import FakeClient, settings


def refusal(client: FakeClient, **options: object) -> Error:
    """The error that answers a query."""
    client.say(Query(request="q", **options))  # type: ignore[arg-type]
    error = client.inbox[-1][0]
    assert type(error) is Error and error.request == "q"
    return error


def many(count: int, text: str = "x. ", **options: object) -> tuple[Scene, FakeClient]:
    """A job of many segments, of which none is made."""
    stage = Scene()
    client = stage.client()
    client.submit("j", text * count, **options)  # type: ignore[arg-type]
    return stage, client


def test_a_list_comes_in_pages() -> None:
    """A page has as many rows as was asked for; its cursor leads to the next, and the last has none."""
    _, client = many(25, "One sentence.\n")
    seen, cursor = [], ""
    sizes = []
    while True:
        rows, cursor = query(client, "segments", where={"job": "j"}, limit=10, cursor=cursor)
        sizes.append(len(rows))
        seen += [row["segment"] for row in rows]
        if not cursor:
            break
    assert sizes == [10, 10, 5] and seen == list(range(25))


def test_a_page_that_is_just_full_is_the_last() -> None:
    """No empty page follows where the rows end with the page; behind the end there is nothing."""
    _, client = many(10, "One sentence.\n")
    rows, cursor = query(client, "segments", where={"job": "j"}, limit=10)
    assert (len(rows), cursor) == (10, "")
    assert query(client, "segments", where={"job": "j"}, cursor="99") == ([], "")


@pytest.mark.parametrize(("limit", "rows"), [(0, 1), (1, 1), (10**6, PAGE_ROWS)])
def test_a_page_has_at_least_one_row_and_at_most_so_many(limit: int, rows: int) -> None:
    """Whatever is asked for, a page goes on and fits."""
    stage = Scene(settings(limits=Limits(jobs_per_client=2000)))
    client = stage.client()
    for number in range(PAGE_ROWS + 5):
        client.submit(f"j{number}", read="none")
    page, cursor = query(client, "jobs", limit=limit)
    assert (len(page), cursor) == (rows, str(rows))


def test_a_page_fits_into_a_body() -> None:
    """Rows that are long make a page shorter; nothing is left out over all pages."""
    stage = Scene()
    client = stage.client()
    for number in range(5):
        client.submit(f"j{number}")
        stage.job(f"j{number}").spoken = ("a", "x" * 400_000)
    seen, cursor, pages = [], "", 0
    while True:
        rows, cursor = query(client, "jobs", cursor=cursor)
        assert len(client.inbox[-1][1]) <= codec.BODY_BYTES
        seen += [row["job"] for row in rows]
        pages += 1
        if not cursor:
            break
    assert (seen, pages) == ([f"j{number}" for number in range(5)], 3)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "\u0663", " 1"])
def test_a_cursor_comes_from_a_page(cursor: str) -> None:
    """What is no cursor is refused by name."""
    _, client = many(3)
    assert refusal(client, what="jobs", cursor=cursor).code == "invalid"


def test_an_unknown_list_is_refused() -> None:
    """A list that is not there is answered with those that are."""
    _, client = many(1)
    error = refusal(client, what="nonsense")
    assert error.code == "invalid" and "segments" in error.message


def test_segments_of_a_job_that_is_not_there() -> None:
    """Segments of no job, of none named and of another uid's are not found."""
    stage, client = many(1)
    other = stage.client(uid=7)
    assert refusal(other, what="segments", where={"job": "j"}).code == "not_found"
    assert refusal(client, what="segments", where={"job": "k"}).code == "not_found"
    assert refusal(client, what="segments").code == "not_found"


def test_status_is_one_row() -> None:
    """The daemon in one row: what it is, what it has, what is odd."""
    stage = Scene(settings(problems=(Problem("providers.b", 3, "no module"),)))
    worker, client = stage.worker(), stage.client()
    client.submit("j", "Hello.", keep="nothing")
    worker.chunk(worker.current)
    stage.pass_time(2)
    ((row),), cursor = query(client, "status")
    assert cursor == ""
    assert (row["epoch"], row["state"], row["uptime_s"], row["clients"]) == ("e1", "serving", 2.0, 1)
    assert (row["jobs"]["running"], row["memory_bytes"], row["takes_bytes"]) == (1, 200, 0)
    assert row["problems"] == [{"where": "providers.b", "line": 3, "reason": "no module"}]
    stage.core.terminate(stage.now)
    stage.run()
    assert query(client, "status")[0][0]["state"] == "draining"


def test_jobs_are_the_users_own() -> None:
    """A client sees its uid's jobs, all or those in one state, with how they ended."""
    stage, worker, client = scene("One.")
    speak_all(worker)
    client.submit("k", "Two.", priority="progress")
    client.submit("l", "", complete=False)
    rows, _ = query(client, "jobs")
    assert [(row["job"], row["state"]) for row in rows] == [("j", "finished"), ("k", "running"), ("l", "waiting")]
    assert (rows[0]["samples"], rows[0]["done"], rows[0]["provider"], rows[0]["voice"]) == (300, 1, "a", "en")
    assert [row["job"] for row in query(client, "jobs", where={"state": "running"})[0]] == ["k"]
    client.cancel("k")
    assert query(client, "jobs", where={"state": "cancelled"})[0][0]["message"] == "Cancelled by its owner."
    assert query(stage.client(uid=7), "jobs") == ([], "")


def test_a_job_is_not_over_in_a_list_before_it_is_durable() -> None:
    """A list tells of an end no sooner than the terminal does."""
    stage, worker, client = scene("One.")
    stage.hold_commits = True
    speak_all(worker)
    assert query(client, "jobs")[0][0]["state"] == "running"
    stage.let_go()
    assert query(client, "jobs")[0][0]["state"] == "finished"


def test_segments_of_a_job_that_is_over_are_as_they_are_kept() -> None:
    """What was never in its place when a job ended is not made, whatever state it was in: the next daemon says the
    same."""
    stage = Scene(settings(workers=2))
    stage.core.world.durable = True
    stage.worker("a/0")
    second, client = stage.worker("a/1"), stage.client()
    client.submit("j", "One. Two. Three.")
    second.speak(second.current)
    client.cancel("j")
    told, _ = query(client, "segments", where={"job": "j"})
    assert [row["state"] for row in told] == ["unmade"] * 3 and {row["samples"] for row in told} == {0}
    later = stage.reborn()
    assert query(later.client(), "segments", where={"job": "j"})[0] == told


def test_segments_tell_their_story() -> None:
    """A segment's row says where it is in text and audio, who said it, and what went wrong before."""
    stage, worker, client = scene("One. Two.")
    lost = lose(worker)
    worker.speak(worker.current)
    stage.hold_writes = True
    worker.speak(worker.current)
    first, second = query(client, "segments", where={"job": "j"})[0]
    assert (first["state"], first["start"], first["length"], first["samples"]) == ("whole", 0, 4, 300)
    assert (first["provider"], first["voice"], first["tries"], first["trail"]) == ("a", "en", 2, ["a: killed (gone)"])
    assert first["attempt"] not in ("", lost)
    assert (second["state"], second["samples"], second["offset"]) == ("leased", 0, 300)


def test_a_long_story_is_told_from_its_end() -> None:
    """Of a segment that was lost again and again the last lines are told."""
    _, worker, client = scene("One.")
    for number in range(30):
        lose(worker, "killed", f"time {number}")
    (row,) = query(client, "segments", where={"job": "j"})[0]
    assert len(row["trail"]) == 20 and "time 29" in row["trail"][-1]


def test_workers_tell_how_they_are() -> None:
    """Each worker with its state: busy with a slot in use, what it was last killed by, how far it has loaded."""
    stage = Scene(settings(workers=2))
    worker = stage.worker("a/0")
    client = stage.client()
    client.submit("j", "One.")
    first, second = query(client, "workers")[0]
    assert (first["worker"], first["state"], first["running"], first["slots"]) == ("a/0", "busy", 1, 1)
    assert (second["worker"], second["state"], second["percent"]) == ("a/1", "spawned", -1.0)
    worker.say(Failed(attempt=worker.current, code="killed", message="gone"))
    assert query(client, "workers")[0][0]["last_failure"] == "killed: gone"


def test_providers_tell_whether_they_can_be_had() -> None:
    """Each provider with its state, its voices and how its breaker is, also one that nothing is known of."""
    stage = Scene(settings("a", "b"))
    worker, client = stage.worker("a/0"), stage.client()
    first, second = query(client, "providers")[0]
    assert (first["state"], first["ready"], first["voices"], first["rate"]) == ("ready", 1, 2, 1000)
    assert (second["state"], second["ready"], second["voices"], second["capabilities"]) == ("starting", 0, 0, {})
    client.submit("j", "One.")
    lose(worker, "auth")
    first = query(client, "providers")[0][0]
    assert (first["breaker"], first["state"]) == ("open", "away")
    assert first["retry_in_s"] > 0
    assert first["reason"].startswith("auth")


def test_a_provider_whose_worker_has_not_come_is_away() -> None:
    """A provider that waits for a worker from outside is away, and says so."""
    stage = Scene(settings(provider={"module": "", "key": "secret"}))
    row = query(stage.client(), "providers")[0][0]
    assert (row["state"], row["reason"]) == ("away", "a: no worker is connected")


def test_voices_by_provider_and_language() -> None:
    """All voices that are known, or one provider's, or one language's."""
    stage = Scene(settings("a", "b", "c"))
    stage.worker("a/0")
    stage.worker("b/0")
    client = stage.client()
    everything = [(row["provider"], row["voice"]) for row in query(client, "voices")[0]]
    assert everything == [("a", "en"), ("a", "de"), ("b", "en"), ("b", "de")]
    assert len(query(client, "voices", where={"provider": "b"})[0]) == 2
    (row,) = query(client, "voices", where={"provider": "a", "language": "de-AT"})[0]
    assert row == {
        "provider": "a", "voice": "de", "kind": "preset", "languages": ["de"], "gender": "", "description": "",
        "variants": [],
    }  # fmt: skip


def test_asking_changes_nothing() -> None:
    """Any list may be asked for at any time: no job, worker or commit comes of it."""
    stage = Scene(settings(limits=Limits(jobs=1)))
    client = stage.client()
    for what in ("status", "workers", "providers", "voices", "jobs"):
        query(client, what)
    world = stage.core.world
    assert (world.jobs, world.commits, world.ticket, len(world.workers)) == ({}, {}, 0, 1)
