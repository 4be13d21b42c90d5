"""Jobs that come back from an archive."""

from __future__ import annotations

from typing import Any

import pytest

from voicebus.bus import codec
from voicebus.bus.messages import (
    UNLIMITED,
    Attached,
    Bye,
    Delete,
    Deleted,
    Deposit,
    Deposited,
    Error,
    Import,
    Imported,
    Query,
)
from voicebus.daemon.core import asking, importing, keeping
from voicebus.daemon.core.records import Found
from voicebus.daemon.core.settings import History, Limits

from .scenes import Scene, heard, query, rows, speak_all
from .test_packing import wait
from .world_of_one import FakeClient, Stage, samples, settings

TEXT = "One. Two. Three."
SPEAKER = {"provider": "tone", "version": "2", "voice": "a"}
RANGES = ((0, 4), (5, 4), (10, 6))


def segment(number: int, **changes: Any) -> dict[str, Any]:
    """A row of `segments` of TEXT, whole and with a mark."""
    start, length = RANGES[number]
    return {
        "segment": number,
        "start": start,
        "length": length,
        "state": "whole",
        "attempt": f"old.{number}",
        "samples": 100 + number,
        "seed": 7 + number,
        "peak": 900,
        "rms": 90.5,
        "first_audio_s": 0.25,
        "work_s": 0.5,
        "made_s": 0.75,
        "tries": 2,
        "stops": 1,
        "deaths": 1,
        "trail": ["crash: once"],
        "marks": [["word", 5, 0, length, "", 0.5, "estimate"]],
        "offset": 0,
        **SPEAKER,
        **changes,
    }


