"""Makes tiny random checkpoints of the real architecture: the package's own classes, a published model's layout, half a
megabyte. What they say is noise, and everything else about them is real.

The end of speech is a code like any other to random weights, so lengths are a matter of chance: a test that needs a
certain one makes that code more likely or less, or chooses its seed.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from voicebus.workers import _qwen_package

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tts_pad|>", "<|tts_bos|>", "<|tts_eos|>"]
CODES = 64
WIDTH = 32
FEW, PUBLISHED = (2, 1), (28, 5)
"""Layers of the talker and of the code predictor; the published ones are those of both sizes."""
END, STUCK = CODES + 102, 7
"""The code that ends speech, and one like any other."""

GENERATION = {
    "do_sample": True, "repetition_penalty": 1.05, "temperature": 0.9, "top_p": 1.0, "top_k": 50,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_p": 1.0, "subtalker_top_k": 50,
    "max_new_tokens": 2048,
}  # fmt: skip
"""As the published models have it."""

SPEAKERS = {"ryan": CODES + 800, "vivian": CODES + 801, "eric": CODES + 802}
_SPEAKER_ENCODER = (
    "mel_dim", "enc_dim", "enc_channels", "enc_kernel_sizes", "enc_dilations", "enc_attention_channels",
    "enc_res2net_scale", "enc_se_channels", "sample_rate",
)  # fmt: skip


def build(
    folder: Path,
    kind: str = "custom_voice",
    *,
    size: str = "1b7",
    seed: int = 0,
    books: int = 4,
    layers: tuple[int, int] = FEW,
    odds: dict[int, float] | None = None,
    gain: float = 0.01,
) -> Path:
    """A checkpoint. odds: added to the log-odds of codes, more or less. gain: of the last convolution; 0 is silence.
    books: 16 as published, 4 for speed. layers: of the talker and of the code predictor, `PUBLISHED` or `FEW`."""
    _qwen_package.load()
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    random = torch.random.get_rng_state()
    torch.manual_seed(seed)
    with warnings.catch_warnings(), _qwen_package.quiet():
        warnings.simplefilter("ignore")
        _model(folder, kind, size, books, layers, odds or {})
        _codec(folder / "speech_tokenizer", books, gain)
    torch.random.set_rng_state(random)
    return folder


def _model(folder: Path, kind: str, size: str, books: int, layers: tuple[int, int], odds: dict[int, float]) -> None:
    import torch
    from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration, Qwen3TTSProcessor

    tokens = _tokenizer(folder)
    ids = {name: tokens.convert_tokens_to_ids(name) for name in SPECIALS}
    config = Qwen3TTSConfig(
        talker_config=talker(len(tokens), kind, books, layers),
        speaker_encoder_config={
            "enc_dim": WIDTH, "enc_channels": [16, 16, 16, 16, 48], "enc_attention_channels": 16,
            "enc_res2net_scale": 8, "enc_se_channels": 16, "sample_rate": 24000,
        },
        tokenizer_type="qwen3_tts_tokenizer_12hz", tts_model_size=size, tts_model_type=kind,
        im_start_token_id=ids["<|im_start|>"], im_end_token_id=ids["<|im_end|>"],
        tts_pad_token_id=ids["<|tts_pad|>"], tts_bos_token_id=ids["<|tts_bos|>"],
        tts_eos_token_id=ids["<|tts_eos|>"],
    )  # fmt: skip
    model = Qwen3TTSForConditionalGeneration(config).eval()
    with torch.no_grad():
        _tilt(model.talker, odds)
    model.to(torch.float32).save_pretrained(folder)
    told = json.loads((folder / "config.json").read_text())
    # This one part of the configuration refuses what save_pretrained adds to it.
    told["speaker_encoder_config"] = {
        name: value for name, value in told["speaker_encoder_config"].items() if name in _SPEAKER_ENCODER
    }
    (folder / "config.json").write_text(json.dumps(told))
    Qwen3TTSProcessor(tokenizer=tokens).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(GENERATION))


def _tilt(talker: Any, odds: dict[int, float]) -> None:
    """Move the odds of codes: one dimension of all that the talker reads is made constant, kept so through its layers,
    and read by the heads of those codes alone."""
    for layer in talker.model.layers:
        for last in (layer.self_attn.o_proj, layer.mlp.down_proj):
            last.weight[0] = 0.0
    for table in talker.code_predictor.get_input_embeddings():
        table.weight[:, 0] = 0.0
    talker.text_projection.linear_fc2.weight[0] = talker.text_projection.linear_fc2.bias[0] = 0.0
    talker.model.codec_embedding.weight[:, 0] = 2.0
    talker.codec_head.weight[:, 0] = 0.0
    for code, by in odds.items():
        talker.codec_head.weight[code, 0] = by


def talker(tokens: int, kind: str, books: int, layers: tuple[int, int] = FEW) -> dict[str, Any]:
    first = CODES + 100
    speakers = SPEAKERS if kind == "custom_voice" else {}
    return {
        "code_predictor_config": {
            "vocab_size": CODES, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": layers[1],
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 4096,
            "num_code_groups": books, "rope_theta": 1000000,
        },
        "vocab_size": CODES + 1024, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": layers[0],
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 4096,
        "num_code_groups": books, "text_hidden_size": 32, "text_vocab_size": tokens, "rope_theta": 1000000,
        "position_id_per_seconds": 13,
        # Ten times what a model is born with: what is said has to depend on what was said, and on who asks for it.
        "initializer_range": 0.2,
        "rope_scaling": {"interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "codec_pad_id": first, "codec_bos_id": first + 1, "codec_eos_token_id": first + 2,
        "codec_think_id": first + 6, "codec_nothink_id": first + 7, "codec_think_bos_id": first + 8,
        "codec_think_eos_id": first + 9,
        "codec_language_id": {"chinese": CODES + 7, "english": CODES + 2, "german": CODES + 5},
        "spk_id": speakers, "spk_is_dialect": dict.fromkeys(speakers, False),
    }  # fmt: skip


def vocabulary(folder: Path) -> int:
    """vocab.json and merges.txt of a text tokenizer; how many tokens it has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, min_frequency=1, special_tokens=[], initial_alphabet=alphabet)
    # "<|im_start|>assistant\n" must be three tokens: the package cuts the prompt by count.
    bpe.train_from_iterator(["assistant\n user\n hello world"] * 4, trainer)
    bpe.model.save(str(folder))
    return bpe.get_vocab_size()


