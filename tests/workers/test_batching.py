"""The batched form of the contract: an engine whose steps are of several utterances, on a real socket."""

from __future__ import annotations

import threading

from voicebus.bus import messages as m
from voicebus.workers.conformance import check
from voicebus.workers.engine import Capabilities, Chunk, Engine, EngineError, Voice

TEXT = "ten words of it are more than enough for this"


class Word:
    """An utterance of the engine below: a chunk for each word, of a pitch that the word gives."""

    def __init__(self, engine, request):
        self.engine = engine
        self.words = request.text.split()
        self.made = 0
        self.closed = 0

    def close(self):
        self.closed += 1
        self.engine.open_now.remove(self)


class Choir(Engine):
    """Makes a word of each utterance in a step. "fail" fails that one, "all" all of them, once one with "beside" in it
    is among them; "wait" waits in the step until `go` is set; what a test overrides in it is what breaks it."""

    name, version, sample_rate, slots, batches = "choir", "1", 8000, 4, True

    def __init__(self):
        self.open_now, self.all, self.steps = [], [], []
        self.go, self.stuck = threading.Event(), threading.Event()

    def load(self, settings, progress):
        pass

    def voices(self):
        return [Voice("one")]

    def capabilities(self):
        return Capabilities(seed=False, own_end=True)

    def synthesize(self, request):
        spoken = self.open(request)
        try:
            while (made := self.advance([spoken])[0]) is not None:
                if isinstance(made, EngineError):
                    raise made
                yield from made
        finally:
            spoken.close()

    def open(self, request):
        if request.voice != "one":
            raise EngineError("invalid_input", f"no voice {request.voice}")
        self.all.append(Word(self, request))
        self.open_now.append(self.all[-1])
        return self.all[-1]

    def advance(self, utterances):
        self.steps.append([" ".join(each.words) for each in utterances])
        return [self.step(each) for each in utterances]

    def step(self, each):
        if each.made == len(each.words):
            return None
        word = each.words[each.made]
        each.made += 1
        if word == "wait":
            self.stuck.set()
            assert self.go.wait(10)
        if word == "fail":
            return EngineError("silent", "as the text says")
        if word == "all" and not any("beside" in other.words for other in self.open_now):
            each.made -= 1
            return []
        if word == "all":
            raise EngineError("out_of_memory", "as the text says")
        return [Chunk(sound(word))]


def sound(word):
    return bytes([len(word), 16]) * 2000


def spoken(text):
    return b"".join(map(sound, text.split()))


def arriving(broker, attempts):
    """What comes of several attempts until all have ended: samples and last message by attempt."""
    pcm, ended = dict.fromkeys(attempts, b""), {}
    while len(ended) < len(attempts):
        message, body = broker.wait(m.Begun, m.Chunk, m.Done, m.Failed, m.Stopped)
        if isinstance(message, m.Chunk):
            assert message.offset * 2 == len(pcm[message.attempt])
            pcm[message.attempt] += body
        elif not isinstance(message, m.Begun):
            ended[message.attempt] = message
    return pcm, ended


def serving(broker, local, **changed):
    """The engine, on the bus and ready."""
    engine = Choir()
    vars(engine).update(changed)
    local(lambda: engine)
    ready, _ = broker.ready()
    assert ready.slots == engine.slots
    return engine


def held_up(broker, engine, *texts):
    """Attempts "0", "1" ... that begin together, behind a step that waits until `go` is set."""
    broker.work("first", "wait", voice="one")
    assert engine.stuck.wait(10)
    for number, text in enumerate(texts):
        broker.work(str(number), text, voice="one")
    for _ in range(len(texts) + 1):
        broker.wait(m.Begun)
    engine.go.set()
    return ["first", *map(str, range(len(texts)))]


def test_attempts_are_made_together_and_arrive_whole(broker, local):
    """Each attempt has its own audio, in order and complete, and steps were of several at once."""
    engine = serving(broker, local)
    texts = ["a bc", TEXT, "def ghi jk"]
    pcm, ended = arriving(broker, held_up(broker, engine, *texts))
    assert [pcm[str(number)] for number in range(3)] == [spoken(text) for text in texts]
    assert all(isinstance(message, m.Done) for message in ended.values())
    assert max(map(len, engine.steps)) >= 2
    assert not engine.open_now


