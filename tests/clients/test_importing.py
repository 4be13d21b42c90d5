"""Jobs of an archive on their way to a daemon, against a scripted one on a real socket."""

from __future__ import annotations

import asyncio
import threading

import pytest

from voicebus.bus import codec
from voicebus.bus.errors import Disconnected, InvalidRequest, QueueFull
from voicebus.bus.messages import Deposit, Deposited, Error, Hello, Import, Imported
from voicebus.clients.aio import AsyncClient
from voicebus.clients.importing import AGAIN
from voicebus.clients.sync import Client

from . import archives

WHOLE = archives.pcm(5000).tobytes()


class Store:
    """A daemon's side of it: what has come, by job. before: told each message; where it says so, that is all."""

    def __init__(self, daemon) -> None:
        self.daemon = daemon
        self.open = ""
        self.pieces = {}
        self.jobs = {}
        self.taken = {}
        self.before = lambda peer, message: False
        daemon.on[Import] = self._import
        daemon.on[Deposit] = self._deposit

    def _import(self, peer, message, body):
        if self.before(peer, message):
            return
        if message.job in self.jobs or message.job in self.taken:
            self.daemon.send(peer, Imported(job=message.job, outcome=self.taken.get(message.job, "exists")))
            return
        self.open, self.pieces[message.job] = message.job, [codec.decode_archived_job(body)]
        self.daemon.send(peer, Deposited(job=message.job))

    def _deposit(self, peer, message, body):
        if self.before(peer, message):
            return
        if self.open != message.job:
            self.refuse(peer, message, "not_importing")
            return
        have = self.pieces[message.job]
        if message.n == len(have) - 1:
            have.append((message.kind, body))
        if message.last:
            self.jobs[message.job], self.open = have, ""
            self.daemon.send(peer, Imported(job=message.job))
        else:
            self.daemon.send(peer, Deposited(job=message.job, n=len(have) - 1))

    def refuse(self, peer, message, code):
        self.daemon.send(peer, Error(job=message.job, code=code, message=f"It is {code}."))
        return True

    def die(self):
        """From now on it is another daemon, which knows nobody and of no import."""
        self.open, self.daemon.epoch = "", f"{self.daemon.epoch}x"
        self.daemon.known.clear()
        return True

    def audio(self, job):
        """All samples of a job that came."""
        return b"".join(body for kind, body in self.jobs[job][1:] if kind == "audio")


@pytest.fixture
def store(daemon):
    return Store(daemon)


@pytest.fixture
def client(daemon, store):
    with Client(endpoint=daemon.endpoint) as client:
        yield client


@pytest.fixture
def archive(tmp_path):
    """An archive of the jobs c, b and a, the oldest last."""
    return archives.write(tmp_path / "x.zip", {name: archives.files(name) for name in "cba"})


def test_all_jobs_come_the_oldest_first(client, store, archive) -> None:
    """Each job is brought whole; whoever asks is told which comes, and what was done until then."""
    seen = []
    done = client.import_history(archive, on_job=lambda job, tally: seen.append((job, tally.imported)))
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert (done.imported, done.skipped, done.damaged) == (3, [], {})
    assert all(store.audio(job) == WHOLE for job in "abc")


def test_what_is_there_is_skipped(client, store, archive) -> None:
    """A second time nothing is sent but the names; what was deleted not long ago is skipped as well."""
    store.taken["b"] = "deleted"
    assert client.import_history(archive).imported == 2
    done = client.import_history(archive)
    assert (done.imported, done.skipped) == (0, ["a", "b", "c"])


def test_what_is_damaged_or_refused_does_not_stop_the_rest(client, store, tmp_path) -> None:
    """A job that cannot be read, and one that the daemon does not want, are named with the reason."""
    jobs = {name: archives.files(name) for name in "dcba"}
    path = archives.write(tmp_path / "x.zip", jobs, spoil={"b": {"text.txt": b"Other."}})
    store.before = lambda peer, message: message.job == "c" and store.refuse(peer, message, "invalid")
    done = client.import_history(path)
    assert done.imported == 2 and list(done.damaged) == ["b", "c"]
    assert "checksum" in done.damaged["b"] and done.damaged["c"] == "It is invalid."


@pytest.mark.parametrize("at", range(6))
def test_a_daemon_that_is_another_one_gets_the_job_from_its_beginning(client, store, archive, at) -> None:
    """Wherever the daemon dies, the job is brought to the next one as a whole."""
    seen = []

    def before(peer, message):
        seen.append(message)
        return len(seen) == at + 1 and store.die()

    store.before = before
    assert client.import_history(archive).imported == 3
    assert all(store.audio(job) == WHOLE for job in "abc")