def record(*segments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The row of a job of these segments."""
    return {
        "state": "finished",
        "created": 1e9,
        "finished": 1e9 + 5,
        "samples": sum(row.get("samples", 0) for row in segments),
        "rate": 1000,
        "segments": len(segments),
        "language": "en",
        "keep": "history",
        "pinned": True,
        "trail": ["moved once"],
        "seed": 4711,
        "audio": "packed",
        "request": {"chain": [{"provider": "tone"}], "seed": None, "pace": "render", "style": {"rate": 1.5}},
        "of a later version": 1,
        **changes,
    }


THREE = tuple(segment(number) for number in range(3))


def stage_for(**limits: Any) -> tuple[Scene, FakeClient]:
    """A daemon with a store, and a client."""
    stage = Scene(settings(limits=Limits(**limits), history=History(pack_after_s=0)))
    stage.core.world.durable = True
    return stage, stage.client()


def pieces(
    rows_: tuple[dict[str, Any], ...] = THREE, text: str = TEXT, *, silent: bool = False, run: int = 60
) -> list[tuple[str, bytes]]:
    """All that is deposited of a job: kinds and bodies."""
    found = [("text", text.encode())]
    for row in rows_:
        found.append(("segment", codec.encode(row)))
        if row["state"] == "whole" and not silent:
            pcm = samples(row["attempt"], 0, row["samples"])
            found += [("audio", pcm[at : at + 2 * run]) for at in range(0, len(pcm), 2 * run)]
    return found


def begin(client: FakeClient, job: str = "j", told: dict[str, Any] | None = None) -> Any:
    """Say IMPORT; the answer."""
    client.say(Import(job=job), codec.encode(told or record(*THREE)))
    return client.inbox[-1][0]


def bring(client: FakeClient, job: str = "j", told: dict[str, Any] | None = None, found: Any = None) -> Any:
    """Bring a job from beginning to end, or as far as it goes; the last answer."""
    answer = begin(client, job, told)
    every = pieces() if found is None else found
    for n, (kind, body) in enumerate(every):
        if type(answer) is not Deposited:
            return answer
        assert answer.n == n
        client.say(Deposit(job=job, n=n, kind=kind, last=n == len(every) - 1), body)
        answer = client.inbox[-1][0]
    return answer


def nothing_left(stage: Stage) -> None:
    """No trace of any import."""
    world = stage.core.world
    assert (world.imports, world.arriving, world.text_chars, world.memory, world.disk) == ({}, {}, 0, 0, 0)
    assert stage.journals == {} and stage.store.jobs == {} and not world.disk_of


def test_a_job_comes_back_as_it_was() -> None:
    """What was brought is heard, listed and looked up like a job that was made here, with its names, dates, timings and
    trail."""
    stage, client = stage_for()
    assert bring(client) == Imported(job="j", outcome="imported", epoch="e1")
    assert stage.core.world.jobs == {} and stage.core.world.imports == {}
    saved = stage.store.jobs[1000, "j"]
    assert (saved.created, saved.finished, saved.pinned, saved.audio) == (1e9, 1e9 + 5, True, "kept")
    assert saved.ended is not None and saved.ended.trail == ("moved once",)
    assert saved.ended.speakers == ({**SPEAKER, "segments": 3},)
    assert keeping.job_seed(saved.job.submit, saved.job.log) == 4711
    assert saved.ended.disk == stage.core.world.disk > 600
    client.attach("j")
    want = b"".join(samples(f"old.{n}", 0, 100 + n) for n in range(3))
    assert bytes(client.audio["j"]) == want
    assert [row.length for row in rows(client)] == [4, 4, 6]
    assert client.terminals["j"].state == "finished" and client.terminals["j"].samples == 303
    listed, _ = query(client, "segments", where={"job": "j"})
    for row, old in zip(listed, THREE, strict=True):
        assert {**old, "offset": row["offset"]} == {**row, "marks": old["marks"]}


def test_a_seed_that_was_asked_for_stays_the_seed_that_was_asked_for() -> None:
    """The name of the journal says the seed only where nobody had asked for one."""
    stage, client = stage_for()
    bring(client, told=record(*THREE, request={"seed": 5}))
    saved = stage.store.jobs[1000, "j"]
    assert keeping.job_seed(saved.job.submit, saved.job.log) == 5 and ".seed" not in saved.job.log


def test_a_job_that_failed_comes_with_what_there_is_of_it() -> None:
    """Segments that were left out, given up or never made have their state and no audio."""
    _, client = stage_for()
    some = (
        segment(0, state="skipped", samples=0, attempt="", marks=[]),
        segment(1, state="quarantined", samples=0, attempt="", marks=[]),
        segment(2, state="unmade", samples=0, attempt="", marks=[]),
    )
    told = record(*some, state="failed", code="quarantined", message="It brings down workers.", skipped=2)
    assert bring(client, told=told, found=pieces(some)).outcome == "imported"
    client.attach("j")
    end = client.terminals["j"]
    assert (end.state, end.code, end.skipped, end.samples) == ("failed", "quarantined", 2, 0)
    assert [row["state"] for row in query(client, "segments", where={"job": "j"})[0]] == [row["state"] for row in some]


def test_a_job_without_segments_or_words() -> None:
    """Also a job of which there is nothing comes back."""
    stage, client = stage_for()
    told = record(state="failed", code="empty_text", rate=0)
    assert bring(client, told=told, found=[("text", b"")]).outcome == "imported"
    assert stage.store.jobs[1000, "j"].texts == (b"",)


def test_a_job_whose_audio_is_missing() -> None:
    """It is in the history without its audio, and says so to whoever wants to hear it; nothing is in a journal."""
    stage, client = stage_for()
    assert bring(client, told=record(*THREE, audio="missing"), found=pieces(silent=True)).outcome == "imported"
    assert stage.journals == {} and stage.core.world.disk == 0
    assert stage.store.jobs[1000, "j"].audio == "missing"
    client.attach("j")
    assert client.got(Error)[-1].code == "gone"


def test_what_is_there_is_left_alone() -> None:
    """A job of that name, running, over, or deleted not long ago, is not touched, and nothing is asked for but its
    record; another user's job is none of that name."""
    stage, client = stage_for()
    worker = stage.worker()
    client.submit("here", TEXT)
    assert begin(client, "here").outcome == "exists"
    speak_all(worker)
    assert begin(client, "here").outcome == "exists"
    stage.core.world.jobs.clear()
    stage.core.world.finished.clear()
    assert begin(client, "here").outcome == "exists"
    assert bring(stage.client(1001), "here").outcome == "imported"
    assert bring(client, "gone").outcome == "imported"
    client.say(Delete(job="gone"))
    assert client.got(Deleted) and begin(client, "gone").outcome == "deleted"
    assert (1000, "gone") not in stage.store.jobs and stage.core.world.imports == {}


def test_what_came_to_be_meanwhile_wins() -> None:
    """Whether a name is taken is asked of the commit: what was brought then leaves nothing behind."""
    stage, client = stage_for()
    other = stage.client()
    answers = [begin(client), begin(other)]
    assert [type(answer) for answer in answers] == [Deposited, Deposited]
    for n, (kind, body) in enumerate(pieces()):
        for each in (client, other):
            each.say(Deposit(job="j", n=n, kind=kind, last=n == len(pieces()) - 1), body)
    assert [each.last(Imported).outcome for each in (client, other)] == ["imported", "exists"]
    assert len(stage.journals) == 1 and stage.core.world.disk == stage.store.jobs[1000, "j"].ended.disk  # type: ignore[union-attr]


def test_a_submit_of_the_same_name_meanwhile() -> None:
    """A job that is submitted under the name while the other is on its way is accepted; the other is not."""
    stage, client = stage_for()
    worker = stage.worker()
    begin(client)
    stage.client().submit("j", "Hello.")
    speak_all(worker)
    for n, (kind, body) in enumerate(pieces()):
        client.say(Deposit(job="j", n=n, kind=kind, last=n == len(pieces()) - 1), body)
    assert client.last(Imported).outcome == "exists"
    assert stage.store.jobs[1000, "j"].texts == (b"Hello.",)


def test_said_again_it_is_answered_again() -> None:
    """Each message may be repeated: pieces are counted, and none is taken twice."""
    stage, client = stage_for()
    stage.hold_answers = True
    told = codec.encode(record(*THREE))
    client.say(Import(job="j"), told)
    client.say(Import(job="j"), told)
    stage.hold_answers = False
    stage.answer()
    stage.run()
    assert client.got(Deposited) == [Deposited(job="j", epoch="e1")]
    every = pieces()
    for n, (kind, body) in enumerate(every[:-1]):
        client.say(Deposit(job="j", n=n, kind=kind), body)
        client.say(Deposit(job="j", n=n, kind=kind), body)
        assert [m.n for m in client.got(Deposited)[-2:]] == [n + 1, n + 1]
    stage.hold_commits = True
    last = Deposit(job="j", n=len(every) - 1, kind=every[-1][0], last=True)
    client.say(last, every[-1][1])
    client.say(last, every[-1][1])
    assert client.got(Imported) == [] and len(client.got(Deposited)) == 2 * len(every) - 1
    stage.let_go()
    assert [m.outcome for m in client.got(Imported)] == ["imported"]


def test_a_piece_is_answered_when_its_take_is_written() -> None:
    """Audio is acknowledged behind the journal, and a repetition in between is not; the next piece may come ahead."""
    stage, client = stage_for()
    begin(client)
    every = pieces(run=1000)
    client.say(Deposit(job="j", n=0), every[0][1])
    client.say(Deposit(job="j", n=1, kind="segment"), every[1][1])
    stage.hold_writes = True
    client.say(Deposit(job="j", n=2, kind="audio"), every[2][1])
    client.say(Deposit(job="j", n=2, kind="audio"), every[2][1])
    client.say(Deposit(job="j", n=3, kind="segment"), every[3][1])
    assert client.last(Deposited).n == 2
    stage.write()
    assert client.last(Deposited).n == 4


def test_pieces_out_of_turn() -> None:
    """A piece that leaves a gap is refused, as is one of a job that is not being brought over this connection."""
    stage, client = stage_for()
    client.say(Deposit(job="j"), b"x")
    assert client.last(Error).code == "not_importing"
    begin(client)
    client.say(Deposit(job="k"), b"x")
    assert client.last(Error).code == "not_importing"
    client.say(Deposit(job="j", n=1), b"x")
    assert (client.last(Error).code, client.last(Error).answers) == ("out_of_order", "deposit")
    other = stage.client()
    other.say(Deposit(job="j"), b"x")
    assert other.last(Error).code == "not_importing"


def wrong(**changes: Any) -> tuple[dict[str, Any], ...]:
    return (segment(0, **changes), *THREE[1:])


@pytest.mark.parametrize(
    ("told", "found", "why"),
    [
        ({}, [("text", b"\xff")], "UTF-8"),
        ({}, [*pieces()[:2], ("text", b"x")], "before the segments"),
        ({}, [("segment", b"\xc1")], "Segment 0"),
        ({}, [("audio", b"\0\0")], "no segment"),
        ({}, pieces((THREE[1],)), "0 of 3 have come"),
        ({}, [*pieces()[:2], ("segment", codec.encode(THREE[1]))], "not come to its end"),
        ({"segments": 0}, pieces(), "0 of 0 have come"),
        ({}, pieces(wrong(length=0)), "place in the text"),
        ({}, pieces((THREE[0], segment(1, start=3))), "place in the text"),
        ({}, pieces(THREE, "One. Two."), "place in the text"),
        ({}, pieces(wrong(state="unmade")), "not whole and has audio"),
        ({}, pieces(wrong(state="unmade", samples=0)), "before it has no audio"),
        ({}, pieces(wrong(attempt="")), "no name of its own"),
        ({}, pieces((THREE[0], segment(1, attempt="old.0"))), "no name of its own"),
        ({"samples": 100}, pieces(), "more audio than the record says"),
        ({"samples": 10**7}, pieces(wrong(samples=10**7)), "too long to be taken in"),
        ({}, pieces(wrong(marks=[["word", 0, 2, 3]])), "outside of it"),
        ({}, [*pieces()[:2], ("audio", b"\0")], "longer than the record says"),
        ({}, [*pieces()[:2], ("audio", bytes(202))], "longer than the record says"),
        ({}, pieces()[:-1], "3 segments with 303 samples"),
        ({}, pieces(THREE[:2]), "2 segments with 201 samples"),
        ({"skipped": 1}, pieces(), "0 segments were left out"),
        ({"skipped": 4, "state": "failed"}, pieces(), "0 segments were left out"),
        ({"samples": 400}, pieces(), "3 segments with 303 samples"),
        ({}, pieces((*THREE[:2], segment(2, state="unmade", samples=0))), "never said"),
    ],
)
def test_what_cannot_be_is_refused(told: dict[str, Any], found: Any, why: str) -> None:
    """A job that no daemon could have made is refused with the reason, and nothing of it stays."""
    stage, client = stage_for(memory_bytes=100_000)
    told = {**record(*THREE), **told}
    if why == "never said":
        told["samples"] = 201
    answer = bring(client, told=told, found=found)
    assert type(answer) is Error and answer.code == "invalid" and why in answer.message, answer
    nothing_left(stage)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"state": "running"}, "invalid"),
        ({"rate": 0}, "invalid"),
        ({"segments": importing.SEGMENTS + 1}, "too_long"),
        ({"samples": 10**9}, "queue_full"),
    ],
)
def test_records_that_are_refused(told: dict[str, Any], code: str) -> None:
    """What cannot be taken in is refused before anything of it is sent."""
    stage, client = stage_for(disk_bytes=10**9)
    answer = begin(client, told={**record(*THREE), **told})
    assert (type(answer), answer.code, answer.job) == (Error, code, "j")
    nothing_left(stage)


