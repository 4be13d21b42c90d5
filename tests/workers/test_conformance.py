"""The conformance suite: our engines pass it, and broken ones fail by the right check."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from voicebus.workers.conformance import check, main
from voicebus.workers.engine import Capabilities, Chunk, Engine, EngineError, Mark, Voice
from voicebus.workers.espeak import EspeakEngine
from voicebus.workers.tone import ToneEngine


class Good(Engine):
    """Keeps the contract in a few lines; what a test overrides in it is what breaks it."""

    name, version, sample_rate = "good", "1", 16000
    can = Capabilities(marks=("word",))

    def load(self, settings, progress):
        pass

    def voices(self):
        return [Voice("one", ("en",))]

    def capabilities(self):
        return self.can

    def synthesize(self, request):
        if request.voice != "one":
            raise EngineError("invalid_input", "no such voice")
        at = 0
        for word in request.text.split(" "):
            core = word.strip(".,")
            yield Mark("word", self.sample(at), request.text.index(word), len(core))
            at += 1600 * min(len(word), 100)
            yield Chunk(b"\x10\x10" * (1600 * min(len(word), 100)))

    def sample(self, at):
        return at


class Odd(Good):
    def synthesize(self, request):
        yield Chunk(b"\x10\x10" * 30000 + b"\x10")


class Deaf(Good):
    def synthesize(self, request):
        yield Chunk(bytes(60000))


class AnyVoice(Good):
    def synthesize(self, request):
        yield from super().synthesize(type(request)(request.text, "one"))


class LateMarks(Good):
    def sample(self, at):
        return max(0, at - 5)


class Boaster(Good):
    can = Capabilities(marks=("word",), rate=True, pitch=True)


class Nervous(Good):
    def synthesize(self, request):
        request.text.encode()
        yield from super().synthesize(request)


class Stubborn(Good):
    def speak(self, request, emit):
        for item in self.synthesize(request):
            emit(item)


class AtOnce(Good):
    def synthesize(self, request):
        items = list(super().synthesize(request))
        yield from (item for item in items if isinstance(item, Mark))
        yield Chunk(b"".join(item.pcm for item in items if isinstance(item, Chunk)))


class Unmoved(Good):
    can = Capabilities(marks=("word",), instruct=True)


class Twins(Good):
    def voices(self):
        return [Voice("one"), Voice("one")]


class Strangers(Good):
    can = Capabilities(marks=("word",), default_voices={"de": "nobody"})


class Elephant(ToneEngine):
    """Has the voices of requests at hand by their key, and never lets go of one."""

    def load(self, settings, progress):
        super().load(settings, progress)
        self.known = {}

    def _voice(self, request):
        if request.prompt is None or not request.prompt.key:
            return super()._voice(request)
        return self.known.setdefault(request.prompt.key, super()._voice(request))


class Fails(Good):
    def load(self, settings, progress):
        raise EngineError("load_failed", "no model")


def failed(engine):
    return [result.name for result in check(engine).results if result.problem]


@pytest.mark.parametrize("engine", [EspeakEngine, ToneEngine, Good])
def test_a_good_engine_passes(engine):
    """Our own engines, and the smallest one that keeps the contract, pass every check."""
    report = check(engine)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    ("engine", "name"),
    [
        (Odd, "speech"),
        (Deaf, "self-test"),
        (AnyVoice, "unknown-voice"),
        (LateMarks, "marks"),
        (Boaster, "claims"),
        (Nervous, "odd-texts"),
        (Stubborn, "both-forms"),
        (AtOnce, "streaming"),
        (Unmoved, "claims"),
        (Twins, "voices"),
        (Strangers, "default-voices"),
        (Elephant, "forgetting"),
        (Fails, "load"),
    ],
)
def test_a_broken_engine_fails_by_the_right_check(engine, name):
    """Each breach of the contract is found by the check that is named for it."""
    assert name in failed(engine)


def test_a_failing_check_hides_no_other():
    """After a failure the other checks still run."""
    assert len(check(Twins).results) == len(check(Good).results)


def test_the_report_is_plain(capsys):
    """The command prints a line for each check and what is wrong, and exits with 0 only for a good engine."""
    assert main(["tone", "--settings", json.dumps({"sample_rate": 16000})]) == 0
    assert "21 checks, 0 failed" in capsys.readouterr().out
    assert main(["tone", "--settings", '{"load_error": "no model"}']) == 1
    assert "no model" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nosuch"], ["tone", "--settings", "{"], ["conformance"]])
def test_a_wrong_command_is_said_plainly(arguments, capsys):
    """An engine that is not there, or settings that are no JSON, exit with 2 and a line."""
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_outsiders_can_run_it():
    """The suite is a command of its own, for any module's engine."""
    command = [sys.executable, "-m", "voicebus.workers.conformance", "voicebus.workers.tone:ToneEngine"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
