"""Recordings on their way from the caller to the disk and to a worker."""

from __future__ import annotations

import pytest

from voicebus.bus.messages import UNLIMITED, Accepted, Appended, Error, Feed, Need, Notice, Submit
from voicebus.daemon.core.settings import Choice, Limits

from .world_of_one import FakeClient, FakeWorker, Stage, settings

DATA = b"0123456789" * 10


def hearing(**changes: object) -> Stage:
    """A daemon with one provider that transcribes."""
    return Stage(settings("a", transcribe=(Choice("a"),), **changes), durable=True)


def scene(**changes: object) -> tuple[Stage, FakeWorker, FakeClient]:
    stage = hearing(**changes)
    return stage, stage.worker(hears=True), stage.client()


def on_disk(stage: Stage) -> list[bytes]:
    """All recordings on the disk."""
    return [bytes(data) for name, data in stage.files.items() if name.endswith(".input")]


def fed(worker: FakeWorker) -> bytes:
    return b"".join(body for message, body in worker.inbox if type(message) is Feed)


def test_a_recording_goes_to_the_disk_and_then_to_a_worker() -> None:
    """The first piece is on the disk before the job is accepted, and only then somebody listens to it."""
    stage, worker, client = scene()
    stage.hold_commits = True
    client.record("j", DATA)
    assert not client.got(Accepted)
    assert not worker.work
    stage.let_go()
    assert client.last(Accepted).pieces == 1
    assert on_disk(stage) == [DATA]
    work = worker.work[worker.current]
    assert (work.kind, work.voice, work.language, work.from_s, work.size) == ("transcribe", "small", "", 0.0, len(DATA))
    worker.say(Need(key=f"input:{work.attempt}", up_to=UNLIMITED))
    assert fed(worker) == DATA


def test_pieces_are_kept_in_order_and_answered_again() -> None:
    """Pieces make up the whole; one that comes again is answered again and changes nothing; none may be left out, nor
    come with other bytes; and nobody listens before the end."""
    stage, worker, client = scene()
    client.record("j", DATA, complete=False)
    client.piece("j", 1, b"second")
    client.piece("j", 1, b"second")
    assert [message.n for message in client.got(Appended)] == [1, 1]
    client.piece("j", 3, b"fourth")
    assert client.last(Error).code == "out_of_order"
    client.piece("j", 1, b"other")
    assert client.last(Error).code == "conflict"
    client.piece("j", 2, b"third")
    assert not worker.work
    client.end("j", 3)
    assert client.last(Appended).ended
    assert on_disk(stage) == [DATA + b"secondthird"]
    assert worker.work[worker.current].size == len(DATA) + 11
    client.piece("j", 3, b"more")
    assert client.last(Error).code == "ended"
    assert "recording" in client.last(Error).message


def test_the_end_waits_for_the_pieces_before_it() -> None:
    """Nobody listens to a recording of which a piece is not on the disk yet."""
    stage, worker, client = scene()
    client.record("j", DATA, complete=False)
    stage.hold_commits = True
    client.piece("j", 1, b"second")
    client.end("j", 2)
    first, second = stage.held
    stage.held.clear()
    stage._commit(first)
    stage.run()
    assert not worker.work
    stage._commit(second)
    stage.run()
    assert worker.work


def test_the_same_job_again_is_found() -> None:
    """The same recording under the same name finds the job; another one, or other wishes, are a conflict."""
    stage, _, client = scene()
    client.record("j", DATA)
    client.record("j", DATA)
    assert client.last(Accepted).existing
    client.record("j", b"another")
    assert client.last(Error).code == "conflict"
    assert "recording" in client.last(Error).message
    client.record("j", DATA, language="de")
    assert client.last(Error).code == "conflict"
    assert on_disk(stage) == [DATA]