def test_when_nothing_is_taken_in() -> None:
    """A wrong name, a daemon that keeps nothing, is stopping, or whose store has too much to do: each says so."""
    stage, client = stage_for()
    assert begin(client, "a/b").code == "invalid"
    stage.core.world.durable = False
    assert begin(client).code == "storage"
    stage.core.world.durable = True
    stage.hold_commits = True
    stage.client().submit("k", TEXT)
    stage.pass_time(2.0)
    assert begin(client).code == "storage"
    stage.let_go()
    stage.hold_answers = True
    for n in range(asking.QUESTIONS):
        client.say(Query(request=f"q{n}", what="history"))
    assert begin(client).code == "queue_full"
    stage.hold_answers = False
    stage.answer()
    begin(client)
    stage.core.terminate(stage.now)
    stage.run()
    assert client.last(Error).code == "unavailable" and stage.core.world.imports == {}
    assert begin(client).code == "unavailable"


def test_a_store_that_cannot_be_asked() -> None:
    """Whether there is such a job is not guessed."""
    stage, client = stage_for()
    stage.hold_answers = True
    begin(client)
    (asked,) = stage.asked
    stage.core.found(Found(asked.ticket, reason="the disk failed"), stage.now)
    stage.run()
    assert client.last(Error).code == "storage" and "the disk failed" in client.last(Error).message
    assert client.last(Error).answers == "import"
    nothing_left(stage)


