"""The next daemon goes on where the last one was killed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zlib import crc32

from voicebus.bus.messages import (
    UNLIMITED,
    Accepted,
    Appended,
    Attached,
    Choice,
    Delete,
    Deleted,
    Error,
    Notice,
    Query,
    Rewind,
    Terminal,
)
from voicebus.daemon.core.settings import Limits, Settings

from .scenes import heard, lose, speak_all
from .world_of_one import FakeClient, FakeWorker, Stage, settings

TEXT = "One. Two. Three."


def durable(*names: str, **options: Any) -> tuple[Stage, FakeWorker, FakeClient]:
    """A daemon with a store, a worker that is ready and a client."""
    stage = Stage(settings(*names, **options), durable=True)
    return stage, stage.worker(), stage.client()


def reborn(stage: Stage, client: FakeClient, configuration: Settings | None = None) -> tuple[Stage, FakeClient]:
    """The daemon is killed and started anew, and the client finds it with all that it holds."""
    later = stage.reborn(configuration)
    again = later.client(client.uid)
    again.audio, again.takes, again.segments = client.audio, client.takes, client.segments
    return later, again


def attach(client: FakeClient, job: str = "j", **options: Any) -> None:
    """Attach from what the client holds, as far back as it is told."""
    for _ in range(5):
        before = len(client.got(Rewind))
        at = heard(client, job)
        take = next((name for start, count, name in client.takes.get(job, []) if start < at <= start + count), "")
        client.attach(job, at, take, **options)
        if len(client.got(Rewind)) == before:
            return


def stay(stage: Stage, seconds: int, *clients: FakeClient) -> None:
    """Time passes, and these clients go on saying that they are there."""
    for _ in range(seconds):
        for client in clients:
            client.hello()
        stage.pass_time(1.0, step=1.0)


def test_a_job_goes_on_from_its_last_whole_take() -> None:
    """Whole takes are not made again; the growing one is gone, and its listener hears that sentence from its start."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    worker.speak(worker.current)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    assert heard(client) == 400
    later, client = reborn(stage, client)
    worker = later.worker()
    attach(client)
    assert worker.texts[worker.current] == "Two."
    assert client.last(Attached).offset == 300 and heard(client) == 300
    speak_all(worker)
    assert heard(client) == 900
    end = client.terminals["j"]
    assert (end.state, end.samples, end.segments) == ("finished", 900, 3)
    assert len(later.store.jobs[1000, "j"].ended.segments) == 3  # type: ignore[union-attr]


def test_a_job_of_which_nothing_was_made_starts_anew() -> None:
    """What was accepted is spoken, whoever asks for it."""
    stage, _, client = durable()
    client.submit("j", TEXT, pace="render", credit=0)
    later, client = reborn(stage, client)
    speak_all(later.worker())
    client.attach("j")
    assert client.terminals["j"].samples == 900


