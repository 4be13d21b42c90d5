"""The engine over the real faster-whisper, on a tiny random model: it hears nonsense by the real way."""

from __future__ import annotations

import io
import struct
import threading

import pytest

from voicebus.workers.conformance import check
from voicebus.workers.engine import About, EngineError, Passage, Reached, Recording, hum


def heard(engine, data, **fields):
    """What the engine hears in a file: what it is about, and its passages."""
    items = list(engine.transcribe(Recording(io.BytesIO(data), **fields)))
    assert isinstance(items[0], About)
    assert all(isinstance(item, Passage | Reached) for item in items[1:])
    return items[0], [item for item in items if isinstance(item, Passage)]


def in_order(passages, start=0.0, end=1e9):
    for passage in passages:
        assert start - 1e-3 <= passage.start_s <= passage.end_s <= end + 1e-3
        start = passage.end_s


def test_it_conforms(settings):
    """The engine passes the conformance suite."""
    from voicebus.workers.whisper import WhisperEngine

    report = check(WhisperEngine, settings())
    assert report.passed, str(report)


def test_a_recording_is_heard(engine, recording, speech):
    """Passages come in order, inside the recording, with text and confidence; its length and language are told."""
    about, passages = heard(engine, recording())
    assert about.duration_s == pytest.approx(len(speech[0]) / speech[1], abs=0.01)
    assert about.language in ("en", "zh", "de", "es", "fr", "ja")
    assert 0 < about.confidence <= 1
    assert passages
    in_order(passages, 0.0, about.duration_s)
    assert all(passage.text.strip() and 0 <= passage.confidence <= 1 for passage in passages)


def test_the_pause_is_left_out(engine, recording):
    """Where nobody speaks is not listened to: the seconds of speech are told, and are those of the sentences."""
    about, _ = heard(engine, recording(), vad=True)
    assert 3 < about.speech_s < about.duration_s - 1.5
    about, _ = heard(engine, recording(), vad=False)
    assert about.speech_s == -1.0


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_common_formats_are_decoded(engine, recording, form):
    """Any common format is read, and is as long as it was."""
    about, _ = heard(engine, recording(form), language="en")
    assert about.duration_s == pytest.approx(heard(engine, recording(), language="en")[0].duration_s, abs=0.15)


def test_video_with_sound_is_heard(engine, speech):
    """Of a film the sound is heard; a film without sound is no recording."""
    import av
    import numpy as np

    def film(*, sound):
        file = io.BytesIO()
        with av.open(file, "w", format="mov") as out:  # whose index is at its end
            picture = out.add_stream("mpeg4", rate=5)
            picture.width = picture.height = 64
            track = out.add_stream("pcm_s16le", rate=speech[1], layout="mono") if sound else None
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                out.mux(picture.encode(frame))
            out.mux(picture.encode(None))
            if track is not None:
                frame = av.AudioFrame.from_ndarray(speech[0].reshape(1, -1)[:, : 2 * speech[1]], "s16", "mono")
                frame.rate = speech[1]
                out.mux(track.encode(frame))
                out.mux(track.encode(None))
        return file.getvalue()

    about, _ = heard(engine, film(sound=True), language="en")
    assert about.duration_s == pytest.approx(2.0, abs=0.1)
    with pytest.raises(EngineError, match="no sound"):
        heard(engine, film(sound=False))


def test_silence_has_no_passages(engine):
    """Silence, and a hum, are recordings in which nobody speaks: no failure, and nothing is made up."""
    import numpy as np
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(3 * 16000, np.int16), 16000, format="wav")
    for data, seconds in ((file.getvalue(), 3.0), (hum(2.0), 2.0)):
        about, passages = heard(engine, data)
        assert (about.duration_s, about.speech_s, passages) == (seconds, 0.0, [])


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"no audio at all, but some text" * 40, bytes(100_000), hum(0.0), b"\xff\xfb\x90\x00" * 3],
    ids=["nothing", "head", "text", "zeros", "no samples", "mp3 heads"],
)
def test_what_is_no_audio_is_refused(engine, data):
    """What cannot be decoded is refused as invalid input, in words; the engine goes on."""
    with pytest.raises(EngineError) as refused:
        heard(engine, data)
    assert refused.value.code == "invalid_input"
    assert refused.value.message


