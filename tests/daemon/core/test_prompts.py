"""Voice prompts: made once, kept, fed, and what happens when that goes wrong."""

from __future__ import annotations

import pytest

from voicebus.bus.codec import decode_map
from voicebus.bus.messages import Choice, Error, Failed, Feed, Forget, Need, Notice, Prompt, VoiceDone
from voicebus.daemon.core.settings import Breaking

from .voicing import CLONES, add, ask, cloning, make, sample_of, spec, upload

DATA = b"anna" * 50
MANY = {"breaking": Breaking(failures=50)}


def ready(workers: int = 1, **options):
    """A provider that clones, with a voice; its workers, a client."""
    stage, client = cloning("a", "b", workers=workers, **{**MANY, **options})
    made = [stage.worker(f"a/{n}", capabilities=CLONES) for n in range(workers)]
    add(client, chain=(Choice("a"),))
    return stage, client, made


def voiced(client, job, **options):
    """Ask for a job in that voice."""
    client.submit(job, "One. Two.", chain=[Choice("", "anna")], **options)


def fed(worker):
    """The FEEDs that a worker got, with their bytes."""
    return [(message, body) for message, body in worker.inbox if isinstance(message, Feed)]


def test_a_prompt_is_made_before_a_word_is_sent():
    """The first work is the prompt, with all that it is made from; sentences follow when it is kept, and name its
    key."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    attempt = worker.current
    work, asked = worker.work[attempt], decode_map(worker.bodies[attempt])
    assert (work.kind, list(worker.work)) == ("prompt", [attempt])
    assert asked["samples"] == [{"sample": sample_of(DATA), "size": len(DATA), "text": ""}]
    assert [notice.data["voice"] for notice in client.got(Notice) if notice.kind == "cloning"] == ["anna"]
    make(worker, attempt, pieces=3)
    said = worker.work[worker.current]
    assert (said.kind, said.prompt, said.voice) == ("speak", asked["key"], "")
    (name,) = [name for name in stage.files if name.endswith(".prompt")]
    assert asked["key"] in name


def test_all_who_need_it_wait_for_one():
    """Two jobs and two workers: one makes the prompt, the other does what it can meanwhile."""
    _stage, client, (first, second) = ready(2)
    voiced(client, "j")
    voiced(client, "k")
    assert (len(first.work), len(second.work)) == (1, 0)
    client.submit("other", chain=[Choice("a", "en")])
    second.speak(second.current)
    make(first, first.current)
    assert [worker.work[worker.current].kind for worker in (first, second)] == ["speak", "speak"]


def test_it_is_made_once_for_all_time():
    """What is on the disk is used by the next job, and by the next daemon."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    make(worker, worker.current)
    while worker.current:
        worker.speak(worker.current)
    stage = stage.reborn()
    worker = stage.worker("a/0", capabilities=CLONES)
    voiced(stage.client(), "k")
    assert worker.work[worker.current].kind == "speak"


def test_bytes_are_for_whoever_has_the_work():
    """A worker is fed the recording while it makes the prompt, and the prompt while it speaks with it; nobody is fed
    what he has no work with."""
    stage, client, (first, second) = ready(2)
    upload(client, b"more" * 30)
    ask(client, "change", "anna", spec(b"more" * 30, DATA, chain=(Choice("a"),)))
    voiced(client, "j")
    key = decode_map(first.bodies[first.current])["key"]
    for worker in (first, second):
        worker.say(Need(key=f"sample:{sample_of(DATA)}", up_to=1000))
        worker.say(Need(key=f"sample:{'0' * 64}", up_to=1000))
    assert [(feed.missing != "", body) for feed, body in fed(first)] == [(False, DATA), (True, b"")]
    assert [feed.missing for feed, _ in fed(second)] == ["No work of yours has that recording."] * 2
    first.inbox.clear()
    first.say(Need(key=f"prompt:{key}", up_to=1000))
    assert fed(first)[0][0].missing
    make(first, first.current)
    first.inbox.clear()
    first.say(Need(key=f"prompt:{key}", up_to=10_000))
    first.say(Need(key="prompt:another", up_to=10_000))
    first.say(Need(key=f"sample:{sample_of(DATA)}", up_to=10_000))
    (name,) = [name for name in stage.files if name.endswith(".prompt")]
    assert sorted(body for _, body in fed(first)) == [b"", b"", bytes(stage.files[name])]


def test_another_model_needs_another_prompt():
    """When a provider's workers come back with another model, its prompts are made anew, for jobs under way too."""
    _stage, client, (worker,) = ready()
    voiced(client, "j")
    make(worker, worker.current)
    worker.speak(worker.current)
    worker.speak(worker.current)
    voiced(client, "k")
    assert worker.work[worker.current].kind == "speak"
    worker.ready(capabilities=CLONES, prompts={"model": "other"})
    worker.speak(worker.current)
    asked = worker.work[worker.current]
    assert (asked.kind, decode_map(worker.bodies[worker.current])["model"]) == ("prompt", "other")
    make(worker, worker.current)
    worker.speak(worker.current)
    assert client.terminals["k"].state == "finished"


