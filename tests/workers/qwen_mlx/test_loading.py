"""Loading: what this engine says beyond what every engine of this kind does (`promises_of_loading`)."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from voicebus.workers.engine import EngineError, Request

from ..qwen.promises import NEVER, TEXT, start
from ..qwen.promises_of_loading import *  # noqa: F403 - tests to be collected here


@pytest.mark.parametrize("device", ["metal", "cuda"])
def test_a_gpu_that_is_not_there_is_an_error(refused, settings, device):
    """Where a GPU was asked for and there is none, the worker does not start: no processor stands in for it."""
    from voicebus.workers import _qwen_mlx_device

    if _qwen_mlx_device._there(device):
        pytest.skip(f"this machine has {device}")
    assert f"device {device} was asked for and is not there" in refused(settings(device=device))


def test_a_device_that_computes_wrongly_is_not_used(refused, settings, monkeypatch):
    """The proof looks at the result: a device whose kernels lie is refused, however healthy it says it is."""
    from voicebus.workers import _qwen_mlx_device

    monkeypatch.setattr(_qwen_mlx_device, "_kernel", lambda _kind: [1.0])
    assert "device cpu computes wrongly" in refused(settings())


def test_nothing_asked_for_takes_what_works(monkeypatch):
    """`auto` tries each GPU that says it is there, and the processor when none of them computes."""
    from voicebus.workers import _qwen_mlx_device

    asked = []

    def prove(kind):
        asked.append(kind)
        if kind != "cpu":
            raise EngineError("load_failed", f"device {kind} does not compute")
        return kind

    monkeypatch.setattr(_qwen_mlx_device, "prove", prove)
    monkeypatch.setattr(_qwen_mlx_device, "_there", lambda _kind: True)
    assert _qwen_mlx_device.choose({}).kind == "cpu"
    assert asked == ["metal", "cuda", "cpu"]


def test_without_the_package_the_command_is_said(refused, settings, monkeypatch):
    """Where a library is missing, it is named with the command that installs it."""
    from voicebus.workers import _qwen_mlx_package

    there = _qwen_mlx_package._installed
    monkeypatch.setattr(_qwen_mlx_package, "_installed", lambda name: name != "mlx_audio" and there(name))
    said = refused(settings())
    assert "mlx_audio not installed" in said
    assert "pip install 'voicebus[mlx]'" in said


def codec_of(folder, change):
    """The codec's weights, changed."""
    import mlx.core as mx

    file = folder / "speech_tokenizer" / "model.safetensors"
    weights = {name: mx.array(weight) for name, weight in mx.load(str(file)).items()}
    mx.eval(weights)
    change(weights)
    mx.save_safetensors(str(file), weights, {"format": "pt"})


def test_a_codec_that_lacks_weights_is_no_codec(refused, settings, checkpoint, tmp_path):
    """The package leaves weights that are missing from the codec at random; here, one that lacks any is refused, and
    the weight is named."""
    folder = shutil.copytree(checkpoint(), tmp_path / "lacking")
    codec_of(folder, lambda weights: weights.pop("decoder.pre_conv.conv.weight"))
    said = refused(settings(model=str(folder)))
    assert "lacks 1 of its weights, decoder.pre_conv.conv.weight" in said


@pytest.mark.parametrize(
    ("file", "words"), [("speech_tokenizer/model.safetensors", "the codec in"), ("vocab.json", "the text tokenizer in")]
)
def test_what_the_package_goes_on_without_is_an_error(refused, settings, checkpoint, tmp_path, file, words):
    """A codec or a tokenizer that cannot be read is an error with its folder, where the package prints a warning."""
    folder = shutil.copytree(checkpoint(), tmp_path / "cut")
    (folder / file).write_bytes(b"{" * 100)
    said = refused(settings(model=str(folder)))
    assert words in said
    assert str(folder) in said


def test_loading_prints_nothing_on_standard_output(settings, engine_class, capfd):
    """What the package tells while it loads stands on standard error, where a worker's last words are kept."""
    engine_class().load(settings(), lambda _percent, _note: None)
    told = capfd.readouterr()
    assert told.out == ""
    assert "speech tokenizer" in told.err


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numbers_are_of_the_type_that_is_asked_for(settings, engine_class, dtype):
    """The setting `dtype` makes the talker's numbers of that type, READY says so, and it speaks."""
    one = engine_class()
    one.load(settings(options=NEVER, dtype=dtype), lambda _percent, _note: None)
    assert one.device()["dtype"] == dtype
    assert len(start(one, Request(TEXT, "ryan", "en", seed=1), 5)) == 5 * 3840


def test_the_device_is_told(engine):
    """What it runs on goes with READY: device, number type, memory and what of it is free, model and size."""
    told = engine().device()
    assert (told["kind"], told["id"], told["dtype"], told["size"]) == ("cpu", "cpu", "float32", "1b7")
    assert 0 < told["free"] <= told["memory"]
    assert "bits" not in told


def quantised(folder):
    """Make of the model in a folder what published conversions are: the talker's wide layers in 8 bits."""
    import mlx.core as mx
    from mlx import nn
    from mlx.utils import tree_flatten
    from mlx_audio.tts.utils import load_model

    model = load_model(folder)
    model.speech_tokenizer = None
    nn.quantize(
        model,
        64,
        8,
        class_predicate=lambda path, layer: (
            hasattr(layer, "to_quantized")
            and layer.weight.shape[-1] % 64 == 0
            and model.model_quant_predicate(path, layer)
        ),
    )
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization": {"group_size": 64, "bits": 8}}))


def test_a_quantised_conversion_speaks(settings, engine_class, checkpoint, tmp_path):
    """A model that was converted to 8 bits loads like any other, and READY tells the bits."""
    folder = shutil.copytree(checkpoint(**NEVER), tmp_path / "converted")
    quantised(folder)
    one = engine_class()
    one.load(settings(model=str(folder)), lambda _percent, _note: None)
    assert one.device()["bits"] == 8
    assert len(start(one, Request(TEXT, "ryan", "en", seed=1), 5)) == 5 * 3840


def test_the_hub_is_not_asked_when_offline(settings, engine_class, monkeypatch):
    """Unless `offline` is false, the libraries are told to stay away from the network before they are imported."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    engine_class().load(settings(), lambda _percent, _note: None)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
