"""Any interleaving of what workers, clients, disks and clocks can do keeps every promise."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from voicebus.bus import codec
from voicebus.bus.messages import (
    PRIORITIES,
    UNLIMITED,
    Beat,
    Begun,
    Bye,
    CancelAll,
    Chunk,
    Done,
    Failed,
    Greet,
    Query,
    Ready,
    Stopped,
    TakeMarks,
)
from voicebus.daemon.core.settings import Limits

from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXTS = ["One. Two. Three.", "Only one sentence here.", "A. B. C. D. E. F.", "Long " * 40 + "end. And more."]
FAILURES = ["crash", "silent", "truncated", "rate_limited", "auth", "unavailable", "invalid_input", "out_of_memory"]


class Daemon(RuleBasedStateMachine):
    """Two providers with two workers each, up to three clients, any number of jobs."""

    @initialize(seed=st.integers(0, 99), small=st.booleans(), up=st.booleans(), tidy=st.booleans(), tight=st.booleans())
    def begin(self, seed: int, small: bool, up: bool, tidy: bool, tight: bool) -> None:
        limits = Limits(
            look_ahead_s=0.5 if small else 60.0,
            finished_jobs=3,
            abandon_s=20.0,
            disk_bytes=4000 if small else 10**9,
            memory_budget_bytes=1 if tight else 0,
        )
        upkeep = {"idle_unload_s": 3.0, "keep_warm": int(small), "recycle_jobs": 2} if tidy else {}
        self.stage = Stage(settings("a", "b", limits=limits, workers=2, provider=upkeep), seed=seed)
        self.clients: list[FakeClient] = []
        self.submitted: dict[tuple[int, str], FakeClient] = {}
        self.names = 0
        if up:
            for name in list(self.stage.processes):
                self.stage.worker(name)
            self.connect(1)

    # ------------------------------------------------------------------------------------------------ workers

    def _connected(self) -> list[FakeWorker]:
        return [w for w in self.stage.processes.values() if w.session and w.peer not in self.stage.unreachable]

    def _worker(self, data: Any, busy: bool = False) -> FakeWorker | None:
        workers = [w for w in self._connected() if not busy or w.work]
        return data.draw(st.sampled_from(workers)) if workers else None

    @rule(data=st.data())
    def register(self, data: Any) -> None:
        processes = list(self.stage.processes.values())
        if processes:
            data.draw(st.sampled_from(processes)).register()

    @rule(data=st.data())
    def ready(self, data: Any) -> None:
        worker = self._worker(data)
        state = self.stage.core.world.workers[worker.name].state if worker else ""
        if worker is not None and state == "connected":
            worker.ready(slots=data.draw(st.integers(1, 2)))

    @rule(data=st.data())
    def beat(self, data: Any) -> None:
        worker = self._worker(data)
        if worker is not None:
            worker.say(Beat(state="ready", rss=data.draw(st.sampled_from([10**6, 10**9]))))

    @rule(data=st.data(), count=st.integers(1, 4))
    def chunk(self, data: Any, count: int) -> None:
        worker = self._worker(data, busy=True)
        if worker is not None:
            attempt = data.draw(st.sampled_from(sorted(worker.work)))
            worker.begin(attempt)
            for _ in range(count):
                worker.chunk(attempt, data.draw(st.integers(1, 300)))

    @rule(data=st.data())
    def done(self, data: Any) -> None:
        worker = self._worker(data, busy=True)
        if worker is not None:
            attempt = data.draw(st.sampled_from(sorted(worker.work)))
            if not worker.sent[attempt][1]:
                worker.chunk(attempt)
            worker.done(attempt)

    @rule(data=st.data(), code=st.sampled_from(FAILURES))
    def failed(self, data: Any, code: str) -> None:
        worker = self._worker(data, busy=True)
        if worker is not None:
            attempt = data.draw(st.sampled_from(sorted(worker.work)))
            worker.work.pop(attempt)
            worker.say(Failed(attempt=attempt, code=code, message="no", retry_after=1.0))

    @rule(data=st.data())
    def stopped(self, data: Any) -> None:
        worker = self._worker(data)
        if worker is not None:
            worker.answer_stops()

    @rule(data=st.data(), how=st.sampled_from([(0, None), (1, None), (78, None), (None, 9), (None, 11)]))
    def exit(self, data: Any, how: tuple[int | None, int | None]) -> None:
        names = sorted(self.stage.processes)
        if names:
            self.stage.exit(data.draw(st.sampled_from(names)), *how)

    @rule()
    def killed_are_gone(self) -> None:
        killed, self.stage.killed = self.stage.killed, []
        for name in killed:
            if name in self.stage.processes:
                self.stage.exit(name, None, 9)

    @rule()
    def who_was_told_to_leave_does(self) -> None:
        for worker in list(self.stage.processes.values()):
            if worker.quit and not worker.work:
                self.stage.exit(worker.name, 0)

    @rule(data=st.data(), kind=st.sampled_from([Begun, Chunk, TakeMarks, Done, Failed, Stopped, Ready, Beat]))
    def nonsense(self, data: Any, kind: type) -> None:
        """A worker says anything at any time, of its own attempts, of another's, of none."""
        worker = self._worker(data)
        if worker is None:
            return
        message = kind()
        if hasattr(message, "attempt"):
            known = sorted({name for w in self.stage.processes.values() for name in w.sent})
            message.attempt = data.draw(st.sampled_from([*known[-5:], "none"]))
        worker.say(message, data.draw(st.sampled_from([b"", b"\0\0", b"\0\1\2", codec.encode([])])))

    # ------------------------------------------------------------------------------------------------ clients

    @precondition(lambda self: len(self.clients) < 3)
    @rule(uid=st.sampled_from([1, 2]))
    def connect(self, uid: int) -> None:
        self.clients.append(self.stage.client(uid))

    def _client(self, data: Any) -> FakeClient | None:
        known = [c for c in self.clients if c.peer in self.stage.core.world.clients]
        return data.draw(st.sampled_from(known)) if known else None

    @rule(
        data=st.data(),
        text=st.sampled_from(TEXTS),
        priority=st.sampled_from(PRIORITIES),
        pace=st.sampled_from(["listen", "render"]),
        keep=st.sampled_from(["nothing", "job"]),
        read=st.sampled_from(["none", "live", "whole"]),
        credit=st.sampled_from([0, 150, UNLIMITED]),
        complete=st.booleans(),
        skip_bad=st.booleans(),
    )
    def submit(self, data: Any, text: str, credit: int, **options: Any) -> None:
        client = self._client(data)
        if client is not None:
            self.names += 1
            name = f"j{self.names}"
            self.submitted[client.uid, name] = client
            client.submit(name, text, credit, **options)

    def _job(self, data: Any, client: FakeClient) -> str:
        mine = sorted(name for uid, name in self.submitted if uid == client.uid)
        return data.draw(st.sampled_from(mine)) if mine else ""

    @rule(data=st.data(), more=st.integers(-50, 2000))
    def credit(self, data: Any, more: int) -> None:
        client = self._client(data)
        if client is not None and (job := self._job(data, client)):
            client.grant(job, max(0, len(client.audio.get(job, b"")) // 2 + more))

    @rule(data=st.data(), read=st.sampled_from(["live", "whole"]))
    def attach(self, data: Any, read: str) -> None:
        """As a client does it: from where it is, naming its take, back as far as it is told."""
        client = self._client(data)
        if client is None or not (job := self._job(data, client)):
            return
        for _ in range(50):
            have = len(client.audio.get(job, b"")) // 2
            takes = client.takes.get(job, [])
            before = len(client.inbox)
            client.attach(job, have, takes[-1][2] if takes else "", read=read)
            if not any(type(m).__name__ == "Rewind" and m.reason.startswith("this") for m, _ in client.inbox[before:]):
                return
        raise AssertionError("reader and log never agree")

    @rule(data=st.data(), n=st.integers(1, 3), text=st.sampled_from(["More. ", "x", "And again. Yes.\n"]))
    def append(self, data: Any, n: int, text: str) -> None:
        client = self._client(data)
        if client is not None and (job := self._job(data, client)):
            client.append(job, n, text)

    @rule(data=st.data(), n=st.integers(1, 4))
    def end(self, data: Any, n: int) -> None:
        client = self._client(data)
        if client is not None and (job := self._job(data, client)):
            client.end(job, n)

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        client = self._client(data)
        if client is not None and (job := self._job(data, client)):
            client.cancel(job)

    @rule(data=st.data())
    def cancel_all(self, data: Any) -> None:
        client = self._client(data)
        if client is not None:
            client.say(CancelAll(request="r"))

    @rule(data=st.data(), what=st.sampled_from(["status", "workers", "providers", "voices", "jobs"]))
    def query(self, data: Any, what: str) -> None:
        client = self._client(data)
        if client is not None:
            client.say(Query(request="q", what=what))

    @rule(data=st.data(), politely=st.booleans())
    def leave(self, data: Any, politely: bool) -> None:
        client = self._client(data)
        if client is None:
            return
        if politely:
            client.say(Bye())
        else:
            self.stage.core.client_gone(client.peer, self.stage.now)
            self.stage.run()
        self.clients.remove(client)
        self.stage.clients.pop(client.peer)

    @rule(data=st.data())
    def pipe_full_then_open(self, data: Any) -> None:
        client = self._client(data)
        if client is not None:
            self.stage.core.client_full(client.peer, self.stage.now)
            self.stage.core.client_drained(client.peer, self.stage.now)
            self.stage.run()

    # -------------------------------------------------------------------------------------------- the rest

    @rule(hold=st.booleans())
    def commits(self, hold: bool) -> None:
        self.stage.hold_commits = hold
        if not hold:
            self.stage.let_go()

    @rule(full=st.booleans())
    def disk(self, full: bool) -> None:
        self.stage.disk_full = full

    @rule(seconds=st.sampled_from([0.05, 0.6, 3.0, 12.0, 40.0]))
    def time(self, seconds: float) -> None:
        self.stage.pass_time(seconds, step=0.5)

    @rule(by=st.sampled_from([0.5, 20.0]))
    def stall(self, by: float) -> None:
        killed = len(self.stage.killed)
        self.stage.now += by
        self.stage.core.late(by, self.stage.now)
        self.stage.core.tick(self.stage.now)
        self.stage.run()
        assert len(self.stage.killed) == killed, "a late daemon judged somebody"

    # ------------------------------------------------------------------------------------------ the promises

    @invariant()
    def sums_are_right(self) -> None:
        """Nothing leaks: memory, disk, leases and queues are what the jobs and workers say they are."""
        world = self.stage.core.world
        chunks = 0
        for job in world.jobs.values():
            for segment in job.segments:
                take = segment.take
                if take is not None:
                    chunks += sum(map(len, take.chunks))
                assert (segment.state == "leased") == (segment.attempt in job.attempts), segment
            assert job.placed <= len(job.segments)
            offset = 0
            for segment in job.segments[: job.placed]:
                assert segment.offset == offset
                offset += segment.take.samples if segment.take is not None else 0
            assert job.length == offset
        assert world.memory == chunks
        assert world.disk == sum(job.disk for job in world.jobs.values()) == sum(world.disk_of.values())
        leased = {name for worker in world.workers.values() for name in worker.leases}
        for worker in world.workers.values():
            assert len(worker.leases) <= worker.slots
        for job in world.unfinished.values():
            assert set(job.attempts) <= leased
            assert bool(job.queued_at_provider) == any(
                job.key in jobs
                for provider in world.providers.values()
                for queue in provider.queues.values()
                for jobs in queue.clients.values()
            )

    @invariant()
    def credit_to_workers_is_bounded(self) -> None:
        """No worker may send more than a window ahead."""
        for worker in self.stage.core.world.workers.values():
            for attempt in worker.leases.values():
                assert attempt.granted - attempt.take.samples <= 8 * attempt.rate

    @invariant()
    def places_are_kept(self) -> None:
        """Whoever sleeps or is replaced, there are as many places as are configured, and one more at most."""
        world = self.stage.core.world
        for provider in world.providers.values():
            workers = [world.workers[name] for name in provider.workers]
            extra = [w for w in workers if w.replaces or w.wanted == "down"]
            assert len(workers) - len(extra) == provider.settings.workers
            assert len([w for w in workers if w.replaces or w.wanted in ("down", "recycle")]) <= 2
            assert not any(w.leases for w in workers if w.state == "asleep")

    @invariant()
    def nothing_before_its_commit(self) -> None:
        """While commits are held, what depends on them has not been told."""
        for (uid, name), client in self.submitted.items():
            job = self.stage.core.world.jobs.get((uid, name))
            if job is not None and not job.committed:
                assert name not in client.accepted and name not in client.audio

    def teardown(self) -> None:
        """When all is healed, every accepted job ends, exactly once."""
        if not hasattr(self, "stage"):
            return
        stage = self.stage
        stage.hold_commits = stage.disk_full = False
        stage.let_go()
        world = stage.core.world
        for _ in range(400):
            if not world.unfinished:
                break
            self.killed_are_gone()
            self.who_was_told_to_leave_does()
            for worker in list(stage.processes.values()):
                if worker.name not in stage.processes:
                    continue
                if not worker.session or worker.peer in stage.unreachable:
                    worker.register()
                if worker.session and world.workers[worker.name].state == "connected":
                    worker.ready()
                worker.answer_stops()
                for attempt in list(worker.work):
                    if attempt in worker.work:
                        worker.speak(attempt)
            for client in self.clients:
                if client.peer in world.clients:
                    client.say(Query(request="q", what="status"))
                    for job in list(world.unfinished.values()):
                        if client.peer in job.readers:
                            client.grant(job.id, UNLIMITED)
            for job in list(world.unfinished.values()):
                if not job.complete:
                    owner = next((c for c in self.clients if c.uid == job.key[0] and c.peer in world.clients), None)
                    if owner is not None:
                        owner.end(job.id, job.text.pieces)
            stage.pass_time(5.0, step=1.0)
        assert not world.unfinished, [(j.id, j.state, j.entry) for j in world.unfinished.values()]
        for uid, name in self.submitted:
            owner = self.submitted[uid, name]
            if name in owner.accepted and (uid, name) in world.jobs:
                assert world.jobs[uid, name].terminal is not None
        assert not any(isinstance(m, Greet) for c in self.clients for m, _ in c.inbox[-1:])


TestDaemon = Daemon.TestCase
TestDaemon.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