def test_only_so_many_prompts_of_a_voice_are_kept(monkeypatch):
    """Prompts of models that are not here any more go, beyond a few; the one that is needed stays."""
    monkeypatch.setattr("voicebus.daemon.core.prompts.PROMPTS_OF_VOICE", 2)
    stage, client, (worker,) = ready()
    for number in range(4):
        worker.ready(capabilities=CLONES, prompts={"revision": str(number)})
        voiced(client, f"j{number}")
        make(worker, worker.current)
        while worker.current:
            worker.speak(worker.current)
    assert len([name for name in stage.files if name.endswith(".prompt")]) == 2
    voiced(client, "last")
    assert worker.work[worker.current].kind == "speak"


def test_a_worker_that_dies_costs_another_try_elsewhere():
    """Another worker makes it; the death is blamed on nobody yet."""
    stage, client, (first, second) = ready(2)
    voiced(client, "j")
    first.begin(first.current)
    stage.exit("a/0", signal=11)
    assert second.work[second.current].kind == "prompt"
    make(second, second.current)
    while second.current:
        second.speak(second.current)
    assert client.terminals["j"].state == "finished"


def test_a_worker_that_dies_before_it_began_is_nobodys_fault():
    """A prompt that was not begun is simply given to another."""
    stage, client, (_first, second) = ready(2)
    for _ in range(3):
        voiced(client, f"j{_}")
    stage.exit("a/0", signal=11)
    assert second.work[second.current].kind == "prompt"
    assert next(iter(stage.core.world.makings.values())).deaths == 0


def test_recordings_that_bring_down_two_workers_are_quarantined():
    """Every job that needs them goes on or ends by that name; later ones are refused at once; another voice is spoken
    by the same provider; with other recordings the voice is tried again."""
    stage, client, workers = ready(3)
    voiced(client, "j")
    client.submit("k", chain=[Choice("a", "anna"), Choice("b", "en")])
    for number in range(2):
        workers[number].begin(workers[number].current)
        stage.exit(f"a/{number}", signal=11)
    assert client.terminals["j"].code == "quarantined"
    assert "k" not in client.terminals
    other = stage.worker("b/0")
    other.speak(other.current)
    assert client.terminals["k"].state == "finished"
    voiced(client, "l")
    assert client.last(Error).code == "quarantined"
    upload(client, b"better" * 30)
    ask(client, "change", "anna", spec(b"better" * 30, chain=(Choice("a"),)))
    voiced(client, "m")
    make(workers[2], workers[2].current)
    assert workers[2].work[workers[2].current].kind == "speak"


def test_a_refusal_of_the_engine_is_final():
    """Recordings that the engine refuses are not tried again; a job that is spoken by another entry goes on."""
    stage, client, (worker,) = ready()
    other = stage.worker("b/0")
    voiced(client, "j")
    client.submit("k", chain=[Choice("b", "en"), Choice("a", "anna")])
    attempt = worker.current
    worker.work.pop(attempt)
    worker.say(Failed(attempt=attempt, code="invalid_input", message="it needs 3 s"))
    assert client.terminals["j"].code == "invalid_input"
    voiced(client, "l")
    assert "it needs 3 s" in client.last(Error).message
    other.speak(other.current)
    assert client.terminals["k"].state == "finished"


def test_what_fails_for_a_while_is_tried_by_the_next_job():
    """Where memory was short twice, this job ends; the next one may try again."""
    _, client, (worker,) = ready()
    voiced(client, "j")
    for _ in range(2):
        attempt = worker.current
        worker.work.pop(attempt)
        worker.say(Failed(attempt=attempt, code="out_of_memory", message="no room"))
    assert client.terminals["j"].code == "out_of_memory"
    voiced(client, "k")
    assert worker.work[worker.current].kind == "prompt"


def test_a_maker_that_hangs_is_found():
    """Making a prompt has a time of its own; whoever misses it is killed, and the recordings have one death."""
    stage, client, (first, second) = ready(2, provider={"prompt_s": 20.0})
    voiced(client, "j")
    first.begin(first.current)
    for _ in range(19):
        for worker in (first, second):
            worker.say(Need(key="x:y", up_to=0))
        stage.pass_time(1.0)
    assert not stage.killed
    second.say(Need(key="x:y", up_to=0))
    stage.pass_time(2.0)
    assert "a/0" in stage.killed
    assert second.work[second.current].kind == "prompt"


