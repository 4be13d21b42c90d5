"""The frames and their decoding, against the package's own generation and decoding with the same seed."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from voicebus.workers.engine import Request

from ..qwen.promises import NEVER, TEXT, chunks
from .tiny import END

FRAMES = 20
LAST_BIT = 1.5
"""Of a 16-bit sample: float32 in another order of additions."""


@contextlib.contextmanager
def packages_own(engine):
    """The model as the package left it, with its codec in place."""
    engine._model.speech_tokenizer = engine._codec
    yield engine._model


def package_says(engine, request, **options):
    """What the package makes of a request with the same seed: numpy arrays, float32, one for each of its packets."""
    import mlx.core as mx
    import numpy as np

    asked = {"lang_code": engine._languages.name(request.language), "max_tokens": FRAMES, **options}
    if engine._files.kind == "custom_voice":
        asked |= {"voice": request.voice, "instruct": request.instruct or None}
    elif engine._files.kind == "voice_design":
        asked |= {"instruct": request.instruct}
    with packages_own(engine) as model:
        mx.random.seed(request.seed)
        return [np.array(made.audio) for made in model.generate(request.text, **asked)]


def samples_of(engine, request, frames=FRAMES):
    """What the engine says in its first frames, as whole numbers of a 16-bit sample."""
    import numpy as np

    pcm, items = b"", engine.synthesize(request)
    while len(pcm) < frames * 3840 and (chunk := next(items, None)) is not None:
        pcm += chunk.pcm
    items.close()
    return np.frombuffer(pcm[: frames * 3840], "<i2").astype("int32")


def codes_of(engine, request, frames=FRAMES):
    """Codes (books, frames) of an utterance."""
    import mlx.core as mx

    utterance, _ = engine._begin(request)
    return mx.stack([utterance.frame() for _ in range(frames)], axis=-1)


def decoded(engine, codes):
    """Codes (books, frames) decoded in one piece, in units of a 16-bit sample."""
    import numpy as np

    return np.array(engine._codec.decoder(codes[None])[0, 0]) * 32767


def heard(engine, recording):
    """A recording's samples, as the package is given them."""
    import mlx.core as mx

    from voicebus.workers import _qwen_prompts

    return mx.array(_qwen_prompts.read(recording))


