"""The speaking worker is killed while its audio is written: into what can be cut, and into what cannot."""

from __future__ import annotations

import os
import threading

import soundfile

from .listening import RATE, TONE, Heard, exact, killing, sentences

CONFIG = f"""
[providers.tone]
module = "voicebus.workers.tone"
workers = 2
settings = {{ {TONE}, factor = 0.15 }}
[providers.espeak]
workers = 0
[defaults]
chain = ["tone"]
"""
TEXT = sentences(3)


def saved(service, client, target, form=None, **options):
    """Save the text, killing whoever speaks when half a sentence has been heard; returns what was heard of it."""
    service.ready(client, "tone", 2)
    heard = Heard(client.speak(TEXT, **options))
    on_frame, killed = killing(heard, lambda: service.busy(client, "tone"), when=lambda heard: heard.samples > RATE / 4)

    def on_event(event):
        heard.take(event)
        on_frame(event)

    assert heard.speech.save(target, form, on_event=on_event).complete
    assert killed
    return heard


def in_file(path):
    """The samples of a file, as any program reads them."""
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    return samples.tobytes()


def test_a_wav_is_cut_back_and_goes_on(service, client, tmp_path):
    """A WAV file is cut to where the sentence began; in the end it has every sentence once, and nothing beside it is
    left."""
    heard = saved(service, client, tmp_path / "a.wav")
    assert heard.rewinds
    exact(client, in_file(tmp_path / "a.wav"), TEXT, job=heard.speech.job)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_compressed_file_gets_whole_takes_only(service, client, tmp_path):
    """What was encoded cannot be taken back, so FLAC reads whole takes, and is never rewound."""
    heard = saved(service, client, tmp_path / "a.flac", whole=True)
    assert not heard.rewinds
    exact(client, in_file(tmp_path / "a.flac"), TEXT, job=heard.speech.job)


def test_a_compressed_file_holds_back_what_may_be_rewound(service, client, tmp_path):
    """The same when the audio comes live: a sentence is encoded only when the next one has begun."""
    heard = saved(service, client, tmp_path / "a.flac")
    assert heard.rewinds
    exact(client, in_file(tmp_path / "a.flac"), TEXT, job=heard.speech.job)


def test_a_pipe_gets_whole_takes_only(service, client):
    """What went into a pipe cannot be taken back: every byte that comes out of it is right at once."""
    reading, writing = os.pipe()
    came = []
    with os.fdopen(reading, "rb") as out:
        reader = threading.Thread(target=lambda: came.append(out.read()))
        reader.start()
        try:
            with os.fdopen(writing, "wb") as into:
                heard = saved(service, client, into, "raw", whole=True)
        finally:
            reader.join(10)
    exact(client, came[0], TEXT, job=heard.speech.job)
