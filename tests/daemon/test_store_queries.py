"""What is asked of the store: lists, searches and texts, in pages, each uid its own."""

from __future__ import annotations

import datetime as dt
import threading
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebus.bus.codec import BODY_BYTES, encode
from voicebus.bus.messages import Choice, Style
from voicebus.daemon import store_reader
from voicebus.daemon.core.records import JobDeleted, JobPacked, JobPinned, TextAdded, Wanted
from voicebus.daemon.store_words import match

from .stores import Desk, ended, saved


@pytest.fixture
def desk(tmp_path):
    """A store in an empty directory."""
    desk = Desk(tmp_path / "jobs.db")
    yield desk
    desk.store.close()


def fill(desk, *texts, **fields):
    """Jobs that are over, one for each text; the first is number 1."""
    for number, text in enumerate(texts, 1):
        assert desk.commit(saved(number, text, **fields), ended(number)) == ["done", "done"]


def names(found):
    """The jobs of a page."""
    assert found.reason == ""
    return [row["job"] for row in found.rows]


def pages(desk, limit, **where):
    """All pages of a list."""
    found = [desk.history(limit=limit, **where)]
    while found[-1].following:
        found.append(desk.history(limit=limit, cursor=found[-1].following, **where))
    return [names(page) for page in found]


def test_a_row_tells_what_there_is_to_know_of_a_job(desk):
    """A row of the history has the job's end, dates, sizes, speakers and the begin of its text."""
    desk.commit(saved(1, "x" * 500, keep="job"))
    desk.clock.now += 60
    desk.commit(ended(1, "failed", code="silent", skipped=1), JobPinned(1000, "job-1", pinned=True))
    [row] = desk.history().rows
    speakers = [{"provider": "espeak", "version": "1.52", "voice": "en", "segments": 1}]
    begin = {
        "job": "job-1",
        "state": "failed",
        "code": "silent",
        "created": desk.clock.now - 60,
        "finished": desk.clock.now,
    }
    size = {"samples": 1000, "rate": 22050, "segments": 1, "skipped": 1, "bytes": 2100}
    rest = {"speakers": speakers, "language": "en", "keep": "job", "pinned": True, "audio": "kept", "text": "x" * 200}
    assert row == begin | size | rest
    encode(row)


def test_the_history_is_what_is_over_newest_first_and_ones_own(desk):
    """Jobs that run are not in it, and nobody sees another uid's."""
    fill(desk, "one", "two", "three")
    desk.commit(saved(4), saved(5, uid=7), ended(5))
    assert names(desk.history()) == ["job-3", "job-2", "job-1"]
    assert names(desk.history(uid=7)) == ["job-5"]
    assert names(desk.history(uid=7, text="two")) == []


@pytest.mark.parametrize("where", [{}, {"text": "word"}, {"text": "word", "sort": "best"}, {"voice": "en"}])
def test_pages_follow_each_other(desk, where):
    """The pages of a list are the whole list, each row once."""
    fill(desk, *["word"] * 7)
    assert pages(desk, 3, **where) == [["job-7", "job-6", "job-5"], ["job-4", "job-3", "job-2"], ["job-1"]]


def test_a_page_goes_on_where_the_last_one_ended_whatever_came_between(desk):
    """New jobs do not push old ones onto the next page again."""
    fill(desk, "a", "b", "c", "d")
    first = desk.history(limit=2)
    desk.commit(saved(9), ended(9))
    assert names(desk.history(limit=2, cursor=first.following)) == ["job-2", "job-1"]


def test_a_page_fits_into_a_body(desk):
    """Rows that are long come fewer on a page."""
    many = tuple({"provider": "p" * 200, "version": "v" * 200, "voice": f"{n}", "segments": 1} for n in range(300))
    for number in range(1, 13):
        desk.commit(saved(number), ended(number, speakers=many))
    found = desk.history()
    assert 1 < len(found.rows) < 12
    assert len(encode(list(found.rows))) <= BODY_BYTES
    assert len(names(desk.history(cursor=found.following))) + len(found.rows) == 12


