"""Qwen3-TTS on PyTorch: one engine for the processor and for GPUs (CUDA, ROCm, XPU, Apple's MPS).

Owns: the mapping of the contract to models, and their joint steps. Must not know: the bus, how a model steps
(`_qwen_talker`), decodes (`_qwen_decoder`) or is loaded (`_qwen_model`). Invariant: what is not there is refused by
name; audio leaves as it is made; one frame (80 ms of audio) is the longest that a stop waits; with the same seed the
same model on the same device says the same.

It is slow on a processor (several times slower than speech for the 0.6B model on two cores), which READY's measured
factor tells the daemon. The models' weights are under the Apache licence and are not part of this package.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..bus.prompts import VoicePrompt
from . import _qwen_files, _qwen_models, _qwen_package, _qwen_request, _qwen_voices
from ._qwen_errors import translated
from ._qwen_packets import Packets, Packing, frames_at_most
from .engine import Capabilities, Chunk, Engine, EngineError, Mark, Progress, Request, Sample, Spoken, Step, Voice

if TYPE_CHECKING:
    from ._qwen_cloning import Clones
    from ._qwen_model import Model
    from ._qwen_speaking import Speaking

_WARM_FRAMES = 2

_SLOTS = {"cuda": 4}
"""Utterances at once, by the kind of device: a GPU does not notice the second to fourth."""


class QwenEngine(Engine):
    """Qwen3-TTS 12 Hz, by the package `qwen-tts`.

    Settings, all optional: model (a folder, or a hub's id; by default the published one of `kind` and `size`), kind
    ("custom_voice", "voice_design", "base"), size ("0.6B", "1.7B"), sizes or models (lists: several side by side),
    revision, offline (true: never download), device, dtype, attention, threads (of the processor), slots (utterances
    at once), graphs (true: record frames where the device can), first_frames (in the first packet, 1), packet_frames
    (in the others: 4, on a processor 12), context_frames (25), max_frames (2048), voices (of a base model: name to
    {sample, text}), designs (of a voice_design model: name to description).
    """

    name = "qwen-torch"
    batches = True

    def load(self, settings: dict[str, Any], progress: Progress) -> None:
        self._settings = settings
        if settings.get("offline", True):
            os.environ["HF_HUB_OFFLINE"] = "1"  # Before the libraries are imported: they look at it once.
        progress(0.0, "the libraries")
        _qwen_package.load()
        import torch

        from . import _qwen_device

        if threads := int(settings.get("threads", 0)):
            torch.set_num_threads(threads)
        progress(10.0, "the device")
        self._device = _qwen_device.choose(settings)
        self._packets = Packets.told(settings, usual=12 if self._device.kind == "cpu" else 4)
        self.slots = max(1, int(settings.get("slots", _SLOTS.get(self._device.kind, 1))))
        self._models = _qwen_models.Models(self._loaded(progress))
        self.sample_rate = self._models.default.rate
        names = "+".join(model.files.name for model in self._models.all)
        self.version = f"{_qwen_package.version()}/{names}"
        progress(90.0, "the first frames")
        for model in self._models.all:
            self._warm(model)

    # ------------------------------------------------------------------------------------------- loading

    def _loaded(self, progress: Progress) -> list[Model]:
        from ._qwen_model import Model

        found, told = [], _qwen_models.wanted(self._settings)
        all_files = [_qwen_files.find(each, progress) for each in told]
        for number, (files, settings) in enumerate(zip(all_files, told, strict=True)):
            progress(20.0 + 70.0 * number / len(told), f"the weights of {files.name} on {self._device.name}")
            found.append(Model(files, self._device, settings, self.slots, self._packets.most))
        return found

    def _warm(self, model: Model) -> None:
        """Make a frame and its audio before anybody waits for one: libraries compile and allocate at the first call."""
        request = model.self_test()
        utterance, window = model.utterance(request, _WARM_FRAMES), model.window(request, self._packets.context)
        with translated():
            try:
                for _ in range(_WARM_FRAMES):
                    if (codes := utterance.frame()) is not None:
                        window.add(codes)
            finally:
                utterance.close()
            if not window.waiting:
                raise EngineError("load_failed", f"{model.files.name} makes no frame on {self._device.name}")
            window.decode()

    # ------------------------------------------------------------------------------------------- cloning

    def create_voice_prompt(self, samples: Sequence[Sample]) -> VoicePrompt:
        return self._models.default.clone(samples)

    def prompts_for(self) -> tuple[str, str, str]:
        return super().prompts_for() if self._clones is None else self._models.default.made_for

    def forget(self, key: str) -> None:
        for model in self._models.all:
            if model.clones is not None:
                model.clones.forget(key)
        self._release()

    @property
    def _clones(self) -> Clones[Any] | None:
        return self._models.default.clones

    # -------------------------------------------------------------------------------------------- telling

    def voices(self) -> list[Voice]:
        return self._models.voices()

    def capabilities(self) -> Capabilities:
        default = self._models.default
        return Capabilities(
            seed=True,
            instruct=any(model.files.takes_instruct for model in self._models.all),
            cloning=self._clones is not None,
            designs=_qwen_voices.DESIGNED.name if default.files.kind == "voice_design" else "",
            options=(*_qwen_request.OPTIONS, *([_qwen_models.OPTION] if len(self._models.all) > 1 else [])),
            default_voices=_qwen_voices.defaults(default.voices, default.languages),
        )

    def self_test(self) -> Request:
        return self._models.default.self_test()

    def memory(self) -> int:
        from . import _qwen_device

        return _qwen_device.memory(self._device) if hasattr(self, "_device") else 0

    def device(self) -> dict[str, Any]:
        default = self._models.default
        told = {**self._device.told(), "model": default.files.name, "size": default.files.size}
        if len(self._models.all) > 1:
            told["models"] = [model.files.name for model in self._models.all]
        if why := default.graphs:
            told["graphs"] = why
        if self.slots > 1:
            told["seeds"] = "batched" if default.rows.talker.alike else "alone"
        return told

    # ------------------------------------------------------------------------------------------- speaking

    def synthesize(self, request: Request) -> Generator[Chunk | Mark, None, None]:
        spoken = self.open(request)
        try:
            while (made := self.advance([spoken])[0]) is not None:
                if isinstance(made, EngineError):
                    raise made
                # An empty one is a place to be stopped at: the GPU is not to go on for a whole packet.
                yield from made or [Chunk(b"")]
        finally:
            spoken.close()

    def open(self, request: Request) -> Spoken:
        from ._qwen_speaking import Nothing, Speaking

        model, asked = self._models.of(request)
        model.speaker(asked)
        if not _qwen_request.sayable(asked.text):
            return Nothing()
        utterance = model.utterance(asked, frames_at_most(asked.text, self._packets))
        window, most = model.window(asked, self._packets.context), _qwen_request.most_frames(asked)
        packing = Packing(asked.text, window, self._packets, self.sample_rate, most)
        return Speaking(model, utterance, packing, self._release)

    def advance(self, utterances: Sequence[Any]) -> list[Step]:
        made: dict[int, Step | bool] = {id(one): _each(one.next) for one in utterances}
        for model in self._models.all:
            going = [one for one in utterances if made[id(one)] is True and one.model is model]
            made |= self._frames(model, going)
        return [made[id(one)] for one in utterances]  # type: ignore[misc]

    def _frames(self, model: Model, going: list[Speaking]) -> dict[int, Step | bool]:
        if not going:
            return {}
        with translated():
            frames = model.rows.frames([one.utterance for one in going])
        return {id(one): _each(partial(one.took, codes)) for one, codes in zip(going, frames, strict=True)}

    def _release(self) -> None:
        """The model's memory of what was said is gone with the utterance; what the device keeps for it goes too."""
        from ._qwen_device import release

        gc.collect(0)
        release(self._device)

    def close(self) -> None:
        del self._models
        gc.collect()
        self._release()


def _each(call: Callable[[], Any]) -> Any:
    """What a call gives for one of several, or the EngineError that ends that one."""
    try:
        return call()
    except EngineError as error:
        return error


engine = QwenEngine

if __name__ == "__main__":
    from .runtime import main

    raise SystemExit(main(QwenEngine))