def test_the_same_job_again_is_found_by_a_later_daemon() -> None:
    """What an earlier daemon was given under this name and brought to its end answers; another recording is
    a conflict."""
    stage, _, client = scene()
    client.record("j", DATA)
    client.cancel("j")
    later = stage.reborn()
    later.worker(hears=True)
    client = later.client()
    client.record("j", DATA)
    assert client.last(Accepted).existing and client.got(Error) == []
    again = stage.reborn()
    again.worker(hears=True)
    client = again.client()
    client.record("j", b"another")
    assert client.last(Error).code == "conflict"


@pytest.mark.parametrize("restarted", [False, True])
def test_a_recording_of_which_nothing_came_leaves_nothing(restarted: bool) -> None:
    """A first piece may be empty; its input log goes with the job all the same, also by a later daemon."""
    stage, _, client = scene()
    client.record("j", b"", complete=False)
    assert on_disk(stage) == [b""]
    if restarted:
        stage = stage.reborn()
        client = stage.client()
    client.cancel("j")
    assert on_disk(stage) == [] and stage.core.world.disk == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ssml": True}, "unsupported"),
        ({"skip_bad": True}, "unsupported"),
        ({"data": b""}, "empty_text"),
        ({"data": b"x" * 1001}, "too_long"),
        ({"data": b"x" * 501, "keep": "nothing"}, "too_long"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, code: str) -> None:
    """Wishes that make no sense, an empty recording, and one over the limit are refused, and leave nothing."""
    stage, _, client = scene(limits=Limits(input_bytes=1000, memory_job_bytes=500))
    client.record("j", **changes)
    assert client.last(Error).code == code
    assert not client.got(Accepted)
    assert not on_disk(stage)
    assert not stage.core.world.memory


def test_pieces_over_the_limit_are_refused() -> None:
    """A piece beyond the limit is refused by name, what came before stays, and it can be ended there."""
    _, worker, client = scene(limits=Limits(input_bytes=150))
    client.record("j", DATA, complete=False)
    client.piece("j", 1, b"x" * 51)
    assert (client.last(Error).code, "limits.input_bytes" in client.last(Error).message) == ("too_long", True)
    client.end("j", 1)
    assert worker.work[worker.current].size == 100


def test_a_job_that_ended_takes_no_more() -> None:
    """A recording that grows while its job is cancelled is told so."""
    _, _, client = scene()
    client.record("j", DATA, complete=False)
    client.cancel("j")
    client.piece("j", 1, b"x")
    assert client.last(Error).code == "ended"


def test_the_disk_has_its_share() -> None:
    """Recordings count as audio on the disk: pieces wait while it is full, by all or by one user, and it is given back
    when they are not needed any more."""
    stage, worker, client = scene(limits=Limits(disk_bytes=150, disk_bytes_per_user=0))
    client.record("j", DATA, complete=False)
    world = stage.core.world
    assert (world.disk, world.disk_of[1000]) == (100, 100)
    client.piece("j", 1, b"x" * 60)
    client.piece("j", 2, b"x")
    assert client.last(Error).code == "queue_full"
    assert "limits.disk_bytes" in client.last(Error).message
    client.cancel("j")
    assert (world.disk, on_disk(stage)) == (0, [])
    assert not worker.work


def test_each_user_has_a_share_of_the_disk() -> None:
    """Where users have limits, one's recordings do not go beyond his."""
    _, _, client = scene(limits=Limits(disk_bytes_per_user=150))
    client.record("j", DATA, complete=False)
    client.piece("j", 1, b"x" * 60)
    client.piece("j", 2, b"x")
    assert (client.last(Error).code, "Your audio" in client.last(Error).message) == ("queue_full", True)


