"""The engine on tiny checkpoints: what it promises beyond what every engine of this kind does (`promises`)."""

from __future__ import annotations

from voicebus.bus.manifests import all_manifests

from ..qwen.promises import *  # noqa: F403 - tests to be collected here
from ..qwen.promises import NEVER


def test_what_is_told_of_it_before_it_is_there_is_true(engine):
    """The manifest names its module and rate, and what some model of it can."""
    manifest = next(manifest for manifest in all_manifests() if manifest.name == "mlx")
    some = [engine("base", NEVER), engine("voice_design", NEVER)]
    claimed = {"speak"} | {
        name for one in some for name in ("streams", "seed", "instruct", "cloning") if getattr(one.capabilities(), name)
    }
    assert (manifest.module, manifest.rate) == ("voicebus.workers.qwen_mlx", some[0].sample_rate)
    assert set(manifest.capabilities) == claimed


def test_a_processor_has_no_memory_of_its_own(engine):
    """What a worker on a processor uses is the process's, and is not told twice."""
    assert engine(options=NEVER).memory() == 0