def test_a_recording_that_breaks_off_is_heard_as_far_as_it_goes(engine, recording, speech):
    """Of a file that is cut in the middle the part before is heard."""
    whole = recording("flac")
    about, _ = heard(engine, whole[: len(whole) // 2], language="en")
    assert 1.0 < about.duration_s < len(speech[0]) / speech[1] - 1


def test_a_small_file_that_claims_to_be_long_is_refused(settings):
    """A few bytes of which a week of sound would come are refused before the memory is full."""
    from voicebus.workers.whisper import WhisperEngine

    engine = WhisperEngine()
    engine.load(settings(longest_hours=0.001), lambda percent, note: None)
    with pytest.raises(EngineError, match="longer than"):
        heard(engine, hum(10.0))


def test_words_are_timed(engine, recording):
    """Words have their times, in order, inside their passage, where they are asked for."""
    _, passages = heard(engine, recording(), words=True, language="en")
    assert any(passage.words for passage in passages)
    for passage in passages:
        for word in passage.words:
            assert passage.start_s <= word.start_s <= word.end_s
            assert 0 <= word.confidence <= 1
    assert not any(passage.words for passage in heard(engine, recording(), language="en")[1])


def test_it_goes_on_from_a_place(engine, recording, speech):
    """Asked to go on from a place, nothing before it comes, and times are those of the whole recording."""
    length = len(speech[0]) / speech[1]
    about, passages = heard(engine, recording(), from_s=6.0, before="what was said", language="en")
    assert about.duration_s == pytest.approx(length, abs=0.01)
    in_order(passages, 6.0, length)
    _, passages = heard(engine, recording(), from_s=length)
    assert passages == []
    _, passages = heard(engine, recording(), from_s=length + 100)
    assert passages == []


def test_languages_are_named_as_in_bcp_47(engine, recording):
    """A tag with a region is its language; one that the model does not know is refused by name."""
    assert heard(engine, recording(), language="de-AT")[0].language == "de"
    with pytest.raises(EngineError, match="does not know the language 'tlh'"):
        heard(engine, recording(), language="tlh")


@pytest.mark.parametrize(
    "options", [{"beam_size": "many"}, {"max_new_tokens": 10_000}, {"temperature": -1.0}, {"beam_size": True}]
)
def test_options_that_cannot_be_are_refused(engine, recording, options):
    """An option with a value that the library does not take is the caller's mistake, and the engine goes on."""
    with pytest.raises(EngineError, match="it ") as refused:
        heard(engine, recording(), options=options, language="en")
    assert refused.value.code == "invalid_input"
    assert heard(engine, recording(), language="en")[1] is not None


def test_a_stop_is_heeded_within_a_window(engine, recording):
    """Once nobody wants it any more, it ends at the next call into the model, which is several times in a window."""
    calls = 0

    def stopped():
        nonlocal calls
        calls += 1
        return calls > 2

    items = list(engine.transcribe(Recording(io.BytesIO(recording()), language="en", vad=False, stopped=stopped)))
    assert not any(isinstance(item, Reached) for item in items)
    assert calls == 3


def test_signs_of_progress_come_within_a_window(engine, recording):
    """While a window is heard the engine says that it is at work."""
    places = []
    engine_items = engine.transcribe(Recording(io.BytesIO(recording()), vad=False, reached=places.append))
    assert list(engine_items)
    assert len(places) >= 3
    assert places == sorted(places)


def test_closing_leaves_it_usable(engine, recording):
    """An iterator that is closed after its first item leaves the engine as it was."""
    items = engine.transcribe(Recording(io.BytesIO(recording()), language="en"))
    next(items)
    items.close()
    assert heard(engine, recording(), language="en")[0].language == "en"


def test_many_recordings_take_no_more_memory(engine, recording):
    """One recording after the other: the memory does not grow."""
    from voicebus.workers.runtime import rss

    data = recording()
    for _ in range(5):
        heard(engine, data, language="en")
    before = rss()
    for _ in range(40):
        heard(engine, data, language="en")
    assert rss() - before < 48e6


# -------------------------------------------------------------------------------------------------------------- loading


def fails(settings, *, lasting=True):
    from voicebus.workers.whisper import WhisperEngine

    with pytest.raises(EngineError) as failed:
        WhisperEngine().load(settings, lambda percent, note: None)
    assert (failed.value.code, failed.value.lasting) == ("load_failed", lasting)
    return failed.value.message


def test_what_is_missing_is_said_with_the_command(tmp_path, monkeypatch):
    """A model that is not on the machine is not downloaded by itself; the command that gets it is said."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "hf download Systran/faster-whisper-small" in fails({"device": "cpu"})
    assert "there is no Whisper model 'enormous'; there are" in fails({"model": "enormous"})
    assert "there is no folder" in fails({"model": str(tmp_path / "none")})
    assert "lacks model.bin, config.json, tokenizer.json" in fails({"model": str(tmp_path)})


def test_a_broken_model_is_said_in_words(model, tmp_path):
    """A model file that is not one fails to load, and says so."""
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.bin").write_bytes(struct.pack("<I", 6) + b"nonsense" * 10)
    assert "cannot be loaded" in fails({"model": str(tmp_path), "device": "cpu"}, lasting=False)


def test_devices(settings):
    """The processor is used where nothing else is there, and told; CUDA that was asked for is never replaced by it."""
    import ctranslate2

    from voicebus.workers.whisper import WhisperEngine

    engine = WhisperEngine()
    engine.load(settings(device="auto"), lambda percent, note: None)
    told = engine.device()
    if not ctranslate2.get_cuda_device_count():
        assert (told["kind"], told["threads"], told["model"]) == ("cpu", 1, "tiny-random")
        assert told["compute_type"].startswith("int8")
        assert "does not run on CUDA here" in fails(settings(device="cuda"), lasting=False)
    assert "set it to auto, cpu or cuda" in fails(settings(device="abacus"))


def test_nothing_is_left_behind(settings, recording):
    """A recording is heard on the thread that asks; no thread of Python's is left."""
    from voicebus.workers.whisper import WhisperEngine

    before = threading.active_count()
    engine = WhisperEngine()
    engine.load(settings(), lambda percent, note: None)
    heard(engine, recording())
    engine.close()
    assert threading.active_count() <= before + 1