def test_a_list_is_narrowed(desk):
    """By who spoke, how it ended, what is kept, what is pinned and when."""
    other = ({"provider": "tone", "version": "1", "voice": "high", "segments": 1},)
    both = ({"provider": "espeak", "version": "1", "voice": "high", "segments": 1}, *other)
    desk.clock.now = dt.datetime(2026, 1, 30, 12).timestamp()  # noqa: DTZ001 - a date without a zone is this machine's
    desk.commit(saved(1), ended(1))
    desk.clock.now += 86400
    desk.commit(saved(2), ended(2, "failed", speakers=other), saved(3, keep="job"), ended(3, speakers=both))
    desk.commit(JobPinned(1000, "job-2", pinned=True))
    assert names(desk.history(voice="high")) == ["job-3", "job-2"]
    assert names(desk.history(provider="espeak")) == ["job-3", "job-1"]
    assert names(desk.history(voice="high", provider="espeak")) == ["job-3"]
    assert names(desk.history(state="failed")) == ["job-2"]
    assert names(desk.history(keep="job")) == ["job-3"]
    assert (names(desk.history(pinned="yes")), names(desk.history(pinned="0"))) == (["job-2"], ["job-3", "job-1"])
    assert names(desk.history(since="2026-01-31")) == ["job-3", "job-2"]
    assert names(desk.history(until="2026-01-30")) == ["job-1"]
    assert names(desk.history(since=str(desk.clock.now))) == ["job-3", "job-2"]
    assert names(desk.history(since="2026-01-31T12:00:01")) == []
    assert names(desk.history(text="words", voice="high", state="failed")) == ["job-2"]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (
            {"mood": "x"},
            "The history cannot be narrowed by 'mood'; it can by text, sort, voice, provider, state, since",
        ),
        ({"since": "yesterday"}, "since is a date such as 2026-01-31 or 2026-01-31T18:30, not 'yesterday'."),
        ({"pinned": "maybe"}, "pinned is 'yes' or 'no', not 'maybe'."),
        ({"text": "x", "sort": "size"}, "The history is sorted by 'newest' or 'best', not by 'size'."),
        ({"text": " -- !"}, "There is no word in what is searched for."),
    ],
)
def test_a_question_that_makes_no_sense_is_told_why(desk, where, reason):
    """Whoever asks learns what is wrong with it."""
    assert desk.history(**where).reason.startswith(reason)


@pytest.mark.parametrize("cursor", ["x", "n", "b1", "n-1", "n１", "n" + "9" * 40, "n1;"])
def test_a_cursor_is_one_of_a_page_before(desk, cursor):
    """What is no cursor is refused."""
    assert desk.history(cursor=cursor).reason == "That is not a cursor of a page before."


def test_a_search_finds_words(desk):
    """All words must be there, in any order and case, without accents; the last one may be the begin of one."""
    fill(desk, "The quick brown fox", "A quick question", "Ein Gruß aus Köln", "don't stop")
    assert names(desk.history(text="quick")) == ["job-2", "job-1"]
    assert names(desk.history(text="FOX Quick")) == ["job-1"]
    assert names(desk.history(text="quick quest")) == ["job-2"]
    assert names(desk.history(text="quest quick")) == []
    assert names(desk.history(text="koln")) == ["job-3"]
    assert names(desk.history(text="don't")) == ["job-4"]
    assert names(desk.history(text="nothing")) == []


def test_a_search_finds_words_in_scripts_without_spaces(desk):
    """A run of Han, kana or Thai is found wherever it stands."""
    fill(desk, "今日は良い天気ですね。", "我想学习中文", "สวัสดีครับ", "天の気")
    assert names(desk.history(text="天気")) == ["job-1"]
    assert names(desk.history(text="学习")) == ["job-2"]
    assert names(desk.history(text="ครับ")) == ["job-3"]
    assert names(desk.history(text="天")) == ["job-4", "job-1"]


def test_a_search_may_put_the_best_first(desk):
    """Sorted by 'best', a short text full of the word stands before a long one that has it once."""
    fill(desk, "fox fox fox", "a very long text " * 20 + "fox", "hen")
    assert names(desk.history(text="fox", sort="best")) == ["job-1", "job-2"]
    assert names(desk.history(text="fox")) == ["job-2", "job-1"]