def test_an_answer_that_nobody_waits_for() -> None:
    """Whoever left before the store had answered is not missed."""
    stage, client = stage_for()
    stage.hold_answers = True
    begin(client)
    client.say(Bye())
    stage.answer()
    nothing_left(stage)


def test_texts_have_their_limits() -> None:
    """A text over its limit, and one that with all others would be over theirs, is refused."""
    stage, client = stage_for(text_bytes=10)
    assert bring(client).code == "too_long"
    nothing_left(stage)
    stage, client = stage_for(texts_bytes=10)
    assert bring(client).code == "queue_full"
    nothing_left(stage)


def test_audio_on_its_way_counts_as_memory() -> None:
    """Where memory is short, a take is refused for now."""
    stage, client = stage_for(memory_bytes=1000)
    worker = stage.worker()
    other = stage.client()
    other.submit("k", TEXT, credit=0, keep="nothing")
    worker.begin(worker.current)
    worker.chunk(worker.current, 450)
    assert bring(client).code == "queue_full"
    assert stage.core.world.memory == 900


def test_nobody_brings_more_than_the_disk_may_hold() -> None:
    """The limit of the disk, and that of a user, hold for what is brought as for what is made; checked for each take,
    since several may bring at a time."""
    stage, client = stage_for(disk_bytes_per_user=1100)
    one, other = stage.client(), stage.client(1001)
    assert type(begin(one)) is type(begin(client)) is Deposited
    assert bring(other).outcome == "imported"
    for each in (one, client):
        for n, (kind, body) in enumerate(pieces()):
            each.say(Deposit(job="j", n=n, kind=kind, last=n == len(pieces()) - 1), body)
    assert one.last(Imported).outcome == "imported"
    assert client.got(Error)[0].code == "queue_full" and client.got(Imported) == []
    assert stage.core.world.disk_of[1000] == stage.store.jobs[1000, "j"].ended.disk  # type: ignore[union-attr]


