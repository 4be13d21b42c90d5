"""A tiny Whisper with random weights, in the format that CTranslate2 reads: made with numpy, in a fraction of a second.

It hears nonsense, but by the real way: the same files, loader, decoding, timestamps, language tokens and alignment.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ctranslate2.specs import whisper_spec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SIZES = {"tiny": (16, 2, 32, 1), "base": (512, 8, 2048, 6), "small": (768, 12, 3072, 12)}
"""Width, heads, inner width and layers: ours, and those of two real models, whose speed random weights have as well."""

LANGUAGES = ("en", "zh", "de", "es", "fr", "ja")
MEL = 80


def build(folder: Path, *, seed: int = 0, size: str = "tiny") -> Path:
    """Make a model in a folder, and return that."""
    width, heads, inner, layers = SIZES[size]
    folder.mkdir(parents=True, exist_ok=True)
    tokens, tokenizer = _tokens()
    tokenizer.save(str(folder / "tokenizer.json"))
    spec = whisper_spec.WhisperSpec(layers, heads, layers, heads)
    _Random(seed, width, inner).fill(spec, len(tokens))
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("<|endoftext|>")]
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{language}|>") for language in LANGUAGES]
    spec.config.alignment_heads = [[0, 0], [0, 1]]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    features = {
        "chunk_length": 30,
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": MEL,
        "hop_length": 160,
        "n_fft": 400,
        "n_samples": 480000,
        "nb_max_frames": 3000,
        "sampling_rate": 16000,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(features))
    return folder


def _tokens():
    base = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate(base)}
    vocabulary[""] = len(base)  # this one token is what makes CTranslate2 call a model multilingual
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["endoftext", "startoftranscript", *LANGUAGES, "translate", "transcribe", "startoflm", "startofprev"]
    tokenizer.add_special_tokens([f"<|{name}|>" for name in (*special, "nospeech", "notimestamps")])
    found = {index: token for token, index in tokenizer.get_vocab().items()}
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    return [found[index] for index in range(len(found))] + times, tokenizer


class _Random:
    """Fills a specification with random numbers."""

    def __init__(self, seed: int, width: int, inner: int) -> None:
        self._random = np.random.default_rng(seed)
        self._width, self._inner = width, inner

    def _some(self, *shape: int):
        return (self._random.standard_normal(shape) * 1.2 / self._width**0.5).astype(np.float32)

    def _norm(self, spec) -> None:
        spec.gamma, spec.beta = np.ones(self._width, np.float32), np.zeros(self._width, np.float32)

    def _linear(self, spec, rows: int, columns: int) -> None:
        spec.weight, spec.bias = self._some(rows, columns), np.zeros(rows, np.float32)

    def _attention(self, spec, *, own: bool) -> None:
        self._norm(spec.layer_norm)
        shapes = (3 * self._width, self._width) if own else (self._width, 2 * self._width, self._width)
        for linear, rows in zip(spec.linear, shapes, strict=True):
            self._linear(linear, rows, self._width)

    def _forward(self, spec) -> None:
        self._norm(spec.layer_norm)
        self._linear(spec.linear_0, self._inner, self._width)
        self._linear(spec.linear_1, self._width, self._inner)

    def fill(self, spec, vocabulary: int) -> None:
        encoder, decoder = spec.encoder, spec.decoder
        for convolution, channels in ((encoder.conv1, MEL), (encoder.conv2, self._width)):
            convolution.weight, convolution.bias = (
                self._some(self._width, channels, 3),
                np.zeros(self._width, np.float32),
            )
        encoder.position_encodings.encodings = self._some(1500, self._width)
        decoder.position_encodings.encodings = self._some(448, self._width)
        decoder.embeddings.weight = decoder.projection.weight = self._some(vocabulary, self._width)
        for part in (encoder, decoder):
            self._norm(part.layer_norm)
            for layer in part.layer:
                self._attention(layer.self_attention, own=True)
                self._forward(layer.ffn)
        for layer in decoder.layer:
            self._attention(layer.attention, own=False)