def _tokenizer(folder: Path) -> Any:
    from transformers import Qwen2TokenizerFast

    vocabulary(folder)
    return Qwen2TokenizerFast(
        vocab_file=str(folder / "vocab.json"), merges_file=str(folder / "merges.txt"), eos_token="<|im_end|>",
        pad_token="<|endoftext|>", unk_token=None, additional_special_tokens=SPECIALS,
    )  # fmt: skip


def _codec(folder: Path, books: int, gain: float) -> None:
    import torch
    from qwen_tts.core import Qwen3TTSTokenizerV2Config, Qwen3TTSTokenizerV2Model
    from transformers import EncodecFeatureExtractor

    config = Qwen3TTSTokenizerV2Config(
        encoder_config={
            "sampling_rate": 24000, "audio_channels": 1, "hidden_size": 16, "num_filters": 2,
            "num_residual_layers": 1, "upsampling_ratios": [8, 6, 5, 4], "codebook_size": CODES, "codebook_dim": 8,
            "vector_quantization_hidden_dimension": 8, "num_quantizers": 16, "num_semantic_quantizers": 1,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
            "intermediate_size": 32, "sliding_window": 250, "max_position_embeddings": 8000, "upsample_groups": 16,
            "use_causal_conv": True, "frame_rate": 12.5,
        },
        decoder_config={
            "codebook_size": CODES, "hidden_size": 16, "latent_dim": 16, "codebook_dim": 16,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 72,
            "intermediate_size": 32, "num_hidden_layers": 1, "num_quantizers": books, "decoder_dim": 32,
            "upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "max_position_embeddings": 8000,
        },
        encoder_valid_num_quantizers=books,
    )  # fmt: skip
    model = Qwen3TTSTokenizerV2Model(config).eval()
    with torch.no_grad():
        _audible(model, gain)
    model.to(torch.float32).save_pretrained(folder)
    EncodecFeatureExtractor(feature_size=1, sampling_rate=24000, padding_value=0.0).save_pretrained(folder)


def _audible(model: Any, gain: float) -> None:
    """As they are made, the codebooks are zero and the decoder's output is 180 dB down."""
    import torch

    for name, weight in model.named_parameters():
        if name.endswith("embedding_sum"):
            weight.normal_(0, 1)
        elif name.startswith("decoder.") and weight.dim() >= 2:
            torch.nn.init.kaiming_normal_(weight, nonlinearity="linear")
    model.decoder.decoder[-1].conv.weight.mul_(gain)
    for name, buffer in model.named_buffers():
        if name.endswith("embed_sum"):
            buffer.normal_(0, 1)