def test_what_is_not_to_be_kept_stays_in_memory() -> None:
    """A recording of which nothing is to be kept is never on the disk, is fed from memory, and leaves it at the end."""
    stage, worker, client = scene()
    client.record("j", b"01234", keep="nothing", complete=False)
    client.piece("j", 1, b"56789" * 10_000)
    client.piece("j", 2, b"the end")
    client.end("j", 3)
    whole = b"01234" + b"56789" * 10_000 + b"the end"
    assert not stage.files
    world = stage.core.world
    assert world.memory == len(whole)
    worker.say(Need(key=f"input:{worker.current}", up_to=40_000))
    worker.say(Need(key=f"input:{worker.current}", offset=40_000, up_to=UNLIMITED))
    assert fed(worker) == whole
    worker.about(worker.current)
    worker.hear(worker.current, 0, 1, " Hello")
    worker.heard(worker.current)
    assert client.text("j") == " Hello"
    assert client.terminals["j"].state == "finished"
    assert world.memory < 1000


def test_without_a_store_recordings_are_in_memory() -> None:
    """A daemon without a store takes recordings as well, as far as its memory goes."""
    stage = Stage(settings("a", transcribe=(Choice("a"),), limits=Limits(memory_job_bytes=150)))
    worker, client = stage.worker(hears=True), stage.client()
    client.record("j", DATA)
    assert worker.work
    assert not stage.files
    client.record("k", DATA * 2)
    assert (client.last(Error).code, "limits.memory_job_bytes" in client.last(Error).message) == ("too_long", True)


def test_a_recording_that_cannot_be_written_is_not_accepted() -> None:
    """Where the first piece cannot be written the job is not accepted; where a later one cannot, it fails by name."""
    stage, _, client = scene()
    stage.commits_fail = "No space left on device"
    client.record("j", DATA)
    assert (client.last(Error).code, "No space" in client.last(Error).message) == ("storage", True)
    stage.commits_fail = ""
    client.record("k", DATA, complete=False)
    stage.commits_fail = "No space left on device"
    client.piece("k", 1, b"x")
    stage.commits_fail = ""
    stage.pass_time(2)
    assert client.terminals["k"].code == "storage"
    assert "piece of the recording could not" in client.terminals["k"].message
    assert stage.core.world.disk == 0


def test_only_its_own_recording_is_fed_to_a_worker() -> None:
    """Keys of attempts that a worker does not have, of speech, and of attempts that are being stopped mean nothing."""
    _, worker, client = scene()
    worker.say(Need(key="input:e1.99", up_to=10))
    client.record("j", DATA)
    attempt = worker.current
    client.cancel("j")
    worker.say(Need(key=f"input:{attempt}", up_to=10))
    told = [message.missing for message, _ in worker.inbox if type(message) is Feed]
    assert told == ["This attempt is over."] * 2


def test_asking_for_a_recording_is_progress() -> None:
    """A worker that fetches a long recording, slowly, is not hung; one that asks for the same again and again is."""
    stage, worker, client = scene()
    client.record("j", b"x" * 100_000)
    attempt = worker.current
    for n in range(4):
        stage.pass_time(6)
        worker.say(Need(key=f"input:{attempt}", offset=1000 * n, up_to=1000 * (n + 1)))
    assert not stage.killed
    for _ in range(2):
        stage.pass_time(6)
        worker.say(Need(key=f"input:{attempt}", offset=3000, up_to=4000))
    assert stage.killed == ["a/0"]


def test_the_rest_of_a_recording_is_waited_for() -> None:
    """A recording whose rest never comes ends its job, when its client has gone."""
    stage, _, client = scene(limits=Limits(text_wait_s=10, client_quiet_s=1))
    client.record("j", DATA, complete=False, read="none")
    stage.pass_time(20)
    [saved] = stage.store.jobs.values()
    assert saved.ended is not None
    assert saved.ended.code == "text_incomplete"
    assert not stage.files


def test_nobody_hears() -> None:
    """Where nobody transcribes, that is said, with what to do; a provider that speaks is none."""
    stage = Stage(settings("a"), durable=True)
    stage.worker()
    client = stage.client()
    client.record("j", DATA)
    assert client.last(Error).code == "unknown_provider"
    assert "pip install 'voicebus[whisper]'" in client.last(Error).message
    client.record("j", DATA, chain=[Choice("a")])
    assert (client.last(Error).code, "does not transcribe" in client.last(Error).message) == ("unsupported", True)


