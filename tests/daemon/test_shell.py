"""Messages in and effects out, with real sockets and a core that only remembers."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import sys
import time
from dataclasses import replace

import pytest
import zmq

from voicebus.bus import sockets
from voicebus.bus.codec import decode_from_client, encode
from voicebus.bus.messages import Append, Hello, Submit
from voicebus.daemon.core.effects import (
    Ask,
    Commit,
    DropFile,
    DropInput,
    DropLog,
    Expire,
    FeedWorker,
    Kill,
    Leave,
    Pack,
    Report,
    Spawn,
    Stored,
    SyncLog,
    ToClient,
    ToWorker,
    Unpack,
    WriteNote,
    WriteTake,
)
from voicebus.daemon.core.records import Found, JobEnded, JobPinned, JobSaved, Outcome, Retention, SavedJob, Wanted
from voicebus.daemon.core.settings import Provider
from voicebus.daemon.files import Files
from voicebus.daemon.inbox import DRAIN, Inbox
from voicebus.daemon.inputs import Inputs
from voicebus.daemon.journal import Journals, scan
from voicebus.daemon.lanes import RETRY_MAX_S, RETRY_S, Lanes
from voicebus.daemon.notify import Notifier
from voicebus.daemon.packer import Packer
from voicebus.daemon.processes import Processes
from voicebus.daemon.shell import Shell
from voicebus.daemon.store import MemoryStore
from voicebus.daemon.syncer import Syncer
from voicebus.daemon.voice_checker import VoiceChecker
from voicebus.daemon.voice_files import VoiceFiles
from voicebus.daemon.voice_hands import VoiceHands

from .fakes import FakeCore


class World:
    """A core, a socket for clients with one client, and everything that carries out effects."""

    def __init__(self, tmp_path):
        self.context = zmq.Context()
        self.core = FakeCore()
        self.router = sockets.router(self.context)
        self.endpoint = f"ipc://{tmp_path}/s"
        self.router.bind(self.endpoint)
        self.selector = selectors.DefaultSelector()
        self.journals = Journals(tmp_path / "logs")
        self.processes = Processes(self.selector, "ipc:///w", lambda *end: self.core.exited(*end, 0.0))
        self.lanes = Lanes(self.router, self.core, self.journals)
        self.store = MemoryStore()
        self.packer = Packer(self.processes, self.journals, lambda *told, packed: self.told.append((*told, packed)))
        self.told = []
        self.syncer = Syncer(self.journals.sync)
        files, voices = Files(tmp_path), VoiceFiles(tmp_path / "voices")
        self.shell = Shell(
            self.core,
            self.lanes,
            self.router,
            self.processes,
            self.journals,
            self.store,
            self.packer,
            self.syncer,
            files,
            Inputs(tmp_path / "logs"),
            VoiceHands(self.core, voices, VoiceChecker(self.processes, voices, lambda *told: self.told.append(told))),
        )
        self.inbox = Inbox(
            "clients",
            self.router,
            decode_from_client,
            self.core.client_message,
            lambda peer, who, reason, now: self.core.bad_client_message(peer, *who, reason, now),
            self.shell.after_client,
        )
        self.clients = []
        self.client = self.connect()
        self.peer = self.greet(self.client)

    def connect(self):
        client = sockets.dealer(self.context, self.endpoint)
        self.clients.append(client)
        assert client.poll(5000, zmq.POLLOUT)
        return client

    def greet(self, client):
        """Send HELLO and return the peer that it came from."""
        client.send(encode(Hello()))
        self.drain()
        return self.core.named("client_message")[-1][0]

    def drain(self):
        assert self.router.poll(5000)
        return self.inbox.drain(0.0)

    def do(self, *effects):
        self.core.effects.extend(effects)
        self.shell.carry_out(0.0)

    def until(self, probe):
        """Serve the selector until that is true."""
        end = time.monotonic() + 20
        while not probe():
            assert time.monotonic() < end
            for key, _ in self.selector.select(1.0):
                key.data()

    def received(self):
        assert self.client.poll(5000)
        return sockets.receive(self.client)

    def close(self):
        self.processes.kill_all()
        self.syncer.close()
        self.journals.close()
        self.selector.close()
        for open_socket in (*self.clients, self.router):
            open_socket.close(linger=0)
        self.context.term()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------ incoming


def test_a_message_comes_with_the_kernels_word_on_its_sender(world):
    """The core is told uid and pid of the sending process as the kernel knows them."""
    world.client.send(encode(Append(job="j", n=1)), zmq.SNDMORE)
    world.client.send(b"text")
    assert not world.drain()
    _, uid, pid, message, body = world.core.named("client_message")[-1]
    assert (uid, pid, message, body) == (os.geteuid(), os.getpid(), Append(job="j", n=1), b"text")


@pytest.mark.parametrize(
    "parts",
    [[b""], [b"\xff" * 20], [encode([7])], [encode(Hello()), b"", b""], [encode(Hello()), *[b"x"] * 50]],
)
def test_what_is_no_message_is_refused_whole_and_the_next_one_is_read(world, parts, caplog):
    """Malformed messages reach the core as a reason, are logged once, and leave nothing of themselves
    behind."""
    caplog.set_level(logging.WARNING)
    world.client.send_multipart(parts)
    world.client.send_multipart(parts)
    world.client.send(encode(Append(job="j", n=2)))
    while not any(type(event[3]) is Append for event in world.core.named("client_message")):
        world.drain()
    refused = world.core.named("bad_client_message")
    assert [(peer, uid) for peer, uid, _, _ in refused] == [(world.peer, os.geteuid())] * 2
    assert sum(world.inbox.counts.values()) == 2
    assert len(caplog.records) == 1


def test_strangers_are_not_heard(world):
    """Messages of another user's process are dropped and counted; the core never sees them."""
    world.inbox._uids = {987654}
    other = world.connect()
    before = len(world.core.events)
    for parts in ([encode(Hello())], [b"a", b"b", b"c"]):
        other.send_multipart(parts)
        world.drain()
    assert len(world.core.events) == before
    assert world.inbox.counts == {"stranger": 2}


