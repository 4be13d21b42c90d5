"""The history, as clients with and without asyncio ask for it, against a scripted daemon on a real socket."""

import asyncio
import datetime as dt

import pytest

from voicebus.bus import codec
from voicebus.bus.errors import InvalidRequest, NotFound
from voicebus.bus.messages import Choice, Delete, Deleted, Error, Page, Pin, Pinned, Query, Submit
from voicebus.clients.aio import AsyncClient
from voicebus.clients.history import options_again, where
from voicebus.clients.sync import Client

REQUEST = {
    "chain": [{"provider": "tone", "voice": "a"}, {"provider": "", "voice": "b"}],
    "language": "de",
    "ssml": False,
    "rate": 16000,
    "style": {"rate": 1.5, "pitch": 1.0, "volume": 1.0, "punctuation": "", "instruct": "", "options": {"x": 1}},
    "priority": "message",
    "pace": "render",
    "keep": "history",
    "patience_s": 3.0,
    "seed": 7,
    "skip_bad": True,
}
ROW = {"job": "j", "speakers": [], "request": REQUEST}


@pytest.fixture
def client(daemon):
    with Client(endpoint=daemon.endpoint) as client:
        yield client


def listing(daemon, pages):
    """Let the daemon answer lists with these pages, by list; returns what was asked for."""
    asked = []

    def answer(peer, message, body):
        asked.append(message)
        rows = pages[message.what]
        at = int(message.cursor or 0)
        following = str(at + 1) if at + 1 < len(rows) else ""
        page = rows[at][: message.limit]
        daemon.send(peer, Page(request=message.request, what=message.what, next=following), codec.encode(page))

    daemon.on[Query] = answer
    return asked


def test_pages_are_fetched_as_they_are_read(client, daemon) -> None:
    """Rows come page by page, no further than is read nor more than are wanted."""
    asked = listing(daemon, {"history": [[{"job": "c"}, {"job": "b"}], [{"job": "a"}]]})
    rows = client.history(text="two words", provider="tone", pinned=False)
    assert next(rows)["job"] == "c" and len(asked) == 1
    assert [row["job"] for row in rows] == ["b", "a"]
    assert asked[0].where == {"text": "two words", "provider": "tone", "pinned": "no"}
    assert [row["job"] for row in client.history(limit=2)] == ["c", "b"]
    assert len(asked) == 3 and asked[-1].limit == 2
    assert list(client.history(limit=0)) == [] and len(asked) == 3


def test_filters_in_the_words_of_the_wire() -> None:
    """Dates come as days, moments and numbers; what is left out is not asked for; what nobody knows is an error."""
    noon = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    asked = where({"since": dt.date(2026, 1, 31), "until": noon, "voice": None, "pinned": True})
    assert asked == {"since": "2026-01-31", "until": "1769860800.0", "pinned": "yes"}
    assert where({"since": 12, "until": "2026-02-01"}) == {"since": "12.0", "until": "2026-02-01"}
    with pytest.raises(TypeError, match="no filter 'words'"):
        where({"words": "x"})
    with pytest.raises(InvalidRequest, match="256"):
        where({"text": "x" * 257})


def test_a_text_is_put_together(client, daemon) -> None:
    """The pieces of a text are one text again."""
    asked = listing(daemon, {"text": [[{"n": 0, "text": "One. "}], [{"n": 1, "text": "Two."}]]})
    assert client.text("j") == "One. Two."
    assert asked[0].where == {"job": "j"}


def test_deleting_and_pinning(client, daemon) -> None:
    """Both return when they are answered; what the daemon cannot do is raised."""
    daemon.on[Delete] = lambda peer, message, body: daemon.send(peer, Deleted(job=message.job))
    daemon.on[Pin] = lambda peer, message, body: daemon.send(peer, Pinned(job=message.job, pinned=message.pinned))
    client.delete("j")
    client.pin("j")
    client.pin("j", False)
    assert [daemon.expect(kind)[0].job for kind in (Delete, Pin)] == ["j", "j"]
    assert daemon.expect(Pin)[0].pinned is False
    daemon.on[Delete] = lambda peer, message, body: daemon.send(
        peer, Error(job=message.job, code="not_found", message="There is no job 'k'.")
    )
    with pytest.raises(NotFound):
        client.delete("k")