def test_all_whole_and_no_terminal() -> None:
    """Killed between the last take and the end: the end is written at once."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    stage.hold_commits = True
    speak_all(worker)
    assert client.got(Terminal) == []
    later, client = reborn(stage, client)
    assert later.store.jobs[1000, "j"].ended is not None
    attach(client)
    assert client.terminals["j"].samples == 900 == heard(client)


def test_jobs_go_on_in_order_of_acceptance() -> None:
    """The first accepted is the first spoken, and new jobs get new numbers."""
    stage, _, client = durable()
    for name in ("b", "a", "c"):
        client.submit(name, f"This is {name}.", pace="render")
    later, client = reborn(stage, client)
    worker = later.worker()
    client.submit("d", "This is d.")
    said = []
    while worker.current:
        said.append(worker.texts[worker.current])
        worker.speak(worker.current)
    assert sorted(said, key="This is d.".__eq__) == ["This is b.", "This is a.", "This is c.", "This is d."]
    assert later.store.jobs[1000, "d"].job.order == 4


def test_text_in_pieces_goes_on() -> None:
    """The pieces that were answered are there; the client adds the rest."""
    stage, worker, client = durable()
    client.submit("j", "First line\n", complete=False)
    client.append("j", 1, "second line\n")
    client.append("j", 2, "third ")
    worker.speak(worker.current)
    later, client = reborn(stage, client)
    worker = later.worker()
    attach(client)
    client.append("j", 2, "third ")
    client.append("j", 3, "line\n")
    client.end("j", 4)
    assert client.got(Error) == []
    said = []
    while worker.current:
        said.append(worker.texts[worker.current])
        worker.speak(worker.current)
    assert said == ["second line", "third line"]
    assert client.terminals["j"].segments == 3 and heard(client) == 900


def test_the_author_of_a_text_in_pieces_is_known_to_the_next_daemon() -> None:
    """He may think for as long after a restart as before it; who only listens to it does not stand for him."""
    stage, _, client = durable()
    client.submit("j", "First line\n", complete=False)
    later = stage.reborn()
    worker = later.worker()
    author, listener = later.client(client.uid, client.pid), later.client(client.uid, pid=77)
    attach(author)
    attach(listener)
    speak_all(worker)
    stay(later, 100, author, listener)
    assert later.core.world.jobs[1000, "j"].verdict is None
    later.core.client_gone(author.peer, later.now)
    stay(later, 32, listener)
    assert listener.terminals["j"].code == "text_incomplete"


def test_takes_made_ahead_are_kept_and_only_the_gap_is_cut_again() -> None:
    """Two workers: the second sentence was whole before the first; only the first is made again."""
    stage, first, client = durable(workers=2)
    second = stage.worker("a/1")
    client.submit("j", "One. Two. Three. Four.", pace="render")
    by_text = {worker.texts[worker.current]: worker for worker in (first, second)}
    by_text["Two."].speak(by_text["Two."].current)
    by_text["Two."].speak(by_text["Two."].current)
    later, client = reborn(stage, client)
    worker = later.worker()
    said = []
    while worker.current:
        said.append(worker.texts[worker.current])
        worker.speak(worker.current)
    assert said == ["One.", "Four."]
    attach(client)
    assert client.terminals["j"].samples == 1200
    client.say(Query(request="q", what="segments", where={"job": "j"}))


def test_ssml_is_one_segment_before_and_after() -> None:
    """A document is made again as a whole, unless it was whole."""
    for spoken in (False, True):
        stage, worker, client = durable()
        client.submit("j", "<speak>Hello there.</speak>", ssml=True)
        stage.hold_commits = spoken
        if spoken:
            speak_all(worker)
        later, client = reborn(stage, client)
        worker = later.worker()
        attach(client)
        speak_all(worker)
        assert (client.terminals["j"].segments, client.terminals["j"].samples) == (1, 300)


def test_a_sentence_left_out_stays_left_out() -> None:
    """What nobody could say is not tried again by the next daemon."""
    stage, worker, client = durable()
    client.submit("j", TEXT, skip_bad=True)
    lose(worker, "invalid_input")
    worker.speak(worker.current)
    later, client = reborn(stage, client)
    worker = later.worker()
    attach(client)
    assert worker.texts[worker.current] == "Three."
    speak_all(worker)
    assert (client.terminals["j"].code, client.terminals["j"].skipped) == ("incomplete", 1)
    assert heard(client) == 600


def test_blame_outlives_the_daemon_but_its_own_death_blames_nobody() -> None:
    """A text that brought down one worker is quarantined at its second, also by the next daemon; being at work when
    the daemon is killed counts for nothing."""
    stage, worker, client = durable(workers=2)
    client.submit("j", "Only one.")
    worker.begin(worker.current)
    stage.exit("a/0", signal=11)
    spare = stage.worker("a/1")
    spare.begin(spare.current)
    later, client = reborn(stage, client)
    worker = later.worker()
    assert later.core.world.jobs[1000, "j"].segments[0].deaths == 1
    attach(client)
    worker.begin(worker.current)
    later.exit("a/0", signal=11)
    assert client.terminals["j"].code == "quarantined"


def test_a_job_stays_with_the_entry_that_it_had_moved_to() -> None:
    """It never goes back up its chain."""
    stage, first, client = durable("a", "b")
    second = stage.worker("b/0")
    client.submit("j", TEXT)
    first.speak(first.current)
    lose(first, "auth")
    second.speak(second.current)
    later, client = reborn(stage, client)
    later.worker("a/0")
    second = later.worker("b/0")
    attach(client)
    assert second.texts[second.current] == "Three."
    speak_all(second)
    assert [speaker["provider"] for speaker in client.terminals["j"].speakers] == ["a", "b"]


def test_a_provider_that_is_gone_from_the_configuration_ends_its_jobs() -> None:
    """The job fails with the reason, as it would if it came now."""
    stage, _, client = durable("a", "b")
    client.submit("j", TEXT)
    later, client = reborn(stage, client, Settings())
    client.attach("j")
    assert (client.terminals["j"].state, client.terminals["j"].code) == ("failed", "unknown_provider")
    assert later.core.world.text_chars == 0


def test_a_voice_that_is_gone_ends_the_job_with_the_reason() -> None:
    """It is not said in another."""
    stage, _, client = durable()
    client.submit("j", TEXT)
    no_key = settings(provider={"module": "", "workers": 0})
    _, client = reborn(stage, client, no_key)
    client.attach("j")
    assert (client.terminals["j"].state, client.terminals["j"].code) == ("failed", "unavailable")


def test_a_job_that_nobody_takes_up_is_abandoned_in_time() -> None:
    """A listener's job waits for its listener, as after any disconnect."""
    limits = Limits(abandon_s=20.0, look_ahead_s=0.1)
    stage, _, client = durable(limits=limits)
    client.submit("j", TEXT, credit=0)
    later, _ = reborn(stage, client)
    later.worker()
    later.pass_time(25.0)
    ended = later.store.jobs[1000, "j"].ended
    assert ended is not None and (ended.state, ended.code) == ("cancelled", "abandoned")