def test_words_of_the_query_language_are_words(desk):
    """What means something to the search engine is searched for like anything else."""
    fill(desk, "this or that", "near and far", 'say "hello" text:x')
    assert names(desk.history(text="OR")) == ["job-1"]
    assert names(desk.history(text="NEAR AND")) == ["job-2"]
    assert names(desk.history(text='"hello"')) == ["job-3"]
    assert names(desk.history(text='hello" OR "this')) == []
    assert names(desk.history(text="text:x")) == ["job-3"]


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from('"*^():-+{} ANDORNEAR\0'), max_size=40)
)
def test_whatever_is_typed_is_no_error(memory_index, typed):
    """Any text at all can be searched for."""
    if found := match(typed):
        memory_index.execute("SELECT rowid FROM words WHERE words MATCH ?", (found,)).fetchall()


@pytest.fixture(scope="module")
def memory_index():
    """A search index with a text in it."""
    import apsw

    from voicebus.daemon.store_schema import FIRST

    db = apsw.Connection(":memory:")
    db.execute(FIRST).fetchall()
    db.execute("INSERT INTO words (rowid, text) VALUES (1, 'some words and or near')")
    return db


def test_a_text_comes_in_pages(desk):
    """The pieces of a text, put together, are the text, however long it is; a page fits into a body."""
    texts = ["äöü世" * 200_000, "short", "", "😀" * 262_144, "end"]
    desk.commit(saved(1, texts[0], complete=False))
    desk.commit(*(TextAdded(1, n, text.encode()) for n, text in enumerate(texts[1:], 1)))
    rows, cursor, count = [], "", 0
    while cursor or not rows:
        found = desk.ask(Wanted("text", 1000, "job-1", cursor=cursor))
        assert found.reason == ""
        assert len(encode(list(found.rows))) <= BODY_BYTES
        rows += found.rows
        cursor = found.following
        count += 1
    assert count > 2
    assert "".join(row["text"] for row in rows) == "".join(texts)
    assert ["".join(row["text"] for row in rows if row["n"] == n) for n in range(5)] == texts


def test_many_pieces_come_in_pages_too(desk):
    """A page has no more rows than were asked for."""
    desk.commit(saved(1, "0 ", complete=False), *(TextAdded(1, n, f"{n} ".encode()) for n in range(1, 12)))
    first = desk.ask(Wanted("text", 1000, "job-1", limit=10))
    second = desk.ask(Wanted("text", 1000, "job-1", limit=10, cursor=first.following))
    assert ([len(first.rows), len(second.rows)], second.following) == ([10, 2], "")
    assert "".join(row["text"] for row in first.rows + second.rows) == " ".join(map(str, range(12))) + " "


def test_a_text_that_is_not_there_is_told_why(desk):
    """An unknown job and another uid's are the same; a deleted one is told as such."""
    fill(desk, "one")
    assert desk.ask(Wanted("text", 1000, "none")).reason == "There is no job 'none'."
    assert desk.ask(Wanted("text", 7, "job-1")).reason == "There is no job 'job-1'."
    assert desk.ask(Wanted("text", 1000, "job-1", cursor="tx")).reason == "That is not a cursor of a page before."
    desk.commit(JobDeleted(1000, "job-1"))
    assert desk.ask(Wanted("text", 1000, "job-1")).deleted


def test_a_read_that_takes_too_long_is_ended(desk, monkeypatch):
    """A question has a time; past it the asker is told, and the next question is answered."""
    fill(desk, *["word"] * 50)
    reader = desk.store._reader
    monkeypatch.setattr(store_reader, "_STEPS", 1)
    reader._forget()
    reader._read_s = -1.0
    assert desk.history(text="word", sort="best").reason.startswith("it took too long: ask for less")
    reader._read_s = 2.0
    assert len(names(desk.history())) == 50


def test_a_question_that_was_in_the_way_is_asked_again(desk, monkeypatch):
    """A read that the storage thread ends for a deletion costs the asker nothing but time."""
    fill(desk, "one", "two")
    begun = threading.Event()
    asked = []

    def held(db, ticket, wanted):
        asked.append(ticket)
        if len(asked) == 1:
            db.execute("SELECT count(*) FROM jobs").fetchall()
            begun.set()
            db.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
            ).fetchall()
        return real(db, ticket, wanted)

    real = store_reader.answer
    monkeypatch.setattr(store_reader, "answer", held)
    desk.store._reader._read_s = 1000.0
    desk.store.ask(1000, Wanted("history", 1000))
    assert begun.wait(20)
    assert desk.commit(JobDeleted(1000, "job-1")) == ["done"]
    assert (names(desk.found(1000)), asked) == (["job-2"], [1000, 1000])