def test_said_again_as_it_was(client, daemon) -> None:
    """The new job has another name and the old text and parameters, seed included."""
    listing(daemon, {"history": [[ROW]], "text": [[{"n": 0, "text": "Hello."}]], "providers": [[]]})
    speech = client.say_again("j")
    submit, body = daemon.expect(Submit)
    assert body == b"Hello." and submit.job == speech.job != "j"
    assert submit.chain == [Choice("tone", "a"), Choice("", "b")]
    assert (submit.language, submit.rate, submit.seed, submit.keep) == ("de", 16000, 7, "history")
    assert (submit.style.rate, submit.style.options, submit.skip_bad) == (1.5, {"x": 1}, True)
    assert (submit.priority, submit.patience_s, submit.pace) == ("message", 3.0, "listen")


def test_said_again_in_another_way(client, daemon) -> None:
    """A change replaces what it names; a voice replaces everybody who was asked the first time."""
    listing(daemon, {"history": [[ROW]], "text": [[{"n": 0, "text": "Hello."}]], "providers": [[]]})
    client.say_again("j", voice="c", seed=9, rate=2.0, job="k")
    submit, _ = daemon.expect(Submit)
    assert (submit.job, submit.chain, submit.seed) == ("k", [Choice("", "c")], 9)
    assert (submit.style.rate, submit.language) == (2.0, "de")


def test_whoever_said_most_is_asked_again() -> None:
    """Where the first request named nobody, the same voice is that of who spoke then; where nobody did, it is left to
    the daemon."""
    speakers = [
        {"provider": "tone", "voice": "a", "version": "1", "segments": 1},
        {"provider": "espeak", "voice": "en", "version": "1", "segments": 3},
    ]
    row = {"job": "j", "speakers": speakers, "request": {**REQUEST, "chain": []}}
    assert options_again(row, {}, [])["chain"] == [("espeak", "en")]
    assert options_again({**row, "speakers": []}, {}, [])["chain"] == []


def test_the_seed_that_was_used_is_used_again() -> None:
    """Where none was asked for, the one that was used goes to whoever takes seeds; others would refuse it."""
    speakers = [{"provider": "tone", "voice": "a", "version": "1", "segments": 1}]
    row = {"job": "j", "speakers": speakers, "seed": 99, "request": {**REQUEST, "seed": None}}
    tone, deaf = ({"provider": "tone", "capabilities": {"seed": can}} for can in (True, False))
    assert options_again(row, {}, [tone])["seed"] == 99
    assert options_again(row, {}, [deaf])["seed"] is None
    assert options_again(row, {"seed": 3}, [tone])["seed"] == 3
    assert options_again({**row, "speakers": []}, {}, [tone])["seed"] is None


def test_what_is_not_in_the_history_is_not_said_again(client, daemon) -> None:
    """A job that nobody knows is NotFound, by its name."""
    listing(daemon, {"history": [[]]})
    with pytest.raises(NotFound, match="'x'"):
        client.say_again("x")


def test_the_same_with_asyncio(daemon) -> None:
    """AsyncClient can do all of it."""
    asked = listing(daemon, {"history": [[ROW, ROW], [ROW]], "text": [[{"n": 0, "text": "Hello."}]], "providers": [[]]})
    daemon.on[Delete] = lambda peer, message, body: daemon.send(peer, Deleted(job=message.job))
    daemon.on[Pin] = lambda peer, message, body: daemon.send(peer, Pinned(job=message.job, pinned=message.pinned))

    async def play():
        async with AsyncClient(endpoint=daemon.endpoint) as client:
            assert len([row async for row in client.history(voice="a")]) == 3
            assert len([row async for row in client.history(limit=1)]) == 1
            assert [row async for row in client.history(limit=0)] == []
            assert await client.text("j") == "Hello."
            await client.delete("j")
            await client.pin("j")
            speech = await client.say_again("j", pitch=1.5)
            return (await speech.wait()).state

    assert asyncio.run(play()) == "finished"
    assert asked[0].where == {"voice": "a"}
    assert daemon.expect(Submit)[0].style.pitch == 1.5