@pytest.mark.parametrize(
    "wrong",
    [{"key": "0" * 64}, {"wrong": b"no prompt at all"}, {"size": 2**50}, {"offset": 7}, {"size": 3}],
)
def test_a_prompt_that_is_none_is_a_breach(wrong):
    """What is not what was asked for, or not as long as it says, is refused, and its maker replaced."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    make(worker, worker.current, **wrong)
    assert stage.killed == ["a/0"]
    assert not stage.core.world.prompts


def test_a_prompt_that_nobody_asked_for_is_a_breach():
    """Bytes of a prompt for what is to be spoken are no answer; for what is over they come late and are counted."""
    stage, client, (worker,) = ready()
    client.submit("j", chain=[Choice("a", "en")])
    worker.say(Prompt(attempt="long.ago", size=4), b"abcd")
    assert stage.core.world.counters["stale frames"] == 1
    worker.say(Prompt(attempt=worker.current, size=4), b"abcd")
    assert stage.killed == ["a/0"]


def test_a_prompt_that_cannot_be_had_is_made_anew():
    """When a worker says that it cannot have what it needs to speak with a voice, the same job has the prompt made
    again, and goes on with it."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    make(worker, worker.current)
    attempt = worker.current
    worker.work.pop(attempt)
    worker.say(Failed(attempt=attempt, code="unavailable", message="prompt cannot be had"))
    for _ in range(3):
        worker.say(Need(key="x:y", up_to=0))
        stage.pass_time(1.0)
    assert worker.work[worker.current].kind == "prompt"
    make(worker, worker.current)
    while worker.current:
        worker.speak(worker.current)
    assert client.terminals["j"].state == "finished"


def test_a_prompt_that_is_doubted_is_not_left_behind():
    """A prompt that a worker could not use is removed at once: when its voice goes before it is made again, nothing of
    the voice is left. Another worker may say the same of it."""
    stage, client, workers = ready(2)
    voiced(client, "j")
    voiced(client, "k")
    make(workers[0], workers[0].current)
    assert any(name.endswith(".prompt") for name in stage.files)
    speaking = [(worker, worker.current) for worker in workers]
    assert [worker.work.pop(attempt).kind for worker, attempt in speaking] == ["speak", "speak"]
    for worker, attempt in speaking:
        worker.say(Failed(attempt=attempt, code="unavailable", message="prompt cannot be had"))
        assert not any(name.endswith(".prompt") for name in stage.files)
    ask(client, "remove", "anna")
    assert stage.files == {}


def test_a_full_disk_ends_the_job_by_name():
    """A prompt that cannot be kept cannot be used."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    stage.disk_full = True
    make(worker, worker.current)
    assert client.terminals["j"].code == "storage"
    stage.disk_full = False
    voiced(client, "k")
    assert worker.work[worker.current].kind == "prompt"


def test_nobody_keeps_what_is_made_of_a_voice_that_is_gone():
    """A voice that is removed while its prompt is made: the making is stopped, and what comes of it all the same is
    thrown away."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    attempt = worker.current
    ask(client, "remove", "anna")
    assert worker.stops == [attempt]
    make(worker, attempt)
    assert not stage.files
    stage.core.prompt_stored(1000, "x.prompt", 5, "", stage.now)
    stage.run()
    assert not stage.core.world.prompts


def test_a_voice_whose_recordings_fail_later_stops_what_was_under_way():
    """When a new model cannot use a voice's recordings, sentences that are being spoken with the old one are given up:
    a job has one voice."""
    _stage, client, (first, second) = ready(2)
    client.submit("j", "One. Two. Three. Four.", chain=[Choice("", "anna")])
    make(first, first.current)
    first.ready(capabilities=CLONES, prompts={"model": "other"})
    first.speak(first.current)
    attempt = first.current
    assert first.work.pop(attempt).kind == "prompt"
    first.say(Failed(attempt=attempt, code="invalid_input", message="too short"))
    assert second.stops
    assert "too short" in client.terminals["j"].message


def test_bytes_are_gone_with_their_voice():
    """A worker that still speaks with a voice when it is removed gets no bytes of it any more."""
    stage, client, (worker,) = ready()
    voiced(client, "j")
    key = decode_map(worker.bodies[worker.current])["key"]
    make(worker, worker.current)
    ask(client, "remove", "anna")
    worker.say(Need(key=f"prompt:{key}", up_to=1000))
    assert fed(worker)[-1][0].missing == "No work of yours has that voice prompt."
    assert stage.files == {}


def test_a_change_ends_what_was_under_way():
    """When a voice gets other recordings, a job that began with the old ones ends: nobody hears half of two voices."""
    _stage, client, (worker,) = ready()
    voiced(client, "j")
    make(worker, worker.current)
    upload(client, b"new" * 60)
    ask(client, "change", "anna", spec(b"new" * 60))
    worker.answer_stops()
    assert "was changed" in client.terminals["j"].message


