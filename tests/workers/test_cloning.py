"""Voice prompts in a worker: made from recordings that are fetched, fetched when they are needed, a few kept."""

from __future__ import annotations

import contextlib

import pytest

from voicebus.bus import messages as m
from voicebus.bus import prompts, sockets
from voicebus.bus.codec import decode_map, encode
from voicebus.bus.prompts import Array, VoicePrompt
from voicebus.workers import tone
from voicebus.workers.engine import hum

from .broker import Broker, Process

SAMPLE = "a" * 64
MADE_FOR = {"model": "tone", "revision": "1", "mode": "digest"}


@pytest.fixture
def broker(tmp_path):
    found = Broker(tmp_path)
    yield found
    found.close()


@contextlib.contextmanager
def worker(broker: Broker):
    """A worker's process with the tone engine."""
    process = Process(broker, "voicebus.workers.tone")
    try:
        yield process
    finally:
        process.close()


def heard(broker: Broker) -> bytes:
    """The audio of an attempt, up to DONE."""
    pcm = b""
    while True:
        message, body = broker.wait(m.Chunk, m.Done, skip=(m.Beat, m.Begun, m.Need, m.TakeMarks))
        if isinstance(message, m.Done):
            return pcm
        pcm += body


def asked(key: str = "k", **changes) -> bytes:
    """The body of WORK for a prompt of one recording."""
    row = {"sample": SAMPLE, "size": len(hum()), "text": "Words."}
    return encode({"key": key, **MADE_FOR, "samples": [row], **changes})


def feed(broker: Broker, key: str, data: bytes) -> None:
    """Answer all NEEDs of a key, as they come."""
    while True:
        need, _ = broker.wait(m.Need, skip=(m.Beat, m.Begun))
        assert need.key == key
        end = min(need.up_to, len(data))
        if need.offset < len(data):
            broker.say(m.Feed(key=key, offset=need.offset, size=len(data)), data[need.offset : end])
        if end == len(data):
            return


def made(broker: Broker) -> tuple[bytes, m.Done]:
    """A prompt that comes in pieces, up to DONE."""
    data = b""
    while True:
        message, body = broker.wait(m.Prompt, m.Done, skip=(m.Beat, m.Begun))
        if isinstance(message, m.Done):
            return data, message
        assert message.offset == len(data)
        data += body


def test_a_prompt_is_made_from_fetched_recordings(broker):
    """The worker fetches what it is asked to make a prompt from, sends it whole, and then speaks with it without
    asking again."""
    with worker(broker):
        broker.ready()
        broker.say(m.Work(attempt="p", kind="prompt", prompt="k"), asked())
        feed(broker, f"sample:{SAMPLE}", hum())
        data, done = made(broker)
        prompt = prompts.unpack(data)
        assert (prompt.key, prompt.model, prompt.words, done.samples) == ("k", "tone", {"text": "Words."}, 0)
        broker.work("s", "Hello.", voice="", prompt="k", seed=3)
        assert heard(broker) == tone.expected("Hello.", voice=tone.cloned((hum(), "Words.")), seed=3)


def test_a_prompt_is_fetched_once(broker):
    """A worker that does not have a prompt asks for it, and has it at hand from then on."""
    digest = bytes(range(32))
    prompt = VoicePrompt({"digest": Array("U8", (32,), digest)}, {}, "k", *MADE_FOR.values())
    with worker(broker):
        broker.ready()
        broker.work("a", "One.", voice="", prompt="k")
        feed(broker, "prompt:k", prompts.pack(prompt))
        assert heard(broker) == tone.expected("One.", voice=digest.hex())
        broker.work("b", "Two.", voice="", prompt="k")
        assert heard(broker) == tone.expected("Two.", voice=digest.hex())


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("unavailable", b"no prompt"),
        ("unavailable", prompts.pack(VoicePrompt({}, {}, "other", *MADE_FOR.values()))),
        ("unavailable", prompts.pack(VoicePrompt({}, {}, "k", "another model", "1", "digest"))),
        ("invalid_input", prompts.pack(VoicePrompt({}, {}, "k", *MADE_FOR.values()))),
    ],
)
def test_what_is_no_prompt_of_ours_is_refused(broker, code, data):
    """Bytes that are none, of another key or another model, are not spoken with; the worker goes on."""
    with worker(broker):
        broker.ready()
        broker.work("a", "One.", voice="", prompt="k")
        feed(broker, "prompt:k", data)
        assert broker.wait(m.Failed, skip=(m.Beat, m.Begun, m.Need))[0].code == code
        broker.work("b", "Two.")
        assert heard(broker) == tone.expected("Two.")


@pytest.mark.parametrize(("code", "body"), [("protocol", b"\xc1"), ("unavailable", asked(model="another"))])
def test_what_cannot_be_made_is_said(broker, code, body):
    """A request that is not understood, or is for another model, fails by name."""
    with worker(broker):
        broker.ready()
        broker.say(m.Work(attempt="p", kind="prompt", prompt="k"), body)
        assert broker.wait(m.Failed, skip=(m.Beat, m.Begun))[0].code == code


