"""The step loop and the window, against the package's own generation and decoding."""

from __future__ import annotations

import pytest

from voicebus.workers.engine import Request

from .tiny import END

TEXT = "Hello world, this is a test."
NEVER = {"odds": {END: -100.0}}
"""A model that speaks without end: a test takes as many frames as it wants."""

SOON = {"odds": {END: 3.0}}
"""A model that finds an end after a second or a few."""

FRAMES = 52


def package_says(engine, request, **options):
    """Codes (frames, books) and samples that the package itself makes of a request, with the same seed."""
    import torch

    model = engine._models.default
    tts, codes = model._tts, []
    decode = tts.model.speech_tokenizer.decode

    def watched(encoded):
        codes.append(encoded[0]["audio_codes"])
        return decode(encoded)

    tts.model.speech_tokenizer.decode = watched
    try:
        torch.manual_seed(request.seed)
        kind, language = model.files.kind, model.languages.name(request.language)
        if kind == "custom_voice":
            said = tts.generate_custom_voice(
                request.text, request.voice, language, instruct=request.instruct or None, **options
            )
        elif kind == "voice_design":
            said = tts.generate_voice_design(request.text, request.instruct, language, **options)
        else:
            prompt = [model.clones.named[request.voice]]
            said = tts.generate_voice_clone(request.text, language, voice_clone_prompt=prompt, **options)
    finally:
        del tts.model.speech_tokenizer.decode
    return codes[0], said[0][0]


def codes_of(engine, request, most=2000):
    """Codes (frames, books) of the step loop."""
    import torch

    utterance = engine._models.default.utterance(request, min(most, 1000))
    found = []
    while len(found) < most and (codes := utterance.frame()) is not None:
        found.append(codes)
    utterance.close()
    return torch.stack(found)


def samples_of(engine, request, frames=2000):
    """What the engine says in its first frames, as whole numbers of a 16-bit sample."""
    import numpy as np

    pcm, items = b"", engine.synthesize(request)
    while len(pcm) < frames * 3840 and (chunk := next(items, None)) is not None:
        pcm += chunk.pcm
    items.close()
    return np.frombuffer(pcm[: frames * 3840], "<i2").astype("int32")


@pytest.mark.parametrize("seed", [1, 2, 3, 10])
def test_the_package_draws_the_same_codes(engine, seed):
    """With one seed, the step loop and the package's own `generate` make the same frames, to the last code, and the
    same end."""
    import torch

    one, request = engine(options=SOON), Request(TEXT, "ryan", "en", seed=seed)
    theirs, _ = package_says(one, request)
    assert torch.equal(codes_of(one, request), theirs)


@pytest.mark.parametrize("books", [4, 16])
@pytest.mark.parametrize(
    ("kind", "voice", "instruct"),
    [("custom_voice", "vivian", "whispering"), ("voice_design", "designed", "an old man"), ("base", "hum", "")],
)
def test_every_kind_of_model_draws_the_same_codes(engine, kind, voice, instruct, books):
    """So do instructed presets, designed voices and cloned ones, with four books of codes and with the real sixteen."""
    import torch

    one = engine(kind, {"books": books, **NEVER})
    request = Request("Hello.", voice, "de", instruct=instruct, seed=5)
    theirs, _ = package_says(one, request, max_new_tokens=21)
    # The package takes the reference's codes in front before it decodes them.
    theirs = theirs[len(one._models.default.clones.named["hum"].ref_code) :] if kind == "base" else theirs
    assert len(theirs) == 20
    assert torch.equal(codes_of(one, request, 20), theirs)


def test_options_are_those_of_the_package(engine):
    """Temperature and the bounds of what is drawn mean the same, and change what is said."""
    import torch

    one, options = engine(options=NEVER), {"temperature": 0.3, "top_k": 5, "top_p": 0.8}
    request = Request(TEXT, "ryan", "en", seed=4, options=options)
    theirs, _ = package_says(one, request, max_new_tokens=31, **options)
    ours = codes_of(one, request, len(theirs))
    assert torch.equal(ours, theirs)
    plain = codes_of(one, Request(TEXT, "ryan", "en", seed=4), len(theirs))
    assert not torch.equal(ours[: len(plain)], plain)


@pytest.mark.parametrize("context", [25, 10])
def test_streamed_samples_are_those_of_the_chunked_decode(engine, context):
    """Joined, the packets are the package's own chunked decode, of the same chunks and context, sample for sample."""
    import numpy as np
    import torch

    one = engine(options=NEVER, first_frames=4, packet_frames=4, context_frames=context)
    request = Request(TEXT, "ryan", "en", seed=2)
    codes = codes_of(one, request, FRAMES)
    with torch.inference_mode():
        whole = one._models.default.decoder.chunked_decode(
            codes.T.unsqueeze(0), chunk_size=4, left_context_size=context
        )[0, 0]
    theirs = (whole.clamp(-1, 1) * 32767).round().numpy()
    assert np.array_equal(samples_of(one, request, FRAMES), theirs)


def test_with_enough_context_they_are_those_of_the_whole(engine):
    """With all that the decoder sees as context (72 frames by its attention, some more by its convolutions), packets of
    any size are what one decode of all makes, to the last bit but one."""
    import numpy as np

    one = engine(options=NEVER, first_frames=1, packet_frames=3, context_frames=90)
    request = Request(TEXT, "ryan", "en", seed=2)
    _, theirs = package_says(one, request, max_new_tokens=121)
    ours = samples_of(one, request, 120)
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs * 32767).max() < 2


def test_a_cloned_voice_does_not_start_cold(engine):
    """The reference's codes are the first packet's context, so that it sounds as the package's does from the start."""
    import numpy as np

    one = engine("base", NEVER, context_frames=72, packet_frames=4)
    request = Request(TEXT, "hum", "en", seed=5)
    _, theirs = package_says(one, request, max_new_tokens=31)
    ours = samples_of(one, request, 30)
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs * 32767).max() < 2
