"""`AsyncClient` against a scripted daemon on a real socket."""

import asyncio

import pytest

from voicebus.bus.errors import Disconnected, InvalidRequest, JobFailed, NotFound
from voicebus.bus.messages import Accepted, Attach, Bye, Cancel, Detach, End, Error, Submit, Terminal
from voicebus.clients.aio import AsyncClient
from voicebus.clients.events import Frame

from .scripted import RATE, expected_pcm


def run(daemon, body, **options):
    """Run a test's coroutine with an open client."""

    async def main():
        async with AsyncClient(endpoint=daemon.endpoint, **options) as client:
            await asyncio.wait_for(body(client), 20.0)

    asyncio.run(main())


async def sound(speech):
    return b"".join([bytes(event.pcm) async for event in speech if isinstance(event, Frame)])


def test_texts_are_heard(daemon) -> None:
    """A speech gives every sample once; several at the same time each give their own."""

    async def body(client):
        speeches = [await client.speak("Hello.") for _ in range(5)]
        assert await asyncio.gather(*map(sound, speeches)) == [expected_pcm(daemon.segments)] * 5
        assert speeches[0].result.samples == 7000
        assert [frame.end async for frame in (await client.speak("Hi.")).frames()][-1] == 7000

    run(daemon, body)


def test_text_from_an_asynchronous_iterator(daemon) -> None:
    """Pieces arrive in order, END behind them; a plain iterator will do as well."""

    async def words():
        for word in ["One ", "two ", "three."]:
            yield word
            await asyncio.sleep(0)

    async def body(client):
        for text in (words(), iter(["One ", "two ", "three."])):
            assert (await (await client.speak(text)).wait()).state == "finished"
            submit, _ = daemon.expect(Submit)
            daemon.expect(End)
            job = daemon.jobs[submit.job]
            assert b"".join(job.pieces[n] for n in sorted(job.pieces)) == b"One two three."

    run(daemon, body)


def test_an_iterator_that_breaks(daemon) -> None:
    """An exception in the caller's iterator cancels the job and is raised where the speech is read."""

    async def words():
        yield "One. "
        raise ZeroDivisionError

    async def body(client):
        with pytest.raises(ZeroDivisionError):
            await (await client.speak(words())).wait()
        daemon.expect(Cancel)

    run(daemon, body)


def test_mistakes_and_refusals(daemon) -> None:
    """What cannot be is raised by `speak` and `attach` themselves."""

    async def body(client):
        with pytest.raises(InvalidRequest):
            await client.speak("")
        with pytest.raises(InvalidRequest):
            await client.speak(iter(["<speak/>"]), ssml=True)
        daemon.on[Attach] = lambda peer, m, _: daemon.send(peer, Error(job=m.job, code="not_found", message="No."))
        with pytest.raises(NotFound):
            await client.attach("nothing")

    run(daemon, body)


def test_a_job_that_fails(daemon) -> None:
    """A failed job raises JobFailed at its end."""

    def fail(peer, message, _):
        daemon.send(peer, Accepted(job=message.job, rate=RATE, pieces=1))
        daemon.send(peer, Terminal(job=message.job, state="failed", code="crash", message="It crashed."))

    daemon.on[Submit] = fail

    async def body(client):
        with pytest.raises(JobFailed, match="It crashed"):
            await (await client.speak("Hello.")).wait()

    run(daemon, body)


def test_cancelling_and_closing(daemon) -> None:
    """`cancel` ends the job and the reading, `close` only the reading."""
    daemon.segments = [(100 * RATE, "t1")]

    async def body(client):
        speech = await client.speak("Long.")
        async for event in speech:
            if isinstance(event, Frame):
                speech.cancel()
        daemon.expect(Cancel)
        (await client.attach("other")).close()
        daemon.expect(Detach)

    run(daemon, body)


def test_a_daemon_that_starts_anew_in_the_middle(daemon) -> None:
    """A reader goes on where it was when another daemon has taken over."""
    daemon.segments = [(100_000, "t1"), (900_000, "t2")]

    async def body(client):
        speech = await client.speak("Long.")
        got = b""
        async for frame in speech.frames():
            if not got:
                await asyncio.to_thread(daemon.restart, "e2")
            got += frame.pcm
        assert got == expected_pcm(daemon.segments)

    run(daemon, body)


def test_a_daemon_that_dies_before_it_greets(dying) -> None:
    """One that was alive when it was looked for, and is killed before its WELCOME, is started again, once."""

    async def main():
        async with AsyncClient() as client:
            assert (await (await client.speak("Hello.")).wait()).state == "finished"

    asyncio.run(main())
    assert len(dying()) == 1


def test_a_daemon_that_goes_away_for_good(daemon, impatient) -> None:
    """A reader is told after `reconnect_s`."""
    daemon.segments = [(100 * RATE, "t1")]

    async def body(client):
        speech = await client.speak("Long.")
        await asyncio.to_thread(daemon.stop)
        with pytest.raises(Disconnected):
            await speech.wait()

    run(daemon, body, reconnect_s=0.3)


def test_lists(daemon) -> None:
    """Lists come whole, as rows."""

    async def body(client):
        assert [row["cursor"] for row in await client.voices("p")] == ["", "2"]
        assert (await client.status())["what"] == "status"
        for what in ("providers", "workers", "jobs"):
            assert (await getattr(client, what)())[0]["what"] == what
        assert (await client.segments("j"))[0]["where"] == {"job": "j"}
        assert await client.cancel_all() == 3
        assert client.version == "0.1.0"
        await (await client.speak("Hello.", job="mine")).wait()
        assert (await client.cancel("mine"))["state"] == "cancelled"

    run(daemon, body)


def test_saving(daemon, tmp_path) -> None:
    """A speech is written to a file without blocking the loop's other work."""

    async def body(client):
        await (await client.speak("Hello.")).save(tmp_path / "x.raw")
        assert (tmp_path / "x.raw").read_bytes() == expected_pcm(daemon.segments)

    run(daemon, body)


def test_a_task_that_is_cancelled(daemon) -> None:
    """Cancelling a task that waits leaves the client usable."""
    daemon.segments = [(10, "t1")]
    daemon.deaf.add(Submit)

    async def body(client):
        task = asyncio.create_task(client.speak("Hello."))
        await asyncio.to_thread(daemon.expect, Submit)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.status())["what"] == "status"

    run(daemon, body)


def test_leaving(daemon) -> None:
    """A client that leaves says BYE; what is asked of it later is an error."""
    daemon.segments = [(100 * RATE, "t1")]

    async def main():
        client = AsyncClient(endpoint=daemon.endpoint)
        with pytest.raises(Disconnected):
            await client.status()
        async with client:
            speech = await client.speak("Long.")
        daemon.expect(Bye)
        with pytest.raises(Disconnected):
            await speech.wait()

    asyncio.run(main())


def test_a_long_text_is_kept(daemon) -> None:
    """`wait_kept` returns when the daemon has every piece and knows the end."""
    text = "A sentence of some length. " * 100_000

    async def body(client):
        await (await client.speak(text, pace="render", job="long")).wait_kept()

    run(daemon, body)
    assert b"".join(daemon.jobs["long"].pieces.values()) == text.encode()


def test_cancelling_and_leaving_at_once(daemon) -> None:
    """Neither leaving in the same breath nor closing the speech first loses a CANCEL."""
    daemon.segments = [(1000 * RATE, "t1")]

    async def body(client):
        speech = await client.speak("Long.", job="long")
        speech.cancel()
        speech.close()

    run(daemon, body)
    daemon.expect(Cancel)
    daemon.expect(Bye)
    assert daemon.jobs["long"].over
