"""Makes tiny random checkpoints of the real architecture in a published model's layout, with MLX alone: the package's
own classes, their weights under PyTorch's names and in its shapes, a megabyte. What they say is noise, and everything
else about them is real.

The package tells PyTorch's layout of a convolution from its own by the shape, so shapes here keep to what makes that
unambiguous, as those of the published models do: a convolution of one step has more than 64 channels, any other at
least as many as it has steps. The codec has 16 books, which the package takes for granted in its encoder.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ..qwen.tiny import CODES, END, GENERATION, SPECIALS, STUCK, WIDTH, talker, vocabulary

__all__ = ["CODES", "END", "STUCK", "build"]

BOOKS, CHANNELS = 16, 72

_SEANET = {"residuals.0.block.0": "1.block.1", "residuals.0.block.1": "1.block.3", "downsample": "3"}
"""A block of the codec's encoder: the package's names and PyTorch's, which number the layers of all blocks."""

_ENCODER = [
    (r"self_attn\.out_proj", "self_attn.o_proj"),
    (r"gating\.linear(\d)", r"mlp.fc\1"),
    (r"norm1", "input_layernorm"),
    (r"norm2", "post_attention_layernorm"),
    (r"layer_scale_1", "self_attn_layer_scale"),
    (r"layer_scale_2", "mlp_layer_scale"),
]


def build(
    folder: Path,
    kind: str = "custom_voice",
    *,
    size: str = "1b7",
    seed: int = 0,
    odds: dict[int, float] | None = None,
    gain: float = 3.0,
    blocks: bool = False,
) -> Path:
    """A checkpoint. odds: added to the log-odds of codes, more or less. gain: of the last convolution; 0 is silence.
    blocks: whether the decoder has one of the blocks that overlap from frame to frame, which is ten times as slow."""
    import mlx.core as mx

    (folder / "speech_tokenizer").mkdir(parents=True, exist_ok=True)
    mx.random.seed(seed)
    _model(folder, kind, size, odds or {})
    _codec(folder / "speech_tokenizer", gain, blocks=blocks)
    return folder


def _model(folder: Path, kind: str, size: str, odds: dict[int, float]) -> None:
    from mlx_audio.tts.models.qwen3_tts.config import ModelConfig
    from mlx_audio.tts.models.qwen3_tts.qwen3_tts import Model

    first = vocabulary(folder)
    _special_tokens(folder, first)
    ids = {name: first + number for number, name in enumerate(SPECIALS)}
    channels = [CHANNELS] * 4 + [3 * CHANNELS]
    told = {
        "model_type": "qwen3_tts", "architectures": ["Qwen3TTSForConditionalGeneration"],
        "talker_config": talker(first + len(SPECIALS), kind, BOOKS),
        "speaker_encoder_config": {
            "enc_dim": WIDTH, "enc_channels": channels, "enc_attention_channels": CHANNELS, "enc_res2net_scale": 8,
            "enc_se_channels": CHANNELS, "sample_rate": 24000,
        },
        "tokenizer_type": "qwen3_tts_tokenizer_12hz", "tts_model_size": size, "tts_model_type": kind,
        "im_start_token_id": ids["<|im_start|>"], "im_end_token_id": ids["<|im_end|>"],
        "tts_pad_token_id": ids["<|tts_pad|>"], "tts_bos_token_id": ids["<|tts_bos|>"],
        "tts_eos_token_id": ids["<|tts_eos|>"],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "generation_config.json").write_text(json.dumps(GENERATION))
    weights = _flat(Model(ModelConfig.from_dict(told)))
    for name, weight in weights.items():
        if name.startswith("talker.") and weight.ndim == 2:
            # Ten times what a model is born with: what is said has to depend on what was said, and on who asks for it.
            weights[name] = _normal(weight.shape, 0.2)
    _tilt(weights, odds)
    _save(folder, {name: _torch(name, weight) for name, weight in weights.items()})


def _special_tokens(folder: Path, first: int) -> None:
    added = {
        str(first + number): {
            "content": name, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": True,
        }
        for number, name in enumerate(SPECIALS)
    }  # fmt: skip
    told = {
        "added_tokens_decoder": added, "additional_special_tokens": SPECIALS, "add_prefix_space": False,
        "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
        "errors": "replace", "tokenizer_class": "Qwen2Tokenizer",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(told))


def _tilt(weights: dict[str, Any], odds: dict[int, float]) -> None:
    """Move the odds of codes: one dimension of all that the talker reads is made constant, kept so through its layers,
    and read by the heads of those codes alone."""
    for name, weight in weights.items():
        if re.search(r"^talker\.model\.layers\.\d+\.(self_attn\.o_proj|mlp\.down_proj)\.weight$", name):
            weight[0] = 0.0
        elif re.search(r"^talker\.code_predictor\.model\.codec_embedding\.\d+\.weight$", name):
            weight[:, 0] = 0.0
    for name in ("weight", "bias"):
        weights[f"talker.text_projection.linear_fc2.{name}"][0] = 0.0
    weights["talker.model.codec_embedding.weight"][:, 0] = 2.0
    weights["talker.codec_head.weight"][:, 0] = 0.0
    for code, by in odds.items():
        weights["talker.codec_head.weight"][code, 0] = by