def test_missing_bytes_fail_the_attempt(broker):
    """Where the daemon has no such recording or prompt, the attempt fails with what it said."""
    with worker(broker):
        broker.ready()
        broker.work("a", "One.", voice="", prompt="k")
        need, _ = broker.wait(m.Need, skip=(m.Beat, m.Begun))
        broker.say(m.Feed(key=need.key, missing="it is gone"))
        failed, _ = broker.wait(m.Failed, skip=(m.Beat, m.Need))
        assert (failed.code, "it is gone" in failed.message) == ("unavailable", True)


@pytest.mark.parametrize("slots", [1, 2])
def test_waiting_for_bytes_can_be_stopped(broker, slots):
    """A worker that waits for a prompt or a recording stops at once when it is told to."""
    with worker(broker):
        broker.ready(settings={"slots": slots})
        broker.work("a", "One.", voice="", prompt="k")
        broker.wait(m.Need, skip=(m.Beat, m.Begun))
        broker.say(m.Stop(attempt="a"))
        assert broker.wait(m.Stopped, skip=(m.Beat, m.Need))[0].attempt == "a"
        broker.say(m.Work(attempt="p", kind="prompt", prompt="k"), asked())
        broker.wait(m.Need, skip=(m.Beat, m.Begun))
        broker.say(m.Stop(attempt="p"))
        assert broker.wait(m.Stopped, skip=(m.Beat, m.Need))[0].attempt == "p"


def test_only_a_few_prompts_are_kept(broker):
    """The prompt that was used longest ago has to be fetched again when five are in use."""

    def packed(key):
        return prompts.pack(VoicePrompt({"digest": Array("U8", (32,), bytes(32))}, {}, key, *MADE_FOR.values()))

    with worker(broker):
        broker.ready()
        for number in (0, 1, 2, 3, 4, 0):
            broker.work(f"a{number}", "One.", voice="", prompt=f"k{number}")
            feed(broker, f"prompt:k{number}", packed(f"k{number}"))
            assert heard(broker)


def test_an_engine_without_voices_becomes_ready(broker):
    """An engine that only clones has no voices to list, and passes its test with one that it has made."""
    with worker(broker):
        _, body = broker.ready(settings={"only_cloned": True})
        told = decode_map(body)
        assert (told["voices"], told["prompts"]) == ([], MADE_FOR)
        broker.say(m.Work(attempt="p", kind="probe", credit=m.UNLIMITED))
        assert heard(broker)


def speaking(broker: Broker, attempt: str, key: str = "k") -> bool:
    """Have a sentence spoken with a prompt; whether the worker had to ask for it."""
    broker.work(attempt, "One.", voice="", prompt=key)
    began, _ = broker.wait(m.Need, m.Chunk, skip=(m.Beat, m.Begun, m.TakeMarks))
    if isinstance(began, m.Need):
        data = prompts.pack(VoicePrompt({"digest": Array("U8", (32,), bytes(32))}, {}, key, *MADE_FOR.values()))
        broker.say(m.Feed(key=began.key, size=len(data)), data)
    heard(broker)
    return isinstance(began, m.Need)


@pytest.mark.parametrize("slots", [1, 2])
def test_what_is_to_be_forgotten_has_to_be_asked_for_again(broker, slots):
    """FORGET of a prompt that is at hand is obeyed before the next work; of one that is not, and of what is no prompt,
    it changes nothing."""
    with worker(broker):
        broker.ready(settings={"slots": slots})
        assert [speaking(broker, "a"), speaking(broker, "b"), speaking(broker, "c", "other")] == [True, False, True]
        broker.say(m.Forget(key="prompt:nobody's"))
        broker.say(m.Forget(key="sample:k"))
        assert not speaking(broker, "d")
        broker.say(m.Forget(key="prompt:k"))
        assert [speaking(broker, "e"), speaking(broker, "f", "other")] == [True, False]


def test_a_prompt_that_was_made_is_forgotten_as_well(broker):
    """A worker that has made a prompt and is told to forget it must be fed it."""
    with worker(broker):
        broker.ready()
        broker.say(m.Work(attempt="p", kind="prompt", prompt="k"), asked())
        feed(broker, f"sample:{SAMPLE}", hum())
        made(broker)
        broker.say(m.Forget(key="prompt:k"))
        assert speaking(broker, "a")


def test_a_new_session_begins_without_prompts(broker):
    """A worker whose connection broke keeps its model, and no voice of anybody: the daemon may have wanted one of them
    forgotten meanwhile."""
    with worker(broker):
        broker.ready()
        assert [speaking(broker, "a"), speaking(broker, "b")] == [True, False]
        broker.say(m.Greet())
        broker.ready()
        assert speaking(broker, "c")


def test_a_message_of_a_later_version_is_ignored(broker):
    """What a worker does not know it passes over, and says so on its standard error."""
    with worker(broker) as process:
        broker.ready()
        sockets.send(broker.router, broker.peer, encode(["unheard_of", 1, broker.epoch, broker.session, "prompt:k"]))
        assert speaking(broker, "a")
        broker.say(m.Quit())
        assert process.exit() == 0
        assert "not understood" in process.words()