def test_nothing_kept_is_gone_with_the_daemon() -> None:
    """A job of which nothing is to be kept is not there any more, and its client is told so."""
    stage, _, client = durable()
    client.submit("j", TEXT, keep="nothing")
    _, client = reborn(stage, client)
    client.attach("j")
    assert client.last(Error).code == "not_found"


def test_a_resubmit_finds_the_job_that_goes_on() -> None:
    """A client that heard no answer sends it again and reads the job from its start."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    worker.speak(worker.current)
    later, _ = reborn(stage, client)
    other = later.client()
    other.submit("j", TEXT)
    assert other.last(Accepted).existing
    speak_all(later.worker())
    assert heard(other) == 900


def test_missing_audio_is_said_and_not_made_again() -> None:
    """The row says finished, the file is not there: reading says `gone`."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    speak_all(worker)
    saved = stage.store.jobs[1000, "j"]
    stage.store.jobs[1000, "j"] = type(saved)(saved.job, saved.texts, True, saved.ended, audio="missing")
    later, _ = reborn(stage, client)
    other = later.client()
    other.attach("j")
    assert other.last(Error).code == "gone"
    assert "missing from the disk. Say it again with: voicebus history again j" in other.last(Error).message
    other.attach("j", read="none")
    assert other.terminals["j"].state == "finished"


def test_a_job_that_ended_with_parts_left_out_is_found_as_it_was() -> None:
    """Segments without audio have their place."""
    stage, worker, client = durable()
    client.submit("j", TEXT, skip_bad=True)
    lose(worker, "invalid_input")
    speak_all(worker)
    later, _ = reborn(stage, client)
    other = later.client()
    other.attach("j")
    assert heard(other) == 600 and other.terminals["j"].skipped == 1