@pytest.mark.parametrize(
    ("kind", "voice", "instruct"),
    [
        ("custom_voice", "vivian", ""),
        ("custom_voice", "ryan", "whispering"),
        ("voice_design", "designed", "an old man"),
    ],
)
def test_the_package_streams_the_same(engine, kind, voice, instruct):
    """Packets of four frames are the package's own packets of four, sample for sample: the same codes, drawn with the
    same seed, through the same decoder."""
    import numpy as np

    one = engine(kind, NEVER, first_frames=4, packet_frames=4)
    request = Request(TEXT, voice, "de", instruct=instruct, seed=5)
    theirs = package_says(one, request, stream=True, streaming_interval=0.32)
    assert [len(packet) for packet in theirs] == [4 * 1920] * (FRAMES // 4)
    assert np.array_equal(samples_of(one, request), (np.concatenate(theirs) * 32767).round())


@pytest.mark.parametrize("packet", [1, 3])
def test_streamed_samples_are_those_of_the_whole(engine, packet):
    """Packets of any size are what the package makes of the whole at once when it does not stream, to the last bit."""
    import numpy as np

    one = engine(options=NEVER, first_frames=1, packet_frames=packet)
    request = Request(TEXT, "ryan", "en", seed=2)
    (theirs,) = package_says(one, request)
    ours = samples_of(one, request)[: len(theirs)]
    # Where a frame's first code is 0, the package takes it for padding and cuts as much off its end.
    assert len(theirs) > (FRAMES - 3) * 1920
    assert np.abs(ours - theirs * 32767).max() < LAST_BIT


def test_blocks_that_overlap_lose_nothing(engine):
    """So they are with the real decoder's blocks, of which each leaves a tail in the next frame."""
    import numpy as np

    one = engine(options={"blocks": True, **NEVER}, first_frames=1, packet_frames=2)
    request = Request(TEXT, "ryan", "en", seed=2)
    whole = decoded(one, codes_of(one, request, 7))
    ours = samples_of(one, request, 7)
    assert np.abs(whole).max() > 300
    assert np.abs(ours - whole).max() < LAST_BIT


@pytest.mark.slow
def test_long_utterances_are_one_stream(engine):
    """Beyond 300 frames the package, when it does not stream, begins again with 25 frames of context, which is heard as
    little as it is seen here; streamed audio is that of one piece to its end."""
    import numpy as np

    one = engine(options=NEVER, first_frames=20, packet_frames=20)
    request = Request(TEXT * 10, "ryan", "en", seed=2)
    codes = codes_of(one, request, 320)
    ours, whole = samples_of(one, request, 320), decoded(one, codes)
    assert np.abs(ours - whole).max() < LAST_BIT
    chunked = np.array(one._codec.decoder.chunked_decode(codes[None])[0, 0]) * 32767
    assert LAST_BIT < np.abs(chunked - whole)[300 * 1920 :].max() < 0.01 * 32767


def test_options_are_those_of_the_package(engine):
    """Temperature and the bounds of what is drawn mean the same, and change what is said."""
    import numpy as np

    one, options = engine(options=NEVER, first_frames=4), {"temperature": 0.3, "top_k": 5, "top_p": 0.8}
    request = Request(TEXT, "ryan", "en", seed=4, options=options)
    theirs = np.concatenate(package_says(one, request, stream=True, streaming_interval=0.32, **options))
    ours = samples_of(one, request)
    assert np.array_equal(ours, (theirs * 32767).round())
    assert not np.array_equal(ours, samples_of(one, Request(TEXT, "ryan", "en", seed=4)))


def test_a_cloned_voice_does_not_start_cold(engine, recording):
    """The reference's codes go through the decoder first, as when the package does not stream; its own stream leaves
    them out, and its first samples are others."""
    import mlx.core as mx
    import numpy as np

    one = engine("base", NEVER, context_frames=2048)
    request = Request(TEXT, "hum", "en", seed=5)
    reference = one._clones.named["hum"].codes[0]
    generated = codes_of(one, request)
    whole = decoded(one, mx.concatenate([reference, generated], axis=1))[reference.shape[1] * 1920 :]
    ours = samples_of(one, request)
    assert np.abs(ours - whole).max() < LAST_BIT
    cold = package_says(one, request, ref_audio=heard(one, recording), ref_text="hello world", stream=True)
    assert np.abs(ours[:1920] - cold[0][:1920] * 32767).max() > 300


@pytest.mark.parametrize("text", ["hello world", ""])
def test_a_prompt_is_what_the_package_hears(settings, engine, engine_class, recording, text):
    """A prompt, made once, says with one seed what the package says when it is given the recording itself, whether its
    text is known or only its sound."""
    import numpy as np

    voices = {"voices": {"hum": {"sample": str(recording), "text": text}}}
    one = engine("base", NEVER, first_frames=4, context_frames=0, **voices)
    request = Request(TEXT, "hum", "en", seed=5)
    theirs = package_says(
        one, request, ref_audio=heard(one, recording), ref_text=text or None, stream=True, streaming_interval=0.32
    )
    assert np.array_equal(samples_of(one, request), (np.concatenate(theirs) * 32767).round())


def test_the_package_remembers_no_recordings(engine):
    """It keeps what it heard of each recording for ever; here, nothing is left after a sentence."""
    one = engine("base", NEVER)
    samples_of(one, Request(TEXT, "hum", "en", seed=5), 2)
    assert one._model["_icl_cache"] == {}


def test_draws_do_not_mix(engine):
    """Two utterances, each asked for a frame in turn, draw what each draws alone: random numbers are their own."""
    import mlx.core as mx

    one = engine(options=NEVER)
    requests = [Request(TEXT, "ryan", "en", seed=1), Request("Hello.", "vivian", "de", seed=2**53 - 1)]
    alone = [codes_of(one, request, 6) for request in requests]
    under_way = [one._begin(request)[0] for request in requests]
    together = [[], []]
    for turn in range(12):
        together[turn % 2].append(under_way[turn % 2].frame())
    for apart, mixed in zip(alone, together, strict=True):
        assert mx.array_equal(apart, mx.stack(mixed, axis=-1))


def test_a_decoder_has_one_stream(engine):
    """It says so aloud when two utterances are decoded in turn, instead of mixing their sound."""
    one = engine(options=NEVER)
    under_way = [one.synthesize(Request(TEXT, voice, "en", seed=1)) for voice in ("ryan", "vivian")]
    assert [len(next(items).pcm) for items in under_way] == [3840, 3840]
    with pytest.raises(RuntimeError, match="another utterance"):
        list(itertools.islice(under_way[0], 4))
    under_way[1].close()


def counted_frames(monkeypatch):
    """A list that grows with each frame that the package makes."""
    from voicebus.workers import _qwen_mlx_frames

    frames, step = [], _qwen_mlx_frames.Tap.streaming_step

    def counting(tap, codes):
        frames.append(1)
        return step(tap, codes)

    monkeypatch.setattr(_qwen_mlx_frames.Tap, "streaming_step", counting)
    return frames


@pytest.mark.parametrize("at", [1, 2, 5])
def test_closing_stops_within_one_frame(engine, monkeypatch, at):
    """After the iterator is closed the model makes no frame more, wherever in a packet it is."""
    one = engine(options=NEVER, first_frames=1, packet_frames=8)
    frames = counted_frames(monkeypatch)
    items = one.synthesize(Request(TEXT, "ryan", "en", seed=1))
    for _ in range(at):
        next(items)
    before = len(frames)
    items.close()
    assert (before, len(frames)) == (at, at)


def test_emit_stops_within_one_frame(engine, monkeypatch):
    """`speak` makes no frame after `emit` has said no, and asks it once a frame, also in the middle of a packet."""
    one = engine(options=NEVER, first_frames=1, packet_frames=8)
    frames = counted_frames(monkeypatch)
    calls = []

    def emit(item):
        calls.append(len(item.pcm))
        return len(calls) < 4

    one.speak(Request(TEXT, "ryan", "en", seed=1), emit)
    assert (len(calls), len(frames)) == (4, 4)


def test_memory_is_given_back(engine):
    """After an utterance, whole or broken off, MLX keeps nothing for the next."""
    import mlx.core as mx

    one = engine(options={"odds": {END: 3.0}})
    chunks(one, Request(TEXT, "ryan", "en", seed=1))
    assert mx.get_cache_memory() == 0
    used = mx.get_active_memory()
    items = one.synthesize(Request(TEXT, "ryan", "en", seed=2))
    next(items)
    items.close()
    assert (mx.get_cache_memory(), mx.get_active_memory()) == (0, used)