def test_a_disk_that_is_full() -> None:
    """A take that cannot be written ends the import by that name, and what was written of it goes."""
    stage, client = stage_for()
    begin(client)
    every = pieces(run=1000)
    for n in range(3):
        client.say(Deposit(job="j", n=n, kind=every[n][0]), every[n][1])
    stage.disk_full = True
    for n in range(3, 5):
        client.say(Deposit(job="j", n=n, kind=every[n][0]), every[n][1])
    assert client.last(Error).code == "disk_full"
    nothing_left(stage)


def test_a_disk_that_does_not_keep_up() -> None:
    """Where too much is written that is not on the disk yet, the next piece is not asked for until it is; a journal
    that cannot be brought there ends its import."""
    for reason in ("", "the disk failed"):
        stage, client = stage_for(unsynced_bytes=100)
        stage.hold_syncs = True
        begin(client)
        every = pieces(run=1000)
        for n in range(3):
            client.say(Deposit(job="j", n=n, kind=every[n][0]), every[n][1])
        client.say(Deposit(job="j", n=2, kind=every[2][0]), every[2][1])
        assert client.last(Deposited).n == 2
        other = stage.client()
        assert type(begin(other, "k")) is Deposited
        other.say(Deposit(job="k"), b"One.")
        other.say(Deposit(job="k"), b"One.")
        assert other.last(Deposited).n == 0
        begin(stage.client(), "l")
        stage.sync(reason)
        assert other.last(Deposited).n == 1
        if reason:
            assert client.last(Error).code == "storage" and stage.journals == {}
        else:
            assert client.last(Deposited).n == 3
        assert stage.core.world.unsynced_bytes == 0


def test_a_journal_that_reaches_the_disk_when_all_has_come() -> None:
    """What is being written down already waits for nothing else; the store syncs its journal itself."""
    stage, client = stage_for(unsynced_bytes=1000)
    stage.hold_syncs = stage.hold_commits = True
    bring(client)
    stage.sync()
    assert client.got(Imported) == [] and stage.core.world.unsynced_bytes > 0
    stage.let_go()
    assert client.last(Imported).outcome == "imported" and stage.core.world.unsynced_bytes == 0


def test_a_record_that_cannot_be_written() -> None:
    """The sender hears why; nothing of the job stays."""
    stage, client = stage_for()
    stage.commits_fail = "the disk is full"
    answer = bring(client)
    assert answer.code == "storage" and "the disk is full" in answer.message
    nothing_left(stage)


