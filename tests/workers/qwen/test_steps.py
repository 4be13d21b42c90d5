"""The step loop and the window, against the package's own generation and decoding."""

from __future__ import annotations

import pytest

from voicebus.workers.engine import Request

from .tiny import END

TEXT = "Hello world, this is a test."
LONG = {"odds": {END: -3.0}}
"""Long enough for several windows, with an end."""


def package_says(engine, request, **options):
    """Codes (frames, books) and samples that the package itself makes of a request, with the same seed."""
    import torch

    tts, codes = engine._tts, []
    decode = tts.model.speech_tokenizer.decode

    def watched(encoded):
        codes.append(encoded[0]["audio_codes"])
        return decode(encoded)

    tts.model.speech_tokenizer.decode = watched
    try:
        torch.manual_seed(request.seed)
        kind, language = engine._files.kind, engine._languages.name(request.language)
        if kind == "custom_voice":
            said = tts.generate_custom_voice(
                request.text, request.voice, language, instruct=request.instruct or None, **options
            )
        elif kind == "voice_design":
            said = tts.generate_voice_design(request.text, request.instruct, language, **options)
        else:
            prompt = [engine._prompts[request.voice]]
            said = tts.generate_voice_clone(request.text, language, voice_clone_prompt=prompt, **options)
    finally:
        del tts.model.speech_tokenizer.decode
    return codes[0], said[0][0]


def codes_of(engine, request, most=2000):
    """Codes (frames, books) of the step loop."""
    import torch

    utterance, _ = engine._begin(request)
    found = []
    while len(found) < most and (codes := utterance.frame()) is not None:
        found.append(codes)
    return torch.stack(found)


def samples_of(engine, request):
    """What the engine says, as float samples."""
    import numpy as np

    pcm = b"".join(chunk.pcm for chunk in engine.synthesize(request))
    return np.frombuffer(pcm, "<i2").astype("float32") / 32767


@pytest.mark.parametrize("seed", [1, 2, 3, 10])
def test_the_package_draws_the_same_codes(engine, seed):
    """With one seed, the step loop and the package's own `generate` make the same frames, to the last code."""
    import torch

    one, request = engine(), Request(TEXT, "ryan", "en", seed=seed)
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

    one = engine(kind, {"books": books})
    request = Request("Hello.", voice, "de", instruct=instruct, seed=5)
    theirs, _ = package_says(one, request)
    # The package takes the reference's codes in front before it decodes them.
    theirs = theirs[len(one._prompts["hum"].ref_code) :] if kind == "base" else theirs
    assert torch.equal(codes_of(one, request), theirs)


def test_options_are_those_of_the_package(engine):
    """Temperature and the bounds of what is drawn mean the same, and change what is said."""
    import torch

    one, options = engine(), {"temperature": 0.3, "top_k": 5, "top_p": 0.8}
    request = Request(TEXT, "ryan", "en", seed=4, options=options)
    theirs, _ = package_says(one, request, max_new_tokens=60, **options)
    ours = codes_of(one, request, len(theirs))
    assert torch.equal(ours, theirs)
    plain = codes_of(one, Request(TEXT, "ryan", "en", seed=4), len(theirs))
    assert not torch.equal(ours[: len(plain)], plain)


@pytest.mark.parametrize("context", [25, 10])
def test_streamed_samples_are_those_of_the_chunked_decode(engine, context):
    """Joined, the packets are the package's own chunked decode, of the same chunks and context, sample for sample."""
    import numpy as np
    import torch

    one = engine(options=LONG, first_frames=4, packet_frames=4, context_frames=context)
    request = Request("Hello world.", "ryan", "en", seed=2)
    codes = codes_of(one, request)
    assert len(codes) > 40
    with torch.inference_mode():
        whole = one._decoder.chunked_decode(codes.T.unsqueeze(0), chunk_size=4, left_context_size=context)[0, 0]
    theirs = (whole.clamp(-1, 1) * 32767).round().numpy()
    assert np.array_equal((samples_of(one, request) * 32767).round(), theirs)


def test_with_enough_context_they_are_those_of_the_whole(engine):
    """With the decoder's whole memory as context (72 frames), packets of any size are what one decode of all makes."""
    import numpy as np

    one = engine(options=LONG, first_frames=1, packet_frames=4, context_frames=72)
    request = Request("Hello world.", "ryan", "en", seed=2)
    _, theirs = package_says(one, request)
    assert np.abs(samples_of(one, request) - theirs).max() < 2 / 32767


def test_a_cloned_voice_does_not_start_cold(engine):
    """The reference's codes are the first packet's context, so that it sounds as the package's does from the start."""
    import numpy as np

    one = engine("base", context_frames=72, packet_frames=4)
    request = Request("Hello.", "hum", "en", seed=5)
    _, theirs = package_says(one, request)
    ours = samples_of(one, request)
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 2 / 32767