def _codec(folder: Path, gain: float, *, blocks: bool) -> None:
    from mlx_audio.tts.models.qwen3_tts import config as package
    from mlx_audio.tts.models.qwen3_tts.speech_tokenizer import Qwen3TTSSpeechTokenizer

    told = {
        "encoder_config": {
            "sampling_rate": 24000, "audio_channels": 1, "hidden_size": 16, "num_filters": 2,
            "num_residual_layers": 1, "upsampling_ratios": [8, 6, 5, 4], "codebook_size": CODES, "codebook_dim": 8,
            "vector_quantization_hidden_dimension": 8, "num_quantizers": BOOKS, "num_semantic_quantizers": 1,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
            "intermediate_size": 32, "sliding_window": 250, "max_position_embeddings": 8000, "use_causal_conv": True,
            "frame_rate": 12.5,
        },
        "decoder_config": {
            "codebook_size": CODES, "hidden_size": 16, "latent_dim": 16, "codebook_dim": 136,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 72,
            "intermediate_size": 32, "num_hidden_layers": 1, "num_quantizers": BOOKS,
            "decoder_dim": 136 if blocks else 16, "upsample_rates": [5] if blocks else [],
            "upsampling_ratios": [8, 6, 8] if blocks else [8, 6, 8, 5], "max_position_embeddings": 8000,
        },
        "encoder_valid_num_quantizers": BOOKS,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(told))
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 24000}))
    encoder = package.Qwen3TTSTokenizerEncoderConfig(
        **package.filter_dict_for_dataclass(package.Qwen3TTSTokenizerEncoderConfig, told["encoder_config"])
    )
    decoder = package.Qwen3TTSTokenizerDecoderConfig(**told["decoder_config"])
    weights = _flat(Qwen3TTSSpeechTokenizer(package.Qwen3TTSTokenizerConfig(encoder, decoder, BOOKS)))
    saved: dict[str, Any] = {}
    for name, weight in weights.items():
        if name.startswith("decoder."):
            saved |= _of_decoder(name, weight)
        elif not name.endswith(".initialized"):
            saved |= _of_encoder(name.removeprefix("encoder_model."), weight)
    last = max((name for name in saved if re.search(r"^decoder\.decoder\.\d+\.conv\.weight$", name)), key=str)
    for name in (last, last.replace("weight", "bias")):
        saved[name] = saved[name] * gain
    _save(folder, saved)


def _of_decoder(name: str, weight: Any) -> dict[str, Any]:
    """As they are made, the decoder's output is 180 dB down."""
    if name.endswith("codebook.embed.weight"):
        base = name.removesuffix("codebook.embed.weight")
        return _book(f"{base}_codebook.embedding_sum", f"{base}_codebook.cluster_usage", weight)
    made = _torch(name, weight)
    return {name: _normal(made.shape, 1 / math.sqrt(math.prod(made.shape[1:]))) if made.ndim > 1 else made}


def _of_encoder(name: str, weight: Any) -> dict[str, Any]:
    import mlx.core as mx

    if name.endswith("codebook.cluster_usage"):
        return {}
    if name.startswith("quantizer."):
        for ours, theirs in (("rvq_first", "semantic"), ("rvq_rest", "acoustic")):
            name = name.replace(ours, f"{theirs}_residual_vector_quantizer").replace(".vq.", ".")
        base = f"encoder.{name.removesuffix('embedding_sum')}"
        if name.endswith("embedding_sum"):
            return _book(f"{base}embed_sum", f"{base}cluster_usage", weight)
        return {f"encoder.{name}": weight.swapaxes(1, 2)}
    name = name.replace("encoder_transformer.transformer", "encoder_transformer").replace("conv.conv", "conv")
    if name.endswith("in_proj.weight"):
        base = name.removesuffix("in_proj.weight")
        return {f"encoder.{base}{of}_proj.weight": part for of, part in zip("qkv", mx.split(weight, 3), strict=True)}
    for ours, theirs in _ENCODER if name.startswith("encoder_transformer") else []:
        name = re.sub(ours, theirs, name)
    name = name.replace("encoder.init_conv1d", "encoder.layers.0").replace("encoder.final_conv1d", "encoder.layers.14")
    if found := re.fullmatch(r"encoder\.layers\.(\d)\.(residuals\.0\.block\.\d|downsample)\.(.*)", name):
        number, _, rest = _SEANET[found[2]].partition(".")
        layer = ".".join(filter(None, (str(3 * int(found[1]) + int(number)), rest)))
        name = f"encoder.layers.{layer}.{found[3]}"
    return {f"encoder.{name.replace('downsample.conv.conv', 'downsample.conv')}": _torch("conv", weight)}


def _book(entries: str, usage: str, weight: Any) -> dict[str, Any]:
    """A codebook as it is trained: the sum of what fell to each entry, and how much that was."""
    import mlx.core as mx

    return {entries: _normal(weight.shape, 1.0), usage: mx.ones(weight.shape[:1])}


def _torch(name: str, weight: Any) -> Any:
    """A weight in PyTorch's layout."""
    if weight.ndim != 3:
        return weight
    overlapping = re.search(r"upsample\.\d+\.0\.conv|decoder\.decoder\.\d+\.block\.1\.conv", name)
    return weight.transpose(2, 0, 1) if overlapping else weight.swapaxes(1, 2)


def _normal(shape: tuple[int, ...], scale: float) -> Any:
    import mlx.core as mx

    return mx.random.normal(shape, scale=scale)


def _flat(module: Any) -> dict[str, Any]:
    from mlx.utils import tree_flatten

    return dict(tree_flatten(module.parameters()))


def _save(folder: Path, weights: dict[str, Any]) -> None:
    import mlx.core as mx

    whole = {name: mx.contiguous(weight.astype(mx.float32)) for name, weight in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), whole, {"format": "pt"})