def test_stopping_leaves_kept_jobs_to_the_next_daemon() -> None:
    """The sentence in hand is finished, the reader is told and gets it, the daemon leaves; the rest comes later."""
    stage, worker, client = durable()
    client.submit("j", TEXT)
    worker.begin(worker.current)
    worker.chunk(worker.current)
    stage.core.terminate(stage.now)
    stage.run()
    assert client.last(Notice).kind == "leaving"
    worker.chunk(worker.current)
    worker.done(worker.current)
    stage.pass_time(1.0)
    assert worker.quit and worker.work == {}
    assert heard(client) == 200 and client.got(Terminal) == []
    stage.exit("a/0", code=0)
    assert stage.left == 0
    later, client = reborn(stage, client)
    attach(client)
    speak_all(later.worker())
    assert heard(client) == 800 and client.terminals["j"].state == "finished"


def test_stopping_waits_for_a_reader_that_has_something_coming() -> None:
    """A slow reader gets what is made, if it comes for it in time."""
    stage, worker, client = durable()
    client.submit("j", TEXT, credit=100)
    worker.speak(worker.current)
    worker.speak(worker.current)
    stage.core.terminate(stage.now)
    stage.run()
    worker.speak(worker.current)
    stage.pass_time(0.5)
    assert not worker.quit
    client.grant("j", UNLIMITED)
    stage.pass_time(0.5)
    assert worker.quit and heard(client) == 900


def test_of_two_takes_over_the_same_words_the_later_one_counts() -> None:
    """A journal that says so is not to make anybody hear words twice."""
    stage, worker, client = durable()
    client.submit("j", TEXT, pace="render")
    worker.speak(worker.current)
    (found,) = stage.store.takes["e1-1"]
    overlapping = replace(found, meta={**found.meta, "start": 0, "end": 9, "crc": crc32(b"One. Two."), "take": "e0.1"})
    within = replace(found, meta={**found.meta, "start": 5, "end": 9, "crc": crc32(b"Two."), "take": "e0.0"})
    stage.store.takes["e1-1"] += [within, found, overlapping]
    later, client = reborn(stage, client)
    speak_all(later.worker())
    attach(client)
    assert client.terminals["j"].segments == 2 and heard(client) == 600
    assert client.takes["j"][0][2] == "e0.1"


def test_a_journal_of_before_there_were_checksums() -> None:
    """What an older daemon wrote down without a checksum of its words is taken up all the same, where there is such
    text; what is said to be of text that is not there is made again."""
    stage, worker, client = durable()
    client.submit("j", TEXT, pace="render")
    worker.speak(worker.current)
    (found,) = stage.store.takes["e1-1"]
    old = {name: value for name, value in found.meta.items() if name != "crc"}
    beyond = {**old, "start": 6, "end": len(TEXT) + 1, "take": "e0.7"}
    stage.store.takes["e1-1"] = [replace(found, meta=old), replace(found, meta=beyond)]
    stage.notes.append(("e1-1", {"note": "failed", "start": 5, "end": 10, "deaths": 1, "trail": ["x"], "tries": 1,
                                 "reseeds": 0}))  # fmt: skip
    later, client = reborn(stage, client)
    speak_all(later.worker())
    attach(client)
    assert client.terminals["j"].segments == 3 and heard(client) == 900
    assert next(take for _, _, take in client.takes["j"]) == old["take"]
    assert "e0.7" not in {take for _, _, take in client.takes["j"]}


def test_a_job_without_audio_is_deleted_with_its_notes() -> None:
    """Also of a job that nobody could say a journal may be there, with what failed; it goes with the job."""
    stage, worker, client = durable()
    client.submit("j", "One. ", complete=False)
    client.cancel("j")
    worker.answer_stops()
    assert stage.notes and stage.store.jobs[1000, "j"].ended.disk == 0
    stage.journals["e1-1"] = bytearray(b"a note")
    later, client = reborn(stage, client)
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j" and later.journals == {}


def test_a_journal_of_which_a_power_cut_left_nothing_goes_with_its_job() -> None:
    """Where there is a file there is something to be removed, whatever is in it."""
    stage, _, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.journals["e1-1"] = bytearray()
    stage.notes.clear()
    later, client = reborn(stage, client)
    client.say(Delete(job="j"))
    assert client.last(Deleted).job == "j" and later.journals == {}