def test_a_job_that_was_there_when_the_daemon_died(client, store, archive) -> None:
    """Where the answer to the last piece is lost with the daemon, the job that the next one has is the one that was
    brought: it counts as imported."""
    lost = []

    def before(peer, message):
        if not (isinstance(message, Deposit) and message.last) or lost:
            return False
        lost.append(message.job)
        store.jobs[message.job] = store.pieces[message.job]
        return store.die()

    store.before = before
    done = client.import_history(archive)
    assert lost == ["a"] and (done.imported, done.skipped) == (3, [])


def test_an_answer_that_is_late_answers_one_question_only(client, daemon, store, archive) -> None:
    """A question that was said twice has two answers: the second is not taken for that of the next."""
    seen = []

    def before(peer, message):
        seen.append(message)
        if isinstance(message, Deposit) and message.job == "a" and message.n == 0:
            daemon.send(peer, Deposited(job="a"))
            return sum(each == message for each in seen) == 1  # answered when it is repeated
        return False

    store.before = before
    assert client.import_history(archive).imported == 3
    assert store.audio("a") == WHOLE
    numbers = [each.n for each in seen if isinstance(each, Deposit) and each.job == "a"]
    assert numbers == [0, *range(len(set(numbers)))]


def test_a_daemon_that_loses_it_again_and_again(client, store, archive) -> None:
    """There is an end to beginning anew."""
    begun = []

    def before(peer, message):
        begun.extend([message] * isinstance(message, Import))
        return message.job == "b" and isinstance(message, Deposit) and store.refuse(peer, message, "not_importing")

    store.before = before
    done = client.import_history(archive)
    assert list(done.damaged) == ["b"] and "again and again" in done.damaged["b"]
    assert len(begun) == AGAIN + 2 and done.imported == 2


def test_no_room(client, store, archive) -> None:
    """Where the daemon has no room, all ends with its error; what was brought stays, and is skipped the next time."""
    told = []
    store.before = lambda peer, message: message.job == "b" and store.refuse(peer, message, "queue_full")
    with pytest.raises(QueueFull, match="queue_full"):
        client.import_history(archive, on_job=lambda job, tally: told.append(tally))
    assert told[-1].imported == 1
    store.before = lambda peer, message: False
    done = client.import_history(archive)
    assert (done.imported, done.skipped) == (2, ["a"])


def test_a_daemon_that_goes_away_for_good(daemon, store, archive, impatient) -> None:
    """The client gives up as with every other question."""
    store.before = lambda peer, message: (
        isinstance(message, Deposit) and not daemon.deaf.update({Import, Deposit, Hello})
    )
    with Client(endpoint=daemon.endpoint, reconnect_s=0.3) as client, pytest.raises(Disconnected):
        client.import_history(archive)


def test_a_file_that_is_no_archive(client, tmp_path) -> None:
    """Nothing is asked of the daemon."""
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(InvalidRequest, match="not a whole zip"):
        client.import_history(tmp_path / "x.zip")
    with pytest.raises(FileNotFoundError):
        client.import_history(tmp_path / "y.zip")


def test_two_at_a_time_take_turns(client, store, archive) -> None:
    """A connection brings one job at a time, so a second import by the same client waits for the first."""
    done = []
    threads = [threading.Thread(target=lambda: done.append(client.import_history(archive))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted((each.imported, len(each.skipped)) for each in done) == [(0, 3), (3, 0)]


def test_the_same_with_asyncio(daemon, store, archive, tmp_path) -> None:
    """AsyncClient can do it too, errors and turns included; one that is given up in the middle can be done again."""
    other = archives.write(tmp_path / "y.zip", {"d": archives.files("d", state="running"), "e": archives.files("e")})
    reached = threading.Event()

    def silent(peer, message):
        reached.set()
        return message.job == "c"

    async def play():
        async with AsyncClient(endpoint=daemon.endpoint) as client:
            store.before = lambda peer, message: message.job == "c" and store.refuse(peer, message, "queue_full")
            with pytest.raises(QueueFull):
                await client.import_history(archive)
            store.before = silent
            task = asyncio.create_task(client.import_history(archive))
            await asyncio.to_thread(reached.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            store.before = lambda peer, message: False
            return await asyncio.gather(client.import_history(archive), client.import_history(other))

    first, second = asyncio.run(play())
    assert (first.imported, first.skipped) == (1, ["a", "b"])
    assert (second.imported, list(second.damaged)) == (1, ["d"])
    assert store.audio("c") == WHOLE