def test_one_that_fails_costs_the_others_nothing(broker, local):
    """An utterance that fails in a step, or cannot be opened, ends by its own name; those beside it are whole."""
    engine = serving(broker, local)
    attempts = held_up(broker, engine, "a fail b", TEXT)
    broker.work("x", TEXT, voice="none")
    pcm, ended = arriving(broker, [*attempts, "x"])
    assert (ended["0"].code, ended["x"].code) == ("silent", "invalid_input")
    assert pcm["1"] == spoken(TEXT)
    assert [each.closed for each in engine.all[1:]] == [1] * len(engine.all[1:])


def test_what_a_step_raises_ends_all_of_it(broker, local):
    """Where the step itself fails, each attempt in it fails by that name, and the worker goes on."""
    engine = serving(broker, local)
    _, ended = arriving(broker, held_up(broker, engine, "a all", "b beside d e"))
    assert [ended[name].code for name in ("0", "1")] == ["out_of_memory", "out_of_memory"]
    broker.work("again", TEXT, voice="one")
    assert broker.take("again")[0] == spoken(TEXT)


def test_a_step_of_the_wrong_length_is_the_engine_s_fault(broker, local):
    """An engine that gives back more or less than it was asked for fails by name instead of mixing up attempts."""
    engine = serving(broker, local)
    engine.advance = lambda utterances: []
    broker.work("a", TEXT, voice="one")
    _, ended = arriving(broker, ["a"])
    assert ended["a"].code == "crash"
    assert "0 steps of 1" in ended["a"].message


def test_one_without_credit_waits_and_is_not_asked(broker, local):
    """An attempt that has no room for its audio is left out of the steps until it has; the other ends meanwhile."""
    engine = serving(broker, local)
    broker.work("slow", TEXT, voice="one", credit=100)
    broker.wait(m.Begun)
    broker.wait(m.Chunk)
    broker.work("quick", "a bc def", voice="one")
    assert broker.take("quick")[0] == spoken("a bc def")
    assert all(step == ["a bc def"] for step in engine.steps[-3:])
    broker.say(m.Grant(attempt="slow", up_to=m.UNLIMITED))
    pcm, ended = b"", None
    while not isinstance(ended, m.Done):
        ended, body = broker.wait(m.Chunk, m.Done)
        pcm += body
    assert len(pcm) == len(spoken(TEXT)) - 200


def test_a_stopped_one_is_closed_and_the_others_go_on(broker, local):
    """STOP ends one attempt of a step; it is closed once, and what is beside it is whole."""
    engine = serving(broker, local)
    broker.work("slow", TEXT, voice="one", credit=100)
    broker.wait(m.Begun)
    broker.wait(m.Chunk)
    broker.say(m.Stop(attempt="slow"))
    broker.wait(m.Stopped)
    broker.work("next", "a bc", voice="one")
    assert broker.take("next")[0] == spoken("a bc")
    assert not engine.open_now


def test_the_batched_form_is_checked():
    """The conformance suite makes several utterances together; one that says something else in company fails there."""

    class Seeded(Choir):
        def capabilities(self):
            return Capabilities(seed=True, own_end=True)

        def step(self, each):
            made = super().step(each)
            return made and [Chunk(bytes([made[0].pcm[0], 16 + self.company]) * 2000)]

        company = 0

    class Disturbed(Seeded):
        def advance(self, utterances):
            self.company = len(utterances) - 1
            return super().advance(utterances)

    def result(engine):
        return next(result for result in check(engine).results if result.name == "together")

    assert not result(Seeded).problem
    assert not result(Seeded).skipped
    assert "not what it is alone" in result(Disturbed).problem


def test_an_engine_of_one_slot_is_not_asked_to_batch():
    """What makes one at a time is not held to the batched form, nor is what does not offer it."""

    class Solo(Choir):
        slots = 1

    class Plain(Choir):
        batches = False

    assert next(result for result in check(Solo).results if result.name == "together").skipped
    assert not [result for result in check(Plain).results if result.name == "together"]