def test_who_does_not_speak_zeromq_proper_is_a_stranger(world):
    """Bytes of anything (here the first version of ZMTP, which knows no credentials) end neither the daemon nor the
    pass: they are counted like a stranger's message."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(world.endpoint.removeprefix("ipc://"))
        plain.sendall(b"\x01\x00" + b"\x02\x00X" + b"\x02\x01X" + b"\x02\x01X" + b"\x02\x00X")
        end = time.monotonic() + 5
        while world.inbox.counts.get("stranger", 0) < 2:
            assert time.monotonic() < end
            world.drain()
    assert world.inbox.counts == {"stranger": 2}
    world.greet(world.client)


def test_a_flood_is_taken_in_portions(world):
    """One pass takes so many messages and no more, and says that there may be others."""
    clients = [world.client, *(world.connect() for _ in range(5))]
    for client in clients:
        for _ in range(64):
            client.send(encode(Append()))
    before = len(world.core.events)
    counts = []
    while len(world.core.events) - before < 64 * 6:
        start = len(world.core.events)
        more = world.drain()
        counts.append(len(world.core.events) - start)
        assert more == (counts[-1] == DRAIN)
    assert max(counts) <= DRAIN


def test_known_peers_are_bounded(world, monkeypatch):
    """However many clients come and go, only so many are remembered, and a forgotten one is met again."""
    monkeypatch.setattr("voicebus.daemon.inbox.KNOWN_PEERS", 4)
    for _ in range(6):
        world.greet(world.connect())
    assert len(world.inbox._known) <= 4
    assert world.peer not in world.inbox._known
    world.greet(world.client)
    assert world.core.named("client_message")[-1][:3] == (world.peer, os.geteuid(), os.getpid())


# ------------------------------------------------------------------------------------------------ outgoing


def test_messages_go_out_in_order_with_every_kind_of_body(world):
    """Headers go alone or with bytes, a view, or a range of a journal that is read at that moment."""
    at, _ = world.journals.append("log", {}, b"", [b"0123456789"])
    world.do(
        ToClient(world.peer, b"1"),
        ToClient(world.peer, b"2", b"body"),
        ToClient(world.peer, b"3", memoryview(b"-view-")[1:5]),
        ToClient(world.peer, b"4", Stored("log", at + 2, 3)),
        ToClient(world.peer, b"5", b""),
    )
    received = [world.received() for _ in range(5)]
    assert received == [[b"1"], [b"2", b"body"], [b"3", b"view"], [b"4", b"234"], [b"5", b""]]


def test_a_full_pipe_keeps_messages_whole_and_in_order(world):
    """A client that does not read fills its lane, not the loop; when it reads again it has everything, in
    order, and the core hears of both."""
    at, _ = world.journals.append("log", {}, b"", [b"stored"])
    sent = 0
    while not world.core.named("client_full"):
        world.do(ToClient(world.peer, b"%d" % sent, b"x" * 100_000))
        sent += 1
        assert sent < 1000
    world.do(ToClient(world.peer, b"s", Stored("log", at, 6)), DropLog("log"), ToClient(world.peer, b"e"))
    assert world.lanes.retry_at == RETRY_S
    now = RETRY_S
    received = []
    while world.lanes.waiting:
        received.append(world.received())
        world.lanes.retry_all(now)
    while len(received) < sent + 2:
        received.append(world.received())
    assert [parts[0] for parts in received] == [*(b"%d" % n for n in range(sent)), b"s", b"e"]
    assert received[-2:] == [[b"s", b"stored"], [b"e"]]
    assert world.core.named("client_full") == [(world.peer,)]
    assert world.core.named("client_drained") == [(world.peer,)]
    assert world.lanes.retry_at is None


def test_a_client_that_asks_and_never_reads_is_gone_in_the_end(world, monkeypatch):
    """What waits for one client is bounded, whatever it asks for; then it begins anew, with an empty lane."""
    monkeypatch.setattr("voicebus.daemon.lanes.LANE_BYTES", 3_000_000)
    for _ in range(1000):
        world.do(ToClient(world.peer, b"page", b"x" * 100_000))
        assert len(world.lanes.waiting.get(world.peer, ())) <= 30
    assert world.core.named("client_gone")[0] == (world.peer,)


def test_what_has_gone_out_does_not_count_any_more(world, monkeypatch):
    """A client that reads now and then may be asked for more in all than may wait at once."""
    monkeypatch.setattr("voicebus.daemon.lanes.LANE_BYTES", 3_000_000)
    for _ in range(4):
        while len(world.lanes.waiting.get(world.peer, ())) < 20:
            world.do(ToClient(world.peer, b"page", b"x" * 100_000))
        while world.lanes.waiting:
            if world.client.poll(10):  # else what was read has not been told to the sender yet
                world.received()
            world.lanes.retry_all(0.0)
    assert not world.core.named("client_gone")


def test_a_message_of_a_client_is_the_moment_to_try_again(world):
    """A lane is tried at once when its client says something, not only by the clock."""
    while not world.core.named("client_full"):
        world.do(ToClient(world.peer, b"h", b"x" * 100_000))
    while not world.core.named("client_drained"):
        while sockets.receive(world.client):
            pass
        world.client.send(encode(Append()))
        world.drain()
    assert not world.lanes.waiting


def test_a_stopped_client_costs_less_and_less(world):
    """While nothing moves, full pipes are tried less and less often, down to twice a second."""
    pauses = [RETRY_S]
    while pauses[-2:] != pytest.approx(
        [RETRY_MAX_S, RETRY_MAX_S]
    ):  # the kernel takes some for a while, and then no more
        world.do(ToClient(world.peer, b"h", b"x" * 100_000))
        if world.lanes.retry_at is not None:
            now = world.lanes.retry_at
            world.lanes.retry_all(now)
            pauses.append((world.lanes.retry_at or now + RETRY_S) - now)
    assert pauses[-6:] == pytest.approx([0.032, 0.064, 0.128, 0.256, RETRY_MAX_S, RETRY_MAX_S])


def test_gone_clients_and_workers_are_reported(world):
    """An unreachable peer is an event, with nothing of the message sent; the socket serves the others on."""
    world.do(ToClient(b"\0none", b"h", b"b"), ToWorker(b"\0none", b"h", b"b"), ToClient(world.peer, b"ok"))
    assert world.core.named("client_gone") == [(b"\0none",)]
    assert world.core.named("worker_gone") == [(b"\0none",)]
    assert world.received() == [b"ok"]


def test_a_client_that_dies_with_a_full_pipe_is_gone(world):
    """What waited for a dead client is dropped and the core hears that it is gone."""
    while not world.core.named("client_full"):
        world.do(ToClient(world.peer, b"h", b"x" * 100_000))
    world.client.close(linger=0)
    end = time.monotonic() + 5
    while not world.core.named("client_gone"):
        assert time.monotonic() < end
        world.router.poll(10)  # as the loop does: only then does libzmq look whether a peer is gone
        world.lanes.retry_all(0.0)
    assert not world.lanes.waiting


def test_a_worker_that_does_not_read_is_gone(world):
    """A full pipe towards a worker is reported like a lost one."""
    while not world.core.named("worker_gone"):
        world.do(ToWorker(world.peer, b"h", b"x" * 100_000))
    assert world.core.named("worker_gone") == [(world.peer,)]


def test_a_range_of_a_file_goes_to_a_worker(world, tmp_path):
    """A worker is sent bytes of a file as they are now; where they cannot be read, it is told so instead."""
    (tmp_path / "a.wav").write_bytes(b"0123456789")
    world.do(FeedWorker(world.peer, b"run", b"none", "a.wav", 2, 5), FeedWorker(world.peer, b"run", b"none", "b", 0, 5))
    assert world.received() == [b"run", b"23456"]
    assert world.received() == [b"none"]


def test_a_recording_is_removed(world, tmp_path):
    """The recording of a job that is over goes; where it cannot, that is logged and nobody is held up."""
    path = tmp_path / "logs" / "e-1.input"
    path.write_bytes(b"x")
    world.do(DropInput("e-1"), DropInput("../e"), ToClient(world.peer, b"ok"))
    assert not path.exists()
    assert world.received() == [b"ok"]


def test_audio_that_cannot_be_read_breaks_the_connection_not_the_audio(world):
    """Rather than leave a gap, a reader whose audio cannot be read is treated as gone."""
    world.do(ToClient(world.peer, b"h", Stored("none", 0, 4)), ToClient(world.peer, b"next"))
    assert world.core.named("client_gone") == [(world.peer,)]


# ------------------------------------------------------------------------------------------- other effects


def test_takes_are_written_and_reported_in_order(world):
    """A written take comes back with its places; effects that come of an effect follow those listed with
    it."""
    world.core.on["take_written"] = lambda *_: world.core.effects.append(ToClient(world.peer, b"after"))
    world.do(WriteTake("log", "t1", {"take": "t1"}, b"m", [b"pcm"]), ToClient(world.peer, b"listed"))
    [(log, take, pcm_at, marks_at)] = world.core.named("take_written")
    assert (log, take, pcm_at - marks_at) == ("log", "t1", 1)
    assert world.journals.read("log", pcm_at, 3) == b"pcm"
    assert [world.received(), world.received()] == [[b"listed"], [b"after"]]


def test_a_take_that_cannot_be_written_is_lost_with_a_reason(world, tmp_path):
    """A failing disk is reported, not raised."""
    (tmp_path / "logs").rmdir()
    world.do(WriteTake("log", "t1", {}, b"", [b"pcm"]), WriteTake("a/b", "t2", {}, b"", []))
    assert [event[1] for event in world.core.named("take_lost")] == ["t1", "t2"]
    assert world.core.named("take_lost")[0][2] == "No such file or directory"


def test_commits_are_answered_in_order_at_once(world):
    """The store in memory says at once that all is done, each ticket once; what is not to be kept does not go there."""
    pinned = JobPinned(1, "j", True)
    world.do(Commit(1, pinned), Commit(2, None), Commit(3, pinned))
    assert world.core.named("committed") == [(Outcome(1),), (Outcome(2),), (Outcome(3),)]


def test_questions_are_answered(world):
    """A store that answers at once is asked and its answer handed over."""
    world.do(Ask(7, Wanted("job", 1, "j")))
    assert world.core.named("found") == [(Found(7),)]


def test_what_is_found_without_its_audio_is_missing(world):
    """A job whose journal is shorter than it was when the job ended has lost its audio; else it has it."""
    job = JobSaved(1, 1, "j", "log", "en", 8000, Submit(job="j"), b"x")
    saved = SavedJob(job, (b"x",), True, JobEnded(1, "log", "finished", "", "", 8000, 3, 0, 60))
    world.store.ask = lambda ticket, wanted: world.store._done.append(Found(ticket, saved=saved))
    world.do(Ask(1, Wanted("job", 1, "j")), WriteTake("log", "t", {}, b"", [b"x" * 60]), Ask(2, Wanted("job", 1, "j")))
    assert [found.saved.audio for (found,) in world.core.named("found")] == ["missing", "kept"]


def test_what_was_packed_is_found_packed(world):
    """Audio that was packed is there if its file is as long as it was; what was packed while the store was asked is
    found as it is now."""
    job = JobSaved(1, 1, "j", "log", "en", 8000, Submit(job="j"), b"x")
    saved = SavedJob(job, (b"x",), True, JobEnded(1, "log", "finished", "", "", 8000, 3, 0, 60))
    answers = [saved, replace(saved, audio="packed"), replace(saved, audio="packed")]
    world.store.ask = lambda ticket, wanted: world.store._done.append(Found(ticket, saved=answers.pop(0)))
    file = world.journals.packed_path("log")
    file.write_bytes(b"x" * 60)
    world.do(Ask(1, Wanted("job", 1, "j")), Ask(2, Wanted("job", 1, "j")))
    file.write_bytes(b"x" * 59)
    world.do(Ask(3, Wanted("job", 1, "j")))
    found = [(found.saved.audio, found.saved.ended.disk) for (found,) in world.core.named("found")]
    assert found == [("packed", 60), ("packed", 60), ("missing", 60)]


def test_logs_are_packed_and_unpacked_by_helpers(world):
    """What comes of a helper is told to the core; the other file of a log can be dropped alone, and all of them."""
    world.do(WriteTake("log", "t", {"rate": 8000}, b"", [b"xy" * 60]), Pack("log"))
    world.until(lambda: world.told)
    world.shell.helped(*world.told[0][:3], 0.0, packed=True)
    size = world.journals.size("log", packed=True)
    assert world.core.named("packed") == [("log", size, "")]
    world.do(DropFile("log", packed=False), Unpack("log"))
    world.until(lambda: len(world.told) == 2)
    world.shell.helped(*world.told[1][:3], 0.0, packed=False)
    assert world.core.named("unpacked") == [("log", world.journals.size("log"), "")]
    world.do(DropFile("log", packed=True), DropFile("a/b", packed=True))
    assert world.journals.names() == {world.journals.path("log").name}
    world.do(DropLog("log"))
    assert world.journals.names() == set()


def test_a_helper_that_cannot_be_started_is_told_at_once(world, monkeypatch):
    """Where there can be no process, the core hears of it among the effects."""

    def refuse(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(world.processes, "run", refuse)
    world.do(Pack("log"), Unpack("log"))
    reason = "no helper could be started for it: Resource temporarily unavailable"
    assert world.core.named("packed") == world.core.named("unpacked") == [("log", 0, reason)]


def test_retention_is_the_stores(world):
    """The store is told what is too old, and its answer handed over."""
    world.do(Expire(4, Retention()))
    assert world.core.named("found") == [(Found(4),)]


def test_notes_are_written_and_a_failing_disk_costs_nothing(world, tmp_path):
    """A note stands in its journal as a record without audio; where it cannot be written that is logged."""
    world.do(WriteNote("log", {"note": "moved"}))
    assert [record.meta for record in scan(world.journals.path("log"))] == [{"note": "moved"}]
    world.do(WriteNote("a/b", {"note": "moved"}))
    assert world.core.effects == []


def test_processes_are_started_killed_and_reported(world):
    """Spawn, kill and the end of a worker go through; what cannot be started is said."""
    world.do(
        Spawn("w1", Provider("p", command=("/bin/sh", "-c", "read x; read y")), "t"),
        Spawn("w2", Provider("p", command=("/none",)), "t"),
        Kill("w1"),
    )
    [(worker, pid)] = world.core.named("spawned")
    assert (worker, pid > 1) == ("w1", True)
    assert world.core.named("spawn_failed")[0][0] == "w2"
    while not world.core.named("exited"):
        for key, _ in world.selector.select(5):
            key.data()
    assert world.core.named("exited") == [("w1", None, 9, [])]


def test_leaving_and_reporting(world, caplog):
    """A report is a line of the log at its level; leaving is remembered after all else in the list is
    done."""
    world.do(Leave(3), Report("warning", "100% strange"), DropLog("never-there"))
    assert world.shell.leaving == 3
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("WARNING", "100% strange")]


# ------------------------------------------------------------------------------------------ service manager


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path, abstract):
    """Ready, status, watchdog and stopping arrive as systemd wants them, by path or abstract name."""
    name = f"@voicebus-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    if abstract and not sys.platform.startswith("linux"):
        pytest.skip("abstract names are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(5)
        manager.bind("\0" + name[1:] if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000000"})
        notifier.ready("up")
        notifier.watchdog()
        notifier.status("busy")
        notifier.stopping()
        told = [manager.recv(1000).decode() for _ in range(4)]
        notifier.close()
    assert told == [f"READY=1\nMAINPID={os.getpid()}\nSTATUS=up", "WATCHDOG=1", "STATUS=busy", "STOPPING=1"]
    assert notifier.watchdog_s == 10


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}],
)
def test_without_a_watchdog_of_our_own_none_is_fed(environ):
    """No interval, a bad one, or one that is meant for another process: no watchdog."""
    notifier = Notifier(environ)
    assert notifier.watchdog_s is None
    notifier.ready()
    notifier.close()


def test_a_service_manager_that_is_gone_is_no_error(tmp_path):
    """Telling somebody who is not there any more does nothing."""
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.ready()
    notifier.close()


def test_a_journal_is_synced_aside_and_the_core_is_told(world):
    """The loop's thread never waits for the disk: another does, and what comes of it is an event."""
    world.selector.register(world.syncer.fileno(), selectors.EVENT_READ, lambda: world.shell.synced(0.0))
    world.do(WriteTake("log", "t", {}, b"", [b"pcm!"]), SyncLog("log"), SyncLog("a/b"))
    world.until(lambda: len(world.core.named("synced")) == 2)
    assert world.core.named("synced") == [("log", ""), ("a/b", "'a/b' cannot be the name of a journal")]


def test_a_message_that_the_core_stumbles_over_harms_nobody_else(world):
    """A mistake in the daemon costs the message that met it; whoever sent it is told, and the next one is served."""

    def stumble(*_: object) -> None:
        raise KeyError("a mistake")

    world.inbox._deliver, deliver = stumble, world.inbox._deliver
    world.client.send(encode(Hello()))
    world.drain()
    world.inbox._deliver = deliver
    world.greet(world.client)

    assert world.inbox.counts["fault"] == 1
    assert "made a mistake with this Hello" in world.core.named("bad_client_message")[-1][3]
    assert len(world.core.named("client_message")) == 2
