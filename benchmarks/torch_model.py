"""Random models of the published sizes, in memory: speed does not depend on the weights' values.

The shapes are those of the published configurations, with a small table of text tokens (which no step reads) and no
codec.
"""

from __future__ import annotations

from typing import Any

from voicebus.workers import _qwen_package

SIZES = {"0.6B": (1024, 3072), "1.7B": (2048, 6144)}
"""Width of the talker and of its MLP."""

SAMPLING = {
    "do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.05, "min_new_tokens": 2,
    "subtalker_dosample": True, "subtalker_temperature": 0.9, "subtalker_top_k": 50, "subtalker_top_p": 1.0,
}  # fmt: skip


def tiny(folder: str, device: str) -> Any:
    """The model in a folder, in float32."""
    import torch

    with _qwen_package.quiet():
        return _qwen_package.load().from_pretrained(folder, device_map=device, dtype=torch.float32).model


def model(size: str, dtype: Any, device: str) -> Any:
    """A model of "0.6B" or "1.7B"."""
    _qwen_package.load()
    import torch
    from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration

    width, wide = SIZES[size]
    heads = {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "num_code_groups": 16}
    config = Qwen3TTSConfig(
        talker_config={
            "code_predictor_config": {
                "vocab_size": 2048, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 5,
                "rope_theta": 1000000, **heads,
            },
            "vocab_size": 3072, "hidden_size": width, "intermediate_size": wide, "num_hidden_layers": 28,
            "text_hidden_size": 2048, "text_vocab_size": 1000, "rope_theta": 1000000,
            "rope_scaling": {"interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
            "codec_bos_id": 2149, "codec_eos_token_id": 2150, "codec_pad_id": 2148, "codec_language_id": {},
            "spk_id": {}, "spk_is_dialect": {}, **heads,
        },
        speaker_encoder_config={"enc_dim": width}, tokenizer_type="qwen3_tts_tokenizer_12hz",
        tts_model_size={"0.6B": "0b6", "1.7B": "1b7"}[size], tts_model_type="custom_voice",
    )  # fmt: skip
    torch.set_default_dtype(dtype)
    try:
        with _qwen_package.quiet(), torch.device(device):
            return Qwen3TTSForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def plan(made: Any, tokens: int, seed: int) -> Any:
    """A prompt of random embeddings."""
    import torch

    from voicebus.workers._qwen_plan import Plan

    head, random = made.talker.codec_head.weight, torch.Generator().manual_seed(seed)

    def some(count: int) -> Any:
        width = made.talker.config.hidden_size
        return (torch.randn(1, count, width, generator=random) * 0.02).to(head.device, head.dtype)

    # The end of speech is among those that are left out: what is measured goes on as long as one likes.
    codes = made.talker.config.vocab_size
    return Plan(some(tokens), some(1), some(1), SAMPLING | {"suppress_tokens": list(range(codes - 1024, codes))})
