"""How the daemon stops."""

from __future__ import annotations

from voicebus.bus.messages import Beat, Error

from .world_of_one import Stage, settings

TEXT = "A sentence of some length, for the engine to say."


def stop(stage: Stage) -> None:
    stage.core.terminate(stage.now)
    stage.run()


def test_an_idle_daemon_leaves_when_its_workers_have_left() -> None:
    """Workers are asked to leave; those not in yet are killed; nobody is started again; then it exits with 0."""
    stage = Stage(settings("a", "b", "c"))
    worker = stage.worker("a/0")
    stage.exit("c/0", 1)
    stop(stage)
    stage.pass_time(0.2)
    assert worker.quit
    assert stage.killed == ["b/0"]
    assert stage.left is None
    stage.exit("a/0", 0)
    assert stage.left is None
    stage.exit("b/0", None, 9)
    assert stage.left == 0
    assert stage.processes == {}


def test_takes_in_hand_are_finished_and_readers_fetch_what_is_made() -> None:
    """First the sentence under way, then the end of the job with a reason, then the workers; nothing new begins."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here. Two here.")
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stop(stage)
    stage.pass_time(1.0)
    assert "j" not in client.terminals
    worker.done(worker.current)
    assert not worker.work
    stage.pass_time(0.2)
    assert (client.terminals["j"].code, client.terminals["j"].samples) == ("daemon_stopped", 100)
    stage.pass_time(0.2)
    assert worker.quit
    stage.exit("a/0", 0)
    assert stage.left == 0


def test_new_jobs_are_refused_while_it_stops() -> None:
    """With a hint to try again."""
    stage = Stage()
    stage.worker()
    client = stage.client()
    stop(stage)
    client.submit("j", TEXT)
    assert client.last(Error).code == "unavailable"
    assert client.last(Error).retry_after > 0


def test_a_take_that_does_not_end_is_not_waited_for_for_ever() -> None:
    """Five seconds for takes in hand, then they are stopped."""
    stage = Stage(settings(provider={"chunk_s": 60.0, "stop_s": 60.0}))
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stop(stage)
    stage.pass_time(4.5)
    assert "j" not in client.terminals
    stage.pass_time(1.0)
    assert client.terminals["j"].code == "daemon_stopped"
    assert worker.stops


def test_a_reader_that_does_not_fetch_is_not_waited_for_for_ever() -> None:
    """Five seconds for readers, then the workers are told to leave."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", TEXT, credit=10, pace="render")
    worker.speak(worker.current)
    stop(stage)
    stage.pass_time(4.0)
    assert not worker.quit
    client.grant("j", 10)
    stage.pass_time(2.0)
    assert worker.quit


def test_a_disk_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    """Commits are waited for as long as readers are."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    stage.hold_commits = True
    client.submit("j", TEXT, read="none")
    stop(stage)
    stage.pass_time(4.0)
    assert not worker.quit
    stage.pass_time(2.0)
    assert worker.quit
    assert stage.held


def test_workers_that_do_not_leave_are_killed_and_if_that_is_no_use_left_behind() -> None:
    """Five seconds for QUIT, five more for the kill; then the daemon goes, for a stop cannot hang."""
    stage = Stage()
    worker = stage.worker()
    stop(stage)
    for _ in range(12):
        worker.say(Beat())
        stage.pass_time(0.5)
    assert stage.killed
    assert stage.left is None
    stage.pass_time(5.0)
    assert stage.left == 0


def test_asked_twice_it_leaves_at_once() -> None:
    """Whatever is going on: workers are killed and the daemon is gone, once."""
    stage = Stage(settings("a", "b"))
    worker, client = stage.worker("a/0"), stage.client()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    stop(stage)
    assert stage.left is None
    stop(stage)
    assert stage.left == 0
    assert sorted(stage.killed) == ["a/0", "b/0"]
    stage.left = None
    stop(stage)
    assert stage.left is None


def test_a_worker_that_is_being_killed_is_not_asked_to_leave() -> None:
    """It is waited for."""
    stage = Stage()
    worker = stage.worker()
    stage.core.bad_worker_message(worker.peer, "rubbish", stage.now)
    stop(stage)
    stage.pass_time(0.2)
    assert not worker.quit
    stage.exit("a/0", None, 9)
    assert stage.left == 0


def test_a_worker_that_crashes_while_the_daemon_stops_is_not_replaced() -> None:
    """Its job ends with what was made."""
    stage = Stage()
    worker, client = stage.worker(), stage.client()
    client.submit("j", "One here. Two here.")
    worker.speak(worker.current)
    worker.begin(worker.current)
    stop(stage)
    stage.exit("a/0", 1)
    stage.pass_time(0.2)
    assert (client.terminals["j"].code, client.terminals["j"].samples) == ("daemon_stopped", 300)
    assert stage.left == 0


def test_a_job_that_is_ending_already_ends_as_it_was_to() -> None:
    """A cancelled job is cancelled, not stopped."""
    stage = Stage()
    stage.worker()
    client = stage.client()
    client.submit("j", TEXT)
    stage.hold_commits = True
    client.cancel("j")
    stop(stage)
    stage.hold_commits = False
    stage.let_go()
    stage.pass_time(0.2)
    assert client.terminals["j"].state == "cancelled"


def test_external_workers_are_asked_to_leave_and_not_waited_for() -> None:
    """They are somebody else's processes."""
    stage = Stage(settings(provider={"key": "k", "module": ""}))
    worker = stage.external("a", "k")
    worker.ready()
    stop(stage)
    stage.pass_time(0.3)
    assert worker.quit
    assert stage.left == 0


def test_an_idle_daemon_leaves_by_itself_if_it_is_to() -> None:
    """After idle_exit_s without a client or a job; any of them begins the time anew."""
    stage = Stage(settings(idle_exit_s=30.0))
    worker = stage.worker()
    for _ in range(20):
        worker.say(Beat())
        stage.pass_time(1.0)
    stage.client()
    for _ in range(45):
        worker.say(Beat())
        stage.pass_time(1.0)
    assert not worker.quit
    for _ in range(30):
        worker.say(Beat())
        stage.pass_time(1.0)
    assert worker.quit
    stage.exit("a/0", 0)
    assert stage.left == 0


def test_an_external_worker_without_a_connection_is_forgotten() -> None:
    """There is nobody to ask and nothing to kill."""
    stage = Stage(settings(provider={"key": "k", "module": ""}))
    worker = stage.external("a", "k")
    worker.ready()
    stage.core.worker_gone(worker.peer, stage.now)
    stop(stage)
    stage.pass_time(0.1)
    assert stage.core.world.draining == "workers"
    assert stage.left == 0 or stage.core.world.workers == {}
    stage.pass_time(0.3)
    assert (stage.killed, stage.core.world.workers) == ([], {})