def test_questions_do_not_hold_up_commits(desk, monkeypatch):
    """While a question is being answered, commits are made."""
    fill(desk, "one")
    begun, go = threading.Event(), threading.Event()

    def slow(db, ticket, wanted):
        db.execute("SELECT count(*) FROM jobs").fetchall()
        begun.set()
        assert go.wait(20)
        return real(db, ticket, wanted)

    real = store_reader.answer
    monkeypatch.setattr(store_reader, "answer", slow)
    desk.store.ask(1000, Wanted("history", 1000))
    assert begun.wait(20)
    assert desk.commit(saved(2), ended(2)) == ["done", "done"]
    go.set()
    # Of one moment: what was committed meanwhile is not in it.
    assert names(desk.found(1000)) == ["job-1"]


def test_one_job_by_its_name(desk):
    """A job that is asked for by name tells how it ended and what was asked for, with the seed that was used."""
    how = {"style": Style(rate=1.5, options={"x": 1}), "chain": [Choice("espeak", "en")], "rate": 8000}
    end = ended(1, code="incomplete", message="One was left out.", trail=("crash",))
    desk.commit(saved(1, skip_bad=True, **how), end, saved(2, seed=7), ended(2))
    [row] = desk.history(job="job-1").rows
    assert (row["job"], row["message"], row["trail"]) == ("job-1", "One was left out.", ["crash"])
    request = row["request"]
    assert request["chain"] == [{"provider": "espeak", "voice": "en"}]
    assert (request["rate"], request["language"], request["skip_bad"]) == (8000, "en", True)
    assert (request["style"]["rate"], request["style"]["options"]) == (1.5, {"x": 1})
    assert (request["seed"], row["seed"]) == (None, crc32(b"log-1") & 0x7FFFFFFF)
    [row] = desk.history(job="job-2").rows
    assert (row["request"]["seed"], row["seed"]) == (7, 7)
    assert desk.history(job="x").rows == ()
    assert desk.ask(Wanted("text", 1000, "x")).code == "not_found"


def plain(desk, cursor=0, limit=10, age_s=0.0):
    """What is named to be packed."""
    return desk.ask(Wanted("plain", 0, where={"age_s": str(age_s)}, cursor=str(cursor), limit=limit)).rows


def test_what_is_not_packed_is_named_in_order(desk):
    """Jobs of anybody that are over and have audio are named until they are packed; packing says how large they are
    then, brings the name of the file to the disk, and is done once."""
    desk.commit(*(saved(n, uid=1000 + n % 2) for n in range(1, 6)))
    desk.commit(ended(1), ended(2, samples=0), ended(3), ended(4))
    assert [(row["order"], row["uid"], row["log"], row["disk"]) for row in plain(desk)] == [
        (1, 1001, "log-1", 2100),
        (3, 1001, "log-3", 2100),
        (4, 1000, "log-4", 2100),
    ]
    assert [row["order"] for row in plain(desk, cursor=1, limit=1)] == [3]
    assert plain(desk, age_s=10**10) == ()
    assert desk.commit(JobPacked(3, "log-3", 700), JobPacked(3, "log-3", 700)) == ["done", "missing"]
    assert desk.commit(JobPacked(5, "log-5", 700), JobPacked(9, "log-9", 700)) == ["missing", "missing"]
    assert desk.synced.names[-4:-2] == ["log-3", "log-3"]
    assert [row["order"] for row in plain(desk)] == [1, 4]
    saved_job = desk.job("job-3", uid=1001).saved
    assert (saved_job.audio, saved_job.ended.disk) == ("packed", 700)
    [row] = [row for row in desk.history(uid=1001).rows if row["job"] == "job-3"]
    assert (row["audio"], row["bytes"]) == ("packed", 700)
    assert desk.store.logs()["log-3"] == "packed"
    assert desk.store.audio_bytes() == {1001: 2800, 1000: 4200}