def test_urgent_speech_does_not_stop_the_making():
    """A prompt that is made holds its slot; what is urgent stops a sentence of another worker."""
    _stage, client, (first, second) = ready(2)
    voiced(client, "j", priority="progress")
    client.submit("book", "A. B. C.", chain=[Choice("a", "en")], priority="progress")
    client.submit("now", chain=[Choice("a", "en")], priority="important")
    assert not first.stops
    assert second.stops


def test_removing_takes_the_prompts_along():
    """Prompts go with the last voice that is made of the same recordings and words."""
    stage, client, (worker,) = ready()
    add(client, "berta", chain=(Choice("a"),))
    voiced(client, "j")
    make(worker, worker.current)
    ask(client, "remove", "anna")
    worker.answer_stops()
    assert any(name.endswith(".prompt") for name in stage.files)
    ask(client, "remove", "berta")
    assert not stage.files


def forgotten(worker):
    """The keys that a worker was told to forget."""
    return [message.key for message, _ in worker.inbox if isinstance(message, Forget)]


def spoken(client, *workers, job="j"):
    """Have the voice's prompt made by the first worker and fetched by the others; returns its key."""
    voiced(client, job)
    key = decode_map(workers[0].bodies[workers[0].current])["key"]
    make(workers[0], workers[0].current)
    for worker in workers[1:]:
        worker.say(Need(key=f"prompt:{key}", up_to=10_000))
    for worker in workers:
        while worker.current:
            worker.speak(worker.current)
    return f"prompt:{key}"


def test_who_holds_the_prompt_of_a_voice_that_is_removed_is_told_to_forget_it():
    """Whoever made it or asked for it is told, once, when the removal is written down and before the caller hears of
    it; nobody else is, and nobody is told again."""
    _stage, client, (first, second, third) = ready(3)
    key = spoken(client, first, second)
    order = []
    first.receive = lambda message, body: order.append(message)
    client.receive, heard = (lambda message, body: (order.append(message), heard(message, body))), client.receive
    assert ask(client, "remove", "anna").found
    assert [(type(each), getattr(each, "key", "")) for each in order] == [(Forget, key), (VoiceDone, "")]
    assert (forgotten(second), forgotten(third)) == ([key], [])
    ask(client, "remove", "anna", again="w")
    assert forgotten(second) == [key]


def test_a_voice_that_is_not_removed_after_all_is_not_forgotten():
    """Where the removal cannot be written down, and where the voice is only renamed, its prompt stays where it is."""
    stage, client, (worker,) = ready()
    spoken(client, worker)
    stage.commits_fail = "the disk is broken"
    ask(client, "remove", "anna")
    stage.commits_fail = ""
    ask(client, "rename", "anna", to="berta", again="x")
    assert forgotten(worker) == []


def test_what_another_voice_has_as_well_is_not_forgotten():
    """A prompt goes with the last voice that is made of the same recordings."""
    _stage, client, (worker,) = ready()
    add(client, "berta", chain=(Choice("a"),))
    key = spoken(client, worker)
    ask(client, "remove", "anna")
    assert forgotten(worker) == []
    ask(client, "remove", "berta", again="x")
    assert forgotten(worker) == [key]


def test_a_prompt_that_is_another_now_is_forgotten():
    """When a transcript is corrected, and when a prompt is to be made anew since it cannot be had, the old one goes."""
    stage, client, (worker,) = ready()
    key = spoken(client, worker)
    voiced(client, "k")
    attempt = worker.current
    worker.work.pop(attempt)
    worker.say(Failed(attempt=attempt, code="unavailable", message="prompt cannot be had"))
    assert forgotten(worker) == [key]
    for _ in range(3):
        worker.say(Need(key="x:y", up_to=0))
        stage.pass_time(1.0)
    make(worker, worker.current)
    ask(client, "change", "anna", spec(DATA, texts=("Other words.",), chain=(Choice("a"),)))
    assert forgotten(worker) == [key, key]


def test_prompts_that_have_to_make_room_are_forgotten(monkeypatch):
    """Whoever has a prompt for a model that is not here any more is told when its file goes."""
    monkeypatch.setattr("voicebus.daemon.core.prompts.PROMPTS_OF_VOICE", 1)
    _stage, client, (worker,) = ready()
    key = spoken(client, worker)
    worker.ready(capabilities=CLONES, prompts={"revision": "2"})
    spoken(client, worker, job="k")
    assert forgotten(worker) == [key]


def test_a_session_that_is_over_is_told_nothing():
    """What a worker held in an earlier session it does not hold any more."""
    _stage, client, (worker,) = ready()
    spoken(client, worker)
    worker.register()
    ask(client, "remove", "anna")
    assert forgotten(worker) == []