def test_whoever_leaves_in_the_middle_leaves_nothing() -> None:
    """A client that goes, falls silent, or begins with another job leaves nothing of the one it was bringing, also of
    the takes that are just being written."""
    for leaving in ("bye", "silence", "another", "writing"):
        stage, client = stage_for()
        begin(client)
        every = pieces(run=1000)
        if leaving == "writing":
            stage.hold_writes = True
        for n in range(4):
            client.say(Deposit(job="j", n=n, kind=every[n][0]), every[n][1])
        assert stage.core.world.memory == (200 if leaving == "writing" else 0)
        if leaving == "silence":
            stage.live(32)
        elif leaving == "another":
            assert begin(client, "a/b").code == "invalid"
        else:
            client.say(Bye())
        if leaving == "writing":
            stage.journals.clear()  # the write comes before the removal
            unwritten, stage.unwritten = stage.unwritten, []
            stage.core.take_written(unwritten[0].log, unwritten[0].take, 0, 0, stage.now)
            stage.core.take_lost(unwritten[0].log, unwritten[0].take, "too late", stage.now)
            stage.run()
        nothing_left(stage)


def test_a_machine_that_slept_drops_nobody() -> None:
    """The daemon's own lateness is not the sender's silence."""
    stage, client = stage_for()
    begin(client)
    stage.now += 100.0
    stage.core.late(100.0, stage.now)
    client.hello()
    stage.pass_time(2.0)
    client.say(Deposit(job="j"), TEXT.encode())
    assert client.last(Deposited).n == 1


def test_whoever_leaves_before_the_answer_has_brought_it() -> None:
    """A record that is being written down is not taken back; bringing the job again finds it."""
    stage, client = stage_for()
    stage.hold_commits = True
    bring(client)
    client.say(Bye())
    stage.pass_time(40.0, step=1.0)
    stage.core.terminate(stage.now)
    stage.hold_commits = False
    stage.let_go()
    assert (1000, "j") in stage.store.jobs and len(stage.journals) == 1
    assert stage.core.world.arriving == {} and stage.core.world.text_chars == 0
    later = stage.reborn()
    client = later.client()
    assert begin(client).outcome == "exists"
    client.attach("j")
    assert heard(client) == 303


def test_a_daemon_that_dies_in_the_middle_leaves_a_journal_of_nobody() -> None:
    """The next daemon knows nothing of the job, and takes it in from its beginning."""
    stage, client = stage_for()
    begin(client)
    every = pieces(run=1000)
    for n in range(4):
        client.say(Deposit(job="j", n=n, kind=every[n][0]), every[n][1])
    assert len(stage.journals) == 1
    later = stage.reborn()
    client = later.client()
    client.say(Deposit(job="j", n=4, kind="audio"), every[4][1])
    assert client.last(Error).code == "not_importing"
    assert later.store.jobs == {} and later.core.world.disk == 0
    assert bring(client).outcome == "imported"


def test_stopping_waits_for_what_is_being_written_down() -> None:
    """A daemon that is told to stop between the last piece and its commit answers before it leaves."""
    stage, client = stage_for()
    stage.hold_commits = True
    bring(client)
    stage.core.terminate(stage.now)
    stage.run()
    assert client.got(Error) == []
    stage.let_go()
    assert client.last(Imported).outcome == "imported"


def test_it_is_packed_like_any_other() -> None:
    """Audio that was brought is packed in its time, and read again."""
    stage = Stage(settings(), durable=True)
    client = stage.client()
    stage.store.now = stage.now
    assert bring(client, told=record(*THREE, created=0.0, finished=0.0)).outcome == "imported"
    wait(stage)
    assert stage.store.jobs[1000, "j"].audio == "packed" and stage.journals == {}
    client.attach("j", credit=UNLIMITED)
    assert client.got(Attached) and heard(client) == 303


def test_a_take_of_no_length() -> None:
    """A sentence whose take has no samples has its place all the same."""
    _, client = stage_for()
    some = (segment(0, samples=0, marks=[]), *THREE[1:])
    found = [piece for piece in pieces(some) if piece[1]]
    assert bring(client, told=record(*some), found=found).outcome == "imported"
    client.attach("j")
    assert heard(client) == 203