def test_whoever_hears_is_asked_where_nobody_is_named() -> None:
    """Without a chain of its own a recording goes to those who have said that they transcribe, and to no others."""
    stage = Stage(settings("a", "b"), durable=True)
    stage.worker("a/0")
    client = stage.client()
    client.record("early", DATA)
    assert client.last(Error).code == "unknown_provider"
    hearer = stage.worker("b/0", hears=True)
    client.record("j", DATA)
    assert hearer.work[hearer.current].voice == "small"


def test_who_hears_does_not_speak() -> None:
    """A provider that transcribes is never asked to speak, and a chain goes on to the next."""
    stage = Stage(settings("a", "b", transcribe=(Choice("a"),)), durable=True)
    stage.worker("a/0", hears=True)
    speaker = stage.worker("b/0")
    client = stage.client()
    client.submit("j", chain=[Choice("a")])
    assert (client.last(Error).code, "does not speak" in client.last(Error).message) == ("unsupported", True)
    client.submit("k")
    assert speaker.current
    assert client.last(Notice).kind == "started"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chain": [Choice("a", "huge")]}, "no model 'huge'; it has small, large"),
        ({"hearing": {"translate": True}}, "cannot translate"),
        ({"seed": 3}, "cannot do seed"),
        ({"options": {"colour": 1}}, "the option colour"),
    ],
)
def test_what_its_engine_cannot_do_is_refused(changes: dict, words: str) -> None:
    """A wish that no provider of the chain can fulfil is refused by name."""
    from voicebus.bus.messages import Hearing, Style

    if "hearing" in changes:
        changes = {"hearing": Hearing(**changes["hearing"])}
    if "options" in changes:
        changes = {"style": Style(options=changes["options"])}
    _, _, client = scene()
    client.record("j", DATA, **changes)
    assert words in client.last(Error).message


def test_words_need_somebody_who_times_them() -> None:
    """An engine that times no words is not asked for them; a model is taken as it is named."""
    from voicebus.bus.messages import Hearing

    stage = hearing()
    worker = stage.processes["a/0"]
    worker.register()
    from .world_of_one import HEARS

    able = {**HEARS["capabilities"], "marks": [], "models": []}
    from voicebus.bus import codec
    from voicebus.bus.messages import Ready

    worker.say(Ready(rate=1000, factor=0.01), codec.encode({**HEARS, "capabilities": able}))
    client = stage.client()
    client.record("j", DATA, hearing=Hearing(words=True))
    assert "cannot time single words" in client.last(Error).message
    client.record("j", DATA, chain=[Choice("a", "x")])
    assert "it has one without a name" in client.last(Error).message
    client.record("j", DATA, language="auto")
    work = worker.work[worker.current]
    assert (work.voice, work.language) == ("default", "")


def test_a_named_chain_serves_recordings() -> None:
    """A chain of the configuration, and an entry that names only a model, are found as for speech."""
    stage = Stage(
        settings("a", transcribe=(Choice("a"),), chains={"best": (Choice("a", "large"),)}), durable=True
    )  # fmt: skip
    worker, client = stage.worker(hears=True), stage.client()
    client.record("j", DATA, chain=[Choice("", "best")])
    assert worker.work[worker.current].voice == "large"
    worker.about(worker.current)
    worker.heard(worker.current)
    client.record("k", DATA, chain=[Choice("", "large")])
    assert worker.work[worker.current].voice == "large"


def test_a_submit_says_nothing_of_its_first_piece() -> None:
    """What the daemon notes of a first piece is its own: whatever a client says there is written over."""
    _, worker, client = scene()
    client.say(Submit(job="j", kind="transcribe", first="9-00000000", pace="render"), DATA)
    assert worker.work
    client.say(Submit(job="j", kind="transcribe", pace="render"), DATA)
    assert client.last(Accepted).existing