def test_the_end_of_a_text_that_was_never_written_down_is_not_acknowledged_later() -> None:
    """A job that failed because of that is over, for the next daemon too."""
    stage, worker, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.commits_fail = "no space"
    client.end("j", 1)
    stage.commits_fail = ""
    stage.pass_time(2.0)
    worker.answer_stops()
    assert client.terminals["j"].code == "storage"
    later, client = reborn(stage, client)
    client.end("j", 1)
    assert client.got(Appended) == [] and client.last(Error).code == "ended"
    assert later.store.jobs[1000, "j"].complete is False


def test_a_job_is_heard_again_when_its_provider_is_there_no_more() -> None:
    """Who said it then need not be configured now."""
    stage, worker, client = durable("a")
    client.submit("j", TEXT, chain=[Choice("a")])
    speak_all(worker)
    _, client = reborn(stage, client, settings("b"))
    client.audio.clear()
    client.attach("j")
    assert heard(client) == 900 and client.terminals["j"].state == "finished"


def test_takes_of_a_piece_that_was_never_durable_are_not_of_this_text() -> None:
    """Work does not wait for commits: what was made of a piece that died with the daemon is not placed behind text that
    is there, whether the piece comes again or another in its place."""
    for again in ("Four. Five. ", "Two. Three. "):
        stage, worker, client = durable()
        client.submit("j", "One. ", complete=False)
        stage.hold_commits = True
        client.append("j", 1, "Two. Three. ")
        speak_all(worker)
        assert len(stage.store.takes[stage.core.world.jobs[1000, "j"].log]) == 2
        later, client = reborn(stage, client)
        worker = later.worker()
        attach(client)
        client.append("j", 1, again)
        client.end("j", 2)
        said = [worker.texts[worker.current]]
        worker.speak(worker.current)
        said.append(worker.texts[worker.current])
        worker.speak(worker.current)
        assert "".join(f"{text} " for text in said) in (again, "One. " + again[:5])
        speak_all(worker)
        assert client.terminals["j"].samples == heard(client) == 900


def test_a_take_that_was_made_again_counts_at_every_later_start() -> None:
    """The piece has come again, so the take from before fits once more; but it is the other one that was heard."""
    stage, worker, client = durable()
    client.submit("j", "One. ", complete=False)
    stage.hold_commits = True
    client.append("j", 1, "Two. Three. ")
    speak_all(worker)
    later, client = reborn(stage, client)
    attach(client)
    client.append("j", 1, "Two. Three. ")
    speak_all(later.worker())
    takes = [take for _, _, take in client.takes["j"]]
    last, client = reborn(later, client)
    attach(client, read="whole")
    assert client.got(Rewind) == []
    client.end("j", 2)
    speak_all(last.worker())
    assert [take for _, _, take in client.takes["j"]][: len(takes)] == takes
    assert client.terminals["j"].samples == heard(client) == 900


def test_a_power_cut_that_took_a_take_and_left_the_next_one_mixes_nothing() -> None:
    """The second sentence was written after the third, and only that is left: whoever has heard both hears both again,
    since what comes in place of the second may be of another length; and the new name holds at every later start."""
    stage = Stage(settings("a", workers=2), durable=True)
    one, two = stage.worker("a/0"), stage.worker("a/1")
    client = stage.client()
    client.submit("j", "One. Two. Three. Four.", pace="render")
    one.speak(one.current)
    worker = {w.texts[w.current]: w for w in (one, two)}
    worker["Three."].speak(worker["Three."].current)
    worker["Two."].speak(worker["Two."].current)
    assert heard(client) == 900
    takes = stage.store.takes["e1-1"]
    assert [take.meta["start"] for take in takes] == [0, 10, 5]
    del takes[2]
    later, client = reborn(stage, client)
    again = later.worker()
    assert again.texts[again.current] == "Two."
    again.speak(again.current, chunks=2)
    attach(client)
    assert [rewind.offset for rewind in client.got(Rewind)][-1] == 300 and heard(client) == 800
    last, client = reborn(later, client)
    attach(client)
    assert heard(client) == 800 and client.got(Rewind) == []
    speak_all(last.worker())
    assert client.terminals["j"].samples == heard(client) == 1100
