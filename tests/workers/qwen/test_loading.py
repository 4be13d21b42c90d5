"""Loading: what this engine says beyond what every engine of this kind does (`promises_of_loading`)."""

from __future__ import annotations

import pytest

from voicebus.workers.engine import EngineError

from .promises_of_loading import *  # noqa: F403 - tests to be collected here


def test_an_attention_that_is_none_is_named(refused, settings):
    """A way of attention that the library does not have is refused while loading."""
    assert "cannot be loaded" in refused({**settings(), "attention": "none_such"})


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "xpu", "mps"])
def test_a_gpu_that_is_not_there_is_an_error(refused, settings, device):
    """Where a GPU was asked for and there is none, the worker does not start: no processor stands in for it."""
    import torch

    from voicebus.workers import _qwen_device

    if _qwen_device._module(device.partition(":")[0]).is_available():
        pytest.skip(f"this machine has {device}")
    built = device.startswith("xpu") or (device.startswith("cuda") and bool(torch.version.cuda or torch.version.hip))
    said = refused(settings(device=device), lasting=not built)
    assert f"device {device} was asked for and is not there" in said


def test_a_device_that_computes_wrongly_is_not_used(refused, settings, monkeypatch):
    """The proof looks at the result: a device whose kernels lie is refused, however healthy it says it is."""
    from voicebus.workers import _qwen_device

    results = iter([[1.0], [2.0]])
    monkeypatch.setattr(_qwen_device, "_kernel", lambda _name: next(results))
    assert "device cpu computes wrongly" in refused(settings())


def test_nothing_asked_for_takes_what_works(monkeypatch):
    """`auto` tries each accelerator that says it is there, and the processor when none of them computes."""
    from voicebus.workers import _qwen_device

    asked = []

    def prove(name):
        asked.append(name)
        if name != "cpu":
            raise EngineError("load_failed", f"device {name} does not compute")
        return name

    class There:
        @staticmethod
        def is_available():
            return True

    monkeypatch.setattr(_qwen_device, "prove", prove)
    monkeypatch.setattr(_qwen_device, "_module", lambda _kind: There)
    assert _qwen_device.choose({}).name == "cpu"
    assert asked == ["cuda", "xpu", "mps", "cpu"]


def test_without_the_package_the_command_is_said(refused, settings, monkeypatch):
    """Where a library is missing, it is named with the command that installs it."""
    from voicebus.workers import _qwen_package

    there = _qwen_package._installed
    monkeypatch.setattr(_qwen_package, "_installed", lambda name: name != "einops" and there(name))
    said = refused(settings())
    assert "einops not installed" in said
    assert "pip install" in said
